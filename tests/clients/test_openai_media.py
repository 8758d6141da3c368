"""`openai` for Python: embeddings, images, sounds and models."""

import base64
import struct
from typing import Any

import httpx
import openai as sdk
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.audio import TranscriptionVerbose

from tests.conftest import NewCalls, Simulator

TEXT = "Good morning. The train leaves at nine."
BGE = "@cf/baai/bge-base-en-v1.5"


def sent(simulator: Simulator) -> dict[str, Any]:
    return simulator.requests(operation="run")[-1]["inputs"]


# ---- embeddings --------------------------------------------------------------------------------------------------


def test_embeddings_are_the_same_as_base64_and_as_numbers(openai: OpenAI, client: httpx.Client) -> None:
    texts = ["A river of ice", "A stream of frames", "Grüße 👋🏽"]
    as_base64 = openai.embeddings.create(model=BGE, input=texts)  # what the client asks for by itself
    as_numbers = openai.embeddings.create(model=BGE, input=texts, encoding_format="float")
    own = client.post("/embed", json={"model": BGE, "text": texts}).json()["data"]
    assert [each.index for each in as_base64.data] == [0, 1, 2]
    for row, number, binary in zip(own, as_numbers.data, as_base64.data, strict=True):
        assert number.embedding == row
        assert binary.embedding == pytest.approx(row, abs=1e-6)
        assert len(row) == 768
    assert as_base64.model == BGE
    assert as_base64.usage.prompt_tokens == as_base64.usage.total_tokens > 0


def test_base64_is_little_endian_float32(client: httpx.Client) -> None:
    body = {"model": BGE, "input": "A river of ice", "encoding_format": "base64"}
    data = base64.b64decode(client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"])
    assert len(data) == 768 * 4
    assert sum(each * each for each in struct.unpack("<768f", data)) == pytest.approx(1, abs=1e-4)


async def test_more_texts_than_one_call_takes(async_openai: AsyncOpenAI, simulator: Simulator) -> None:
    calls = NewCalls(simulator)
    texts = [f"text number {number}" for number in range(205)]
    embeddings = await async_openai.embeddings.create(model=BGE, input=texts)
    assert len(embeddings.data) == 205
    assert len(calls.of(operation="run")) == 3
    last = await async_openai.embeddings.create(model=BGE, input=texts[-1])
    assert embeddings.data[-1].embedding == last.data[0].embedding


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input.1"),
        ({"dimensions": 256}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"input": "word " * 70_000, "model": "@cf/baai/bge-m3"}, "input"),
        ({"input": ["a", "word " * 70_000], "model": "@cf/baai/bge-m3"}, "input.1"),
        ({"model": "gpt-4o"}, "model"),
    ],
)
def test_bad_input_for_embeddings(openai: OpenAI, change: dict[str, Any], param: str) -> None:
    options: dict[str, Any] = {"model": BGE, "input": "x", **change}
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.embeddings.create(**options)
    assert caught.value.param == param
    assert "text must" not in caught.value.message
    assert openai.embeddings.create(model=BGE, input="x", dimensions=768).data


# ---- images ------------------------------------------------------------------------------------------------------


def test_an_image_as_base64(openai: OpenAI, simulator: Simulator) -> None:
    made = openai.images.generate(prompt="A lighthouse", quality="low", user="u")
    assert made.data
    assert base64.b64decode(made.data[0].b64_json or "").startswith(b"\xff\xd8\xff")
    assert made.output_format == "jpeg"
    assert made.created > 1_700_000_000
    assert sent(simulator) == {"prompt": "A lighthouse"}


def test_an_image_as_an_address_is_kept(openai: OpenAI) -> None:
    made = openai.images.generate(model="dall-e-3", prompt="A lighthouse", response_format="url", size="1024x1024")
    assert made.data
    assert made.data[0].b64_json is None
    image = httpx.get(made.data[0].url or "", timeout=60)
    assert image.headers["content-type"] == "image/jpeg"
    assert image.content.startswith(b"\xff\xd8\xff")


async def test_an_image_of_a_size(async_openai: AsyncOpenAI, simulator: Simulator) -> None:
    model: Any = "@cf/lykon/dreamshaper-8-lcm"
    size: Any = "512x256"
    made = await async_openai.images.generate(model=model, prompt="A lighthouse", size=size, extra_body={"seed": 5})
    assert made.data
    head = base64.b64decode(made.data[0].b64_json or "")[:24]
    assert struct.unpack(">II", head[16:24]) == (512, 256)
    assert sent(simulator)["seed"] == 5


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * 2049}, "prompt"),
        ({"size": "big"}, "size"),
        ({"response_format": "png"}, "response_format"),
        ({"model": "gpt-4o"}, "model"),
    ],
)
def test_bad_input_for_images(openai: OpenAI, change: dict[str, Any], param: str) -> None:
    options: dict[str, Any] = {"prompt": "x", **change}
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.images.generate(**options)
    assert caught.value.param == param


# ---- sounds ------------------------------------------------------------------------------------------------------


@pytest.fixture
def recording(openai: OpenAI) -> bytes:
    return openai.audio.speech.create(model="tts-1", voice="nova", input=TEXT, response_format="wav").read()


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        ("mp3", {"encoding": "mp3"}),
        ("opus", {"encoding": "opus", "container": "ogg"}),
        ("aac", {"encoding": "aac"}),
        ("flac", {"encoding": "flac"}),
        ("wav", {"encoding": "linear16", "container": "wav"}),
        ("pcm", {"encoding": "linear16", "container": "none", "sample_rate": 24_000}),
    ],
)
def test_speech_in_every_format(
    openai: OpenAI, simulator: Simulator, response_format: Any, expected: dict[str, Any]
) -> None:
    sound = openai.audio.speech.create(
        model="tts-1", voice="onyx", input=TEXT, response_format=response_format, instructions="Cheerful", speed=1.0
    )
    assert len(sound.read()) > 10_000
    assert sent(simulator) == {"text": TEXT, "speaker": "zeus", **expected}


def test_speech_with_one_of_the_model_s_own_voices(openai: OpenAI, simulator: Simulator) -> None:
    openai.audio.speech.create(model="tts-1-hd", voice="thalia", input=TEXT)
    assert sent(simulator)["speaker"] == "thalia"


def test_speech_of_a_model_with_one_voice(openai: OpenAI, simulator: Simulator) -> None:
    openai.audio.speech.create(model="@cf/myshell-ai/melotts", voice="alloy", input=TEXT)
    assert sent(simulator) == {"prompt": TEXT}


async def test_speech_is_streamed_to_the_asynchronous_client(async_openai: AsyncOpenAI) -> None:
    options: Any = {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "wav"}
    async with async_openai.audio.speech.with_streaming_response.create(**options) as response:
        assert response.headers["content-type"] == "audio/wav"
        assert b"".join([part async for part in response.iter_bytes()]).startswith(b"RIFF")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "x" * 3000}, "input"),
        ({"voice": "nobody"}, "voice"),
        ({"response_format": "ogg"}, "response_format"),
        ({"stream_format": "sse"}, "stream_format"),
        ({"model": "@cf/myshell-ai/melotts", "response_format": "wav"}, "response_format"),
        ({"model": "@cf/myshell-ai/melotts", "voice": "nobody"}, "voice"),
        ({"model": "gpt-4o"}, "model"),
    ],
)
def test_bad_input_for_speech(openai: OpenAI, change: dict[str, Any], param: str) -> None:
    options: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": TEXT, **change}
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.audio.speech.create(**options)
    assert caught.value.param == param
    assert "text must" not in caught.value.message


def test_a_transcript_in_every_format(openai: OpenAI, recording: bytes) -> None:
    def heard(response_format: Any) -> Any:
        file = ("morning.wav", recording)
        create: Any = openai.audio.transcriptions.create
        return create(model="whisper-1", file=file, response_format=response_format)

    assert heard("json").text == TEXT
    assert heard("text").strip() == TEXT
    assert heard("vtt").startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert heard("srt").startswith("1\n00:00:00,000 --> ")
    verbose = heard("verbose_json")
    TranscriptionVerbose.model_validate(verbose.model_dump())
    assert verbose.text == TEXT
    assert verbose.language == "english"
    assert verbose.duration > 1
    assert [segment.text for segment in verbose.segments] == ["Good morning.", "The train leaves at nine."]
    assert [segment.id for segment in verbose.segments] == [0, 1]
    assert verbose.words is None


async def test_words_with_their_times(async_openai: AsyncOpenAI, recording: bytes) -> None:
    verbose = await async_openai.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", recording), response_format="verbose_json", temperature=0.2, prompt="train",
        language="en", timestamp_granularities=["word", "segment"],
    )  # fmt: skip
    assert verbose.words
    assert [word.word for word in verbose.words][:2] == ["Good", "morning."]
    assert verbose.segments
    verbose = await async_openai.audio.transcriptions.create(
        model="whisper-1",
        file=("a.wav", recording),
        response_format="verbose_json",
        timestamp_granularities=["segment"],
    )
    assert verbose.words is None


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"file": ("a.wav", b"")}, "file"),
        ({"file": ("a.wav", b"no sound at all")}, "file"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"stream": True}, "stream"),
        ({"language": "?"}, "language"),
        ({"timestamp_granularities": ["letter"]}, "timestamp_granularities[]"),
        ({"model": "gpt-4o"}, "model"),
    ],
)
def test_bad_input_for_transcripts(openai: OpenAI, recording: bytes, change: dict[str, Any], param: str) -> None:
    options: dict[str, Any] = {"model": "whisper-1", "file": ("a.wav", recording), **change}
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.audio.transcriptions.create(**options)
    assert caught.value.param == param


# ---- models ------------------------------------------------------------------------------------------------------


def test_every_model_that_is_listed_can_be_retrieved(openai: OpenAI, client: httpx.Client) -> None:
    listed = [model.id for model in openai.models.list()]
    assert {"gpt-4o-mini", "text-embedding-3-small", "whisper-1", BGE} <= set(listed)
    assert {model["id"] for model in client.get("/models").json()["models"]} <= set(listed)
    for name in ("gpt-4o-mini", BGE):
        retrieved = openai.models.retrieve(name)
        assert (retrieved.id, retrieved.object) == (name, "model")
    assert openai.models.retrieve("whisper-1").owned_by == "openai"
    assert client.get(f"/v1/models/{BGE}").json()["owned_by"] == "baai"  # unescaped, as people type it


@pytest.mark.parametrize("name", ["gpt-99", "@cf/baai", f"{BGE}/more"])
def test_an_unknown_model_is_not_found(openai: OpenAI, name: str) -> None:
    with pytest.raises(sdk.NotFoundError) as caught:
        openai.models.retrieve(name)
    assert caught.value.code == "model_not_found"
