"""Pyodide's own JavaScript module; `_module` is Emscripten's."""

from typing import Any

_module: Any
