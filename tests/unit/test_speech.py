"""POST /transcribe and POST /speak where the simulator does not go: through a gateway, and odd answers."""

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest

from aiworker.auth.access import ANYBODY
from aiworker.auth.budget import RequestBudget
from aiworker.bindings import Binary, Inputs
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response
from aiworker.log import RequestLog
from aiworker.models import catalogue, estimate
from aiworker.models.breaker import Breaker
from aiworker.routes import ROUTES, speech
from aiworker.settings import Settings
from aiworker.tracing import NoTracer

TURBO = "@cf/openai/whisper-large-v3-turbo"
NOVA = "@cf/deepgram/nova-3"
AURA = "@cf/deepgram/aura-1"


class FakePayload:
    body = "the sound"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self.content[start:end]


class FakeRequest:
    def __init__(self, content: bytes, content_type: str, query: Mapping[str, str]) -> None:
        self.content = content
        self.content_type = content_type
        self.query = query

    def header(self, name: str) -> str | None:
        return {"content-type": self.content_type}.get(name)

    async def read(self, limit: int) -> bytes:
        return self.content

    async def read_payload(self, limit: int) -> FakePayload:
        return FakePayload(self.content)


class FakeAnswer:
    status = 200
    body = "the model's body"

    def __init__(self, content: str, content_type: str) -> None:
        self.content = content
        self.content_type = content_type

    def header(self, name: str) -> str | None:
        return {"content-type": self.content_type}.get(name)

    async def text(self) -> str:
        return self.content

    async def base64_payload(self, name: str) -> FakePayload:
        return FakePayload(self.content.encode())


class FakeAi:
    def __init__(self, content: str, content_type: str) -> None:
        self.answer = FakeAnswer(content, content_type)
        self.options: list[Mapping[str, Any]] = []

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> FakeAnswer:
        self.options.append(options)
        return self.answer


def context(ai: FakeAi, request: FakeRequest, **variables: str) -> Context:
    parts: dict[str, Any] = {field.name: None for field in fields(Context)}  # most are not needed here
    parts |= {
        "ai": ai,
        "request": request,
        "settings": Settings.read(variables),
        "log": RequestLog(),
        "request_budget": RequestBudget(),
        "caller": ANYBODY,
        "breaker": Breaker(),
        "tracer": NoTracer(),
    }
    return Context(**parts)


def transcribe(ai: FakeAi, content: bytes = b"ID3", **query: str) -> Response:
    return asyncio.run(speech.transcribe(context(ai, FakeRequest(content, "audio/mpeg", query), GATEWAY_ID="mine")))


def speak(ai: FakeAi, **body: str) -> Response:
    request = FakeRequest(json.dumps({"text": "Hello", **body}).encode(), "application/json", {})
    return asyncio.run(ROUTES["/speak"]["POST"].respond(context(ai, request), {}))


@pytest.mark.parametrize(
    ("model", "size", "gateway"), [(TURBO, 100, {"id": "mine"}), (NOVA, 100, None), (TURBO, 9_000_000, None)]
)
def test_streams_go_round_the_gateway_which_takes_none(model: str, size: int, gateway: dict[str, str] | None) -> None:
    ai = FakeAi('{"text": "Hello"}', "application/json")
    response = transcribe(ai, b"ID3" + bytes(size), model=model)
    assert response.status == 200
    assert [options.get("gateway") for options in ai.options] == [gateway]


@pytest.mark.parametrize("content", ["[]", '"text"', "null", "", "text"])
def test_an_answer_that_is_no_object_is_an_error(content: str) -> None:
    with pytest.raises(ApiError) as caught:
        transcribe(FakeAi(content, "application/json"))
    assert caught.value.type == "upstream_error"


def lying_wav(size: int) -> bytes:
    """A WAV file that claims to be MP3 with 4 GB a second, so that any recording would last no time."""
    format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 0x55, 1, 8_000, 0xFFFF_FFF0, 0xFFFF, 0)
    head = struct.pack("<4sI4s", b"RIFF", size + 36, b"WAVE") + format_chunk
    return head + struct.pack("<4sI", b"data", size) + bytes(size)


def test_the_length_that_a_header_claims_sets_no_price() -> None:
    response = transcribe(FakeAi('{"text": "Hello"}', "application/json"), lying_wav(600_000))
    assert "x-neurons" not in response.headers  # so the reservation stays


def test_a_recording_of_unknown_length_is_reserved_by_its_size() -> None:
    payload: Any = FakePayload(lying_wav(600_000))
    recording = speech.recording_of(payload, "file")
    assert recording.seconds is None
    inputs = Inputs({}, {"audio": Binary(recording.payload, "base64", recording.content_type)})
    model = catalogue.MODELS[TURBO]
    assert estimate.neurons(model, inputs) == pytest.approx(5 * model.neurons["audio_minute"], rel=0.01)


def test_without_times_there_is_no_duration_and_no_price() -> None:
    response = transcribe(FakeAi('{"text": "Hello"}', "application/json"), language="fr")
    assert isinstance(response.body, str)
    assert json.loads(response.body) == {
        "text": "Hello", "segments": [], "words": [], "language": "fr", "duration": None,
    }  # fmt: skip
    assert "x-neurons" not in response.headers


@pytest.mark.parametrize(
    ("sent", "body", "media_type"),
    [
        ("audio/mpeg", {}, "audio/mpeg"),
        ("audio/ogg;codecs=opus", {"encoding": "opus"}, "audio/ogg;codecs=opus"),
        ("application/octet-stream", {}, "audio/mpeg"),
        ("application/octet-stream", {"encoding": "flac"}, "audio/flac"),
        ("binary/octet-stream", {"encoding": "linear16", "container": "none"}, "application/octet-stream"),
    ],
)
def test_the_sound_has_its_own_type_or_that_of_the_encoding(sent: str, body: dict[str, str], media_type: str) -> None:
    response = speak(FakeAi("sound", sent), model=AURA, **body)
    assert response.headers["content-type"] == media_type
    assert response.body == "the model's body"
    assert response.headers["x-neurons"] == "6.818"


@pytest.mark.parametrize(("content", "media_type"), [("ID3 and more", "audio/mpeg"), ("OggS", "audio/ogg")])
def test_a_sound_in_json_has_the_type_that_it_looks_like(content: str, media_type: str) -> None:
    response = speak(FakeAi(content, "application/json; charset=utf-8"))
    assert (response.body, response.headers["content-type"]) == ("the sound", media_type)
    assert "x-neurons" not in response.headers


def test_json_without_a_sound_is_an_error() -> None:
    with pytest.raises(ApiError) as caught:
        speak(FakeAi("<html>", "application/json"))
    assert caught.value.type == "upstream_error"
