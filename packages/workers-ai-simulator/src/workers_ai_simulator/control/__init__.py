"""The simulator's own API, for tests and people, and its page."""

"""The simulator's own API, for tests and people, and its page."""
