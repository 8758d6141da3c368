"""A piece of a document that may answer a question."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiworker.rag import file_kinds

HEADING_SEPARATOR = " › "
"""Separator between a title and headings, and between headings."""
PAGE = re.compile(rf"(?:^|{HEADING_SEPARATOR})Page (\d+)(?:{HEADING_SEPARATOR}|$)")
"""Pattern of the page number among the headings of a PDF's passage."""
Range = tuple[int, int]
"""Bytes of a passage in the UTF-8 of its document's text: index of the first one, and index after the last one."""


def without_title(title: str, heading: str, text: str) -> tuple[str, str]:
    """Return a passage's path of headings and its text without the document's title, which often begins both."""
    if heading == title:
        heading = ""
    first, _, rest = text.partition("\n")
    if title and first.lstrip("# ").strip() == title and rest.strip():
        text = rest.lstrip("\n")
    return heading.removeprefix(f"{title}{HEADING_SEPARATOR}"), text


def path_and_body(title: str, heading: str, text: str) -> tuple[str, str]:
    """Return title and headings, the title once, and the text without the title."""
    heading, body = without_title(title, heading, text)
    return HEADING_SEPARATOR.join(filter(None, (title, heading))), body


def text_with_path(title: str, heading: str, text: str) -> str:
    """Return a passage as a reranker reads it: title and headings, then the text, with the title once."""
    return "\n".join(path_and_body(title, heading, text))


@dataclass(frozen=True)
class Passage:
    chunk_id: str
    document_id: str
    title: str
    url: str | None
    heading: str
    """The headings above it, outermost first, joined by HEADING_SEPARATOR."""
    text: str
    score: float
    """Score by the last stage; higher is better."""
    scores: Mapping[str, float]
    """Score by each stage that found it: vector, text, fusion, rerank."""
    page: int | None = None
    """Number of its page in a PDF, from 1."""
    range: Range | None = None
    """None where it is unknown: in documents that were indexed before ranges were stored."""

    @property
    def path(self) -> str:
        """Title and headings, the title once."""
        return path_and_body(self.title, self.heading, self.text)[0]

    @property
    def body(self) -> str:
        """Text without the title."""
        return path_and_body(self.title, self.heading, self.text)[1]


def page_of(media_type: str, heading: str) -> int | None:
    """Return the number of a passage's page; None for documents without pages."""
    match = PAGE.search(heading) if media_type == file_kinds.PDF else None
    return int(match[1]) if match else None


def range_of(row: Mapping[str, Any]) -> Range | None:
    """Return the range in a row of the database."""
    return None if row["first_byte"] is None else (row["first_byte"], row["end_byte"])
