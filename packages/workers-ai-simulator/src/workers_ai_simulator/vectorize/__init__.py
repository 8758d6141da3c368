"""Vectorize, version 2: exact search over vectors stored in SQLite."""
