"""The token table of cl100k_base."""
