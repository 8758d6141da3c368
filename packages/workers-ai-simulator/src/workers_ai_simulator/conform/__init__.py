"""Comparison of the simulator with the real service: the same calls to both, and the differences in the shapes of their
answers."""
