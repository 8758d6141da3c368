"""The routes: one file a family, each a story from top to bottom."""
