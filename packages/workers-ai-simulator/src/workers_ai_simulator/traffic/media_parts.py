"""Images and sounds in bodies: the body itself, or texts and lists of bytes in its JSON."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from workers_ai_simulator.http import json_value
from workers_ai_simulator.media import Media

SIGNATURES: tuple[tuple[bytes, int, bytes, str], ...] = (
    # beginning, place of the second sign, second sign, media type
    (b"\x89PNG\r\n\x1a\n", 0, b"", "image/png"),
    (b"\xff\xd8\xff", 0, b"", "image/jpeg"),
    (b"GIF8", 0, b"", "image/gif"),
    (b"RIFF", 8, b"WEBP", "image/webp"),
    (b"RIFF", 8, b"WAVE", "audio/wav"),
    (b"ID3", 0, b"", "audio/mpeg"),
    (b"\xff\xfb", 0, b"", "audio/mpeg"),
    (b"OggS", 0, b"", "audio/ogg"),
    (b"fLaC", 0, b"", "audio/flac"),
)
"""Signatures by which files are recognised. SVG is not among them, since it may hold scripts."""
MIN_LENGTH = 32
"""Characters of a text, or numbers of a list, that may be a file."""
HEAD = 16
"""Bytes by which a file is recognised."""
MAX_PARTS = 16
"""Images and sounds that are looked for in a body."""


@dataclass(frozen=True)
class MediaPart:
    """An image or a sound in a body."""

    place: str
    """Where it is in the JSON, such as `/result/image`; empty if it is the whole body."""
    media: Media


def media_parts(body: bytes) -> list[MediaPart]:
    """Images and sounds in a body, in their order, at most `MAX_PARTS`."""
    if kind := _media_type(body[:HEAD]):
        return [MediaPart("", Media(body, kind))]
    try:
        value = json_value(body)
    except ValueError:
        return []
    return list(islice(_in_json("", value), MAX_PARTS))


def _in_json(place: str, value: Any) -> Iterator[MediaPart]:
    media = _from_text(value) if isinstance(value, str) else None
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value).items()
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        media = _from_numbers(items)
        inner = () if items and isinstance(items[0], int | float) else enumerate(items)
    if media:
        yield MediaPart(place, media)
    for name, each in inner:
        yield from _in_json(f"{place}/{name}", each)


def _from_text(text: str) -> Media | None:
    """The file that a text has as base64, alone or as a `data:` address; None if it has none."""
    if len(text) < MIN_LENGTH:
        return None
    start = text.index(",") + 1 if text.startswith("data:") and "," in text[:100] else 0
    try:
        kind = _media_type(base64.b64decode(text[start : start + 24], validate=True))
        return Media(base64.b64decode(text[start:]), kind) if kind else None
    except (binascii.Error, ValueError):
        return None


def _from_numbers(items: list[Any]) -> Media | None:
    """The file whose bytes a list has as numbers, as Workers AI takes images and sounds; None if it is no file."""
    try:
        kind = _media_type(bytes(items[:HEAD])) if len(items) >= MIN_LENGTH else None
        return Media(bytes(items), kind) if kind else None
    except (TypeError, ValueError):
        return None


def _media_type(head: bytes) -> str | None:
    return next(
        (kind for start, at, sign, kind in SIGNATURES if head.startswith(start) and head[at:].startswith(sign)), None
    )
