"""`POST /v1/audio/transcriptions` and `POST /v1/audio/speech`."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import FORM, JSON, Schema, check_form, parse_form, parse_object
from aiworker.http.messages import Response
from aiworker.models import transcript
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.languages import M2M100
from aiworker.models.model_response import joined_response
from aiworker.routes import speech
from aiworker.routes.openai import models
from aiworker.routes.openai.fields import DESCRIPTION, OPENAI_OBJECT, IgnoredUnless, Only, OpenAIRequest
from aiworker.routes.speech import RecordingTranscript
from aiworker.routes.speech_schema import TEXT_TO_SPEECH_MODELS, Language, SpeakRequest, TranscribeRequest
from aiworker.routing import BYTES, MODEL_ERRORS, Returns, route

# ---- POST /v1/audio/transcriptions -------------------------------------------------------------------------------

Granularities = Annotated[str, Field(pattern=r"^(word|segment)(,(word|segment))*$")]
"""One or several, as a form's repeated field arrives."""


class TranscriptionRequest(OpenAIRequest):
    model: Annotated[str, Field(min_length=1)]
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    language: Language | None = None
    prompt: Annotated[str | None, Field(max_length=2000)] = None
    granularities: Annotated[Granularities | None, Field(alias="timestamp_granularities[]")] = None
    """verbose_json always has the segments; with `word` it has the words too."""
    stream: Annotated[Any, Only("false", because="a transcript is returned whole")] = None
    temperature: Annotated[Any, IgnoredUnless("0", "0.0")] = None

    def to_transcribe(self, model: Model) -> tuple[TranscribeRequest, list[str]]:
        """Return the equivalent request to `POST /transcribe`, and the names of parameters that the model does not
        take."""
        fields = self.model_dump(include={"language", "prompt"}, exclude_none=True)
        supported = speech.MODELS[model.id].parameters if model.id in speech.MODELS else tuple(fields)
        taken = {name: value for name, value in fields.items() if name in supported}
        return TranscribeRequest(**taken), [name for name in fields if name not in taken]


TEXT = "text/plain; charset=utf-8"

UNKNOWN_FIELDS: Mapping[str, Any] = {
    "seek": 0,
    "tokens": [],
    "temperature": 0,
    "avg_logprob": 0,
    "compression_ratio": 0,
    "no_speech_prob": 0,
}
"""Fields of a segment that clients expect and no model here reports."""


@route(
    "POST", "/v1/audio/transcriptions", scope="audio", rate="heavy", tag="OpenAI",
    body={FORM: TranscriptionRequest}, files=("file",),
    returns=Returns({JSON: OPENAI_OBJECT, "text/plain": BYTES}, DESCRIPTION), errors=(*MODEL_ERRORS, "unprocessable"),
)  # fmt: skip
async def openai_transcriptions(context: Context) -> Response:
    """Transcribe a recording, for OpenAI's clients.

    docs/openai.md describes what becomes of each parameter.
    """
    check_form(context.request, "the recording")
    body, files = await parse_form(TranscriptionRequest, context.request, context.settings.max_audio_bytes, ("file",))
    if "file" not in files:
        raise ApiError("invalid_request", "file is required: one recording, as a file of the form.", param="file")
    model = models.find(context, body.model, "speech-to-text")
    recording = speech.recording_of(files["file"], "file")
    to_transcribe, ignored = body.to_transcribe(model)
    context.log.ignored += [*body.ignored_parameters(), *ignored]
    result = await speech.transcribe_recording(context, to_transcribe, model, recording)
    content_type, write = FORMATS[body.response_format]
    response = joined_response(result.responses, write(body, result), result.neurons)
    response.headers["content-type"] = content_type
    return response


def _json(body: TranscriptionRequest, result: RecordingTranscript) -> str:  # noqa: ARG001 - the signature of all formats
    usage = None if result.seconds is None else {"type": "duration", "seconds": round(result.seconds)}
    return json.dumps({"text": result.transcript.text, "usage": usage}, ensure_ascii=False)


def _verbose_json(body: TranscriptionRequest, result: RecordingTranscript) -> str:
    whole = result.transcript
    code = whole.language or body.language or ""
    content: dict[str, Any] = {
        "task": "transcribe",
        "language": M2M100.get(code.partition("-")[0].lower(), code),
        "duration": result.duration or 0,
        "text": whole.text,
        "segments": [{**UNKNOWN_FIELDS, "id": number, **each} for number, each in enumerate(whole.segments)],
    }
    if "word" in (body.granularities or ""):
        content["words"] = whole.words
    return json.dumps(content, ensure_ascii=False)


FORMATS: dict[str, tuple[str, Callable[[TranscriptionRequest, RecordingTranscript], str]]] = {
    "json": (JSON, _json),
    "verbose_json": (JSON, _verbose_json),
    "text": (TEXT, lambda _, result: f"{result.transcript.text}\n"),
    "srt": (TEXT, lambda _, result: transcript.to_srt(result.transcript.segments)),
    "vtt": (TEXT, lambda _, result: transcript.to_vtt(result.transcript.segments)),
}
"""`response_format` → content type, and the function that writes the body."""


# ---- POST /v1/audio/speech ---------------------------------------------------------------------------------------

Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

DEEPGRAM_OPTIONS: Mapping[Format, dict[str, Any]] = {
    "mp3": {"encoding": "mp3"},
    "opus": {"encoding": "opus", "container": "ogg"},
    "aac": {"encoding": "aac"},
    "flac": {"encoding": "flac"},
    "wav": {"encoding": "linear16", "container": "wav"},
    "pcm": {"encoding": "linear16", "container": "none", "sample_rate": 24_000},
}
"""OpenAI's formats → the options of Deepgram's models. pcm has 16 bits and 24 kHz by OpenAI's reference."""

VOICES: Mapping[str, str] = {
    "alloy": "asteria", "ash": "orion", "ballad": "arcas", "coral": "luna", "echo": "orpheus", "fable": "athena",
    "onyx": "zeus", "nova": "hera", "sage": "asteria", "shimmer": "luna", "verse": "arcas", "marin": "athena",
    "cedar": "orion",
}  # fmt: skip
"""OpenAI's voices → Deepgram's English voices: similar ones, by this Worker's own choice."""


class NamedVoice(Schema):
    id: str


class SpeechRequest(OpenAIRequest):
    model: Annotated[str, Field(min_length=1)]
    input: Annotated[str, Field(min_length=1, max_length=5000)]
    voice: str | NamedVoice
    response_format: Format = "mp3"
    speed: Annotated[Any, IgnoredUnless(1)] = None
    stream_format: Annotated[Any, Only("audio")] = None
    instructions: Annotated[Any, IgnoredUnless("")] = None
    gateway: GatewayOptions | None = None
    """This Worker's own parameter, as in `POST /speak`."""

    def to_speak(self, model: Model) -> SpeakRequest:
        """Return the equivalent request to `POST /speak`.

        Raises ApiError `invalid_request` for a format or a voice that the model does not have.
        """
        model_type = TEXT_TO_SPEECH_MODELS[model.id]
        fields: dict[str, Any] = {"text": self.input, "gateway": self.gateway}
        voice = self.voice if isinstance(self.voice, str) else self.voice.id
        if "encoding" not in model_type.parameters:
            if self.response_format != "mp3":
                message = f"response_format must be mp3 for {model.id}, which has no other."
                raise ApiError("invalid_request", message, param="response_format")
            if voice not in VOICES:
                message = f"voice must be one of {', '.join(VOICES)}: {model.id} has only one voice."
                raise ApiError("invalid_request", message, param="voice")
            return parse_object(SpeakRequest, fields)
        own = voice if voice in model_type.voices else VOICES.get(voice, voice)
        if voice in VOICES and own not in model_type.voices:
            own = model_type.voices[list(VOICES).index(voice) % len(model_type.voices)]
        return parse_object(SpeakRequest, {**fields, "voice": own, **DEEPGRAM_OPTIONS[self.response_format]})


@route(
    "POST", "/v1/audio/speech", scope="audio", rate="heavy", tag="OpenAI",
    body=SpeechRequest,
    returns=Returns({"audio/*": BYTES}, DESCRIPTION), errors=(*MODEL_ERRORS, "unprocessable"),
    example={"model": "tts-1", "input": "Hello there", "voice": "alloy"},
)  # fmt: skip
async def openai_speech(context: Context, body: SpeechRequest) -> Response:
    """Read a text aloud, for OpenAI's clients.

    docs/openai.md describes what becomes of each parameter.
    """
    model = models.find(context, body.model, "text-to-speech")
    try:
        return await speech.synthesize(context, body.to_speak(model), model)
    except ApiError as error:
        if error.param == "text":  # the name of `input` in `POST /speak`
            error.param, error.message = "input", error.message.replace("text must", "input must")
        raise
