"""The part of Pyodide 314 that src/ uses; PyPI's pyodide-py is older."""

class JsNull: ...

jsnull: JsNull

class JsBuffer:
    byteLength: int
    def to_bytes(self) -> bytes: ...

class JsException(Exception):
    message: str
