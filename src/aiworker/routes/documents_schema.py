"""The requests and responses of `/rag/documents`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from aiworker.auth.access import DEFAULT_TENANT
from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.rag.document_fields import NAME, Name, ReaderUrl
from aiworker.rag.passage import Range


class DocumentForm(Schema):
    """The fields of DocumentFields in a form."""

    id: Name | None = None
    title: Annotated[str, Field(max_length=500)] | None = None
    url: ReaderUrl | None = None
    metadata: Annotated[str, Field(max_length=20_000)] = "{}"
    """A JSON object."""
    tenant: Name | None = None


class TenantQuery(Schema):
    tenant: Name | None = None


class ListQuery(TenantQuery):
    cursor: str = ""
    """`cursor` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    folder: Annotated[str, Field(max_length=500)] = ""
    """Only documents whose metadata has this folder, or one below it, as `folder`."""


class TextRange(Reply):
    """A part of a document's text, `GET /rag/documents/{id}/text`, in bytes of its UTF-8."""

    start: int
    """The first byte."""
    end: int
    """The byte behind the last one."""


class DocumentPassage(Reply):
    id: str
    """The id by which searches and sources name it."""
    number: int
    """From 0, in the order of the document."""
    heading: str
    page: int | None
    """Page of a PDF; null for other documents."""
    range: TextRange | None
    """Null if it is unknown: of documents that were indexed before ranges were stored."""
    text: str


class DocumentPassages(Reply):
    passages: list[DocumentPassage]
    cursor: str | None
    """Cursor of the next page; null on the last page."""


class DocumentState(Reply):
    id: str
    state: Literal["queued", "converting", "embedding", "indexed", "failed"]
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
    fingerprint: str
    """Changes with the content, the title, the URL and the metadata: an upload with the same one changes nothing."""
    created_at: str
    updated_at: str


class DocumentList(Reply):
    documents: list[DocumentState]
    cursor: str | None
    """Cursor of the next page; null on the last page."""


def check_document_id(document_id: str) -> str:
    """Return the id. Raises ApiError `invalid_request` for one that no document can have."""
    if not NAME.fullmatch(document_id):
        raise ApiError("invalid_request", "A document's id has up to 64 letters, digits, ., _ and -.", param="id")
    return document_id


def document_url(origin: str, tenant: str, document_id: str, part: str = "") -> str:
    """Return the address of a document, or of a part of it such as `/original`."""
    query = "" if tenant == DEFAULT_TENANT else f"?tenant={tenant}"
    return f"{origin}/rag/documents/{document_id}{part}{query}"


def text_range(place: Range | None) -> dict[str, int] | None:
    """Return a TextRange as JSON."""
    return {"start": place[0], "end": place[1]} if place else None
