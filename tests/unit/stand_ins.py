"""Stand-ins for the platform, with which the Worker's code runs on CPython."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from typing import Any

from aiworker import app
from aiworker.auth.access import ANYBODY, Caller
from aiworker.bindings import (
    Ai,
    Chat,
    Converted,
    Inputs,
    NoWeb,
    StreamEpilogue,
    StreamOutcome,
    StreamTransform,
    Turn,
    UpstreamResponse,
    Web,
    unbound,
)
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle, Payload, Response
from aiworker.log import RequestLog
from aiworker.settings import Settings

VARIABLES: Mapping[str, Any] = {
    "AUTH_MODE": "public",
    "ALLOWED_ORIGINS": "https://app.example",
    "MAX_BODY_BYTES": 100_000,
}


class FakeRequest:
    origin = "https://worker.example"

    def __init__(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        self.method = method
        self.path = path
        self.query: dict[str, str] = {}
        self._body = body
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    def start_reading(self, limit: int) -> None:
        """The body is there."""

    async def read(self, limit: int) -> bytes:
        return self._body

    async def read_with_files(self, limit: int, names: Any, within: Any = ()) -> tuple[bytes, Mapping[str, Payload]]:
        return self._body, {}

    async def read_payload(self, limit: int) -> Payload:
        raise NotImplementedError

    async def read_form(self, limit: int, files: object = ()) -> Mapping[str, str | Payload]:
        return {}


class FakePayload:
    """A Payload over Python's bytes, reduced to the methods that look at them."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = content

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._content[start:end]

    def slice(self, start: int, end: int) -> "FakePayload":
        return FakePayload(self._content[start:end])

    def find(self, byte: int, start: int) -> int:
        return self._content.find(byte, start)

    async def unquoted(self) -> "FakePayload | None":
        try:
            return FakePayload(json.loads(self._content).encode())
        except ValueError:
            return None


def payload(content: bytes) -> Any:
    return FakePayload(content)


def posted(path: str, body: Any) -> FakeRequest:
    return FakeRequest("POST", path, json.dumps(body).encode(), content_type="application/json")


class FakeAnswer:
    def __init__(self, status: int, text: str, **headers: str) -> None:
        self.status = status
        self.body = JsHandle(text)
        self._text = text
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    async def text(self) -> str:
        return self._text

    async def payload(self) -> Payload:
        raise NotImplementedError

    async def base64_payload(self, name: str) -> Payload:
        raise NotImplementedError

    async def value(self, name: str) -> JsHandle:
        raise NotImplementedError

    async def chunks(self) -> AsyncGenerator[bytes]:
        yield self._text.encode()


def answered(data: Any) -> FakeAnswer:
    return FakeAnswer(200, json.dumps(data), content_type="application/json")


def refused(status: int, code: int, **headers: str) -> FakeAnswer:
    words = {"internalCode": code, "name": "", "description": f"words of {code}"}
    return FakeAnswer(status, json.dumps(words), **headers)


class FakeAi:
    """Gives these answers in turn, the last one over and over; raises those that are errors."""

    def __init__(self, *answers: UpstreamResponse | ApiError) -> None:
        self._answers = list(answers)
        self.calls: list[tuple[str, Mapping[str, Any], Mapping[str, Any], float]] = []
        """Model, inputs, options and seconds of each call."""

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> UpstreamResponse:
        self.calls.append((model, inputs.fields, options, seconds))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, ApiError):
            raise answer
        return answer

    @property
    def models(self) -> list[str]:
        return [call[0] for call in self.calls]

    async def to_markdown(self, name: str, media_type: str, file: Payload | bytes) -> Converted:
        raise NotImplementedError

    async def web_search(self, request: Mapping[str, Any], seconds: float) -> UpstreamResponse:
        return await self.run("web search", Inputs(request), {}, seconds)

    async def gateway_log(self, gateway: str, log_id: str) -> dict[str, Any]:
        raise NotImplementedError

    async def rate_log(self, gateway: str, log_id: str, rating: Mapping[str, Any]) -> None:
        raise NotImplementedError


class FakeStreams:
    """Hands bodies on as they are."""

    def pipe(self, body: JsHandle, epilogue: StreamEpilogue, prefix: str = "") -> JsHandle:
        return body

    def transform(self, body: JsHandle, transform: StreamTransform) -> JsHandle:
        raise NotImplementedError

    def generate(self, parts: "AsyncGenerator[str | bytes]") -> JsHandle:
        return JsHandle(parts)

    def on_complete(self, callback: Callable[[StreamOutcome], None]) -> None:
        callback(StreamOutcome(client_disconnected=False))

    def wait_until(self, work: Coroutine[Any, Any, None]) -> None:
        raise NotImplementedError

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """Nobody ever leaves."""


class ReadStreams(FakeStreams):
    """Makes bodies of responses that `body_text` reads."""

    def pipe(self, body: JsHandle, epilogue: StreamEpilogue, prefix: str = "") -> JsHandle:
        text = str(body)

        async def work() -> str:
            return prefix + text + await epilogue.finish(text.encode()[-(epilogue.tail_size or 0) :])

        return JsHandle(work())

    def transform(self, body: JsHandle, transform: StreamTransform) -> JsHandle:
        async def work() -> str:
            output, rest = transform.transform(str(body).encode()), transform.finish()
            return (output + (rest if isinstance(rest, bytes) else await rest)).decode()

        return JsHandle(work())

    def generate(self, parts: "AsyncGenerator[str | bytes]") -> JsHandle:
        async def work() -> str:
            return "".join([part if isinstance(part, str) else part.decode() async for part in parts])

        return JsHandle(work())


async def body_text(response: Response) -> str:
    """Return the body of a response that is text, or was made by ReadStreams."""
    body: Any = response.body
    return body if isinstance(body, str) else await body


class FakeConversation:
    """A conversation, and the conversations that consist of this one."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.pairs: dict[str, str] = {}

    async def history(self) -> list[dict[str, Any]]:
        return list(self.messages)

    async def append(self, messages: list[dict[str, Any]]) -> None:
        self.messages += messages

    async def turns(self) -> list[Turn]:
        return [Turn(1, list(self.messages))] if self.messages else []

    async def delete_item(self, turn: int, number: int) -> bool:
        raise NotImplementedError

    async def metadata(self) -> dict[str, str]:
        return dict(self.pairs)

    async def set_metadata(self, pairs: Mapping[str, str]) -> None:
        self.pairs = dict(pairs)

    async def erase(self) -> None:
        self.messages.clear()

    def find(self, conversation_id: str) -> "FakeConversation":
        return self

    def find_chat(self, chat_id: str) -> Chat:
        raise NotImplementedError


async def post(
    path: str, body: Any, *answers: UpstreamResponse | ApiError, conversation: FakeConversation | None = None,
    web: Web | None = None, **variables: Any,
) -> tuple[Response, FakeAi]:  # fmt: skip
    """Send a request to the Worker, whose models give these answers; return its response and the models."""
    request, ai, streams = posted(path, body), FakeAi(*answers), ReadStreams()

    def context(settings: Settings, caller: Caller, log: RequestLog, **_: Any) -> Context:
        made = a_context(request, settings, ai, caller, log)
        stored = conversation or FakeConversation()
        return dataclasses.replace(made, streams=streams, conversations=stored, web=web or NoWeb())

    settings = {**VARIABLES, "MODEL_ATTEMPTS": 1, **variables}
    response = await app.handle(request, streams, lambda: Settings.read(settings), context, RequestLog(request.method))
    return response, ai


def streamed(*data: Any, end: str = "data: [DONE]\n\n") -> FakeAnswer:
    """Return a stream of frames."""
    frames = "".join(f"data: {json.dumps(each)}\n\n" for each in data)
    return FakeAnswer(200, frames + end, content_type="text/event-stream")


def a_context(
    request: FakeRequest, settings: Settings, ai: Ai | None, caller: Caller = ANYBODY, log: RequestLog | None = None
) -> Context:
    return Context(
        request=request,
        caller=caller,
        log=log or RequestLog(),
        rate_limiters={},
        settings=settings,
        bindings={"AI": ai is not None},
        ai=ai or unbound("ai"),
        streams=FakeStreams(),
        versions={},
        isolate=dict,
    )


@dataclasses.dataclass
class OtherTask:
    turns: int = 0
    """Number of times that the event loop has run it."""


@contextlib.contextmanager
def another_task() -> Generator[OtherTask]:
    """Run a task beside the block, and count its turns: none, if the block keeps the event loop to itself."""
    other = OtherTask()

    async def run() -> None:
        while True:
            other.turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(run())
    try:
        yield other
    finally:
        task.cancel()
