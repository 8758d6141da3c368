"""`POST /mcp`: this Worker's tools and documents for agents, by the Model Context Protocol."""
