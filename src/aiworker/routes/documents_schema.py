"""The requests and responses of `/rag/documents`."""

import re
from typing import Annotated, Any

from pydantic import Field

from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.rag.document_fields import NAME, Name


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
