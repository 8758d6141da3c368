"""API keys and token secrets."""
