"""Transcripts of the models for speech to text, in one shape for all models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiworker.models.completion import objects

SENTENCE_ENDS = (".", "!", "?", "。", "！", "？")
MAX_SEGMENT_LENGTH = 20
"""Words of a segment made of words, where no sentence ends before: two lines of a subtitle."""
MAX_SECONDS = 1e9
"""Bound of a valid time, in seconds; parts with a time beyond it count as parts without times."""
PAUSE = 1.0
"""Seconds of silence that end a segment."""

Timed = dict[str, Any]
"""`start` and `end` in seconds, with a `word` or a `text`."""


@dataclass(frozen=True)
class Transcript:
    """The transcript of a recording. Models that return no times leave segments and words empty."""

    text: str
    segments: list[Timed] = field(default_factory=list[Timed])
    words: list[Timed] = field(default_factory=list[Timed])
    language: str | None = None
    """Language that the model has recognised; None if it does not say."""
    duration: float | None = None
    """Seconds of the recording, if the model reports them."""

    @property
    def end(self) -> float | None:
        """Seconds at which the last word or segment ends; None without times."""
        return max((each["end"] for each in (*self.words, *self.segments)), default=None)

    def shift(self, seconds: float) -> "Transcript":
        """Return the transcript with all times later by these seconds, as a part of a longer recording."""
        segments, words = ([_shift(each, seconds) for each in times] for times in (self.segments, self.words))
        return Transcript(self.text, segments, words, self.language, self.duration)


def join(parts: Sequence[Transcript]) -> Transcript:
    """Join the transcripts of a recording's pieces, in order; the language is the first that was recognised."""
    return Transcript(
        " ".join(part.text for part in parts if part.text),
        [segment for part in parts for segment in part.segments],
        [word for part in parts for word in part.words],
        next((part.language for part in parts if part.language and part.text), None),
    )


def to_vtt(segments: Iterable[Timed]) -> str:
    """Return the segments as subtitles in WebVTT."""
    cues = [
        f"{_format_time(each['start'])} --> {_format_time(each['end'])}\n{_escape(each['text'])}\n" for each in segments
    ]
    return "\n".join(["WEBVTT\n", *cues])


def to_srt(segments: Iterable[Timed]) -> str:
    """Return the segments as subtitles in SubRip."""
    cues = [
        f"{number}\n{_format_time(each['start'])} --> {_format_time(each['end'])}".replace(".", ",")
        + f"\n{each['text']}\n"
        for number, each in enumerate(segments, 1)
    ]
    return "\n".join(cues)


# ---- answers of each family of models ----------------------------------------------------------------------------


def read_whisper(answer: Mapping[str, Any]) -> Transcript:
    """Read an answer of whisper: a text and words."""
    words = _to_words(answer.get("words"))
    return Transcript(_to_text(answer.get("text")), _to_segments(words), words)


def read_english_whisper(answer: Mapping[str, Any]) -> Transcript:
    """Read an answer of a whisper that knows only English."""
    return replace(read_whisper(answer), language="en")


def read_whisper_turbo(answer: Mapping[str, Any]) -> Transcript:
    """Read an answer of whisper-large-v3-turbo: a text, segments with words, language and duration."""
    info = _first([answer.get("transcription_info")])
    segments = objects(answer.get("segments"))
    return Transcript(
        _to_text(answer.get("text")),
        [{**_start_and_end(each), "text": _to_text(each.get("text"))} for each in segments if _is_timed(each)],
        [word for each in segments for word in _to_words(each.get("words"))],
        _to_text(info.get("language")) or None,
        info["duration"] if _is_time(info.get("duration")) else None,
    )


def read_nova(answer: Mapping[str, Any]) -> Transcript:
    """Read an answer of nova-3: the best alternative of the first channel."""
    results = _first([answer.get("results")])
    channel = _first(results.get("channels"))
    best = _first(channel.get("alternatives"))
    words = _to_words(best.get("words"))
    return Transcript(
        _to_text(best.get("transcript")), _to_segments(words), words, _to_text(channel.get("detected_language")) or None
    )


def _first(value: object) -> Mapping[str, Any]:
    """Return the first object of a list; an empty one if there is none."""
    return next(iter(objects(value)), dict[str, Any]())


def _to_words(value: object) -> list[Timed]:
    return [_to_word(each) for each in objects(value) if _is_timed(each)]


def _to_word(item: Mapping[str, Any]) -> Timed:
    # nova-3's plain words have neither capitals nor commas
    word = {"word": _to_text(item.get("punctuated_word") or item.get("word")), **_start_and_end(item)}
    return {**word, "speaker": item["speaker"]} if "speaker" in item else word


def _to_segments(words: Sequence[Timed]) -> list[Timed]:
    """Group words into segments, which end with a sentence, at a pause, or where another speaker begins."""
    groups: list[list[Timed]] = []
    for word in words:
        if not groups or _ends_segment(groups[-1], word):
            groups.append([])
        groups[-1].append(word)
    return [
        {"start": group[0]["start"], "end": group[-1]["end"], "text": " ".join(word["word"] for word in group)}
        for group in groups
    ]


def _ends_segment(group: Sequence[Timed], following: Timed) -> bool:
    last = group[-1]
    return (
        last["word"].endswith(SENTENCE_ENDS)
        or len(group) == MAX_SEGMENT_LENGTH
        or following["start"] - last["end"] > PAUSE
        or following.get("speaker") != last.get("speaker")
    )


def _to_text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _is_timed(item: Mapping[str, Any]) -> bool:
    return all(_is_time(item.get(name)) for name in ("start", "end"))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and -MAX_SECONDS < value < MAX_SECONDS


def _start_and_end(item: Mapping[str, Any]) -> Timed:
    return {"start": item["start"], "end": item["end"]}


def _shift(timed: Timed, seconds: float) -> Timed:
    return {**timed, "start": round(timed["start"] + seconds, 3), "end": round(timed["end"] + seconds, 3)}


def _format_time(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds / 1000:06.3f}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
