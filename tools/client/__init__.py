"""Programs for the npm package aiworker-client."""
