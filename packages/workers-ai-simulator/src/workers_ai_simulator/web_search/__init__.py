"""Web Search API: `env.AI.websearch()` and its endpoint of the REST API. Nothing is looked up: every result says so."""
