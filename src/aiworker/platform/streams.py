"""Streamed bodies of responses."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from typing import Any

import js
from pyodide.ffi import JsException, create_once_callable, create_proxy, to_js

from aiworker.bindings import StreamEpilogue, StreamOutcome, StreamTransform
from aiworker.http.messages import JsHandle
from aiworker.platform.isolate import isolate
from aiworker.platform.javascript import error_message, js_errors_suppressed

DEFECT = "a defect of the server"
"""The reason that a client sees when a stream breaks off; the log has the exception."""


class JsStreams:
    """aiworker.bindings.Streams of one request.

    Bodies go through IdentityTransformStreams: with a TransformStream, a disconnecting client would not be noticed.
    """

    def __init__(self, execution: Any, request: Any) -> None:
        """execution: the platform's context of the request. request: JavaScript's Request."""
        self._execution = execution
        self._request = request
        self._open = 0
        self._outcome = StreamOutcome(client_disconnected=False)
        self._on_complete: Callable[[StreamOutcome], None] | None = None
        self._on_abort: Any = None
        """JavaScript's listener for the signal, until it has been called or removed."""

    def pipe(self, body: JsHandle, epilogue: StreamEpilogue, prefix: str = "") -> JsHandle:
        stream = js.IdentityTransformStream.new()
        return self._run(stream, _pipe(body, stream.writable, epilogue, prefix))

    def transform(self, body: JsHandle, transform: StreamTransform) -> JsHandle:
        stream = js.IdentityTransformStream.new()
        return self._run(stream, _transform(body, stream.writable, transform))

    def generate(self, parts: AsyncGenerator[str | bytes]) -> JsHandle:
        stream = js.IdentityTransformStream.new()
        return self._run(stream, _generate(parts, stream.writable.getWriter()))

    def on_complete(self, callback: Callable[[StreamOutcome], None]) -> None:
        self._on_complete = callback
        self._check_complete()

    def wait_until(self, work: Coroutine[Any, Any, None]) -> None:
        self._execution.waitUntil(asyncio.ensure_future(work))

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        def abort(_event: Any) -> None:
            self._on_abort = None
            callback()

        self._on_abort = create_once_callable(abort)
        self._request.signal.addEventListener("abort", self._on_abort)

    def _run(self, stream: Any, work: Coroutine[Any, Any, bool]) -> JsHandle:
        self._open += 1
        # without waitUntil, the work would end when the handler returns the response
        self._execution.waitUntil(asyncio.ensure_future(self._follow(stream.writable, work)))
        return JsHandle(stream.readable)

    async def _follow(self, writable: Any, work: Coroutine[Any, Any, bool]) -> None:
        """Wait for the end of a body, and record it. work: writes the body; True if the client has read to the end."""
        isolate.open_streams += 1
        try:
            self._outcome = StreamOutcome(client_disconnected=not await work)
        except Exception as error:  # the client must see that the body is incomplete
            self._outcome = StreamOutcome(client_disconnected=False, defect=error)
            with js_errors_suppressed():
                await writable.abort(DEFECT)
        finally:
            isolate.open_streams -= 1
            self._open -= 1
            self._check_complete()

    def _check_complete(self) -> None:
        if self._on_complete and not self._open:
            # the callback refers to these streams: such a circle would leave all objects of the request to Python's
            # collector
            on_complete, self._on_complete = self._on_complete, None
            on_complete(self._outcome)
            if self._on_abort:
                self._request.signal.removeEventListener("abort", self._on_abort)
                self._on_abort.destroy()
                self._on_abort = None


async def _pipe(body: Any, writable: Any, epilogue: StreamEpilogue, prefix: str) -> bool:
    """Send prefix, body and epilogue; return whether the client has read to the end.

    The body is split in two: one branch goes to the client, JavaScript buffers the other for the epilogue. (If Python
    read the second branch at the same time, the client's would be delayed.)
    """
    client_branch, buffered = body.tee()
    try:
        if prefix:
            await _send(writable, prefix)
        await client_branch.pipeTo(writable, preventAbort=True, preventClose=True)
        content = js.Uint8Array.new(await js.Response.new(buffered).arrayBuffer())
        last = await epilogue.finish(
            (content.subarray(-epilogue.tail_size) if epilogue.tail_size else content).to_bytes()
        )
    except JsException as error:  # the model's connection broke, its time is over, or the client has disconnected
        last = epilogue.fail(error_message(error))
        for branch in (client_branch, buffered):  # the model is cancelled only if both are
            with js_errors_suppressed():
                await branch.cancel()
    return await _close(writable.getWriter(), last)


async def _transform(body: Any, writable: Any, transform: StreamTransform) -> bool:
    """Send the transformed body; return whether the client has read to the end."""
    transformer = _Transformer(transform)
    with transformer.callbacks() as callbacks:
        try:
            transformed = body.pipeThrough(js.TransformStream.new(callbacks))
            await transformed.pipeTo(writable, preventAbort=True, preventClose=True)
            rest = transform.finish()
            last = rest if isinstance(rest, bytes) else await rest
        except JsException as error:
            last = transform.fail(error_message(error))
    is_complete = await _close(writable.getWriter(), last)
    if transformer.defect:
        raise transformer.defect
    return is_complete


class _Transformer:
    """Callbacks of a TransformStream. A callback for each chunk costs a fraction of awaiting each chunk."""

    def __init__(self, stream_transform: StreamTransform) -> None:
        self.defect: Exception | None = None
        """The exception of this Worker's code that has broken off the stream."""
        self._stream_transform = stream_transform
        self._new_bytes = js.Uint8Array.new
        self._enqueue: Any = None

    @contextlib.contextmanager
    def callbacks(self) -> Generator[Any]:
        proxies = {each.__name__: create_proxy(each) for each in (self.start, self.transform)}
        try:
            yield _object_of(proxies)
        finally:
            for proxy in proxies.values():
                proxy.destroy()

    def start(self, controller: Any) -> None:
        self._enqueue = controller.enqueue.bind(controller)  # bound once, not for each chunk

    def transform(self, chunk: Any, controller: Any) -> None:
        try:
            self._pass_on(self._stream_transform.transform(chunk.to_bytes()))
        except Exception as error:
            self._break_off(error, controller)

    def _pass_on(self, content: bytes) -> None:
        if content:
            chunk = self._new_bytes(len(content))
            chunk.assign(content)  # takes half the time of to_js
            self._enqueue(chunk)

    def _break_off(self, defect: Exception, controller: Any) -> None:
        self.defect = defect
        controller.error(js.Error.new(DEFECT))


def _object_of(members: Mapping[str, Any]) -> Any:
    js_members = js.Object.new()
    for name, member in members.items():
        setattr(js_members, name, member)
    return js_members


async def _generate(parts: AsyncGenerator[str | bytes], writer: Any) -> bool:
    """Send what the generator yields; return whether the client has read to the end."""
    async with contextlib.aclosing(parts):
        try:
            async for part in parts:
                if not await _is_written(writer, part):
                    return False
        except Exception:
            writer.releaseLock()
            raise
    return await _close(writer)


async def _send(writable: Any, part: str) -> None:
    writer = writable.getWriter()
    try:
        await writer.write(_encode(part))
    finally:
        writer.releaseLock()


async def _is_written(writer: Any, part: str | bytes) -> bool:
    """Write a part; False if the client has disconnected."""
    with js_errors_suppressed():
        await writer.write(_encode(part))
        return True
    return False


async def _close(writer: Any, last: str | bytes = "") -> bool:
    """Write the last part and close; False if the client has disconnected."""
    with js_errors_suppressed():
        if last:
            await writer.write(_encode(last))
        await writer.close()
        return True
    return False


def _encode(part: str | bytes) -> Any:
    return to_js(part) if isinstance(part, bytes) else _encoder().encode(part)


@functools.cache
def _encoder() -> Any:
    return js.TextEncoder.new()
