"""Models: the catalogue, and one way to call each of them."""
