"""Text generation by a real model: a server of the user's that speaks OpenAI's dialect (`--chat-upstream`)."""
