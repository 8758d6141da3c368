"""The form of `POST /v1/audio/transcriptions` and the body of `POST /v1/audio/speech`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from aiworker.errors import ApiError
from aiworker.http.body import Schema, parse_object
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.routes.openai.fields import Ignored, Only
from aiworker.routes.speech_schema import SPEAKERS, Language, SpeakRequest, TranscribeRequest

# ---- transcriptions ----------------------------------------------------------------------------------------------

Granularity = Literal["word", "segment"]


class TranscriptionRequest(Schema):
    model: Annotated[str, Field(min_length=1)]
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    language: Language | None = None
    prompt: Annotated[str | None, Field(max_length=2000)] = None
    granularities: Annotated[Granularity | None, Field(alias="timestamp_granularities[]")] = None
    """If it is given at all, verbose_json has the words too; the segments it always has."""
    stream: Annotated[Any, Only("false", because="a transcript comes at once")] = None
    logprobs: Annotated[Any, Field(alias="include[]"), Only(because="no model here tells them")] = None
    include: Annotated[Any, Only()] = None
    speaker_names: Annotated[Any, Field(alias="known_speaker_names[]"), Only()] = None
    speaker_references: Annotated[Any, Field(alias="known_speaker_references[]"), Only()] = None
    chunking_strategy: Ignored = None
    temperature: Ignored = None

    def to_transcribe(self) -> TranscribeRequest:
        """The same as a request to `POST /transcribe`."""
        return TranscribeRequest(language=self.language, prompt=self.prompt)


# ---- speech ------------------------------------------------------------------------------------------------------

Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

ENCODED: Mapping[Format, dict[str, Any]] = {
    "mp3": {"encoding": "mp3"},
    "opus": {"encoding": "opus", "container": "ogg"},
    "aac": {"encoding": "aac"},
    "flac": {"encoding": "flac"},
    "wav": {"encoding": "linear16", "container": "wav"},
    "pcm": {"encoding": "linear16", "container": "none", "sample_rate": 24_000},
}
"""As Deepgram's models are body for OpenAI's formats; pcm: 16 bits, 24 kHz, as OpenAI's reference has it."""

VOICES: Mapping[str, str] = {
    "alloy": "asteria", "ash": "orion", "ballad": "arcas", "coral": "luna", "echo": "orpheus", "fable": "athena",
    "onyx": "zeus", "nova": "hera", "sage": "asteria", "shimmer": "luna", "verse": "arcas", "marin": "athena",
    "cedar": "orion",
}  # fmt: skip
"""OpenAI's voices → Deepgram's English ones, women for women and men for men: a likeness of our own choice."""


class NamedVoice(Schema):
    id: str


class SpeechRequest(Schema):
    model: Annotated[str, Field(min_length=1)]
    input: Annotated[str, Field(min_length=1, max_length=5000)]
    voice: str | NamedVoice
    response_format: Format = "mp3"
    speed: Annotated[Any, Only(1, because="no model here speaks faster or slower")] = None
    stream_format: Annotated[Any, Only("audio")] = None
    instructions: Ignored = None
    gateway: GatewayOptions | None = None
    """Not OpenAI's, but as in `POST /speak`."""

    def to_speak(self, model: Model) -> SpeakRequest:
        """The same as a request to `POST /speak`. Raises ApiError `invalid_request` for a format it cannot have."""
        speaker = SPEAKERS[model.id]
        given: dict[str, Any] = {"text": self.input, "gateway": self.gateway}
        voice = self.voice if isinstance(self.voice, str) else self.voice.id
        if "encoding" not in speaker.takes:
            if self.response_format != "mp3":
                message = f"response_format must be mp3 for {model.id}, which speaks in no other."
                raise ApiError("invalid_request", message, param="response_format")
            if voice not in VOICES:
                message = f"voice must be one of {', '.join(VOICES)}: {model.id} has but one voice."
                raise ApiError("invalid_request", message, param="voice")
            return parse_object(SpeakRequest, given)
        own = voice if voice in speaker.voices else VOICES.get(voice, voice)
        if voice in VOICES and own not in speaker.voices:
            own = speaker.voices[list(VOICES).index(voice) % len(speaker.voices)]
        return parse_object(SpeakRequest, {**given, "voice": own, **ENCODED[self.response_format]})
