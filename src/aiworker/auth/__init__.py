"""Access: API keys, browser tokens, rate limits and budgets."""
