"""The folder of an export: the documents' files, and a line of JSON for each document and conversation."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DOCUMENTS, CONVERSATIONS = "documents.jsonl", "conversations.jsonl"


def read(file: Path) -> list[dict[str, Any]]:
    """Return the entries of a file of JSON lines. A line that was cut off by an interruption is left out."""
    if not file.exists():
        return []
    entries: list[dict[str, Any]] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


def write(file: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Replace a file of JSON lines: all of it or nothing."""
    partial = file.with_suffix(".partial")
    partial.write_text("".join(map(line, entries)), encoding="utf-8")
    partial.replace(file)


def append(file: Path, entry: dict[str, Any]) -> None:
    """Add an entry."""
    with file.open("a", encoding="utf-8") as opened:
        opened.write(line(entry))


def line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, sort_keys=True) + "\n"


def file_of(folder: Path, document: dict[str, Any]) -> Path:
    """Return the path of a document's file."""
    return folder / "files" / document["tenant"] / document["id"]
