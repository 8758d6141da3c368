"""The user's server: Ollama, llama.cpp, vLLM, or any other that has `/chat/completions`."""

import json
import re
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import httpx
from starlette.concurrency import run_in_threadpool

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.models import Model, check_window
from workers_ai_simulator.text_generation.conversation import Conversation, Form, read
from workers_ai_simulator.text_generation.frames import WRITERS, Delta, Json, Usage
from workers_ai_simulator.text_generation.generation import Call, Generation
from workers_ai_simulator.upstream.names import Names, suited
from workers_ai_simulator.upstream.reply import NoAnswer, Reply, events, reason
from workers_ai_simulator.upstream.request import body

CONNECTING = 5.0
"""Seconds until it must have taken the connection. It answers in its own time: callers leave when that is too long."""

BUSY = (429, 503)
"""Statuses that say “later”; the second is Ollama's with a full queue, and llama.cpp's that still loads its model."""
VERSION = re.compile(r"/v\d+$")


class BrokenStream(ConnectionAbortedError):  # noqa: N818 - an event of the stream, no error of this program
    """The server's stream has broken off, and so does ours: there is no frame that says so upstream."""


class ChatUpstream:
    """Answers text generation by the server's models.

    `url` may end with `/v1` or not. Proxies of the environment are not asked: the server is near.
    """

    def __init__(self, url: str, names: Names | None = None, api_key: str | None = None) -> None:
        """Raises ValueError if the URL is none of HTTP."""
        parsed = httpx.URL(url.strip().rstrip("/").removesuffix("/chat/completions"))
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"{url} is no URL of the form http://host:port")
        if not VERSION.search(parsed.path):
            parsed = parsed.copy_with(path=f"{parsed.path.rstrip('/')}/v1")
        self.url = str(parsed.copy_with(username=None, password=None))
        """Without a password that it may hold."""
        self.names = names or Names()
        self._base = str(parsed)
        # what is compressed may be held back until there is enough of it
        self._headers = {"accept-encoding": "identity"} | ({"authorization": f"Bearer {api_key}"} if api_key else {})
        self._client: httpx.AsyncClient | None = None
        self._listed: list[str] = []

    def about(self) -> Json:
        """What is told of it to those who ask the simulator."""
        return {"url": self.url, "models": self.names.given}

    def warning(self) -> str | None:
        """What is to be said at the start, if the server does not answer."""
        try:
            httpx.get(f"{self._base}/models", headers=self._headers, timeout=CONNECTING, trust_env=False)
        except httpx.HTTPError as error:
            return f"{self.url} does not answer ({_named(error)}): text generation fails until it does."
        return None

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    # ---- answers -----------------------------------------------------------------------------------------------------

    async def answer(self, model: Model, inputs: Json, dialect: Form | None) -> Json:
        """The whole answer, as `Generation.answer` writes it.

        Raises UpstreamError as `generate` does, and besides 3040 with status 429 if the server is busy, 8007 with
        status 502 if it does not answer, refuses, or answers what cannot be read; 5024 if JSON mode gives no JSON.
        """
        conversation = await run_in_threadpool(_checked, model, inputs)
        response = await self._sent(model, conversation, inputs)
        reply = Reply(conversation)
        try:
            deltas = [*reply.read(await response.aread()), *reply.end()]
        except (NoAnswer, httpx.HTTPError) as error:
            raise self._failure(_named(error)) from None
        finally:
            await response.aclose()
        generation = _generation(model, conversation, reply, deltas)
        return generation.answer(dialect)

    async def stream(self, model: Model, inputs: Json, dialect: Form | None) -> AsyncGenerator[str]:
        """The frames, each as soon as the server has sent what is in it; as soon as it answers at all.

        Raises UpstreamError as `answer` does; the frames raise BrokenStream.
        """
        conversation = await run_in_threadpool(_checked, model, inputs)
        response = await self._sent(model, conversation, inputs)
        return self._frames(response, model, conversation, dialect)

    async def _frames(
        self, response: httpx.Response, model: Model, conversation: Conversation, dialect: Form | None
    ) -> AsyncGenerator[str]:
        reply = Reply(conversation)
        writer = WRITERS[dialect or conversation.form](model, uuid.uuid4().hex)
        try:
            for frame in writer.begin():
                yield frame
            async with aclosing(_deltas(response, reply)) as deltas:
                async for delta in deltas:
                    for frame in writer.write(delta):
                        yield frame
            for frame in writer.end(reply.finish_reason, reply.usage):
                yield frame
        except (NoAnswer, httpx.HTTPError) as error:
            raise BrokenStream(str(self._failure(_named(error)))) from None
        finally:
            await response.aclose()

    # ---- the wire ----------------------------------------------------------------------------------------------------

    async def _sent(self, model: Model, conversation: Conversation, inputs: Json) -> httpx.Response:
        """The server's answer, of which nothing has been read."""
        name = self.names.of(model.id) or await self._suited(model.id)
        asked = await run_in_threadpool(body, model, conversation, inputs, name)
        response = await self._asked("POST", "/chat/completions", asked)
        if response.status_code != 200:
            raise await self._refusal(response)
        return response

    async def _suited(self, model_id: str) -> str:
        if not self._listed:
            response = await self._asked("GET", "/models")
            if response.status_code != 200:
                raise await self._refusal(response)
            self._listed = _ids(await self._read(response))
        name = suited(model_id, self._listed)
        if name is None:
            raise self._failure("it has no models, and --chat-models names none")
        return name

    async def _asked(self, method: str, path: str, sent: Json | None = None) -> httpx.Response:
        if self._client is None:
            timeout = httpx.Timeout(None, connect=CONNECTING)
            limits = httpx.Limits(max_connections=None)
            self._client = httpx.AsyncClient(headers=self._headers, timeout=timeout, limits=limits, trust_env=False)
        request = self._client.build_request(method, self._base + path, json=sent)
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise self._failure(_named(error)) from None

    async def _refusal(self, response: httpx.Response) -> UpstreamError:
        said = f"status {response.status_code}, {reason(await self._read(response))}"
        if response.status_code in BUSY:
            described = f"Capacity temporarily exceeded, please try again. ({self.url}: {said})"
            return UpstreamError(429, 3040, described)
        return self._failure(said)

    async def _read(self, response: httpx.Response) -> bytes:
        try:
            return await response.aread()
        except httpx.HTTPError as error:
            raise self._failure(_named(error)) from None
        finally:
            await response.aclose()

    def _failure(self, what: str) -> UpstreamError:
        return UpstreamError(502, 8007, f"The chat upstream {self.url} failed: {what}")


def _checked(model: Model, inputs: Json) -> Conversation:
    """What is asked, found right as it is for a simulated answer."""
    conversation = read(model, inputs)
    check_window(model, conversation.prompt_tokens + conversation.max_tokens)
    return conversation


async def _deltas(response: httpx.Response, reply: Reply) -> AsyncGenerator[Delta]:
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        for delta in reply.read(await response.aread()):  # it does not stream
            yield delta
    else:
        async with aclosing(events(response.aiter_bytes())) as found:
            async for data in found:
                if data.strip() == "[DONE]":
                    break
                for delta in reply.read(data):
                    yield delta
            else:
                if not reply.has_ended:
                    raise NoAnswer("the stream ended before the answer did")
    for delta in reply.end():
        yield delta


def _generation(model: Model, conversation: Conversation, reply: Reply, deltas: list[Delta]) -> Generation:
    calls = [Call(each.id, each.name, []) for each in deltas if each.kind == "call"]
    for each in deltas:
        if each.kind == "arguments":
            calls[each.call].pieces.append(each.piece)
    said = [each.piece for each in deltas if each.kind == "text"]
    thought = [each.piece for each in deltas if each.kind == "reasoning"]
    used: Usage = reply.usage
    is_json = conversation.schema is not None
    generation = Generation(
        model, said, used["prompt_tokens"], reply.finish_reason, thought, calls, is_json, conversation.form, used
    )
    if is_json and conversation.form == "native" and not calls:
        _check_json(generation.text)
    return generation


def _check_json(said: str) -> None:
    """Raises UpstreamError 5024 for what the native dialect cannot answer as an object."""
    try:
        json.loads(said)
    except ValueError:
        raise UpstreamError(400, 5024, "JSON Mode couldn't be met") from None


def _ids(sent: bytes) -> list[str]:
    """Of the server's models."""
    try:
        found = json.loads(sent)
    except ValueError:
        return []
    match found:
        case {"data": [*models]}:
            listed = [cast("Json", each) for each in models if isinstance(each, dict)]
            return [str(each["id"]) for each in listed if each.get("id")]
        case _:
            return []


def _named(error: Exception) -> str:
    """The error's words, or its name where it has none, as timeouts do."""
    return str(error) or type(error).__name__
