"""Paths of files in a folder or a form: the ids and the folders of the documents that they become."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from aiworker.rag.document_fields import NAME

FOLDER = "folder"
"""Property of a document's metadata: its folder with a slash at the end, such as `guides/linux/`; none at the top."""
MAX_SLUG_CHARACTERS = 51
"""Characters of an id before its hash; an id has up to 64."""
HASH_CHARACTERS = 12
MAX_TITLE_CHARACTERS = 500


def normalize(path: str) -> str:
    """Return the path with slashes, in Unicode's composed form, and without `.`, `..` and empty parts."""
    parts = unicodedata.normalize("NFC", path).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def document_id(path: str) -> str:
    """Return the id of the document at a normalized path: the path itself if it is an id, else a readable hash."""
    if NAME.fullmatch(path):
        return path
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", path)[-MAX_SLUG_CHARACTERS:].lstrip("-._") or "document"
    return f"{slug}-{hashlib.sha256(path.encode()).hexdigest()[:HASH_CHARACTERS]}"


def folder(path: str) -> str:
    """Return the folder of a normalized path, with a slash at the end; empty at the top."""
    return path[: path.rfind("/") + 1]


def title(path: str) -> str:
    """Return the title of the document at a normalized path: the file's name."""
    return path[path.rfind("/") + 1 :][:MAX_TITLE_CHARACTERS]


def metadata(path: str, others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of the document at a normalized path: the others, and its folder unless they have one."""
    return {FOLDER: folder(path), **others} if folder(path) else dict(others)
