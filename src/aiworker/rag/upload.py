"""Uploads that become versions of documents: of a request, or of a line or a file of a batch."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiworker.clock import now
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.http.messages import Payload
from aiworker.http.payload_checks import windows
from aiworker.rag import file_kinds, filters
from aiworker.rag.conversion_limits import check_converted
from aiworker.rag.document_fields import DocumentFields, DocumentRequest
from aiworker.rag.engine import engine_of
from aiworker.rag.first_attempt import Background
from aiworker.rag.passage_bounds import check_upload
from aiworker.rag.store import Version
from aiworker.rag.text_encoding import SAMPLE_BYTES, decode_head

TAIL_BYTES = 65_536
"""Bytes at the end of a file, where a PDF states that it is encrypted, and a ZIP archive lists its parts."""
MAX_TEXT_BYTES = 2_097_152
"""Bytes of a document in JSON, which has to be searched for its strings. The file of a form may be larger."""
FORMATS = {"markdown": "text/markdown", "text": "text/plain", "html": "text/html"}


@dataclass(frozen=True)
class Upload:
    fields: DocumentFields
    media_type: str
    content: str | Payload
    digest: str
    """SHA-256 of the content."""
    size: int
    """Bytes."""
    head: str
    """The first characters of a text; empty for a binary file."""
    file_name: str = ""
    charset: str = ""
    """Character encoding that the client declares."""


async def of_text(body: DocumentRequest, long_text: Payload | None) -> Upload:
    """Return the upload of a document as text. Raises ApiError `unprocessable` for an empty one.

    long_text: used in place of the text of `body`; None if that is the text.
    """
    fields = DocumentFields.model_validate(body.model_dump(exclude={"text", "format"}))
    kind = FORMATS[body.format]
    if long_text:
        if await _is_blank(long_text):
            raise _empty("text")
        head = decode_head(long_text.read(0, SAMPLE_BYTES))
        return Upload(fields, kind, long_text, await long_text.sha256(), long_text.size, head)
    if not body.text.strip():
        raise _empty("text")
    content = body.text.encode()
    return Upload(fields, kind, body.text, hashlib.sha256(content).hexdigest(), len(content), body.text[:SAMPLE_BYTES])


async def _is_blank(text: Payload) -> bool:
    async for _, window in windows(text):
        if window.decode(errors="ignore").strip():
            return False
    return True


def _empty(param: str) -> ApiError:
    return ApiError("unprocessable", "The document is empty.", param=param)


async def of_file(fields: DocumentFields, file: Payload) -> Upload:
    """Return the upload of a file.

    Raises ApiError for one that is empty, encrypted, of a kind that is not taken, or too long to be indexed.
    """
    if not file.size:
        raise _empty("file")
    sample = file.read(0, min(file.size, SAMPLE_BYTES))
    tail = file.read(max(0, file.size - TAIL_BYTES), file.size)
    kind = _media_type(file.name, file.media_type, sample + tail)
    if kind == file_kinds.PDF and b"/Encrypt" in tail:
        raise ApiError("unprocessable", "The PDF is encrypted: remove its password first.", param="file")
    check_converted(kind, file)
    await check_upload(kind, file.charset, file, sample)
    if fields.title is None and file.name:
        fields = fields.model_copy(update={"title": file.name[:500]})
    head = decode_head(sample) if kind in file_kinds.PLAIN else ""
    return Upload(fields, kind, file, await file.sha256(), file.size, head, file.name[:500], file.charset)


async def take(
    resources: Resources, upload: Upload, tenant: str, payer: str, created: str = "", origin: str = "",
    subject: str = "", background: Background | None = None,
) -> Version:  # fmt: skip
    """Store an upload and start to index it; return its version, or the existing one if nothing has changed.

    payer: name of the key whose budget pays; empty for none. created: its time, which orders the versions of a
    document; empty for the present time. origin: a text by which a repeated step finds the version and the file that it
    stored before; empty for an upload that is not part of a step. subject: subject of the browser token.
    background: lets work go on after the response; None where no request waits.
    """
    filters.check_metadata(upload.fields.metadata, resources.settings.rag_properties)
    version = replace(_version(upload, tenant, payer, created or now(), origin), subject=subject)
    return await engine_of(resources).add(version, upload.content, background)


def fingerprint(
    digest: str, media_type: str, title: str | None, url: str | None, metadata: Mapping[str, Any], charset: str = ""
) -> str:
    """Return the hash of what makes a version: an upload with the same one changes nothing.

    digest: SHA-256 of the content. title: as it was sent, or the file's name.
    """
    facts = [digest, media_type, title, url, metadata]
    content = json.dumps(facts + [charset] * bool(charset), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _version(upload: Upload, tenant: str, payer: str, created: str, origin: str) -> Version:
    fields = upload.fields
    heading = next((line.strip(" #") for line in upload.head.splitlines() if line.startswith("#")), "")
    return Version(
        id=hashlib.sha256(origin.encode()).hexdigest()[:24] if origin else secrets.token_hex(12),
        tenant=tenant,
        document_id=fields.id or f"doc_{upload.digest[:24]}",
        state="queued",
        reason=None,
        title=fields.title or heading[:200] or fields.id or "Untitled",
        url=fields.url,
        metadata=filters.normalize_metadata(fields.metadata),
        media_type=upload.media_type,
        size=upload.size,
        fingerprint=fingerprint(
            upload.digest, upload.media_type, fields.title, fields.url, fields.metadata, upload.charset
        ),
        chunks=0,
        created_at=created,
        updated_at=created,
        file_name=upload.file_name,
        charset=upload.charset,
        payer=payer,
    )


def _media_type(name: str, declared: str, sample: bytes) -> str:
    """Return the media type of a file. Raises ApiError `unsupported_media_type` for a kind that is not taken."""
    kind = file_kinds.media_type(name, declared, sample)
    if kind is None:
        extensions = ", ".join(sorted(file_kinds.EXTENSIONS))
        raise ApiError(
            "unsupported_media_type",
            f"Files of this kind cannot be read; save the file as another kind. Those that can are {extensions}.",
            param="file",
        )
    return kind
