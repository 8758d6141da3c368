"""Client of the service that is recorded: Workers AI's REST API at Cloudflare, or whatever speaks it."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import httpx

from workers_ai_simulator.inference.models import ModelCall
from workers_ai_simulator.tape.errors import ServiceFailed, ServiceStreamBrokenError
from workers_ai_simulator.tape.models import FORM, Frame, gateway_of
from workers_ai_simulator.vendors.models import find_vendor_model

CONNECT_TIMEOUT = 10.0
"""Seconds until the service must accept a connection. Answers may take any time: callers have their own timeouts."""
ENDPOINTS = {"openai": "chat/completions", "responses": "responses", "messages": "messages"}
"""Dialect → its endpoint under `/ai/v1`."""
BODIES = ("audio", "image")
"""Inputs that are sent as the whole body if they are bytes and the call is not a form."""
EVENT_STREAM = "text/event-stream"


class Response:
    """Beginning of an answer, whose body is read by one of the methods. It is closed at the body's end."""

    def __init__(self, response: httpx.Response, sent: float) -> None:
        self._response = response
        self._sent = sent
        self.status = response.status_code
        self.content_type = response.headers.get("content-type", "")
        self.media_type = self.content_type.partition(";")[0].strip().lower()

    @property
    def is_stream(self) -> bool:
        return self.media_type == EVENT_STREAM

    @property
    def is_text(self) -> bool:
        return self.media_type.endswith("json") or self.media_type.startswith("text/")

    @property
    def seconds(self) -> float:
        """Seconds since the call."""
        return round(time.monotonic() - self._sent, 3)

    async def text(self) -> str:
        """The body. Raises ServiceFailed if it breaks off, or is not in UTF-8."""
        try:
            return b"".join([chunk async for chunk in self.chunks()]).decode()
        except UnicodeDecodeError:
            raise ServiceFailed("The service's answer cannot be read: it is not in UTF-8") from None

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The body as it arrives. Raises ServiceFailed if it breaks off."""
        try:
            async for chunk in self._response.aiter_bytes():
                yield chunk
        except httpx.HTTPError as error:
            raise ServiceFailed(f"The service's answer broke off: {_reason(error)}") from None
        finally:
            await self._response.aclose()

    async def frames(self) -> AsyncGenerator[Frame]:
        """The frames of a stream as they arrive. Raises ServiceStreamBrokenError if it breaks off."""
        try:
            async with aclosing(self.chunks()) as chunks:
                async for frame in _frames(chunks):
                    yield Frame(self.seconds, frame.decode())
        except (ServiceFailed, UnicodeDecodeError) as error:
            raise ServiceStreamBrokenError(str(error)) from None

    async def close(self) -> None:
        await self._response.aclose()


class Service:
    """Asks the service, with an account and a token."""

    def __init__(self, url: str, account: str, token: str) -> None:
        """url: address up to `/client/v4`. Raises ValueError if it is no HTTP URL."""
        parsed = httpx.URL(url.strip().rstrip("/"))
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"{url} is no URL of the form https://host/client/v4")
        self.url = str(parsed.copy_with(username=None, password=None))
        self._ai = f"{parsed}/accounts/{quote(account, safe='')}/ai"
        # uncompressed, so that frames are not delayed until a block is full
        self._headers = {"authorization": f"Bearer {token}", "accept-encoding": "identity"}
        # a proxy of the environment would look for 127.0.0.1 on another machine
        self._uses_proxy = parsed.host not in ("127.0.0.1", "localhost", "::1")
        self._client: httpx.AsyncClient | None = None

    async def ask(self, call: ModelCall) -> Response:
        """The service's answer to the call, whose body is not read yet. Raises ServiceFailed if there is none."""
        if self._client is None:
            timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
            self._client = httpx.AsyncClient(headers=self._headers, timeout=timeout, trust_env=self._uses_proxy)
        sent = time.monotonic()
        try:
            request = self._client.build_request("POST", **_request(self._ai, call))
            return Response(await self._client.send(request, stream=True), sent)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ServiceFailed(f"The service {self.url} does not answer: {_reason(error)}") from None

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()


def _request(ai: str, call: ModelCall) -> dict[str, Any]:
    """URL and body of the REST API's request for a call."""
    if call.dialect in ENDPOINTS:
        return {"url": f"{ai}/v1/{ENDPOINTS[call.dialect]}", "json": {"model": call.model, **call.inputs}}
    if find_vendor_model(call.model):
        body = {"model": call.model, "input": call.inputs}
        return {"url": f"{ai}/run", "json": body, "headers": {"cf-aig-gateway-id": gateway_of(call)}}
    query = {"queueRequest": "true"} if call.options.get("queueRequest") else {}
    return {"url": f"{ai}/run/{quote(call.model, safe='@/')}", "params": query, **_body(call)}


def _body(call: ModelCall) -> dict[str, Any]:
    attachments = {name: each for name, each in call.inputs.items() if isinstance(each, bytes)}
    texts = {name: each for name, each in call.inputs.items() if name not in attachments}
    if call.content_type == FORM or len(attachments) > 1 or not attachments.keys() <= {*BODIES}:
        fields = {name: (None, str(each)) for name, each in texts.items()}
        files = {name: (name, each) for name, each in attachments.items()}
        return {"files": fields | files}
    if attachments:
        [content] = attachments.values()
        # as Cloudflare's examples of Deepgram's models have it: options in the query, beside the sound
        headers = {"content-type": call.content_type or "application/octet-stream"}
        return {"content": content, "params": texts, "headers": headers}
    return {"json": texts}


async def _frames(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Frames of the chunks, each up to its empty line; what comes after the last empty line is a frame, too."""
    waiting = b""
    async for chunk in chunks:
        waiting += chunk
        while (end := _frame_end(waiting)) > 0:
            yield waiting[:end]
            waiting = waiting[end:]
    if waiting:
        yield waiting


def _frame_end(text: bytes) -> int:
    """Offset after the first empty line; 0 if there is none."""
    ends = [(place, len(line)) for line in (b"\n\n", b"\r\n\r\n") if (place := text.find(line)) >= 0]
    return sum(min(ends)) if ends else 0


def _reason(error: Exception) -> str:
    """Message of the error, or its class where it has none, as timeouts do."""
    return str(error) or type(error).__name__
