"""The parameters of `POST /transcribe` and the body of `POST /speak`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
"""A tag such as `en` or `en-US`."""

MODEL_NAMES = {"prompt": "initial_prompt", "voice": "speaker"}
"""Parameters here → the models' own names, where they differ."""


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    return {MODEL_NAMES.get(name, name): value for name, value in given.items()}


# ---- speech to text ----------------------------------------------------------------------------------------------


class TranscribeRequest(Schema):
    """Each model takes some of them; the route knows which."""

    model: str | None = None
    """Any speech-to-text model of GET /models but flux. TRANSCRIBE_MODEL, if it is left out."""
    vtt: bool = False
    """Answer subtitles in WebVTT too."""
    language: Language | None = None
    """What is spoken; recognised, if it is left out."""

    task: Literal["transcribe", "translate"] | None = None
    """`translate`: into English."""
    prompt: Annotated[str | None, Field(max_length=2000)] = None
    """Names and terms that are spoken of. (whisper reads the last 224 tokens of it.)"""
    prefix: Annotated[str | None, Field(max_length=2000)] = None
    """How the transcript begins."""
    vad_filter: bool | None = None
    """Leave out what is not speech, before the model listens."""
    beam_size: Annotated[int | None, Field(ge=1, le=10)] = None
    condition_on_previous_text: bool | None = None
    no_speech_threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    compression_ratio_threshold: Annotated[float | None, Field(ge=0, le=100)] = None
    log_prob_threshold: Annotated[float | None, Field(ge=-100, le=0)] = None
    hallucination_silence_threshold: Annotated[float | None, Field(ge=0, le=100)] = None
    """Seconds."""

    detect_language: bool | None = None
    diarize: bool | None = None
    """Say with each word which speaker has said it, counted from 0."""
    punctuate: bool | None = None
    smart_format: bool | None = None
    """Write dates, amounts and the like as one writes them; includes `punctuate`."""
    numerals: bool | None = None
    measurements: bool | None = None
    dictation: bool | None = None
    filler_words: bool | None = None
    profanity_filter: bool | None = None
    keyterm: Annotated[str | None, Field(min_length=1, max_length=2000)] = None
    redact: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    replace: Annotated[str | None, Field(min_length=1, max_length=2000)] = None
    mode: Literal["general", "medical", "finance"] | None = None

    def inputs(self, model: Model, takes: tuple[str, ...]) -> dict[str, Any]:
        """What that model is sent beside the sound.

        takes: the parameters that it knows. Raises ApiError `invalid_request` for another.
        """
        given = self.model_dump(exclude={"model", "vtt"}, exclude_none=True)
        foreign = [name for name in given if name not in takes]
        if foreign:
            known = ", ".join(takes) or "none"
            raise ApiError(
                "invalid_request",
                f"{model.id} does not take {foreign[0]}; of the parameters for a model, it takes {known}.",
                param=foreign[0],
            )
        return _named(given)


class Segment(Reply):
    start: float
    """Seconds."""
    end: float
    text: str


class Transcription(Reply):
    text: str
    segments: list[Segment]
    words: list[dict[str, Any]]
    language: str | None
    duration: float | None
    """Seconds; null where neither the recording nor the model reports it."""
    vtt: str | None = None


# ---- text to speech ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Encoding:
    """What Deepgram's voices can be had in; see ENCODINGS."""

    content_type: str
    """In the container that is the first of `containers`, or in none."""
    containers: tuple[str, ...] = ()
    """Empty where there is no choice, as everywhere below."""
    sample_rates: tuple[int, ...] = ()
    bit_rates: Sequence[int] = ()
    """Bits a second."""


ENCODINGS: Mapping[str, Encoding] = {
    "linear16": Encoding("audio/wav", ("wav", "none"), (8_000, 16_000, 24_000, 32_000, 48_000)),
    "mulaw": Encoding("audio/wav", ("wav", "none"), (8_000, 16_000)),
    "alaw": Encoding("audio/wav", ("wav", "none"), (8_000, 16_000)),
    "mp3": Encoding("audio/mpeg", bit_rates=(32_000, 48_000)),
    "opus": Encoding("audio/ogg", ("ogg",), bit_rates=range(4_000, 650_001)),
    "flac": Encoding("audio/flac", sample_rates=(8_000, 16_000, 22_050, 32_000, 48_000)),
    "aac": Encoding("audio/aac", bit_rates=range(4_000, 192_001)),
}
"""Source: "Audio Format Combinations" of developers.deepgram.com/docs/tts-media-output-settings."""


@dataclass(frozen=True)
class Speaker:
    """A model for text to speech, as its types in @cloudflare/workers-types have it."""

    text: str
    """Its name for the text."""
    longest: int
    """Characters."""
    takes: tuple[str, ...]
    voices: tuple[str, ...] = ()


_OF_DEEPGRAM = ("voice", "encoding", "container", "sample_rate", "bit_rate")

# fmt: off
SPEAKERS: Mapping[str, Speaker] = {
    # Cloudflare names no limit for melotts: this one is ours, about five minutes of speech
    "@cf/myshell-ai/melotts": Speaker("prompt", 5000, ("lang",)),
    # 2,000 is Deepgram's limit of one request, developers.deepgram.com/docs/text-to-speech
    "@cf/deepgram/aura-1": Speaker("text", 2000, _OF_DEEPGRAM, (
        "angus", "asteria", "arcas", "orion", "orpheus", "athena", "luna", "zeus", "perseus", "helios", "hera",
        "stella",
    )),
    "@cf/deepgram/aura-2-en": Speaker("text", 2000, _OF_DEEPGRAM, (
        "amalthea", "andromeda", "apollo", "arcas", "aries", "asteria", "athena", "atlas", "aurora", "callista", "cora",
        "cordelia", "delia", "draco", "electra", "harmonia", "helena", "hera", "hermes", "hyperion", "iris", "janus",
        "juno", "jupiter", "luna", "mars", "minerva", "neptune", "odysseus", "ophelia", "orion", "orpheus", "pandora",
        "phoebe", "pluto", "saturn", "thalia", "theia", "vesta", "zeus",
    )),
    "@cf/deepgram/aura-2-es": Speaker("text", 2000, _OF_DEEPGRAM, (
        "sirio", "nestor", "carina", "celeste", "alvaro", "diana", "aquila", "selena", "estrella", "javier",
    )),
}
# fmt: on


class SpeakRequest(Schema):
    text: Annotated[str, Field(min_length=1, max_length=5000)]
    model: str | None = None
    """Any text-to-speech model of GET /models. SPEAK_MODEL, if it is left out."""
    voice: str | None = None
    speaker: str | None = None
    """The models' own name for `voice`."""
    lang: Language | None = None
    encoding: Literal["linear16", "flac", "mulaw", "alaw", "mp3", "opus", "aac"] | None = None
    container: Literal["none", "wav", "ogg"] | None = None
    sample_rate: Annotated[int | None, Field(ge=8_000, le=48_000)] = None
    bit_rate: Annotated[int | None, Field(ge=4_000, le=650_000)] = None
    gateway: GatewayOptions | None = None

    @field_validator("text")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must contain a word")
        return text

    @model_validator(mode="after")
    def _one_voice(self) -> "SpeakRequest":
        if self.voice and self.speaker:
            raise ValueError("Give only one of voice and speaker: they mean the same")
        return self

    def inputs(self, model: Model) -> dict[str, Any]:
        """What that model is sent. Raises ApiError `invalid_request` for what it does not take."""
        speaker = SPEAKERS[model.id]
        if len(self.text) > speaker.longest:
            raise _refused("text", f"text must have at most {speaker.longest:,} characters for {model.id}")
        given = self.model_dump(include={*_OF_DEEPGRAM, "lang"}, exclude_none=True)
        voice_param = "speaker" if self.speaker else "voice"
        given |= {"voice": self.speaker} if self.speaker else {}
        for name in given:
            if name not in speaker.takes:
                param = voice_param if name == "voice" else name
                raise _refused(param, f"{model.id} does not take {param}, but {', '.join(speaker.takes)}")
        if "voice" in given and given["voice"] not in speaker.voices:
            raise _refused(voice_param, f"{voice_param} must be one of {', '.join(speaker.voices)} for {model.id}")
        self._check_format()
        return {speaker.text: self.text, **_named(given)}

    def _check_format(self) -> None:
        """Raises ApiError `invalid_request` for what does not go with the encoding."""
        details = {"container": self.container, "sample_rate": self.sample_rate, "bit_rate": self.bit_rate}
        given = {name: value for name, value in details.items() if value is not None}
        if self.encoding is None:
            if given:
                name = next(iter(given))
                raise _refused("encoding", f"encoding is required with {name}: what it may be depends on it")
            return
        encoding = ENCODINGS[self.encoding]
        allowed: dict[str, Sequence[Any]] = {
            "container": encoding.containers,
            "sample_rate": encoding.sample_rates,
            "bit_rate": encoding.bit_rates,
        }
        for name, value in given.items():
            if not allowed[name]:
                raise _refused(name, f"{name} cannot be chosen for {self.encoding}: leave it out")
            if value not in allowed[name]:
                raise _refused(name, f"{name} must be {_shown(allowed[name])} for {self.encoding}")


def _shown(choices: Sequence[Any]) -> str:
    if isinstance(choices, range):
        return f"between {choices[0]} and {choices[-1]}"
    return " or ".join(str(each) for each in choices)


def _refused(param: str, reason: str) -> ApiError:
    return ApiError("invalid_request", f"{reason}.", param=param)
