"""The part of JavaScript that src/ uses, as Pyodide shows it to Python."""

from typing import Any

from pyodide.ffi import JsBuffer, JsNull

class JSON:
    @staticmethod
    def parse(text: str) -> Any: ...
    @staticmethod
    def stringify(value: object) -> str: ...

class Headers:
    def get(self, name: str) -> str | JsNull: ...

class ReadResult:
    done: bool
    value: JsBuffer

class Reader:
    async def read(self) -> ReadResult: ...
    async def cancel(self) -> None: ...

class ReadableStream:
    @staticmethod
    def new(source: object, strategy: Any = ...) -> ReadableStream: ...
    def getReader(self) -> Reader: ...
    async def pipeTo(self, destination: Any) -> None: ...

class Request:
    method: str
    url: str
    headers: Headers
    body: ReadableStream | JsNull
    bodyUsed: bool
    signal: Any
    async def arrayBuffer(self) -> JsBuffer: ...

class Response:
    prototype: Any
    status: int
    headers: Headers
    body: ReadableStream | JsNull
    async def arrayBuffer(self) -> JsBuffer: ...
    async def text(self) -> str: ...
    async def json(self) -> Any: ...
    async def formData(self) -> Any: ...
    @staticmethod
    def new(body: object, init: Any = ...) -> Response: ...

# Constructors and namespaces of which only a call or two is used
AbortController: Any
AbortSignal: Any
Array: Any
ArrayBuffer: Any
Blob: Any
Date: Any
Error: Any
Float32Array: Any
FixedLengthStream: Any
FormData: Any
Function: Any
IdentityTransformStream: Any
Object: Any
Promise: Any
Reflect: Any
String: Any
TextDecoderStream: Any
TextEncoder: Any
TextEncoderStream: Any
TransformStream: Any
Uint8Array: Any
WritableStream: Any
console: Any
crypto: Any
fetch: Any
queueMicrotask: Any

def setTimeout(callback: Any, milliseconds: int, *arguments: Any) -> Any: ...
def clearTimeout(timer: Any) -> None: ...
