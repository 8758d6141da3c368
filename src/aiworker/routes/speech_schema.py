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
"""A language tag such as `en` or `en-US`."""

MODEL_NAMES = {"prompt": "initial_prompt", "voice": "speaker"}
"""Parameters here → the models' own names, where they differ."""


def _renamed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters under the models' names."""
    return {MODEL_NAMES.get(name, name): value for name, value in parameters.items()}


# ---- speech to text ----------------------------------------------------------------------------------------------


def _is_neutral(value: Any) -> bool:
    """Tell whether a parameter has no effect, so that a model that does not take it behaves the same."""
    return value is False or value in ("transcribe", "general")


class TranscribeRequest(Schema):
    """Parameters of all models. Each model takes some of them; a request with another is refused."""

    model: str | None = None
    """Any speech-to-text model of GET /models but flux; TRANSCRIBE_MODEL if left out."""
    vtt: bool = False
    """Return subtitles in WebVTT too."""
    language: Language | None = None
    """The language that is spoken; detected if left out."""

    task: Literal["transcribe", "translate"] | None = None
    """`translate` translates into English."""
    prompt: Annotated[str | None, Field(max_length=2000)] = None
    """Names and terms that occur in the recording. Whisper reads the last 224 tokens."""
    prefix: Annotated[str | None, Field(max_length=2000)] = None
    """The beginning of the transcript, which the model continues."""
    vad_filter: bool | None = None
    """Remove the parts without speech before the model reads the recording."""
    beam_size: Annotated[int | None, Field(ge=1, le=10)] = None
    condition_on_previous_text: bool | None = None
    no_speech_threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    compression_ratio_threshold: Annotated[float | None, Field(ge=0, le=100)] = None
    log_prob_threshold: Annotated[float | None, Field(ge=-100, le=0)] = None
    hallucination_silence_threshold: Annotated[float | None, Field(ge=0, le=100)] = None
    """Seconds."""

    detect_language: bool | None = None
    diarize: bool | None = None
    """Return the speaker of each word, counted from 0."""
    punctuate: bool | None = None
    smart_format: bool | None = None
    """Write dates, amounts and the like in their usual form; includes `punctuate`."""
    numerals: bool | None = None
    measurements: bool | None = None
    dictation: bool | None = None
    filler_words: bool | None = None
    profanity_filter: bool | None = None
    keyterm: Annotated[str | None, Field(min_length=1, max_length=2000)] = None
    redact: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    replace: Annotated[str | None, Field(min_length=1, max_length=2000)] = None
    mode: Literal["general", "medical", "finance"] | None = None

    def inputs(self, model: Model, supported: tuple[str, ...]) -> dict[str, Any]:
        """Return the model's inputs except the recording.

        supported: the parameters that the model takes. Raises ApiError `invalid_request` for another.
        """
        parameters = self.model_dump(exclude={"model", "vtt"}, exclude_none=True)
        unsupported = [name for name, value in parameters.items() if name not in supported and not _is_neutral(value)]
        if unsupported:
            known = ", ".join(supported) or "none"
            raise ApiError(
                "invalid_request",
                f"{model.id} does not take {unsupported[0]}. The parameters that it takes are: {known}.",
                param=unsupported[0],
            )
        return _renamed({name: value for name, value in parameters.items() if name in supported})


class Segment(Reply):
    start: float
    """Seconds from the start of the recording."""
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
    """An audio encoding of Deepgram's models, and its options; an empty list offers no choice."""

    content_type: str
    """Media type in the first of `containers`, which is the default."""
    containers: tuple[str, ...] = ()
    sample_rates: tuple[int, ...] = ()
    """Hertz."""
    bit_rates: Sequence[int] = ()
    """Bits per second."""


ENCODINGS: Mapping[str, Encoding] = {
    "linear16": Encoding("audio/wav", ("wav", "none"), (8_000, 16_000, 24_000, 32_000, 48_000)),
    "mulaw": Encoding("audio/wav", ("wav", "none"), (8_000, 16_000)),
    "alaw": Encoding("audio/wav", ("wav", "none"), (8_000, 16_000)),
    "mp3": Encoding("audio/mpeg", bit_rates=(32_000, 48_000)),
    "opus": Encoding("audio/ogg", ("ogg",), bit_rates=range(4_000, 650_001)),
    "flac": Encoding("audio/flac", sample_rates=(8_000, 16_000, 22_050, 32_000, 48_000)),
    "aac": Encoding("audio/aac", bit_rates=range(4_000, 192_001)),
}
"""Name → encoding. Source: "Audio Format Combinations" of developers.deepgram.com/docs/tts-media-output-settings."""


@dataclass(frozen=True)
class TextToSpeechModel:
    """Parameters and limits of a model for text to speech. Source: its types in @cloudflare/workers-types."""

    text: str
    """The model's name for the text."""
    max_length: int
    """Maximum length of the text in characters."""
    parameters: tuple[str, ...]
    """The request's parameters that the model takes."""
    voices: tuple[str, ...] = ()


_DEEPGRAM_PARAMETERS = ("voice", "encoding", "container", "sample_rate", "bit_rate")

# fmt: off
TEXT_TO_SPEECH_MODELS: Mapping[str, TextToSpeechModel] = {
    # Cloudflare documents no limit for melotts: this one is the Worker's own, about five minutes of speech
    "@cf/myshell-ai/melotts": TextToSpeechModel("prompt", 5000, ("lang",)),
    # 2,000 is Deepgram's limit for one request. Source: developers.deepgram.com/docs/text-to-speech
    "@cf/deepgram/aura-1": TextToSpeechModel("text", 2000, _DEEPGRAM_PARAMETERS, (
        "angus", "asteria", "arcas", "orion", "orpheus", "athena", "luna", "zeus", "perseus", "helios", "hera",
        "stella",
    )),
    "@cf/deepgram/aura-2-en": TextToSpeechModel("text", 2000, _DEEPGRAM_PARAMETERS, (
        "amalthea", "andromeda", "apollo", "arcas", "aries", "asteria", "athena", "atlas", "aurora", "callista", "cora",
        "cordelia", "delia", "draco", "electra", "harmonia", "helena", "hera", "hermes", "hyperion", "iris", "janus",
        "juno", "jupiter", "luna", "mars", "minerva", "neptune", "odysseus", "ophelia", "orion", "orpheus", "pandora",
        "phoebe", "pluto", "saturn", "thalia", "theia", "vesta", "zeus",
    )),
    "@cf/deepgram/aura-2-es": TextToSpeechModel("text", 2000, _DEEPGRAM_PARAMETERS, (
        "sirio", "nestor", "carina", "celeste", "alvaro", "diana", "aquila", "selena", "estrella", "javier",
    )),
}
# fmt: on


class SpeakRequest(Schema):
    text: Annotated[str, Field(min_length=1, max_length=5000)]
    model: str | None = None
    """Any text-to-speech model of GET /models; SPEAK_MODEL if left out."""
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
        """Return the model's inputs. Raises ApiError `invalid_request` for a parameter the model does not take."""
        model_type = TEXT_TO_SPEECH_MODELS[model.id]
        if len(self.text) > model_type.max_length:
            raise _refused("text", f"text must have at most {model_type.max_length:,} characters for {model.id}")
        parameters = self.model_dump(include={*_DEEPGRAM_PARAMETERS, "lang"}, exclude_none=True)
        voice_param = "speaker" if self.speaker else "voice"
        parameters |= {"voice": self.speaker} if self.speaker else {}
        if "encoding" not in model_type.parameters and self.encoding == "mp3":
            del parameters["encoding"]  # the model makes no other format
        for name in parameters:
            if name not in model_type.parameters:
                param = voice_param if name == "voice" else name
                raise _refused(param, f"{model.id} does not take {param}: it takes {', '.join(model_type.parameters)}")
        if "voice" in parameters and parameters["voice"] not in model_type.voices:
            raise _refused(voice_param, f"{voice_param} must be one of {', '.join(model_type.voices)} for {model.id}")
        self._check_format()
        return {model_type.text: self.text, **_renamed(parameters)}

    def _check_format(self) -> None:
        """Raises ApiError `invalid_request` for options that the encoding does not have."""
        options = {"container": self.container, "sample_rate": self.sample_rate, "bit_rate": self.bit_rate}
        requested = {name: value for name, value in options.items() if value is not None}
        if self.encoding is None:
            if requested:
                name = next(iter(requested))
                raise _refused("encoding", f"encoding is required with {name}, whose values depend on it")
            return
        encoding = ENCODINGS[self.encoding]
        allowed: dict[str, Sequence[Any]] = {
            "container": encoding.containers,
            "sample_rate": encoding.sample_rates,
            "bit_rate": encoding.bit_rates,
        }
        for name, value in requested.items():
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
