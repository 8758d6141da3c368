"""Client of the user's server: Ollama, llama.cpp, vLLM, or any other that has `/chat/completions`."""

import json
import re
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx
from starlette.concurrency import run_in_threadpool

from workers_ai_simulator.catalogue import Model, check_window
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.text_generation.conversation import Conversation, Dialect, read
from workers_ai_simulator.text_generation.frames import Delta, Json, Usage, Writer, writer
from workers_ai_simulator.text_generation.generation import GeneratedCall, Generation
from workers_ai_simulator.upstream.discovery import ModelServer, api_key_headers, tls_context
from workers_ai_simulator.upstream.kinds import hint
from workers_ai_simulator.upstream.reply import CompletionReader, NoAnswerError, events, reason
from workers_ai_simulator.upstream.request import body

CONNECT_TIMEOUT = 5.0
"""Seconds until the server must accept a connection. Its answers may take any time: callers have their own timeouts."""

TOO_LONG = (400, 413)
BUSY = (429, 503)
"""Statuses of a server that is busy. Ollama sends 503 when its queue is full, llama.cpp while it loads its model."""
CONTEXT_LENGTH = re.compile(r"context (?:size|length|window)|maximum context|too many tokens", re.IGNORECASE)
"""Reason of a server whose context is too small for the request: a limit of the user's server, not of the model's."""


class BrokenStreamError(ConnectionAbortedError):
    """The server's stream broke off. The simulator's breaks off as well, since upstream has no frame for errors."""


class ChatUpstream:
    """Answers text generation by the models of a server, without the proxies of the environment."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self._headers = api_key_headers()
        self._client: httpx.AsyncClient | None = None

    def about(self) -> Json:
        """`{url, server, models}`, for the simulator's own API."""
        return {"url": self.server.url, "server": self.server.kind.name, "models": self.server.names.table}

    def label(self, model: Model) -> str:
        """Name of the model that answers in place of this one, for people: `llama3.2 by Ollama`."""
        return self.server.label(self._name(model))

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
        deltas = await self._whole(response, reader)
        generation = _generation(model, conversation, reader, deltas)
        return generation.answer(dialect)

    async def stream(self, model: Model, inputs: Json, dialect: Dialect | None) -> AsyncGenerator[str]:
        """Frames of the answer, each as soon as the server has sent its content.

        Raises UpstreamError as `answer` does, also for an answer that is neither a stream nor a completion; the frames
        raise BrokenStreamError.
        """
        conversation = await run_in_threadpool(_conversation, model, inputs)
        response = await self._chat(model, conversation, inputs)
        reader = CompletionReader(conversation)
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        # a server that does not stream is read before the status is sent, which can then tell of a failure
        deltas = _streamed(response, reader) if is_stream else _each(await self._whole(response, reader))
        stream = writer(model, dialect or conversation.dialect, uuid.uuid4().hex)
        return self._frames(response, reader, deltas, stream)

    async def _whole(self, response: httpx.Response, reader: CompletionReader) -> list[Delta]:
        """Pieces of a response that does not stream. Raises UpstreamError 8007."""
        try:
            return [*reader.read(await response.aread(), is_whole=True), *reader.end()]
        except (NoAnswerError, httpx.HTTPError) as error:
            raise self._failure(_reason(error)) from None
        finally:
            await response.aclose()

    async def _frames(
        self, response: httpx.Response, reader: CompletionReader, deltas: AsyncGenerator[Delta], stream: Writer
    ) -> AsyncGenerator[str]:
        try:
            for frame in stream.start():
                yield frame
            async with aclosing(deltas):
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
        name = self._name(model)
        completion_request = await run_in_threadpool(body, model, conversation, inputs, name)
        response = await self._send("POST", "/chat/completions", completion_request)
        if response.status_code != 200:
            raise await self._refusal(response, name)
        return response

    def _name(self, model: Model) -> str:
        name = self.server.model_for(model.id)
        if name is None:  # a table without `*`, and a server without models
            raise self._failure("it has no models, and --chat-models names none for this one")
        return name

    async def _send(self, method: str, path: str, content: Json | None = None) -> httpx.Response:
        if self._client is None:
            timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
            limits = httpx.Limits(max_connections=None)
            # the proxies of the environment are for other machines
            self._client = httpx.AsyncClient(
                headers=self._headers, timeout=timeout, limits=limits, trust_env=False, verify=tls_context()
            )
        request = self._client.build_request(method, self.server.base + path, json=content)
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            is_down = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise self._failure(_reason(error), self.server.kind.how_to_start() if is_down else "") from None

    async def _refusal(self, response: httpx.Response, name: str) -> UpstreamError:
        why = reason(await self._read(response))
        description = f"status {response.status_code}, {why}"
        if response.status_code in BUSY:
            busy = f"Capacity temporarily exceeded, please try again. ({self.server.url}: {description})"
            return UpstreamError(429, 3040, busy)
        if response.status_code in TOO_LONG and CONTEXT_LENGTH.search(why):
            return UpstreamError(413, 5021, f"{why} ({self.server.label(name)}, whose context you can make larger)")
        return self._failure(description, hint(self.server.kind, why, name))

    async def _read(self, response: httpx.Response) -> bytes:
        try:
            return await response.aread()
        except httpx.HTTPError as error:
            raise self._failure(_reason(error)) from None
        finally:
            await response.aclose()

    def _failure(self, description: str, what_to_do: str = "") -> UpstreamError:
        sentence = f"{self.server.kind.name} at {self.server.url} failed: {description}"
        return UpstreamError(502, 8007, f"{sentence.rstrip('.')}. {what_to_do}" if what_to_do else sentence)


def _conversation(model: Model, inputs: Json) -> Conversation:
    """Read and check the inputs as for a simulated answer. Raises UpstreamError."""
    conversation = read(model, inputs)
    check_window(model, conversation.prompt_tokens + conversation.max_tokens)
    return conversation


async def _streamed(response: httpx.Response, reader: CompletionReader) -> AsyncGenerator[Delta]:
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


async def _each(deltas: list[Delta]) -> AsyncGenerator[Delta]:
    for delta in deltas:
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


def _reason(error: Exception) -> str:
    """Message of the error, or its class where it has none, as timeouts do."""
    return str(error) or type(error).__name__
