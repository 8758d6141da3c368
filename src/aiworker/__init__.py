"""An AI backend for web front ends, as one Python Worker."""

__version__ = "0.1.0"
