"""Whatever bytes come, from a model or from a client: nothing is raised but ApiError, and no text is lost or doubled.

HYPOTHESIS_EXAMPLES says how many examples each test takes (scripts/soak: many).
"""

import asyncio
import contextlib
import json
import os
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from aiworker.errors import ApiError
from aiworker.http import media
from aiworker.http.body import Schema, parse_form, parse_json, parse_object, parse_query
from aiworker.models import transcript, wav
from aiworker.models.completion import LINE_END, Completion, Frames, frame_data, frame_payloads, read_completion
from aiworker.models.json_schema import Fault, InvalidSchema, JsonSchema
from aiworker.models.openai_stream import Limits, OpenAITransform
from aiworker.models.openai_writers import ChatWriter, CompletionWriter, Head
from aiworker.models.responses_stream import ResponsesWriter
from aiworker.rag.document_fields import DocumentRequest
from aiworker.routes.chat_schema import ChatRequest
from aiworker.routes.documents_schema import DocumentForm, ListQuery
from aiworker.routes.embed import EmbedRequest, RerankRequest
from aiworker.routes.extract import ExtractRequest
from aiworker.routes.gateway import FeedbackRequest
from aiworker.routes.image_schema import ImageRequest
from aiworker.routes.language import ClassifyRequest, SummarizeRequest, TranslateRequest
from aiworker.routes.openai.audio import SpeechRequest, TranscriptionRequest
from aiworker.routes.openai.chat_schema import ChatCompletionRequest, CompletionRequest
from aiworker.routes.openai.embeddings import EmbeddingsRequest
from aiworker.routes.openai.images import ImagesRequest
from aiworker.routes.openai.responses_schema import ResponsesRequest
from aiworker.routes.rag_schema import RagRequest, SearchRequest
from aiworker.routes.speech_schema import SpeakRequest, TranscribeRequest
from aiworker.routes.tokens import TokenRequest
from tests.unit.stand_ins import FakeRequest

fuzzed = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "30")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

HEAD = Head("chatcmpl-1", 1_700_000_000, "@cf/some/model")
WRITERS: dict[str, Callable[[], Any]] = {
    "chat": lambda: ChatWriter(HEAD, include_usage=True),
    "legacy": lambda: ChatWriter(HEAD, is_legacy=True),
    "completion": lambda: CompletionWriter(HEAD),
    "responses": lambda: ResponsesWriter({"id": "resp_1", "model": HEAD.model}),
}

# ---- what may come -----------------------------------------------------------------------------------------------

NAMES = [
    *("response", "p", "usage", "choices", "delta", "message", "content", "reasoning", "reasoning_content", "text"),
    *("tool_calls", "function", "name", "arguments", "index", "id", "type", "finish_reason", "error", "errors"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "role"),
    *("messages", "prompt", "model", "stream", "tools", "input", "image_url", "schema", "query", "gateway", "file"),
    *("words", "segments", "start", "end", "word", "speaker", "results", "channels", "alternatives", "transcript"),
    *("transcription_info", "language", "duration", "punctuated_word", "detected_language"),
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(NAMES)
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=5)
"""Objects with the names that are read here, and values of any shape."""


def as_json(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode(errors="surrogatepass")


def deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def deep_object(depth: int) -> bytes:
    return b'{"response":' * depth + b"1" + b"}" * depth


DEPTHS = st.integers(1, 3000)
DATA = st.one_of(
    (OBJECTS | ANYTHING).map(as_json),
    st.binary(max_size=30),
    st.just(b"[DONE]"),
    DEPTHS.map(deep),
    DEPTHS.map(deep_object),
)
FIELDS = st.sampled_from([b"data: ", b"data:", b"", b": "])
ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n", b"\r", b""])
LINE = st.tuples(FIELDS, DATA, ENDS).map(b"".join)
STREAMS = st.one_of(st.lists(LINE, max_size=8).map(b"".join), st.binary(max_size=200))
CUTS = st.lists(st.integers(0, 400), max_size=12)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


# ---- a model's stream --------------------------------------------------------------------------------------------


@fuzzed
@given(
    stream=STREAMS, cuts=CUTS, writer=st.sampled_from(sorted(WRITERS)), stop=st.lists(st.text(min_size=1), max_size=2)
)
def test_any_stream_is_translated_alike_however_it_is_cut(
    stream: bytes, cuts: list[int], writer: str, stop: list[str]
) -> None:
    def translate(parts: list[bytes]) -> bytes:
        translation = OpenAITransform(WRITERS[writer](), Limits(stop=stop), HEAD.id)
        return b"".join([*map(translation.transform, parts), translation.finish(), translation.fail("reset").encode()])

    written = translate([stream])
    assert translate(pieces(stream, cuts)) == written
    for block in written.split(b"\n\n")[:-1]:  # what a client reads is JSON, whatever the model has sent
        [data] = [line.removeprefix(b"data: ") for line in block.split(b"\n") if line.startswith(b"data: ")]
        assert data == b"[DONE]" or isinstance(json.loads(data), dict)
    ends = written.count(b"data: [DONE]") + written.count(b'"error":{') + written.count(b'"type":"response.completed"')
    assert ends >= 1


@fuzzed
@given(stream=STREAMS, cuts=CUTS)
def test_any_stream_is_cut_into_the_same_frames(stream: bytes, cuts: list[int]) -> None:
    frames = Frames()
    blocks = [block for part in pieces(stream, cuts) for block in frames.feed(part)]
    assert blocks == Frames().feed(stream)
    even = LINE_END.sub(b"\n", stream)
    whole = b"".join(block + b"\n\n" for block in blocks)
    assert even.startswith(whole)
    assert b"\n\n" not in even[len(whole) :]


@fuzzed
@given(stream=STREAMS)
def test_the_answer_and_usage_of_any_stream_are_collected(stream: bytes) -> None:
    for part in (stream, stream[3:]):  # the whole, and the end of a stream
        with contextlib.suppress(ApiError):  # an error's object
            completion = read_completion(part)
            assert isinstance(completion.text, str)
            assert isinstance(completion.usage, dict)
            json.dumps(completion.message())


@fuzzed
@given(texts=st.lists(st.text(max_size=8), max_size=10), cuts=CUTS, is_openai=st.booleans())
def test_no_text_is_lost_or_doubled(texts: list[str], cuts: list[int], *, is_openai: bool) -> None:
    def frame(text: str) -> bytes:
        data: Any = {"choices": [{"index": 0, "delta": {"content": text}}]} if is_openai else {"response": text}
        return b"data: " + json.dumps(data).encode() + b"\n\n"

    assume(any(texts))
    stream = b"".join(map(frame, texts)) + b"data: [DONE]\n\n"
    frames, kept = Frames(), Completion()
    for part in pieces(stream, cuts):
        for block in frames.feed(part):
            for payload in frame_payloads(block):
                kept.add(frame_data(payload) or {})
    assert kept.text == "".join(texts)
    translation = OpenAITransform(ChatWriter(HEAD), Limits(), HEAD.id)
    written = b"".join(map(translation.transform, pieces(stream, cuts))) + translation.finish()
    assert read_completion(written).text == "".join(texts)


# ---- what a model has heard --------------------------------------------------------------------------------------


@fuzzed
@given(
    answer=OBJECTS, read=st.sampled_from([transcript.read_whisper, transcript.read_whisper_turbo, transcript.read_nova])
)
def test_any_answer_of_a_model_that_listens_is_a_transcript_or_an_error(
    answer: dict[str, Any], read: Callable[[Any], transcript.Transcript]
) -> None:
    result = read(answer)
    transcript.to_vtt(result.segments)
    transcript.to_srt(result.segments)
    assert result.shift(1.5).text == result.text
    assert transcript.join([result, result]).text.count(result.text) >= 2 or not result.text


# ---- files -------------------------------------------------------------------------------------------------------


class Upload:
    """A Payload reduced to the methods that Python reads it with."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.read_bytes = 0

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        part = self.content[start:end]
        self.read_bytes += len(part)
        return part


MAGIC = st.sampled_from(
    [b"", b"RIFF", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"fLaC", b"OggS", b"ID3", b"\xff"]
)


@fuzzed
@given(content=st.builds(bytes.__add__, MAGIC, st.binary(max_size=80)))
def test_any_bytes_are_a_known_kind_of_file_or_none(content: bytes) -> None:
    assert media.detect_image_type(content[: media.HEAD]) in {*media.IMAGES, None}
    assert media.detect_sound_type(content[: media.HEAD]) in {*media.SOUNDS, None}


NUMBERS = st.integers(0, 0xFFFF) | st.sampled_from([1, 2, 3, 8, 16, 0xFFFE])
LENGTHS = st.integers(0, 0xFFFFFFFF) | st.integers(0, 60) | st.sampled_from([0, 16, 18, 40, 0xFFFFFFFF])


def form(coding: int, channels: int, rate: int, bytes_a_second: int, frame: int, rest: bytes) -> bytes:
    return struct.pack("<HHIIH", coding, channels, rate, bytes_a_second, frame) + rest


def chunk(name: bytes, length: int, content: bytes) -> bytes:
    return name + struct.pack("<I", length) + content


def riff(chunks: list[bytes]) -> bytes:
    return b"RIFF\0\0\0\0WAVE" + b"".join(chunks)


RATES = LENGTHS | st.sampled_from([8_000, 44_100])
FORMS = st.builds(form, NUMBERS, NUMBERS, RATES, LENGTHS, NUMBERS, st.binary(max_size=26))
CHUNK_NAMES = st.sampled_from([b"fmt ", b"data", b"LIST", b"    "])
CHUNKS = st.builds(chunk, CHUNK_NAMES, LENGTHS, FORMS | st.binary(max_size=60))
WAVES = st.lists(CHUNKS, max_size=5).map(riff) | st.binary()


@fuzzed
@given(content=WAVES, most_bytes=st.integers(64_000, 1 << 20))
def test_any_bytes_are_a_recording_that_is_cut_without_loss_or_none(content: bytes, most_bytes: int) -> None:
    payload: Any = Upload(content)
    wave = wav.read_header(payload)
    assert payload.read_bytes <= 12 + wav.MAX_CHUNKS * 48
    if wave is None:
        return
    assert 0 <= wave.start <= len(content)
    assert wave.end <= len(content)
    assert wave.seconds is None or wave.seconds >= 0 or wave.end < wave.start
    parts = asyncio.run(wav.split(payload, wave, most_bytes))
    assert [part.part.end for part in parts][:-1] == [part.part.start for part in parts][1:]


# ---- requests ----------------------------------------------------------------------------------------------------

BODIES: list[type[Schema]] = [
    *(ChatRequest, EmbedRequest, RerankRequest, ExtractRequest, FeedbackRequest, ImageRequest, ClassifyRequest),
    *(SummarizeRequest, TranslateRequest, DocumentRequest, RagRequest, SearchRequest, SpeakRequest, TokenRequest),
    *(ChatCompletionRequest, CompletionRequest, EmbeddingsRequest, ImagesRequest, ResponsesRequest, SpeechRequest),
]
FORMS_OF_TEXTS: list[type[Schema]] = [ImageRequest, DocumentForm, TranscribeRequest, TranscriptionRequest, ListQuery]


def checked(error: ApiError) -> None:
    """An error for a refused body can be sent, and is shorter than the body."""
    json.dumps(error.to_json("req_1")).encode()
    assert len(error.param or "") <= 100


@pytest.mark.parametrize("schema", BODIES, ids=lambda schema: schema.__name__)
@fuzzed
@given(body=DATA, more=OBJECTS)
def test_any_body_is_read_or_refused(schema: type[Schema], body: bytes, more: dict[str, Any]) -> None:
    fields = {name: value for name, value in more.items() if name in schema.model_fields}
    for sent in (body, json.dumps(fields).encode()):
        request: Any = FakeRequest("POST", "/", sent, content_type="application/json")
        try:
            asyncio.run(parse_json(schema, request, 1_000_000))
        except ApiError as error:
            checked(error)


@pytest.mark.parametrize("schema", FORMS_OF_TEXTS, ids=lambda schema: schema.__name__)
@fuzzed
@given(texts=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), st.text(max_size=20), max_size=5))
def test_any_form_is_read_or_refused(schema: type[Schema], texts: dict[str, str]) -> None:
    class Form(FakeRequest):
        async def read_form(self, limit: int, files: object = ()) -> Any:
            return {**texts, "extra": Upload(b"")} if len(texts) > 3 else texts

    request: Any = Form("POST", "/")
    request.query = texts
    for read in (
        lambda: asyncio.run(parse_form(schema, request, 1000, ("file",))),
        lambda: parse_query(schema, request),
    ):
        try:
            read()
        except ApiError as error:
            checked(error)


@fuzzed
@given(schema=ANYTHING | OBJECTS, value=ANYTHING)
def test_anything_is_a_schema_or_refused_as_one(schema: Any, value: Any) -> None:
    try:
        faults = JsonSchema(schema).find_faults(value)
    except InvalidSchema as error:
        faults = [Fault("", error.reason)]
    assert all(fault.message for fault in faults)


@fuzzed
@given(given_object=OBJECTS)
def test_any_object_is_read_or_refused(given_object: dict[str, Any]) -> None:
    try:
        parse_object(ChatRequest, given_object)
    except ApiError as error:
        checked(error)
