"""The part of Pyodide 314 that src/ uses; PyPI's pyodide-py is older."""

from typing import Any

class JsProxy: ...
class JsNull: ...

jsnull: JsNull

class JsBuffer:
    byteLength: int
    def to_bytes(self) -> bytes: ...

class JsException(Exception):
    name: str
    message: str

def to_js(value: object) -> Any: ...
def create_proxy(value: object) -> Any: ...
def create_once_callable(value: object) -> Any: ...
