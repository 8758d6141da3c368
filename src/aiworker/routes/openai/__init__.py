"""The routes under /v1, for OpenAI's clients; docs/openai.md says what becomes of each parameter."""
