"""Python Workers without a network: workerd runs the npm package `pyodide` as a JavaScript Worker."""
