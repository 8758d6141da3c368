"""Workers AI, Vectorize and AI Gateway on this machine, behind the real binding classes of Cloudflare Workers."""

__version__ = "0.1.0"
