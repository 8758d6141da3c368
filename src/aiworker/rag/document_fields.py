"""The facts about a document that its owner sends."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from aiworker.http.body import Schema

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
Name = Annotated[str, StringConstraints(pattern=NAME.pattern)]
"""Name of a tenant or a document: up to 64 letters, digits, `.`, `_` and `-`; the first is a letter or a digit."""
Scalar = str | int | float | bool
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")], Scalar], Field(max_length=50)
]
SCRIPT_SCHEME = re.compile(r"[\x00-\x20]*(javascript|vbscript|data|blob):", re.IGNORECASE)


def check_reader_url(url: str) -> str:
    """Return the URL. Raises ValueError for one that would run a script as a link of the front end that shows it."""
    # browsers drop tabs and line breaks anywhere, and control characters and spaces before the scheme
    if SCRIPT_SCHEME.match(re.sub(r"[\t\n\r]", "", url)):
        raise ValueError("must be an address that readers can open: not javascript:, vbscript:, data: or blob:")
    return url


def safe_reader_url(url: str | None) -> str | None:
    """Return a stored URL; None for one that an earlier version of the Worker accepted and this one refuses."""
    try:
        return url and check_reader_url(url)
    except ValueError:
        return None


ReaderUrl = Annotated[str, Field(max_length=2_000), AfterValidator(check_reader_url)]


class DocumentFields(Schema):
    """The facts about a document, without its content."""

    id: Name | None = None
    """The document's id. New content under the same id replaces the old. Derived from the content if left out."""
    title: Annotated[str, Field(max_length=500)] | None = None
    """The first heading, or the file's name, if left out."""
    url: ReaderUrl | None = None
    """Address of the document for readers, which each passage repeats."""
    metadata: Metadata = Field(default_factory=dict[str, Scalar])
    """Facts of your own. Searches can filter by the properties of RAG_PROPERTIES."""
    tenant: Name | None = None
    """The tenant that owns the document; searches of other tenants do not find it. The key's own if left out."""


class DocumentRequest(DocumentFields):
    text: str
    """The content."""
    format: Literal["markdown", "text", "html"] = "markdown"
