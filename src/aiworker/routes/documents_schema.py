"""The requests and responses of `/rag/documents`."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
"""Name of a tenant or a document: up to 64 letters, digits, `.`, `_` and `-`; the first is a letter or a digit."""
Scalar = str | int | float | bool
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")], Scalar], Field(max_length=50)
]


class DocumentFields(Schema):
    """The facts about a document, without its content."""

    id: Name | None = None
    """The document's id. New content under the same id replaces the old. Derived from the content if left out."""
    title: Annotated[str, Field(max_length=500)] | None = None
    """The first heading, or the file's name, if left out."""
    url: Annotated[str, Field(max_length=2_000)] | None = None
    """Address of the document for readers, which each passage repeats."""
    metadata: Metadata = Field(default_factory=dict[str, Scalar])
    """Facts of your own. Searches can filter by the properties of RAG_PROPERTIES."""
    tenant: Name | None = None
    """The tenant that owns the document; searches of other tenants do not find it. The key's own if left out."""


class DocumentRequest(DocumentFields):
    text: str
    """The content."""
    format: Literal["markdown", "text", "html"] = "markdown"


class DocumentForm(Schema):
    """The fields of DocumentFields in a form."""

    id: Name | None = None
    title: Annotated[str, Field(max_length=500)] | None = None
    url: Annotated[str, Field(max_length=2_000)] | None = None
    metadata: Annotated[str, Field(max_length=20_000)] = "{}"
    """A JSON object."""
    tenant: Name | None = None


class TenantQuery(Schema):
    tenant: Name | None = None


class ListQuery(TenantQuery):
    cursor: str = ""
    """`cursor` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class DocumentState(Reply):
    id: str
    state: str
    """`queued`, `converting`, `embedding`, `indexed` or `failed`."""
    reason: str | None
    """The reason of a failure."""
    title: str
    url: str | None
    metadata: dict[str, Any]
    media_type: str
    size: int
    """Bytes."""
    chunks: int
    """Number of passages."""
    created_at: str
    updated_at: str


class DocumentList(Reply):
    documents: list[DocumentState]
    cursor: str | None
    """Cursor of the next page; null on the last page."""


def check_document_id(document_id: str) -> str:
    """Return the id. Raises ApiError `invalid_request` for one that no document can have."""
    if not re.fullmatch(NAME, document_id):
        raise ApiError("invalid_request", "A document's id has up to 64 letters, digits, ., _ and -.", param="id")
    return document_id
