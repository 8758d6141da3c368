"""Load over hours, and measurements of memory that grows under it."""
