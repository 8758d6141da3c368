"""The two APIs of Workers AI: the wire of the binding, and Cloudflare's REST API."""
