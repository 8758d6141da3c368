"""Text generation: conversations read, answered, and written in the dialects of the models."""
