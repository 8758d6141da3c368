"""Speech by websocket: transcripts while somebody speaks (flux, nova-3), and texts spoken as they come (aura).

The events are Deepgram's, whose models these are, as Cloudflare's example of its realtime API shows some of them:
https://developers.cloudflare.com/ai-gateway/usage/websockets-api/realtime-api/, https://developers.deepgram.com/docs/flux/state,
https://developers.deepgram.com/reference/speech-to-text/listen-streaming and …/text-to-speech/speak-streaming.

Times are measured in the sound, not by a clock: the same bytes always cause the same events, however fast they are
sent.
Speech is distinguished from silence by loudness. The words are those of a scripted answer, else a sentence that says
that it is simulated.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.speech import simulated
from workers_ai_simulator.speech.simulated import PCM, WAV_ENCODINGS, Encoding
from workers_ai_simulator.validation import choice_input, invalid, required

Event = dict[str, Any] | bytes
"""Message to the client: JSON, or sound."""

FLUX, NOVA = "@cf/deepgram/flux", "@cf/deepgram/nova-3"
STT_MODELS = (FLUX, NOVA)
TTS_MODELS = ("@cf/deepgram/aura-1", "@cf/deepgram/aura-2-en", "@cf/deepgram/aura-2-es")

WINDOW_SECONDS = 0.02
"""Length of the pieces of a sound that are loud or silent."""
LOUD = 300
"""Root mean square of the samples of a loud piece, of 32,767: about -40 dB."""
SECONDS_PER_WORD = 0.3
"""Pace at which the words of a turn appear."""
UNPARSABLE = "UNPARSABLE_CLIENT_MESSAGE"
"""Invented code for a text message that the model does not know."""


class Session(Protocol):
    """One connection. `is_closed` is true once the model has ended it."""

    is_closed: bool

    def start(self) -> Iterator[Event]:
        """Events at the beginning."""
        ...

    def hear(self, audio: bytes) -> Iterator[Event]:
        """Events after a binary message."""
        ...

    def read(self, text: str) -> Iterator[Event]:
        """Events after a text message."""
        ...


def session(model: Model, inputs: dict[str, Any], request_id: str, dictated: str | None) -> Session:
    """A connection to the model. dictated: the transcript of each turn, regardless of the audio.

    Raises UpstreamError 5006 if the model has no websocket (invented), or for inputs that it does not take.
    """
    if model.id == FLUX:
        return Flux(inputs, request_id, dictated)
    if model.id == NOVA:
        return Nova(inputs, request_id, dictated)
    if model.id in TTS_MODELS:
        return Aura(model, inputs, request_id)
    raise invalid(f"{model.id} does not support websocket connections")


# ---- inputs --------------------------------------------------------------------------------------------------------


def _number(inputs: dict[str, Any], name: str, default: float | None, minimum: float, maximum: float) -> float | None:
    """The number of that name, which a query has as text. Raises UpstreamError 5006 for anything else."""
    value = inputs.get(name)
    if value is None:
        return default
    try:
        number = float("x" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        raise invalid(f"'/{name}' must be a number: {value}") from None
    if not minimum <= number <= maximum:
        raise invalid(f"'/{name}' must be >= {minimum:g} and <= {maximum:g}")
    return number


def _flag(inputs: dict[str, Any], name: str) -> bool:
    return str(inputs.get(name, False)).lower() == "true"


def _sample_rate(inputs: dict[str, Any], default: float | None = None) -> int:
    rate = _number(inputs, "sample_rate", default, 1, 384_000)
    if rate is None or rate != int(rate):
        raise invalid(f"'/sample_rate' does not match '^[1-9][0-9]*$': {inputs.get('sample_rate')}")
    return int(rate)


def _message(text: str) -> dict[str, Any]:
    """A text message with its `type`; empty if it is none."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict) or not isinstance(cast("dict[str, Any]", value).get("type"), str):
        return {}
    return cast("dict[str, Any]", value)


# ---- loudness ------------------------------------------------------------------------------------------------------


class Listener:
    """Sound as it comes, in pieces that are loud or not. Samples of 16 bits; of other encodings all are loud."""

    def __init__(self, rate: int, bytes_per_sample: int = 2, channels: int = 1) -> None:
        self._size = max(1, int(rate * WINDOW_SECONDS)) * bytes_per_sample * channels
        self._is_linear = bytes_per_sample == 2
        self._rest = b""
        self._pieces = 0

    @property
    def seconds(self) -> float:
        """Seconds heard so far."""
        return round(self._pieces * WINDOW_SECONDS, 3)

    def pieces(self, audio: bytes) -> Iterator[bool]:
        """Whether each further piece is loud."""
        sound = self._rest + audio
        whole = len(sound) // self._size * self._size
        self._rest = sound[whole:]
        for at in range(0, whole, self._size):
            self._pieces += 1
            yield not self._is_linear or _is_loud(sound[at : at + self._size])


def _is_loud(piece: bytes) -> bool:
    samples = np.frombuffer(piece, dtype="<i2").astype(np.float64)
    return float(np.sqrt(np.mean(samples**2))) >= LOUD


def _spoken_words(text: str, seconds: float, is_whole: bool) -> list[str]:
    """Words of a turn after so many seconds of it: all of them at its end, before that one after the other."""
    words = text.split()
    return words if is_whole else words[: max(1, int(seconds / SECONDS_PER_WORD))]


def _transcript(dictated: str | None, seconds: float) -> str:
    return simulated.PHRASE.format(seconds=seconds) if dictated is None else dictated


# ---- flux ----------------------------------------------------------------------------------------------------------

UPDATE_SECONDS = 0.25
SECONDS_OF_CERTAINTY = 1.0
"""Seconds of silence after which the confidence that a turn has ended is 1; it grows evenly. The value is this
simulator's own."""
MAX_CONFIDENCE = 0.99


class Flux:
    """Turns of a conversation: `Connected`, then `TurnInfo` with its event."""

    def __init__(self, inputs: dict[str, Any], request_id: str, dictated: str | None) -> None:
        required(inputs, "encoding", "sample_rate")
        choice_input(inputs, "encoding", ("linear16",))
        self._listener = Listener(_sample_rate(inputs))
        self._thresholds = {
            "eager_eot_threshold": _number(inputs, "eager_eot_threshold", None, 0.3, 0.9),
            "eot_threshold": _number(inputs, "eot_threshold", 0.7, 0.5, 1),
            "eot_timeout_ms": _number(inputs, "eot_timeout_ms", 5000, 500, 60_000),
        }
        self._request_id = request_id
        self._dictated = dictated
        self._sequence = 0
        self._turn = 0
        self._started: float | None = None
        """Start of the turn, in seconds of sound; None between turns."""
        self._spoke_until = 0.0
        self._is_eager = False
        self._last_event = 0.0
        self.is_closed = False

    def start(self) -> Iterator[Event]:
        yield self._numbered({"type": "Connected", "request_id": self._request_id})

    def hear(self, audio: bytes) -> Iterator[Event]:
        for is_loud in self._listener.pieces(audio):
            event = self._spoken() if is_loud else self._silent()
            if event is None and self._listener.seconds - self._last_event >= UPDATE_SECONDS:
                event = "Update"
            if event:
                yield self._info(event)

    def read(self, text: str) -> Iterator[Event]:
        """CloseStream ends the turn and the connection, ForceEndTurn the turn; Configure sets thresholds."""
        message = _message(text)
        match message.get("type"):
            case "CloseStream":
                self.is_closed = True
                if self._started is not None:
                    yield self._info("EndOfTurn")
            case "ForceEndTurn":
                if self._started is not None:
                    yield self._info("EndOfTurn")
            case "Configure":
                yield self._configured(message)
            case _:
                self.is_closed = True
                description = "Expected a message of type CloseStream, ForceEndTurn or Configure"
                yield self._numbered({"type": "Error", "code": UNPARSABLE, "description": description})

    def _spoken(self) -> str | None:
        self._spoke_until = self._listener.seconds
        if self._started is None:
            self._started = max(0.0, round(self._listener.seconds - WINDOW_SECONDS, 3))
            return "StartOfTurn"
        if self._is_eager:
            self._is_eager = False
            return "TurnResumed"
        return None

    def _silent(self) -> str | None:
        if self._started is None:
            return None
        silence = round(self._listener.seconds - self._spoke_until, 3)
        confidence, eager = self._confidence, self._thresholds["eager_eot_threshold"]
        if confidence >= (self._thresholds["eot_threshold"] or 1) or silence * 1000 >= (
            self._thresholds["eot_timeout_ms"] or 0
        ):
            return "EndOfTurn"
        if eager is not None and not self._is_eager and confidence >= eager:
            self._is_eager = True
            return "EagerEndOfTurn"
        return None

    @property
    def _confidence(self) -> float:
        if self._started is None:
            return 0.0
        silence = self._listener.seconds - self._spoke_until
        return round(min(silence / SECONDS_OF_CERTAINTY, MAX_CONFIDENCE), 4)

    def _info(self, event: str) -> Event:
        now = self._listener.seconds
        start = self._last_end if self._started is None else self._started
        spoken = max(self._spoke_until - start, 0.0)
        is_whole = event in ("EagerEndOfTurn", "EndOfTurn") or self._is_eager
        words = [] if self._started is None else _spoken_words(_transcript(self._dictated, spoken), spoken, is_whole)
        info = {
            "type": "TurnInfo",
            "request_id": self._request_id,
            "event": event,
            "turn_index": self._turn,
            "audio_window_start": start,
            "audio_window_end": now,
            "transcript": " ".join(words),
            "words": [{"word": word, "confidence": 1.0} for word in words],
            "end_of_turn_confidence": self._confidence,
        }
        self._last_event = now
        if event == "EndOfTurn":
            self._turn, self._started, self._is_eager, self._last_end = self._turn + 1, None, False, now
        return self._numbered(info)

    _last_end = 0.0
    """End of the last turn, in seconds of sound."""

    def _configured(self, message: dict[str, Any]) -> Event:
        value: Any = message.get("thresholds") or {}
        try:
            if not isinstance(value, dict):
                raise invalid("thresholds: expected an object")
            thresholds = cast("dict[str, Any]", value)
            changed = {
                "eager_eot_threshold": _number(
                    thresholds, "eager_eot_threshold", self._thresholds["eager_eot_threshold"], 0.3, 0.9
                ),
                "eot_threshold": _number(thresholds, "eot_threshold", self._thresholds["eot_threshold"], 0.5, 1),
                "eot_timeout_ms": _number(
                    thresholds, "eot_timeout_ms", self._thresholds["eot_timeout_ms"], 500, 60_000
                ),
            }
        except UpstreamError as error:
            return self._numbered(
                {"type": "ConfigureFailure", "request_id": self._request_id, "description": error.description}
            )
        self._thresholds = changed
        keyterms: Any = message.get("keyterms") or []
        return self._numbered(
            {"type": "ConfigureSuccess", "request_id": self._request_id, "thresholds": changed, "keyterms": keyterms}
        )

    def _numbered(self, event: dict[str, Any]) -> Event:
        self._sequence += 1
        return {**event, "sequence_id": self._sequence - 1}


# ---- nova-3 --------------------------------------------------------------------------------------------------------

INTERIM_SECONDS = 1.0
MIN_ENDPOINTING_SECONDS = 0.4
"""Minimum seconds of silence that end an utterance. Deepgram's default is 10 ms, in which loudness alone cannot find
the end of speech."""
BYTES_PER_SAMPLE = {"linear16": 2, "mulaw": 1, "alaw": 1}


class Nova:
    """Utterances: `Results`, interim and final, and `Metadata` at the end."""

    def __init__(self, inputs: dict[str, Any], request_id: str, dictated: str | None) -> None:
        encoding = choice_input(inputs, "encoding", simulated.NOVA_CHOICES["encoding"])
        self._channels = int(_number(inputs, "channels", 1, 1, 8) or 1)
        self._listener: Listener | None = None
        if encoding in BYTES_PER_SAMPLE:
            self._listener = Listener(_sample_rate(inputs), BYTES_PER_SAMPLE[encoding], self._channels)
        self._has_interim = _flag(inputs, "interim_results")
        self._has_starts = _flag(inputs, "vad_events")
        ends = (
            None if str(inputs.get("endpointing")).lower() == "false" else _number(inputs, "endpointing", 10, 0, 60_000)
        )
        self._endpointing = None if ends is None else max(ends / 1000, MIN_ENDPOINTING_SECONDS)
        self._utterance_end = _number(inputs, "utterance_end_ms", None, 1000, 60_000)
        self._request_id = request_id
        self._dictated = dictated
        self._recording = bytearray()
        """Bytes of a file, which is transcribed only at its end."""
        self._digest = hashlib.sha256()
        self._segment = 0.0
        """Beginning of the utterance, in seconds of sound."""
        self._spoke_until: float | None = None
        """End of the last loud piece of the utterance; None before the first."""
        self._last_word: float | None = None
        """End of the last word for which no `UtteranceEnd` was sent."""
        self._last_interim = 0.0
        self.is_closed = False

    def start(self) -> Iterator[Event]:
        return iter(())

    def hear(self, audio: bytes) -> Iterator[Event]:
        """Events of further sound; an empty message ends the stream."""
        if not audio:
            yield from self._close()
            return
        self._digest.update(audio)
        if self._listener is None:
            self._recording += audio
            return
        for is_loud in self._listener.pieces(audio):
            yield from self._spoken(self._listener.seconds) if is_loud else self._silent(self._listener.seconds)

    def read(self, text: str) -> Iterator[Event]:
        """Finalize ends the utterance, CloseStream the connection; KeepAlive has no answer."""
        match _message(text).get("type"):
            case "KeepAlive":
                return
            case "Finalize":
                yield from self._final(from_finalize=True)
            case "CloseStream":
                yield from self._close()
            case _:
                description = "Expected a message of type KeepAlive, Finalize or CloseStream"
                yield {"type": "Error", "variant": "SchemaError", "description": description, "message": text[:1000]}

    def _spoken(self, now: float) -> Iterator[Event]:
        is_first = self._spoke_until is None
        self._spoke_until = now
        if is_first:
            self._last_interim = now
            if self._has_starts:
                yield {
                    "type": "SpeechStarted",
                    "channel": [0, self._channels],
                    "timestamp": round(now - WINDOW_SECONDS, 3),
                }
        elif self._has_interim and now - self._last_interim >= INTERIM_SECONDS:
            self._last_interim = now
            yield self._results(self._segment, now, is_final=False)

    def _silent(self, now: float) -> Iterator[Event]:
        if (
            self._spoke_until is not None
            and self._endpointing is not None
            and round(now - self._spoke_until, 3) >= self._endpointing
        ):
            yield self._ended(now, speech_final=True)
        elif (
            self._last_word is not None
            and self._utterance_end
            and (now - self._last_word) * 1000 >= self._utterance_end
        ):
            yield {"type": "UtteranceEnd", "channel": [0, self._channels], "last_word_end": self._last_word}
            self._last_word = None

    def _ended(self, now: float, *, speech_final: bool = False, from_finalize: bool = False) -> Event:
        results = self._results(
            self._segment, now, is_final=True, speech_final=speech_final, from_finalize=from_finalize
        )
        self._last_word, self._segment, self._spoke_until = self._spoke_until, now, None
        return results

    def _final(self, *, from_finalize: bool) -> Iterator[Event]:
        """The utterance so far, or the file so far."""
        if self._listener is not None:
            yield self._ended(self._listener.seconds, from_finalize=from_finalize)
        elif self._recording:
            yield from self._file(from_finalize=from_finalize)
        elif from_finalize:
            yield self._results(0, 0, is_final=True, from_finalize=True)

    def _file(self, *, from_finalize: bool) -> Iterator[Event]:
        try:
            recording = simulated.read_recording(bytes(self._recording))
        except UpstreamError as error:
            yield {"type": "Error", "variant": "UnreadableAudio", "description": error.description}
            return
        self._recording.clear()
        text = self._dictated if self._dictated is not None else simulated.text_of(recording)
        yield self._results(0, recording.seconds, is_final=True, from_finalize=from_finalize, text=text)
        self._segment = recording.seconds

    def _close(self) -> Iterator[Event]:
        self.is_closed = True
        if self._recording or self._spoke_until is not None:
            yield from self._final(from_finalize=False)
        yield {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._request_id,
            "sha256": self._digest.hexdigest(),
            "created": "1970-01-01T00:00:00.000Z",
            "duration": self._listener.seconds if self._listener else self._segment,
            "channels": self._channels,
        }

    def _results(
        self,
        start: float,
        end: float,
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
        text: str | None = None,
    ) -> Event:
        """Transcript of a part of the sound: the text, or the words spoken in it."""
        spoken = max((self._spoke_until or start) - start, 0.0) if text is None else end - start
        if text is None and self._spoke_until is not None:
            text = " ".join(_spoken_words(_transcript(self._dictated, spoken), spoken, is_final))
        words = [
            {
                "word": word["word"].lower().strip(".,!?"),
                "start": round(start + word["start"], 3),
                "end": round(start + word["end"], 3),
                "confidence": 1.0,
                "punctuated_word": word["word"],
            }
            for word in simulated.words_in_time(text or "", spoken)
        ]
        alternative = {"transcript": text or "", "confidence": 1.0 if text else 0.0, "words": words}
        return {
            "type": "Results",
            "channel_index": [0, self._channels],
            "duration": round(end - start, 3),
            "start": round(start, 3),
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self._request_id,
                "model_info": {"name": "simulated-nova-3", "version": "simulated", "arch": "nova-3"},
                "model_uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, NOVA)),
            },
        }


# ---- aura ----------------------------------------------------------------------------------------------------------

CHUNK_SECONDS = 0.25
"""Length of the binary messages, about."""


@dataclass(frozen=True)
class Voice:
    """How a connection speaks."""

    model: str
    name: str
    encoding: Encoding
    rate: int


class Aura:
    """Texts that are spoken: `Metadata`, then the sound of each `Flush`, and `Flushed`."""

    def __init__(self, model: Model, inputs: dict[str, Any], request_id: str) -> None:
        voices = tuple(simulated.SPEAKERS[model.id].split())
        name = choice_input(inputs, "encoding", tuple(WAV_ENCODINGS)) or "linear16"
        choice_input(inputs, "container", ("none",))
        encoding = WAV_ENCODINGS.get(name, PCM)
        rate = _sample_rate(inputs, encoding.rates[0])
        if rate not in encoding.rates:
            raise invalid(f"enum {rate} not in {','.join(map(str, encoding.rates))}")
        self._voice = Voice(model.id, choice_input(inputs, "speaker", voices) or voices[0], encoding, rate)
        self._request_id = request_id
        self._texts: list[str] = []
        self._sequence = 0
        self.is_closed = False

    def start(self) -> Iterator[Event]:
        yield {
            "type": "Metadata",
            "request_id": self._request_id,
            "model_name": f"{self._voice.model.rpartition('/')[2]}-{self._voice.name}",
            "model_version": "simulated",
            "model_uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._voice.model} {self._voice.name}")),
        }

    def hear(self, audio: bytes) -> Iterator[Event]:
        yield _warning(f"Expected messages of text, not {len(audio)} bytes")

    def read(self, text: str) -> Iterator[Event]:
        """Speak adds a text, Flush speaks what was added, Clear drops it, Close speaks it and ends the connection."""
        message = _message(text)
        match message.get("type"):
            case "Speak":
                yield from self._add(message.get("text"))
            case "Flush":
                yield from self._flush()
            case "Clear":
                self._texts.clear()
                yield self._numbered("Cleared")
            case "Close":
                self.is_closed = True
                if self._texts:
                    yield from self._flush()
            case _:
                yield _warning("Expected a message of type Speak, Flush, Clear or Close")

    def _add(self, text: Any) -> Iterator[Event]:
        if not isinstance(text, str) or not text.strip():
            yield _warning("Expected a `text` that is not empty")
        elif len(text) > simulated.MAX_TEXT_LENGTH:
            yield _warning(f"The text has {len(text)} characters, more than {simulated.MAX_TEXT_LENGTH}")
        else:
            self._texts.append(text)

    def _flush(self) -> Iterator[Event]:
        voice = self._voice
        text = " ".join(" ".join(self._texts).split())
        self._texts.clear()
        if text:
            sound = voice.encoding.encode(simulated.tones(text, f"{voice.model} {voice.name}", voice.rate))
            size = int(voice.rate * CHUNK_SECONDS) * voice.encoding.bytes_per_sample
            yield from (sound[at : at + size] for at in range(0, len(sound), size))
        yield self._numbered("Flushed")

    def _numbered(self, kind: str) -> Event:
        self._sequence += 1
        return {"type": kind, "sequence_id": self._sequence - 1}


def _warning(description: str) -> Event:
    return {"type": "Warning", "description": description, "code": UNPARSABLE}
