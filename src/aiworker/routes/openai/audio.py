"""`POST /v1/audio/transcriptions` and `/v1/audio/speech`."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import FORM, JSON, media_type, parse_form
from aiworker.http.messages import Response
from aiworker.models import transcript
from aiworker.models.languages import M2M100
from aiworker.models.model_response import joined_response
from aiworker.routes import speech as speech_routes
from aiworker.routes.openai import models
from aiworker.routes.openai.audio_schema import SpeechRequest, TranscriptionRequest
from aiworker.routes.openai.fields import DESCRIPTION, OPENAI_OBJECT
from aiworker.routes.speech import Hearing
from aiworker.routing import BYTES, MODEL_ERRORS, Returns, route

TEXT = "text/plain; charset=utf-8"


@route(
    "POST", "/v1/audio/transcriptions", scope="audio", rate="heavy", tag="OpenAI",
    body={FORM: TranscriptionRequest}, files=("file",),
    returns=Returns({JSON: OPENAI_OBJECT, "text/plain": BYTES}, DESCRIPTION), errors=(*MODEL_ERRORS, "unprocessable"),
)  # fmt: skip
async def openai_transcriptions(context: Context) -> Response:
    """Transcribe a recording, for OpenAI's clients.

    docs/openai.md describes what becomes of each parameter.
    """
    if media_type(context.request) != FORM:
        sent = media_type(context.request) or "a body without content-type"
        raise ApiError("unsupported_media_type", f"Send the recording as the file of a {FORM}, not as {sent}.")
    body, files = await parse_form(TranscriptionRequest, context.request, context.settings.max_audio_bytes, ("file",))
    if "file" not in files:
        raise ApiError("invalid_request", "file is required: one recording, as a file of the form.", param="file")
    model = models.find(context, body.model, "speech-to-text")
    recording = speech_routes.recording_of(files["file"], "file")
    hearing = await speech_routes.listen(context, body.to_transcribe(), model, recording)
    content_type, written = FORMATS[body.response_format]
    response = joined_response(hearing.answers, written(body, hearing), hearing.neurons)
    response.headers["content-type"] = content_type
    return response


def _json(body: TranscriptionRequest, hearing: Hearing) -> str:  # noqa: ARG001 - all formats are called alike
    usage = None if hearing.seconds is None else {"type": "duration", "seconds": round(hearing.seconds)}
    return json.dumps({"text": hearing.transcript.text, "usage": usage}, ensure_ascii=False)


def _verbose_json(body: TranscriptionRequest, hearing: Hearing) -> str:
    heard = hearing.transcript
    code = heard.language or body.language or ""
    content: dict[str, Any] = {
        "task": "transcribe",
        "language": M2M100.get(code.partition("-")[0].lower(), code),
        "duration": hearing.duration or 0,
        "text": heard.text,
        "segments": [{**UNTOLD, "id": number, **each} for number, each in enumerate(heard.segments)],
    }
    if body.granularities:
        content["words"] = heard.words
    return json.dumps(content, ensure_ascii=False)


UNTOLD: Mapping[str, Any] = {
    "seek": 0,
    "tokens": [],
    "temperature": 0,
    "avg_logprob": 0,
    "compression_ratio": 0,
    "no_speech_prob": 0,
}
"""Of a segment, what clients expect and no model here tells."""

FORMATS: dict[str, tuple[str, Callable[[TranscriptionRequest, Hearing], str]]] = {
    "json": (JSON, _json),
    "verbose_json": (JSON, _verbose_json),
    "text": (TEXT, lambda _, hearing: f"{hearing.transcript.text}\n"),
    "srt": (TEXT, lambda _, hearing: transcript.to_srt(hearing.transcript.segments)),
    "vtt": (TEXT, lambda _, hearing: transcript.to_vtt(hearing.transcript.segments)),
}
"""`response_format` → content type, and how it is written."""


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
        return await speech_routes.synthesize(context, body.to_speak(model), model)
    except ApiError as error:
        if error.param == "text":  # what `POST /speak` calls `text` is here `input`
            error.param, error.message = "input", error.message.replace("text must", "input must")
        raise
