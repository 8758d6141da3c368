"""Load that lasts for hours, and measurements of what grows under it."""
