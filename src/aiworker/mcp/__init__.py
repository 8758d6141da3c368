"""The Model Context Protocol, by which agents use tools: its messages and errors."""
