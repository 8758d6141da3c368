"""Real models: text generation answered by a server of the user's that speaks OpenAI's dialect (`--chat-upstream`)."""
