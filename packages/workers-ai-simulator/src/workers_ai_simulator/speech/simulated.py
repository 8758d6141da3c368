"""Speech without models: text spoken as soft tones, and recordings transcribed.

The inputs of each model are documented in https://developers.cloudflare.com/workers-ai/models/ (the JSON schema of its
page) and in `AiModels` of `@cloudflare/workers-types`. Speech of this simulator is transcribed exactly,
because its files contain their text; other recordings are transcribed only by a real engine (speech/local.py).
"""

import base64
import hashlib
import io
import math
import re
import struct
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from tinytag import TinyTag, UnsupportedFormatError

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.media import Media
from workers_ai_simulator.validation import (
    base64_input,
    byte_input,
    choice_input,
    invalid,
    mismatch,
    number_input,
    required,
    text_input,
)

Samples = NDArray[np.int16]
Pronounce = Callable[[str, str, int], Samples]
"""Speaks a text by a voice, at a rate of samples a second."""

GENERATOR = "workers-ai-simulator"

# ---- text to speech ----------------------------------------------------------------------------------------------

ENCODINGS = ("linear16", "flac", "mulaw", "alaw", "mp3", "opus", "aac")
CONTAINERS = ("none", "wav", "ogg")

SPEAKERS = {
    "@cf/deepgram/aura-1": "angus asteria arcas orion orpheus athena luna zeus perseus helios hera stella",
    "@cf/deepgram/aura-2-en": (
        "luna amalthea andromeda apollo arcas aries asteria athena atlas aurora callista cora cordelia delia draco "
        "electra harmonia helena hera hermes hyperion iris janus juno jupiter mars minerva neptune odysseus ophelia "
        "orion orpheus pandora phoebe pluto saturn thalia theia vesta zeus"
    ),
    "@cf/deepgram/aura-2-es": "aquila sirio nestor carina celeste alvaro diana selena estrella javier",
}
"""Model → its voices; the first is the default."""

MAX_TEXT_LENGTH = 2000
"""Characters of a text for aura: Deepgram's limit of one request, https://developers.deepgram.com/docs/text-to-speech."""
MAX_PROMPT_LENGTH = 5000
"""Characters of a prompt for melotts: this simulator's own limit, since upstream documents none."""


@dataclass(frozen=True)
class Encoding:
    """Encoding of samples in a WAV file."""

    format_tag: int
    bytes_per_sample: int
    rates: tuple[int, ...]
    """Its sample rates, the first the default; https://developers.deepgram.com/docs/tts-media-output-settings"""
    raw_type: str
    """Content type of bare samples, without a container."""
    encode: Callable[[Samples], bytes]


def speak(model: Model, inputs: dict[str, Any], pronounce: Pronounce | None = None) -> dict[str, Any] | Media:
    """Answer text-to-speech with a soft tone for each syllable, the same for the same voice and text.

    `pronounce` speaks in place of the tones.

    melotts: `prompt` (1 to 5000 characters), `lang` → `{audio: base64}`. aura: `text` (1 to 2000), `speaker`,
    `encoding`, `container`, `sample_rate`, `bit_rate` → the sound. The sound is a WAV file that contains its text, also
    for MP3, Opus, AAC and FLAC, which are not encoded; linear16, mulaw and alaw without a container are bare samples.

    Raises UpstreamError 5006 for inputs that the model does not take.
    """
    pronounce = pronounce or tones
    if model.id not in SPEAKERS:
        text = text_input(inputs, "prompt", max_length=MAX_PROMPT_LENGTH)
        language = text_input(inputs, "lang", "en")
        sound = _wav(PCM, PCM.rates[0], pronounce(text, f"{model.id} {language}", PCM.rates[0]), text)
        return {"audio": base64.b64encode(sound).decode()}
    text = text_input(inputs, "text", max_length=MAX_TEXT_LENGTH)
    voices = tuple(SPEAKERS[model.id].split())
    voice = choice_input(inputs, "speaker", voices) or voices[0]
    name = choice_input(inputs, "encoding", ENCODINGS)
    container = choice_input(inputs, "container", CONTAINERS)
    number_input(inputs, "bit_rate", None, 0)
    encoding = WAV_ENCODINGS.get(name or "", PCM)
    rate = _rate(inputs, encoding) if name in WAV_ENCODINGS else PCM.rates[0]
    samples = pronounce(text, f"{model.id} {voice}", rate)
    if container == "none" and name in WAV_ENCODINGS:
        return Media(encoding.encode(samples), encoding.raw_type.format(rate=rate))
    return Media(_wav(encoding, rate, samples, text), "audio/wav")


def _rate(inputs: dict[str, Any], encoding: Encoding) -> int:
    rate = number_input(inputs, "sample_rate", encoding.rates[0])
    if rate not in encoding.rates:
        raise invalid(f"enum {rate} not in {','.join(map(str, encoding.rates))}")
    return int(rate)


def _linear(samples: Samples) -> bytes:
    return samples.astype("<i2").tobytes()


def _mu_law(samples: Samples) -> bytes:
    """Eight bits a sample, by the µ-law of ITU-T G.711."""
    size = np.minimum(np.abs(samples.astype(np.int32)), 32635) + 132
    exponent = np.log2(size).astype(np.int32) - 7
    mantissa = (size >> (exponent + 3)) & 0x0F
    return (~(np.where(samples < 0, 0x80, 0) | exponent << 4 | mantissa)).astype(np.uint8).tobytes()


def _a_law(samples: Samples) -> bytes:
    """Eight bits a sample, by the A-law of ITU-T G.711."""
    wide = samples.astype(np.int32)
    size = np.where(wide < 0, ~wide, wide) >> 4
    exponent = np.maximum(np.log2(np.maximum(size, 1)).astype(np.int32) - 3, 0)
    mantissa = (size >> np.maximum(exponent - 1, 0)) & 0x0F
    return ((np.where(wide < 0, 0, 0x80) | exponent << 4 | mantissa) ^ 0x55).astype(np.uint8).tobytes()


PCM = Encoding(1, 2, (24_000, 8_000, 16_000, 32_000, 48_000), "audio/l16;rate={rate};channels=1", _linear)
WAV_ENCODINGS = {
    "linear16": PCM,
    "mulaw": Encoding(7, 1, (8_000, 16_000), "audio/basic;rate={rate}", _mu_law),
    "alaw": Encoding(6, 1, (8_000, 16_000), "audio/x-alaw-basic;rate={rate}", _a_law),
}


def _wav(encoding: Encoding, rate: int, samples: Samples, text: str) -> bytes:
    """WAV file, whose comment (LIST/INFO, ICMT) is the spoken text."""
    format_chunk = struct.pack(
        "<HHIIHHH",
        encoding.format_tag,
        1,
        rate,
        rate * encoding.bytes_per_sample,
        encoding.bytes_per_sample,
        8 * encoding.bytes_per_sample,
        0,
    )
    notes = _chunk(b"ISFT", f"{GENERATOR} (simulated speech)\0".encode())
    notes += _chunk(b"ICMT", text.encode("utf-8", "replace") + b"\0")
    body = b"WAVE" + _chunk(b"fmt ", format_chunk) + _chunk(b"fact", struct.pack("<I", len(samples)))
    body += _chunk(b"LIST", b"INFO" + notes) + _chunk(b"data", encoding.encode(samples))
    return _chunk(b"RIFF", body)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


SYLLABLE = re.compile(
    r"[^aeiouyáéíóúäöüàèìòùâêîôû\W]*[aeiouyáéíóúäöüàèìòùâêîôû]+(?:[^\Waeiouy]+$)?|\w{1,2}", re.IGNORECASE
)
SYLLABLE_SECONDS = 0.17
PAUSES = {",": 0.15, ";": 0.2, ":": 0.2, ".": 0.35, "!": 0.35, "?": 0.35, "。": 0.35}
WORD_PAUSE = 0.06
SCALE = (0, 2, 4, 7, 9)
"""Semitones above the voice's own pitch: a pentatonic scale, of which any order is pleasant."""


def tones(text: str, voice: str, rate: int) -> Samples:
    """Samples of a text: a tone for each syllable, a silence after each word, a longer one after a sentence."""
    voice_pitch = 130 * 2 ** (digest(voice)[0] / 256)
    parts = [_silence(0.08, rate)]
    for word in text.split():
        syllables = SYLLABLE.findall(word)
        for place, syllable in enumerate(syllables):
            step = SCALE[digest(syllable.lower())[0] % len(SCALE)]
            glide = 1.0 if place < len(syllables) - 1 else 1.06 if word.endswith("?") else 0.96
            parts.append(_tone(voice_pitch * 2 ** (step / 12), glide, rate))
        parts.append(_silence(PAUSES.get(word[-1], WORD_PAUSE), rate))
    return (np.concatenate(parts) * 9000).astype(np.int16)


def _tone(pitch: float, glide: float, rate: int) -> NDArray[np.floating]:
    """One syllable: a few harmonics, faded at both ends, whose pitch in hertz ends at `glide` times its start."""
    count = int(SYLLABLE_SECONDS * rate)
    along = np.linspace(0, 1, count)
    phase = np.cumsum(math.tau * pitch * (1 + (glide - 1) * along) / rate)
    wave = sum(np.sin(phase * harmonic) / harmonic**1.7 for harmonic in range(1, 6) if pitch * harmonic < rate / 2)
    return wave * np.sin(math.pi * along) ** 0.6


def _silence(seconds: float, rate: int) -> NDArray[np.floating]:
    return np.zeros(int(seconds * rate))


def digest(text: str) -> bytes:
    """Bytes by which a voice or a syllable gets its pitch."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


# ---- speech to text ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """The facts that are known about a recording."""

    seconds: float
    text: str | None = None
    """Its words, if this simulator spoke it or an engine recognised it; else None."""


Word = dict[str, Any]


_engine: ContextVar[Callable[[bytes], str] | None] = ContextVar("engine", default=None)
"""Engine of the current call, which transcribes recordings that this simulator did not make."""


_dictated: ContextVar[str | None] = ContextVar("dictated", default=None)
"""Transcript of the current call, whatever the recording is."""


def transcribe(
    model: Model,
    inputs: dict[str, Any],
    recognise: Callable[[bytes], str] | None = None,
    dictated: str | None = None,
) -> dict[str, Any]:
    """Answer speech-to-text: the words of this simulator's own speech; for other sounds a sentence with their length.

    `audio` is [bytes], bytes, base64 or `{body, contentType}` with one of these. The words are spread over the length
    of the recording, in order and without overlap.

    whisper, whisper-tiny-en → `{text, word_count, words, vtt}`; whisper-large-v3-turbo, with `task`, `language`,
    `prefix` and others → `{transcription_info, text, word_count, segments, vtt}`; nova-3 → `{results}`; flux →
    the event `EndOfTurn`; nemotron-speech, with `encoding`, `sample_rate`, `channels` → `{text, duration}`.

    recognise: an engine that transcribes the other sounds. dictated: the transcript, whatever the recording is.

    Raises UpstreamError 5006 for inputs that the model does not take, 5004 for bad base64, 3030 for a sound that
    cannot be read.
    """
    engine, transcript = _engine.set(recognise), _dictated.set(dictated)
    try:
        return TRANSCRIBERS[model.id](inputs)
    finally:
        _engine.reset(engine)
        _dictated.reset(transcript)


def _whisper(inputs: dict[str, Any]) -> dict[str, Any]:
    recording = read_recording(_audio(inputs))
    words = words_in_time(text_of(recording), recording.seconds)
    return {
        "text": _joined(words),
        "word_count": len(words),
        "words": words,
        "vtt": _vtt(_segments(words)),
    }


TURBO_PARAMETERS: dict[str, type] = {
    "language": str,
    "initial_prompt": str,
    "prefix": str,
    "vad_filter": bool,
    "condition_on_previous_text": bool,
    "beam_size": float,
    "no_speech_threshold": float,
    "compression_ratio_threshold": float,
    "log_prob_threshold": float,
    "hallucination_silence_threshold": float,
}


def _whisper_turbo(inputs: dict[str, Any]) -> dict[str, Any]:
    _check_types(inputs, TURBO_PARAMETERS)
    choice_input(inputs, "task", ("transcribe", "translate"))
    recording = read_recording(_audio(inputs))
    words = words_in_time(f"{inputs.get('prefix') or ''} {text_of(recording)}", recording.seconds)
    segments = _segments(words)
    length = round(recording.seconds, 3)
    return {
        "transcription_info": {
            "language": inputs.get("language") or "en",
            "language_probability": 1.0,
            "duration": length,
            "duration_after_vad": length,
        },
        "text": _joined(words),
        "word_count": len(words),
        "segments": [_segment_json(segment) for segment in segments],
        "vtt": _vtt(segments),
    }


NOVA_CHOICES = {
    "custom_topic_mode": ("extended", "strict"),
    "custom_intent_mode": ("extended", "strict"),
    "encoding": ("linear16", "flac", "mulaw", "amr-nb", "amr-wb", "opus", "speex", "g729"),
    "mode": ("general", "medical", "finance"),
}
NOVA_PARAMETERS: dict[str, type] = {
    **dict.fromkeys(("custom_topic", "custom_intent", "extra", "keyterm", "keywords", "language", "redact"), str),
    **dict.fromkeys(("detect_language", "diarize", "punctuate", "smart_format", "paragraphs", "utterances"), bool),
    **dict.fromkeys(("channels", "utt_split"), float),
}


def _nova(inputs: dict[str, Any]) -> dict[str, Any]:
    _check_types(inputs, NOVA_PARAMETERS)
    for name, choices in NOVA_CHOICES.items():
        choice_input(inputs, name, choices)
    recording = read_recording(_audio(inputs))
    words = [{**word, "confidence": 1.0} for word in words_in_time(text_of(recording), recording.seconds)]
    alternative = {"transcript": _joined(words), "confidence": 1.0, "words": words}
    return {"results": {"channels": [{"alternatives": [alternative]}]}}


NEMOTRON_DEFAULTS = {"sample_rate": 16_000, "channels": 1}
"""Parameter of bare samples → its default. The model was trained on 16 kHz; Workers AI documents no defaults."""


def _flux(inputs: dict[str, Any]) -> dict[str, Any]:
    required(inputs, "encoding", "sample_rate")
    choice_input(inputs, "encoding", ("linear16",))
    rate = text_input(inputs, "sample_rate")
    if not rate.isdecimal() or not int(rate):
        raise invalid(f"'/sample_rate' does not match '^[1-9][0-9]*$': {rate}")
    audio = _audio(inputs)
    recording = read_recording(audio) if audio.startswith(b"RIFF") else Recording(len(audio) / 2 / int(rate))
    if not recording.seconds:
        raise _unreadable("it holds no sound")
    words = words_in_time(text_of(recording), recording.seconds)
    return {
        "request_id": str(uuid.UUID(bytes=hashlib.sha256(audio).digest()[:16])),
        "sequence_id": 0,
        "event": "EndOfTurn",
        "turn_index": 0,
        "audio_window_start": 0.0,
        "audio_window_end": round(recording.seconds, 3),
        "transcript": _joined(words),
        "words": [{"word": word["word"], "confidence": 1.0} for word in words],
        "end_of_turn_confidence": 1.0,
    }


def _nemotron(inputs: dict[str, Any]) -> dict[str, Any]:
    choice_input(inputs, "encoding", ("wav", "flac", "ogg", "linear16"))
    rate, channels = (number_input(inputs, name, default, 1) or 1 for name, default in NEMOTRON_DEFAULTS.items())
    audio = _audio(inputs)
    bare = inputs.get("encoding") == "linear16" and not audio.startswith(b"RIFF")
    recording = Recording(len(audio) / 2 / rate / channels) if bare else read_recording(audio)
    if not recording.seconds:
        raise _unreadable("it holds no sound")
    return {"text": text_of(recording), "duration": round(recording.seconds, 3)}


TRANSCRIBERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "@cf/openai/whisper": _whisper,
    "@cf/openai/whisper-tiny-en": _whisper,
    "@cf/openai/whisper-large-v3-turbo": _whisper_turbo,
    "@cf/deepgram/nova-3": _nova,
    "@cf/deepgram/flux": _flux,
    "@cf/nvidia/nemotron-speech-streaming-en-0.6b": _nemotron,
}


def _audio(inputs: dict[str, Any]) -> bytes:
    required(inputs, "audio")
    audio: Any = inputs["audio"]
    path = "/audio"
    if isinstance(audio, dict):
        source = cast("dict[str, Any]", audio)
        required(source, "body", "contentType", at=path)
        audio, path = source["body"], f"{path}/body"
    return base64_input(audio, path) if isinstance(audio, str) else byte_input(audio, path)


def _check_types(inputs: dict[str, Any], types: dict[str, type]) -> None:
    for name, kind in types.items():
        value: Any = inputs.get(name)
        if kind is float:
            number_input(inputs, name, None)
        elif value is not None and not isinstance(value, kind):
            raise mismatch(f"/{name}", value, "boolean" if kind is bool else "string")


# ---- words and their times ---------------------------------------------------------------------------------------

PHRASE = "This is a simulated transcript of {seconds:.1f} seconds of audio."
PHRASE_SECONDS = 5.0
"""Seconds that it takes to say the phrase, about: it is repeated for each such part of the recording."""
MAX_PHRASES = 2000
"""Repetitions at most, whatever length a file declares."""


def text_of(recording: Recording) -> str:
    if (dictated := _dictated.get()) is not None:
        return dictated
    phrase = PHRASE.format(seconds=recording.seconds)
    times = min(max(1, round(recording.seconds / PHRASE_SECONDS)), MAX_PHRASES)
    return (recording.text or "").strip() or " ".join([phrase] * times)


def words_in_time(text: str, seconds: float) -> list[Word]:
    """Words with their start and end in seconds, in proportion to their lengths, over the whole recording."""
    words = text.split()
    ends = np.cumsum([len(word) + 1 for word in words], dtype=float)
    times = [0.0, *(math.floor(100 * seconds * end / ends[-1]) / 100 for end in ends)]
    return [{"word": word, "start": times[i], "end": times[i + 1]} for i, word in enumerate(words)]


def _joined(words: list[Word]) -> str:
    return " ".join(word["word"] for word in words)


MAX_SEGMENT_WORDS = 14


def _segments(words: list[Word]) -> list[list[Word]]:
    """Words grouped by sentence; long sentences are split."""
    segments: list[list[Word]] = [[]]
    for word in words:
        last = segments[-1]
        if len(last) == MAX_SEGMENT_WORDS or (last and last[-1]["word"].endswith((".", "!", "?", "。"))):
            segments.append([])
        segments[-1].append(word)
    return segments


def _segment_json(words: list[Word]) -> dict[str, Any]:
    """A segment of whisper-large-v3-turbo."""
    text = _joined(words).encode("utf-8", "replace")
    return {
        "start": words[0]["start"],
        "end": words[-1]["end"],
        "text": _joined(words),
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 3),
        "no_speech_prob": 0.0,
        "words": words,
    }


def _vtt(segments: list[list[Word]]) -> str:
    cues = [f"{_clock(words[0]['start'])} --> {_clock(words[-1]['end'])}\n{_joined(words)}\n" for words in segments]
    return "WEBVTT\n\n" + "\n".join(cues)


def _clock(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds / 1000:06.3f}"


# ---- length of a recording ---------------------------------------------------------------------------------------

USUAL_BIT_RATE = 32_000
"""Bits per second of browsers' recorders, for files that do not declare their length."""


def _unreadable(reason: str) -> UpstreamError:
    return UpstreamError(400, 3030, f"Invalid audio: {reason}")


def read_recording(audio: bytes) -> Recording:
    """Length of a recording by the headers of its file, and its text if this simulator spoke it or an engine can tell.

    Raises UpstreamError 3030 if it is empty, broken, or of an unknown format.
    """
    try:
        recording = _recording(audio)
    except UpstreamError:
        raise
    except Exception as error:  # each format has its own kinds
        raise _unreadable("the data is broken") from error
    if not 0 < recording.seconds < math.inf:
        raise _unreadable("it holds no sound")
    recognise = _engine.get()
    if recognise is None or recording.text:
        return recording
    return Recording(recording.seconds, recognise(audio))


def _recording(audio: bytes) -> Recording:
    if audio[:4] == b"RIFF" and audio[8:12] == b"WAVE":
        return _wave(audio)
    if audio[:4] == b"\x1a\x45\xdf\xa3":
        return Recording(_webm_seconds(audio))
    if audio[:1] == b"\xff" and audio[1:2] and audio[1] & 0xF6 == 0xF0:
        return Recording(_adts_seconds(audio))
    try:
        seconds = TinyTag.get(file_obj=io.BytesIO(audio), tags=False).duration
    except UnsupportedFormatError:
        raise _unreadable("the format is none of those known: WAV, MP3, OGG, FLAC, WebM, M4A, AAC") from None
    if not seconds and (audio[4:8] == b"ftyp" or audio[:4] == b"fLaC"):  # written before the length is known
        seconds = 8 * len(audio) / USUAL_BIT_RATE
    return Recording(seconds or 0)


def _wave(audio: bytes) -> Recording:
    """Recording in a RIFF file, by its chunks. A truncated file is as long as the part that is there."""
    rate = size = 0
    text = None
    for name, content in _chunks(audio, 12):
        if name == b"fmt ":
            rate = struct.unpack_from("<I", content, 8)[0]
        elif name == b"data":
            size += len(content)
        elif name == b"LIST" and content[:4] == b"INFO":
            notes = dict(_chunks(content, 4))
            if notes.get(b"ISFT", b"").startswith(GENERATOR.encode()):
                text = notes[b"ICMT"].rstrip(b"\0").decode()
    return Recording(size / rate, text)


def _chunks(content: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        yield name, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


ADTS_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
"""Samples per second by their index in the head of a frame: ISO/IEC 14496-3, table 1.18."""
ADTS_SAMPLES = 1024
"""Samples of a block of AAC, of which a frame has one to four."""


def _adts_seconds(audio: bytes) -> float:
    """Seconds of bare AAC, by the heads of its frames (ADTS, ISO/IEC 14496-3, 1.A.2.2). A partial frame counts, too."""
    seconds, at = 0.0, 0
    while at + 7 <= len(audio) and audio[at] == 0xFF and audio[at + 1] & 0xF6 == 0xF0:
        head = int.from_bytes(audio[at : at + 7])
        rate, size, blocks = head >> 34 & 0xF, head >> 13 & 0x1FFF, (head & 3) + 1
        seconds += blocks * ADTS_SAMPLES / ADTS_RATES[rate]
        at += max(size, 7)
    return seconds


# Elements of Matroska, https://www.matroska.org/technical/elements.html
SEGMENT, INFO, CLUSTER, BLOCK_GROUP = 0x18538067, 0x1549A966, 0x1F43B675, 0xA0
TIMESTAMP_SCALE, DURATION, CLUSTER_TIME, BLOCK, SIMPLE_BLOCK = 0x2AD7B1, 0x4489, 0xE7, 0xA1, 0xA3

BLOCK_MILLISECONDS = 20
"""Usual length of a block of Opus."""


def _webm_seconds(audio: bytes) -> float:
    """Seconds that a WebM file declares, or else those of its blocks: browsers' recorders declare none."""
    scale, declared, cluster, last, at = 1_000_000, 0.0, 0, 0.0, 0
    while at < len(audio):
        element, at = _variable(audio, at, keep_marker=True)
        size, at = _variable(audio, at, keep_marker=False)
        if element in (SEGMENT, INFO, CLUSTER, BLOCK_GROUP):
            continue  # go on with the elements inside: recorders leave the size of these open
        content = audio[at : at + size]
        at += size
        if element == TIMESTAMP_SCALE:
            scale = int.from_bytes(content)
        elif element == DURATION:
            declared = struct.unpack(">f" if size == 4 else ">d", content)[0]
        elif element == CLUSTER_TIME:
            cluster = int.from_bytes(content)
        elif element in (BLOCK, SIMPLE_BLOCK):
            _, track_end = _variable(content, 0, keep_marker=False)
            last = max(last, cluster + struct.unpack_from(">h", content, track_end)[0] + BLOCK_MILLISECONDS)
    return (declared or last) * scale / 1e9


def _variable(content: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of variable length, whose first bits encode its length; and the position after it."""
    length = 9 - content[at].bit_length()
    number = int.from_bytes(content[at : at + length])
    return (number if keep_marker else number & ~(1 << 7 * length)), at + length
