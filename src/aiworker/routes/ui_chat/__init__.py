"""`/api/chat`: the routes that `useChat` of Vercel's AI SDK calls by default."""
