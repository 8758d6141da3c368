"""Python inside workerd from the npm package `pyodide`: see docs/local-runtime.md."""
