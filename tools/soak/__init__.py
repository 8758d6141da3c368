"""A load of hours, and what grows under it."""
