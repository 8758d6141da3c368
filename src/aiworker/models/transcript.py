"""What the models for speech to text have heard, in one shape whatever the model answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiworker.models.completion import objects

SENTENCE_ENDS = (".", "!", "?", "。", "！", "？")
MAX_SEGMENT_LENGTH = 20
"""Words, where a model gives no segments and sentences do not end: two lines of a subtitle."""
LONGEST = 1e9
"""Seconds: what is more is none."""
PAUSE = 1.0
"""Seconds of silence that end a segment."""

Timed = dict[str, Any]
"""`start` and `end` in seconds, with a `word` or a `text`."""


@dataclass(frozen=True)
class Transcript:
    text: str
    segments: list[Timed] = field(default_factory=list[Timed])
    words: list[Timed] = field(default_factory=list[Timed])
    """Without times, if the model gives none, there are no words and no segments."""
    language: str | None = None
    """As the model has recognised it; None where it does not say."""
    duration: float | None = None
    """Seconds, by the model's account."""

    @property
    def end(self) -> float | None:
        """When the last word ends."""
        return max((each["end"] for each in (*self.words, *self.segments)), default=None)

    def shift(self, seconds: float) -> "Transcript":
        """The same, as part of a recording in which so much comes before."""
        segments, words = ([_shift(each, seconds) for each in times] for times in (self.segments, self.words))
        return Transcript(self.text, segments, words, self.language, self.duration)


def join(parts: Sequence[Transcript]) -> Transcript:
    """The transcript of a recording from those of its pieces; its language is the first that was recognised."""
    return Transcript(
        " ".join(part.text for part in parts if part.text),
        [segment for part in parts for segment in part.segments],
        [word for part in parts for word in part.words],
        next((part.language for part in parts if part.language and part.text), None),
    )


def to_vtt(segments: Iterable[Timed]) -> str:
    """The segments as subtitles, in WebVTT."""
    cues = [f"{_clock(each['start'])} --> {_clock(each['end'])}\n{_escaped(each['text'])}\n" for each in segments]
    return "\n".join(["WEBVTT\n", *cues])


def to_srt(segments: Iterable[Timed]) -> str:
    """The segments as subtitles, in SubRip."""
    cues = [
        f"{number}\n{_clock(each['start'])} --> {_clock(each['end'])}".replace(".", ",") + f"\n{each['text']}\n"
        for number, each in enumerate(segments, 1)
    ]
    return "\n".join(cues)


# ---- what each family of models answers --------------------------------------------------------------------------


def read_whisper(answer: Mapping[str, Any]) -> Transcript:
    words = _words(answer.get("words"))
    return Transcript(_text(answer.get("text")), _segments(words), words)


def read_english_whisper(answer: Mapping[str, Any]) -> Transcript:
    heard = read_whisper(answer)
    return Transcript(heard.text, heard.segments, heard.words, "en")


def read_whisper_turbo(answer: Mapping[str, Any]) -> Transcript:
    info = _first([answer.get("transcription_info")])
    segments = objects(answer.get("segments"))
    return Transcript(
        _text(answer.get("text")),
        [{**_times(each), "text": _text(each.get("text"))} for each in segments if _is_timed(each)],
        [word for each in segments for word in _words(each.get("words"))],
        _text(info.get("language")) or None,
        info["duration"] if _is_time(info.get("duration")) else None,
    )


def read_nova(answer: Mapping[str, Any]) -> Transcript:
    results = _first([answer.get("results")])
    channel = _first(results.get("channels"))
    best = _first(channel.get("alternatives"))
    words = _words(best.get("words"))
    return Transcript(
        _text(best.get("transcript")), _segments(words), words, _text(channel.get("detected_language")) or None
    )


def _first(given: object) -> Mapping[str, Any]:
    return next(iter(objects(given)), dict[str, Any]())


def _words(given: object) -> list[Timed]:
    return [_word(each) for each in objects(given) if _is_timed(each)]


def _word(given: Mapping[str, Any]) -> Timed:
    # nova-3's plain words have neither capitals nor commas
    word = {"word": _text(given.get("punctuated_word") or given.get("word")), **_times(given)}
    return {**word, "speaker": given["speaker"]} if "speaker" in given else word


def _segments(words: Sequence[Timed]) -> list[Timed]:
    """Words put together to sentences, parted where somebody pauses or another speaks."""
    groups: list[list[Timed]] = []
    for word in words:
        if not groups or _ends(groups[-1], word):
            groups.append([])
        groups[-1].append(word)
    return [
        {"start": group[0]["start"], "end": group[-1]["end"], "text": " ".join(word["word"] for word in group)}
        for group in groups
    ]


def _ends(group: Sequence[Timed], following: Timed) -> bool:
    last = group[-1]
    return (
        last["word"].endswith(SENTENCE_ENDS)
        or len(group) == MAX_SEGMENT_LENGTH
        or following["start"] - last["end"] > PAUSE
        or following.get("speaker") != last.get("speaker")
    )


def _text(given: object) -> str:
    return given.strip() if isinstance(given, str) else ""


def _is_timed(given: Mapping[str, Any]) -> bool:
    return all(_is_time(given.get(name)) for name in ("start", "end"))


def _is_time(given: object) -> bool:
    return isinstance(given, int | float) and -LONGEST < given < LONGEST


def _times(given: Mapping[str, Any]) -> Timed:
    return {"start": given["start"], "end": given["end"]}


def _shift(timed: Timed, seconds: float) -> Timed:
    return {**timed, "start": round(timed["start"] + seconds, 3), "end": round(timed["end"] + seconds, 3)}


def _clock(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds / 1000:06.3f}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
