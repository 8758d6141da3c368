"""Text generation: a conversation read, answered, and written in the dialects of the models."""
