"""The routes under /v1, for OpenAI's clients; docs/openai.md describes what becomes of each parameter."""
