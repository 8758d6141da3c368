"""`scripts/bench`: aiworker beside Workers that do the same, measured in one run. docs/performance.md explains it."""
