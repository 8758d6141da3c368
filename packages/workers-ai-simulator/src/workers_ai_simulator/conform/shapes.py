"""The shape of an answer: the kind of each of its fields, without its texts and numbers."""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from workers_ai_simulator.tape.json_text import is_numbers

Shape = dict[str, frozenset[str]]
"""Field, such as `result/usage/total_tokens` → its kind, or several kinds if they vary."""

MISSING = "missing"
CONSTANTS = {"code", "finish_reason", "object", "role", "stop_reason", "success", "type"}
"""Names of fields whose values belong to the shape."""
MEDIA = {
    b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WAV", b"ID3": "MP3", b"\xff\xfb": "MP3", b"\xff\xf3": "MP3",
    b"OggS": "Ogg", b"fLaC": "FLAC",
}  # fmt: skip
"""Beginning of an image or a sound → its format."""
BASE64_BYTES = 48
"""Characters of a text that are decoded to see whether it is an image or a sound."""
DONE = "[DONE]"


def of_json(text: str) -> Shape:
    """Shape of a body that is JSON, or a single field `body text` for one that is not."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {"body text": frozenset({"no JSON" if text else "empty"})}
    return _merged([dict(_fields(value, "", ""))])


def of_media(content: bytes) -> Shape:
    """Shape of an image or a sound: its format."""
    kind = next((name for start, name in MEDIA.items() if content.startswith(start)), "unknown format")
    return {"media format": frozenset({kind if content else "empty"})}


def of_frames(frames: Sequence[str]) -> Shape:
    """Shape of a stream: of the first frame, of all frames of each type, of the last frame, and how it ends."""
    data = [_data(each) for each in frames]
    values = [each for each in data if each not in (None, DONE)]
    shape: Shape = {"stream end": frozenset({DONE if data and data[-1] == DONE else f"without {DONE}"})}
    by_type: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for value in values:
        path = f"frames[{_type(value)}]"
        by_type[path].append(dict(_fields(value, path, "")))
    for of_type in by_type.values():
        shape |= _merged(of_type)
    if values:
        shape |= _merged([dict(_fields(values[0], "first frame", ""))])
        shape |= _merged([dict(_fields(values[-1], "last frame", ""))])
    return shape


def _data(frame: str) -> Any:
    """The data of a frame: a JSON value, or a text; None if there is none."""
    lines = [line.partition(":")[2].strip() for line in frame.splitlines() if line.startswith("data:")]
    if not lines:
        return None
    try:
        return json.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return "\n".join(lines)


def _type(value: Any) -> str:
    """Name of a frame's type, in the dialects that have one."""
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return next((fields[name] for name in ("type", "object") if isinstance(fields.get(name), str)), "")


def _fields(value: Any, path: str, name: str) -> Iterator[tuple[str, str]]:
    """The fields of a JSON value with their kinds. The items of a list are merged."""
    yield path or "body", _kind(value, name)
    if isinstance(value, dict):
        for each, inner in cast("dict[str, Any]", value).items():
            yield from _fields(inner, f"{path}/{each}" if path else each, each)
    elif isinstance(value, list) and not is_numbers(value):
        items = [dict(_fields(each, f"{path}[]", "")) for each in cast("list[Any]", value)]
        for field, kinds in _merged(items).items():
            yield field, " or ".join(sorted(kinds))


def _merged(values: Iterable[dict[str, str]]) -> Shape:
    """The kinds of each field over several values; MISSING among them if one of the values lacks the field."""
    every = [*values]
    names = dict.fromkeys(name for each in every for name in each)
    return {name: frozenset(each.get(name, MISSING) for each in every) for name in names}


def _kind(value: Any, name: str) -> str:
    if name in CONSTANTS and isinstance(value, str | int | None):
        return json.dumps(value, ensure_ascii=False)
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "number"
        case str():
            return _kind_of_text(value)
        case list():
            return _kind_of_list(cast("list[Any]", value))
        case _:
            return "object" if value else "empty object"


def _kind_of_list(items: list[Any]) -> str:
    if not items:
        return "empty list"
    return f"{len(items)} numbers" if is_numbers(items) else "list"


def _kind_of_text(text: str) -> str:
    if len(text) < BASE64_BYTES:
        return "text"
    try:
        start = base64.b64decode(text[:BASE64_BYTES], validate=True)
    except (binascii.Error, ValueError):
        return "text"
    format_ = next((name for begins, name in MEDIA.items() if start.startswith(begins)), None)
    return f"base64 of {format_}" if format_ else "text"
