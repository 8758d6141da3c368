"""`POST /transcribe` and `POST /speak`.

A recording's bytes stay in JavaScript: Python reads a WAV file's header and, of a long one, the places where it may be
cut.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from aiworker.bindings import Binary, Inputs
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http import media
from aiworker.http.body import FORM, JSON, clip, media_type, parse_form, parse_query
from aiworker.http.messages import Payload, Response
from aiworker.models import transcript, wav
from aiworker.models.catalogue import Model
from aiworker.models.model_call import Candidate, ModelCall, run_all
from aiworker.models.model_response import ModelResponse, add_cost, joined_response, record_cost
from aiworker.models.selection import find_model
from aiworker.models.transcript import Transcript
from aiworker.models.wav import Wave
from aiworker.models.written_bytes import MAX_WRITTEN_BYTES, PARALLEL_PIECES, PIECE_BYTES, TextEncoding, check_written
from aiworker.routes.speech_schema import ENCODINGS, SpeakRequest, TranscribeRequest, Transcription
from aiworker.routing import BYTES, MODEL_ERRORS, Returns, route

# ---- POST /transcribe --------------------------------------------------------------------------------------------

FILES = ("file", "audio")
"""Names of the form's field for the recording: OpenAI's, and the models'."""

AudioEncoding = TextEncoding | Literal["stream"]
"""How a model takes a recording: in its JSON inputs as base64 or as a list of numbers, or as the request's body."""

WHISPER_TURBO_PARAMETERS = (
    "language", "task", "prompt", "prefix", "vad_filter", "beam_size", "condition_on_previous_text",
    "no_speech_threshold", "compression_ratio_threshold", "log_prob_threshold", "hallucination_silence_threshold",
)  # fmt: skip
NOVA_PARAMETERS = (
    "language", "detect_language", "diarize", "punctuate", "smart_format", "numerals", "measurements", "dictation",
    "filler_words", "profanity_filter", "keyterm", "redact", "replace", "mode",
)  # fmt: skip
"""Parameters that nova-3 takes here. Parameters for bare samples or WebSockets, and those whose results have no field
in the response (topics, sentiment, …), are left out."""


@dataclass(frozen=True)
class SpeechToTextModel:
    """How a model for speech to text is called. Source: its types in @cloudflare/workers-types."""

    read: Callable[[Mapping[str, Any]], Transcript]
    encoding: AudioEncoding
    """`stream` takes a recording of any length."""
    parameters: tuple[str, ...] = ()
    """The request's parameters that the model takes."""
    also_streams: bool = False


MODELS: Mapping[str, SpeechToTextModel] = {
    "@cf/openai/whisper": SpeechToTextModel(transcript.read_whisper, "numbers"),
    "@cf/openai/whisper-tiny-en": SpeechToTextModel(transcript.read_english_whisper, "numbers"),
    "@cf/openai/whisper-large-v3-turbo": SpeechToTextModel(
        transcript.read_whisper_turbo, "base64", WHISPER_TURBO_PARAMETERS, also_streams=True
    ),
    "@cf/deepgram/nova-3": SpeechToTextModel(transcript.read_nova, "stream", NOVA_PARAMETERS),
}
"""Model id → how it is called. flux is missing: it transcribes live audio over a WebSocket, from bare samples."""


@dataclass(frozen=True)
class Recording:
    payload: Payload
    content_type: str
    param: str
    """Name of the form's field it came in; `audio` for a body."""
    wave: Wave | None
    """None for formats other than WAV, whose length is unknown."""

    @property
    def seconds(self) -> float | None:
        """Duration of a WAV file with a consistent header; None if it is unknown."""
        return self.wave.seconds if self.wave else None


@dataclass(frozen=True)
class PieceTranscript:
    """The result of one model call."""

    response: ModelResponse
    transcript: Transcript


@dataclass(frozen=True)
class RecordingTranscript:
    """The result of all model calls for a recording."""

    responses: list[ModelResponse]
    transcript: Transcript
    seconds: float | None
    """Length of the recording; None if it is unknown."""

    @property
    def duration(self) -> float | None:
        """Length of the recording in seconds, rounded; if it is unknown, the end of the last word."""
        duration = self.transcript.end if self.seconds is None else self.seconds
        return None if duration is None else round(duration, 3)

    @property
    def neurons(self) -> float | None:
        """The cost that the model reports, else the price of the recording's length; None if both are unknown."""
        price = self.responses[0].model.neurons.get("audio_minute")
        length_price = price * self.seconds / 60 if price and self.seconds else None
        return record_cost(self.responses, {}, length_price)


@route(
    "POST", "/transcribe", scope="audio", rate="heavy", tag="Images and speech",
    body={"audio/*": BYTES, FORM: TranscribeRequest}, files=("file",), query=TranscribeRequest,
    returns=Returns(Transcription, "The transcript."), errors=MODEL_ERRORS,
)  # fmt: skip
async def transcribe(context: Context) -> Response:
    """Transcribe a recording.

    The recording is the body, with options in the query string; or a file of a form, with options as its fields.
    """
    return await transcript_response(context, *await _parse(context))


async def transcript_response(context: Context, body: TranscribeRequest, recording: Recording) -> Response:
    """Transcribe a recording, and return the transcript as JSON."""
    model = find_model(context, body.model or context.settings.models["TRANSCRIBE_MODEL"], "speech-to-text")
    return _response(body, await transcribe_recording(context, body, model, recording))


async def transcribe_recording(
    context: Context, body: TranscribeRequest, model: Model, recording: Recording
) -> RecordingTranscript:
    """Transcribe a recording, in several model calls if it is long and can be cut."""
    model_type = _model_type(model)
    inputs = body.inputs(model, model_type.parameters)
    pieces = await _pieces(recording, model_type)
    if pieces:
        calls = [Candidate(model, _piece_inputs(inputs, recording, model_type, piece)) for piece in pieces]
    else:
        calls = [Candidate(model, _whole_inputs(inputs, recording, model_type, model))]
    results = await run_all(context, calls, _read_transcript, parallel=PARALLEL_PIECES.get(model_type.encoding, 1))
    starts = [piece.start_seconds for piece in pieces] or [0.0]
    parts = [result.transcript.shift(start) for result, start in zip(results, starts, strict=True)]
    whole = parts[0] if len(parts) == 1 else transcript.join(parts)
    seconds = whole.duration if recording.seconds is None else recording.seconds
    return RecordingTranscript([result.response for result in results], whole, seconds)


async def _parse(context: Context) -> tuple[TranscribeRequest, Recording]:
    """Raises ApiError for invalid parameters, and for a file that is not a recording."""
    request, limit = context.request, context.settings.max_audio_bytes
    content_type = media_type(request)
    if content_type == FORM:
        if request.query:
            name = clip(next(iter(request.query)))
            raise ApiError(
                "invalid_request", f"Send {name} as a field of the form, not in the query string.", param=name
            )
        body, files = await parse_form(TranscribeRequest, request, limit, FILES)
        if len(files) != 1:
            raise ApiError("invalid_request", "file is required: one recording, as a file of the form.", param="file")
        [(param, payload)] = files.items()
        return body, recording_of(payload, param)
    if not (content_type.startswith("audio/") or content_type == "application/octet-stream"):
        raise ApiError(
            "unsupported_media_type",
            "Send the recording as the body with its content-type (audio/wav, audio/mpeg, …), or as the file of a "
            f"{FORM}, not as {content_type or 'a body without content-type'}.",
        )
    body = parse_query(TranscribeRequest, request)
    return body, recording_of(await request.read_payload(limit), "audio")


def recording_of(payload: Payload, param: str) -> Recording:
    """Raises ApiError `invalid_request`, naming `param`, for bytes that are not audio in a known format."""
    content_type = media.detect_sound_type(payload.read(0, media.HEAD))
    if content_type is None:
        what = "is not in an audio format that this route knows" if payload.size else "is empty"
        known = ", ".join(kind.removeprefix("audio/") for kind in media.SOUNDS)
        raise ApiError("invalid_request", f"{param} {what}: send {known}.", param=param)
    return Recording(payload, content_type, param, wav.read_header(payload))


def _model_type(model: Model) -> SpeechToTextModel:
    if model.id not in MODELS:
        raise ApiError(
            "invalid_request",
            f"{model.id} transcribes live audio over a WebSocket and cannot take a recording: "
            f"use one of {', '.join(MODELS)}.",
            param="model",
        )
    return MODELS[model.id]


# ---- the model's inputs ------------------------------------------------------------------------------------------


async def _pieces(recording: Recording, model_type: SpeechToTextModel) -> list[wav.Piece]:
    """Return the pieces of a long recording; none for one that is sent whole."""
    if recording.wave is None or model_type.encoding == "stream":
        return []
    return await wav.split(recording.payload, recording.wave, PIECE_BYTES[model_type.encoding])


def _piece_inputs(
    inputs: Mapping[str, Any], recording: Recording, model_type: SpeechToTextModel, piece: wav.Piece
) -> Inputs:
    # `prefix` is the beginning of the whole transcript, which is in the first piece
    fields = {name: value for name, value in inputs.items() if name != "prefix" or piece.start_seconds == 0}
    return _inputs(fields, recording, model_type.encoding, piece)


def _whole_inputs(
    inputs: Mapping[str, Any], recording: Recording, model_type: SpeechToTextModel, model: Model
) -> Inputs:
    """Raises ApiError `payload_too_large` for a recording that is too long for one call of the model."""
    encoding, size = model_type.encoding, recording.payload.size
    if encoding != "stream" and size > MAX_WRITTEN_BYTES[encoding]:
        if model_type.also_streams:
            return _inputs(inputs, recording, "stream")
        others = ", ".join(name for name, each in MODELS.items() if each.also_streams or each.encoding == "stream")
        way_out = f"use {others}, or send it as WAV, which is sent in pieces"
        check_written(recording.param, size, encoding, model.id, way_out)
    return _inputs(inputs, recording, encoding)


def _inputs(
    fields: Mapping[str, Any], recording: Recording, encoding: AudioEncoding, piece: wav.Piece | None = None
) -> Inputs:
    part, seconds = (piece.part, piece.seconds) if piece else (None, recording.seconds)
    return Inputs(fields, {"audio": Binary(recording.payload, encoding, recording.content_type, part, seconds)})


# ---- the response ------------------------------------------------------------------------------------------------


async def _read_transcript(response: ModelResponse) -> PieceTranscript:
    data = await response.json()
    if not isinstance(data, dict):
        raise ApiError("upstream_error", f"{response.model.id} returned no transcript.")
    return PieceTranscript(response, MODELS[response.model.id].read(cast("dict[str, Any]", data)))


def _response(body: TranscribeRequest, result: RecordingTranscript) -> Response:
    whole = result.transcript
    content = {
        "text": whole.text,
        "segments": whole.segments,
        "words": whole.words,
        "language": whole.language or body.language,
        "duration": result.duration,
    }
    if body.vtt:
        content["vtt"] = transcript.to_vtt(whole.segments)
    return joined_response(result.responses, json.dumps(content, ensure_ascii=False), result.neurons)


# ---- POST /speak -------------------------------------------------------------------------------------------------


@route(
    "POST", "/speak", scope="audio", rate="heavy", tag="Images and speech",
    body=SpeakRequest, returns=Returns({"audio/*": BYTES}, "The audio."), errors=MODEL_ERRORS,
    example={"text": "Hello there"},
)  # fmt: skip
async def speak(context: Context, body: SpeakRequest) -> Response:
    """Read a text aloud.

    `encoding` chooses the audio format, for models that offer a choice.
    """
    model = find_model(context, body.model or context.settings.models["SPEAK_MODEL"], "text-to-speech")
    return await synthesize(context, body, model)


async def synthesize(context: Context, body: SpeakRequest, model: Model) -> Response:
    """Return the text as audio: the model's own stream, or the audio that its JSON holds."""
    model_response = await ModelCall(context, [Candidate(model, Inputs(body.inputs(model)))], body.gateway).run()
    if model_response.content_type.startswith(JSON):
        return await _decoded(model_response)
    # from one JavaScript stream to the other, unread by Python
    response = model_response.response(model_response.raw.body, _audio_type(body, model_response))
    price = model.neurons.get("thousand_characters")
    return _with_cost(response, model_response, price, len(body.text) / 1000)


async def _decoded(model_response: ModelResponse) -> Response:
    """Return the audio that the model's JSON holds as base64."""
    audio = await model_response.raw.base64_payload("audio")
    content_type = media.detect_sound_type(audio.read(0, media.HEAD))
    if content_type is None:
        raise ApiError("upstream_error", f"{model_response.model.id} returned no audio.")
    wave = wav.read_header(audio)
    response = model_response.response(audio.body, content_type)
    price = model_response.model.neurons.get("audio_minute")
    return _with_cost(response, model_response, price, wave.seconds / 60 if wave and wave.seconds else None)


def _audio_type(body: SpeakRequest, model_response: ModelResponse) -> str:
    """Return the response's media type if it is one of audio, else that of the requested encoding (default: MP3)."""
    if model_response.content_type.startswith("audio/"):
        return model_response.content_type
    if body.container == "none":
        return "application/octet-stream"
    return ENCODINGS[body.encoding or "mp3"].content_type


def _with_cost(
    response: Response, model_response: ModelResponse, price: float | None, amount: float | None
) -> Response:
    """Add the cost: what the model reports, else the price per unit times the number of units."""
    computed = None if price is None or amount is None else price * amount
    return add_cost(response, record_cost([model_response], {}, computed))
