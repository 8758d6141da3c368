"""The routes under /v1 for Anthropic's clients; docs/anthropic.md describes what becomes of each parameter."""
