"""Text generation and embeddings by real models: a server of the user's that speaks OpenAI's dialect (`--models`)."""
