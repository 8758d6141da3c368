"""Vectorize, version 2: exact search over vectors that are kept in SQLite."""
