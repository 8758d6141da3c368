"""`POST /transcribe` and `POST /speak`.

A recording's bytes stay in JavaScript. Of a long WAV file, Python reads the header and the places where it may be cut.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from aiworker.bindings import Binary, Inputs, Part
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http import media
from aiworker.http.body import FORM, JSON, clip, media_type, parse_form, parse_query
from aiworker.http.messages import Payload, Response
from aiworker.models import catalogue, transcript, wav
from aiworker.models.catalogue import Model
from aiworker.models.model_call import Candidate, ModelCall, run_all
from aiworker.models.model_response import ModelResponse, joined_response, record_cost
from aiworker.models.transcript import Transcript
from aiworker.models.wav import Wave
from aiworker.routes.speech_schema import ENCODINGS, SpeakRequest, TranscribeRequest, Transcription
from aiworker.routing import BYTES, MODEL_ERRORS, Returns, route

# ---- POST /transcribe --------------------------------------------------------------------------------------------

FILES = ("file", "audio")
"""Names under which a form may bring the recording: OpenAI's, and the models'."""

Writing = Literal["base64", "numbers", "stream"]

PIECE_BYTES: Mapping[Writing, int] = {"numbers": 1 << 20, "base64": 4 << 20}
"""Of a long recording, what one call is sent. In the inputs and their JSON, a byte takes about 12 bytes of memory as a
number and 4 as base64; four calls are made at a time, and an isolate has 128 MB."""
WHOLE_BYTES: Mapping[Writing, int] = {"numbers": 4 << 20, "base64": 8 << 20}
"""Of a recording that cannot be cut, likewise."""

WHISPER_TURBO_TAKES = (
    "language", "task", "prompt", "prefix", "vad_filter", "beam_size", "condition_on_previous_text",
    "no_speech_threshold", "compression_ratio_threshold", "log_prob_threshold", "hallucination_silence_threshold",
)  # fmt: skip
NOVA_TAKES = (
    "language", "detect_language", "diarize", "punctuate", "smart_format", "numerals", "measurements", "dictation",
    "filler_words", "profanity_filter", "keyterm", "redact", "replace", "mode",
)  # fmt: skip
"""Left out: what has no place in the answer here (topics, sentiment, …), and what is for bare samples or sockets."""


@dataclass(frozen=True)
class Listener:
    """A model for speech to text, as its types in @cloudflare/workers-types have it."""

    read: Callable[[Mapping[str, Any]], Transcript]
    written_as: Writing
    """How it takes the recording. As a stream, it takes any length."""
    takes: tuple[str, ...] = ()
    """Of the request's parameters, those for the model."""
    also_streams: bool = False


LISTENERS: Mapping[str, Listener] = {
    "@cf/openai/whisper": Listener(transcript.read_whisper, "numbers"),
    "@cf/openai/whisper-tiny-en": Listener(transcript.read_english_whisper, "numbers"),
    "@cf/openai/whisper-large-v3-turbo": Listener(
        transcript.read_whisper_turbo, "base64", WHISPER_TURBO_TAKES, also_streams=True
    ),
    "@cf/deepgram/nova-3": Listener(transcript.read_nova, "stream", NOVA_TAKES),
}
"""flux is not among them: it is for talks over a WebSocket, and takes bare samples only."""


@dataclass(frozen=True)
class Recording:
    payload: Payload
    content_type: str
    param: str
    """The name under which it has come."""
    wave: Wave | None
    """None for other formats: their length is not known here."""


@dataclass(frozen=True)
class Heard:
    """What a call has answered."""

    answer: ModelResponse
    transcript: Transcript


@dataclass(frozen=True)
class Hearing:
    """What all calls for a recording have answered together."""

    answers: list[ModelResponse]
    transcript: Transcript
    seconds: float | None
    """Of the recording; None where its length is not known."""

    @property
    def duration(self) -> float | None:
        """Seconds, rounded; if need be until the last word."""
        duration = self.transcript.end if self.seconds is None else self.seconds
        return None if duration is None else round(duration, 3)

    @property
    def neurons(self) -> float | None:
        """As upstream says, else by the length of the sound; None where one or the other is not known."""
        price = self.answers[0].model.neurons.get("audio_minute")
        by_length = price * self.seconds / 60 if price and self.seconds else None
        return record_cost(self.answers, {}, by_length)


@route(
    "POST", "/transcribe", scope="audio", rate="heavy", tag="Images and speech",
    body={"audio/*": BYTES, FORM: TranscribeRequest}, files=("file",), query=TranscribeRequest,
    returns=Returns(Transcription, "The transcript."), errors=MODEL_ERRORS,
)  # fmt: skip
async def transcribe(context: Context) -> Response:
    """Transcribe a recording.

    The recording is the body, with options in the query string; or a file of a form, with options as its fields.
    """
    body, recording = await _parse(context)
    model = catalogue.find(body.model or context.settings.models["TRANSCRIBE_MODEL"], "speech-to-text")
    return _response(body, await listen(context, body, model, recording))


async def listen(context: Context, body: TranscribeRequest, model: Model, recording: Recording) -> Hearing:
    """What is said in the recording, if need be heard in several pieces."""
    listener = _listener(model)
    inputs = body.inputs(model, listener.takes)
    pieces = _pieces(recording, listener)
    if pieces:
        calls = [Candidate(model, _cut(inputs, recording, listener, piece)) for piece in pieces]
    else:
        calls = [Candidate(model, _whole(inputs, recording, listener, model))]
    answers = await run_all(context, calls, _heard)
    begins = [piece.start_seconds for piece in pieces] or [0.0]
    parts = [heard.transcript.shift(begin) for heard, begin in zip(answers, begins, strict=True)]
    heard = parts[0] if len(parts) == 1 else transcript.join(parts)
    seconds = recording.wave.seconds if recording.wave else heard.duration
    return Hearing([each.answer for each in answers], heard, seconds)


async def _parse(context: Context) -> tuple[TranscribeRequest, Recording]:
    """Raises ApiError for parameters that cannot be meant, and for what is no sound."""
    request, limit = context.request, context.settings.max_audio_bytes
    sent = media_type(request)
    if sent == FORM:
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
    if not (sent.startswith("audio/") or sent == "application/octet-stream"):
        raise ApiError(
            "unsupported_media_type",
            "Send the recording as the body with its content-type (audio/wav, audio/mpeg, …), or as the file of a "
            f"{FORM}, not as {sent or 'a body without content-type'}.",
        )
    body = parse_query(TranscribeRequest, request)
    return body, recording_of(await request.read_payload(limit), "audio")


def recording_of(payload: Payload, param: str) -> Recording:
    content_type = media.detect_sound_type(payload.read(0, media.HEAD))
    if content_type is None:
        what = "is not sound in a format that this route knows" if payload.size else "is empty"
        known = ", ".join(kind.removeprefix("audio/") for kind in media.SOUNDS)
        raise ApiError("invalid_request", f"{param} {what}: send {known}.", param=param)
    return Recording(payload, content_type, param, wav.read_header(payload))


def _listener(model: Model) -> Listener:
    if model.id not in LISTENERS:
        raise ApiError(
            "invalid_request",
            f"{model.id} transcribes live talks over a WebSocket and cannot take a recording: "
            f"use one of {', '.join(LISTENERS)}.",
            param="model",
        )
    return LISTENERS[model.id]


# ---- what the model is sent --------------------------------------------------------------------------------------


def _pieces(recording: Recording, listener: Listener) -> list[wav.Piece]:
    if recording.wave is None or listener.written_as == "stream":
        return []
    return wav.split(recording.payload, recording.wave, PIECE_BYTES[listener.written_as])


def _cut(inputs: Mapping[str, Any], recording: Recording, listener: Listener, piece: wav.Piece) -> Inputs:
    # the transcript's beginning is that of the first piece only
    fields = {name: value for name, value in inputs.items() if name != "prefix" or piece.start_seconds == 0}
    return _inputs(fields, recording, listener.written_as, piece.part)


def _whole(inputs: Mapping[str, Any], recording: Recording, listener: Listener, model: Model) -> Inputs:
    """Raises ApiError `payload_too_large` for what the model cannot be sent in one piece."""
    size, most = recording.payload.size, WHOLE_BYTES.get(listener.written_as)
    if most is None or size <= most:
        return _inputs(inputs, recording, listener.written_as)
    if listener.also_streams:
        return _inputs(inputs, recording, "stream")
    others = ", ".join(name for name, each in LISTENERS.items() if each.also_streams or each.written_as == "stream")
    raise ApiError(
        "payload_too_large",
        f"{model.id} takes at most {most:,} bytes of a recording that cannot be cut here, and {recording.param} has "
        f"{size:,}: use {others}, or send it as WAV.",
        param=recording.param,
    )


def _inputs(fields: Mapping[str, Any], recording: Recording, written_as: Writing, part: Part | None = None) -> Inputs:
    return Inputs(fields, {"audio": Binary(recording.payload, written_as, recording.content_type, part)})


# ---- what the client is told -------------------------------------------------------------------------------------


async def _heard(answer: ModelResponse) -> Heard:
    data = await answer.json()
    if not isinstance(data, dict):
        raise ApiError("upstream_error", f"{answer.model.id} returned no transcript.")
    return Heard(answer, LISTENERS[answer.model.id].read(cast("dict[str, Any]", data)))


def _response(body: TranscribeRequest, hearing: Hearing) -> Response:
    heard = hearing.transcript
    content = {
        "text": heard.text,
        "segments": heard.segments,
        "words": heard.words,
        "language": heard.language or body.language,
        "duration": hearing.duration,
    }
    if body.vtt:
        content["vtt"] = transcript.to_vtt(heard.segments)
    return joined_response(hearing.answers, json.dumps(content, ensure_ascii=False), hearing.neurons)


# ---- POST /speak -------------------------------------------------------------------------------------------------


@route(
    "POST", "/speak", scope="audio", rate="heavy", tag="Images and speech",
    body=SpeakRequest, returns=Returns({"audio/*": BYTES}, "The audio."), errors=MODEL_ERRORS,
    example={"text": "Hello there"},
)  # fmt: skip
async def speak(context: Context, body: SpeakRequest) -> Response:
    """Read a text aloud.

    In the requested encoding, where the model offers a choice.
    """
    model = catalogue.find(body.model or context.settings.models["SPEAK_MODEL"], "text-to-speech")
    return await synthesize(context, body, model)


async def synthesize(context: Context, body: SpeakRequest, model: Model) -> Response:
    answer = await ModelCall(context, [Candidate(model, Inputs(body.inputs(model)))], body.gateway).run()
    if answer.content_type.startswith(JSON):
        return await _decoded(answer)
    # the sound goes on as it comes, unread
    response = answer.response(answer.raw.body, _sound_type(body, answer))
    return _priced(response, answer, model.neurons.get("thousand_characters"), len(body.text) / 1000)


async def _decoded(answer: ModelResponse) -> Response:
    """The sound that an answer has in it as base64."""
    sound = await answer.raw.base64_payload("audio")
    content_type = media.detect_sound_type(sound.read(0, media.HEAD))
    if content_type is None:
        raise ApiError("upstream_error", f"{answer.model.id} returned no sound.")
    wave = wav.read_header(sound)
    response = answer.response(sound.body, content_type)
    return _priced(response, answer, answer.model.neurons.get("audio_minute"), wave.seconds / 60 if wave else None)


def _sound_type(body: SpeakRequest, answer: ModelResponse) -> str:
    """The answer's own, where it names a sound; else that of the encoding, which is MP3 if none is body for."""
    if answer.content_type.startswith("audio/"):
        return answer.content_type
    if body.container == "none":
        return "application/octet-stream"
    return ENCODINGS[body.encoding or "mp3"].content_type


def _priced(response: Response, answer: ModelResponse, price: float | None, amount: float | None) -> Response:
    by_amount = None if price is None or amount is None else price * amount
    neurons = record_cost([answer], {}, by_amount)
    if neurons is not None:
        response.headers["x-neurons"] = f"{neurons:.4g}"
    return response
