"""Models: what there are, and how one is called."""
