"""Who may do what: API keys, browser tokens, rate limits and budgets."""
