"""Programs for developers, which are never deployed: a folder a tool."""
