"""The requests and responses of `/rag/documents`."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from aiworker.http.body import Reply, Schema

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
"""Of a tenant or a document: up to 64 letters, digits, `.`, `_` and `-`, the first of them a letter or a digit."""
Scalar = str | int | float | bool
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")], Scalar], Field(max_length=50)
]


class DocumentFields(Schema):
    """What is known of a document, beside its content."""

    id: Name | None = None
    """The document's own; new content under the same id replaces it. Made from the content if it is left out."""
    title: Annotated[str, Field(max_length=500)] | None = None
    """Its first heading or its file's name if it is left out."""
    url: Annotated[str, Field(max_length=2_000)] | None = None
    """Where people find it; given back with each passage."""
    metadata: Metadata = Field(default_factory=dict[str, Scalar])
    """By the properties of RAG_PROPERTIES searches can be narrowed."""
    tenant: Name | None = None
    """Whose it is: searches of one tenant never see documents of another. The key's own if it is left out."""


class DocumentRequest(DocumentFields):
    text: str
    format: Literal["markdown", "text", "html"] = "markdown"


class DocumentForm(Schema):
    """As DocumentFields, in a form."""

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
    """Of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class DocumentState(Reply):
    id: str
    state: str
    """`queued`, `converting`, `embedding`, `indexed` or `failed`."""
    reason: str | None
    """Why it has failed."""
    title: str
    url: str | None
    metadata: dict[str, Any]
    media_type: str
    size: int
    """Bytes."""
    chunks: int
    """Passages."""
    created_at: str
    updated_at: str


class DocumentList(Reply):
    documents: list[DocumentState]
    cursor: str | None
    """Of the next page; null on the last."""
