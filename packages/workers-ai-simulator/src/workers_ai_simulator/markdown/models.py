"""Data of toMarkdown: the files to convert, and the options of their conversion."""

from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class InputFile:
    """A file as the caller sent it."""

    name: str
    mime_type: str
    """Type that the sender declares: it may be empty or wrong, and may have parameters."""
    content: bytes


def section(options: dict[str, Any], *path: str) -> dict[str, Any]:
    """Object at a path of the options; empty if there is none."""
    value: Any = options
    for name in path:
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
