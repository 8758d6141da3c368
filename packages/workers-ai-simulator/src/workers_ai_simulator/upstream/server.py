"""Client of the user's server: Ollama, llama.cpp, vLLM, or any other that has `/chat/completions`."""

import json
import re
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import httpx
from starlette.concurrency import run_in_threadpool

from workers_ai_simulator.catalogue import Model, check_window
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.text_generation.conversation import Conversation, Dialect, read
from workers_ai_simulator.text_generation.frames import Delta, Json, Usage, writer
from workers_ai_simulator.text_generation.generation import GeneratedCall, Generation
from workers_ai_simulator.upstream.names import Names, best_match
from workers_ai_simulator.upstream.reply import CompletionReader, NoAnswerError, events, reason
from workers_ai_simulator.upstream.request import body

CONNECT_TIMEOUT = 5.0
"""Seconds until the server must accept a connection. Its answers may take any time: callers have their own timeouts."""

BUSY = (429, 503)
"""Statuses of a server that is busy. Ollama sends 503 when its queue is full, llama.cpp while it loads its model."""
VERSION = re.compile(r"/v\d+$")


class BrokenStreamError(ConnectionAbortedError):
    """The server's stream broke off. The simulator's breaks off as well, since upstream has no frame for errors."""


class ChatUpstream:
    """Answers text generation by the models of a server, without the proxies of the environment."""

    def __init__(self, url: str, names: Names | None = None, api_key: str | None = None) -> None:
        """`url`: with or without `/v1` at the end. Raises ValueError if it is no HTTP URL."""
        parsed = httpx.URL(url.strip().rstrip("/").removesuffix("/chat/completions"))
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"{url} is no URL of the form http://host:port")
        if not VERSION.search(parsed.path):
            parsed = parsed.copy_with(path=f"{parsed.path.rstrip('/')}/v1")
        self.url = str(parsed.copy_with(username=None, password=None))
        """The URL without a user name and a password."""
        self.names = names or Names()
        self._base = str(parsed)
        # a compressed stream may be delayed until a block is full
        self._headers = {"accept-encoding": "identity"} | ({"authorization": f"Bearer {api_key}"} if api_key else {})
        self._client: httpx.AsyncClient | None = None
        self._listed: list[str] = []

    def about(self) -> Json:
        """`{url, models}`, for the simulator's own API."""
        return {"url": self.url, "models": self.names.table}

    def warning(self) -> str | None:
        """Warning to print at the start if the server does not answer; else None."""
        try:
            httpx.get(f"{self._base}/models", headers=self._headers, timeout=CONNECT_TIMEOUT, trust_env=False)
        except httpx.HTTPError as error:
            return f"{self.url} does not answer ({_reason(error)}): text generation fails until it does."
        return None

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    # ---- answers -----------------------------------------------------------------------------------------------------

    async def answer(self, model: Model, inputs: Json, dialect: Dialect | None) -> Json:
        """The whole answer, as `Generation.answer` writes it.

        Raises UpstreamError as `generate` does; also 3040 with status 429 if the server is busy, 8007 with status 502
        if it does not answer, refuses, or its answer cannot be read, and 5024 if JSON mode yields no JSON.
        """
        conversation = await run_in_threadpool(_conversation, model, inputs)
        response = await self._chat(model, conversation, inputs)
        reader = CompletionReader(conversation)
        try:
            deltas = [*reader.read(await response.aread()), *reader.end()]
        except (NoAnswerError, httpx.HTTPError) as error:
            raise self._failure(_reason(error)) from None
        finally:
            await response.aclose()
        generation = _generation(model, conversation, reader, deltas)
        return generation.answer(dialect)

    async def stream(self, model: Model, inputs: Json, dialect: Dialect | None) -> AsyncGenerator[str]:
        """Frames of the answer, each as soon as the server has sent its content.

        Raises UpstreamError as `answer` does; the frames raise BrokenStreamError.
        """
        conversation = await run_in_threadpool(_conversation, model, inputs)
        response = await self._chat(model, conversation, inputs)
        return self._frames(response, model, conversation, dialect)

    async def _frames(
        self, response: httpx.Response, model: Model, conversation: Conversation, dialect: Dialect | None
    ) -> AsyncGenerator[str]:
        reader = CompletionReader(conversation)
        stream = writer(model, dialect or conversation.dialect, uuid.uuid4().hex)
        try:
            for frame in stream.start():
                yield frame
            async with aclosing(_deltas(response, reader)) as deltas:
                async for delta in deltas:
                    for frame in stream.write(delta):
                        yield frame
            for frame in stream.end(reader.finish_reason, reader.usage):
                yield frame
        except (NoAnswerError, httpx.HTTPError) as error:
            raise BrokenStreamError(str(self._failure(_reason(error)))) from None
        finally:
            await response.aclose()

    # ---- HTTP --------------------------------------------------------------------------------------------------------

    async def _chat(self, model: Model, conversation: Conversation, inputs: Json) -> httpx.Response:
        """The server's response, whose body is not read yet. Raises UpstreamError."""
        name = self.names.of(model.id) or await self._best_match(model.id)
        completion_request = await run_in_threadpool(body, model, conversation, inputs, name)
        response = await self._send("POST", "/chat/completions", completion_request)
        if response.status_code != 200:
            raise await self._refusal(response)
        return response

    async def _best_match(self, model_id: str) -> str:
        if not self._listed:
            response = await self._send("GET", "/models")
            if response.status_code != 200:
                raise await self._refusal(response)
            self._listed = _ids(await self._read(response))
        name = best_match(model_id, self._listed)
        if name is None:
            raise self._failure("it has no models, and --chat-models names none")
        return name

    async def _send(self, method: str, path: str, content: Json | None = None) -> httpx.Response:
        if self._client is None:
            timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
            limits = httpx.Limits(max_connections=None)
            self._client = httpx.AsyncClient(headers=self._headers, timeout=timeout, limits=limits, trust_env=False)
        request = self._client.build_request(method, self._base + path, json=content)
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise self._failure(_reason(error)) from None

    async def _refusal(self, response: httpx.Response) -> UpstreamError:
        description = f"status {response.status_code}, {reason(await self._read(response))}"
        if response.status_code in BUSY:
            busy = f"Capacity temporarily exceeded, please try again. ({self.url}: {description})"
            return UpstreamError(429, 3040, busy)
        return self._failure(description)

    async def _read(self, response: httpx.Response) -> bytes:
        try:
            return await response.aread()
        except httpx.HTTPError as error:
            raise self._failure(_reason(error)) from None
        finally:
            await response.aclose()

    def _failure(self, description: str) -> UpstreamError:
        return UpstreamError(502, 8007, f"The chat upstream {self.url} failed: {description}")


def _conversation(model: Model, inputs: Json) -> Conversation:
    """Read and check the inputs as for a simulated answer. Raises UpstreamError."""
    conversation = read(model, inputs)
    check_window(model, conversation.prompt_tokens + conversation.max_tokens)
    return conversation


async def _deltas(response: httpx.Response, reader: CompletionReader) -> AsyncGenerator[Delta]:
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        for delta in reader.read(await response.aread()):  # the server does not stream
            yield delta
    else:
        async with aclosing(events(response.aiter_bytes())) as all_events:
            async for data in all_events:
                if data.strip() == "[DONE]":
                    break
                for delta in reader.read(data):
                    yield delta
            else:
                if not reader.has_ended:
                    raise NoAnswerError("the stream ended before the answer did")
    for delta in reader.end():
        yield delta


def _generation(model: Model, conversation: Conversation, reader: CompletionReader, deltas: list[Delta]) -> Generation:
    calls = [GeneratedCall(each.id, each.name, []) for each in deltas if each.kind == "call"]
    for each in deltas:
        if each.kind == "arguments":
            calls[each.call].pieces.append(each.piece)
    pieces = [each.piece for each in deltas if each.kind == "text"]
    reasoning = [each.piece for each in deltas if each.kind == "reasoning"]
    usage: Usage = reader.usage
    is_json = conversation.schema is not None
    generation = Generation(
        model,
        pieces,
        usage["prompt_tokens"],
        reader.finish_reason,
        reasoning,
        calls,
        is_json,
        conversation.dialect,
        usage,
    )
    if is_json and conversation.dialect == "native" and not calls:
        _check_json(generation.text)
    return generation


def _check_json(text: str) -> None:
    """Check that the native dialect can answer the text as an object. Raises UpstreamError 5024 otherwise."""
    try:
        json.loads(text)
    except ValueError:
        raise UpstreamError(400, 5024, "JSON Mode couldn't be met") from None


def _ids(body: bytes) -> list[str]:
    """Ids in the server's list of models; empty for a body that is no such list."""
    try:
        value = json.loads(body)
    except ValueError:
        return []
    match value:
        case {"data": [*models]}:
            listed = [cast("Json", each) for each in models if isinstance(each, dict)]
            return [str(each["id"]) for each in listed if each.get("id")]
        case _:
            return []


def _reason(error: Exception) -> str:
    """Message of the error, or its class where it has none, as timeouts do."""
    return str(error) or type(error).__name__
