"""`/rag`: answers from documents, with their sources; and the documents themselves."""

import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from aiworker.auth import limits
from aiworker.bindings import Inputs
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import FORM, media_type, parse_form, parse_json, parse_object, parse_query
from aiworker.http.messages import Payload, Response, json_response
from aiworker.models import catalogue, estimate, guard, model_call, tokens
from aiworker.models.answer import DONE, EVENT_STREAM, Answer, as_frames, broken_off, frame
from aiworker.models.catalogue import Model
from aiworker.models.model_call import Candidate
from aiworker.models.stream_end import StreamEnd, relayed
from aiworker.rag import filters, prompt, store
from aiworker.rag.ingest import EXTENSIONS, ORIGINAL, PLAIN, now, remove_document
from aiworker.rag.passage import Passage
from aiworker.rag.retrieve import Search, retrieve
from aiworker.rag.store import Version
from aiworker.routes.chat import able_models, priced
from aiworker.routes.rag_schema import (
    NAME,
    DocumentFields,
    DocumentForm,
    DocumentRequest,
    ListQuery,
    RagRequest,
    SearchOptions,
    SearchRequest,
    TenantQuery,
)

NOTHING_FOUND = "I have found nothing about this in the documents."
TRAILER = 65_536
"""Bytes at the end of a PDF, in which it says that it is encrypted."""
MOST_CONTEXT = 6_000
"""Tokens of passages, also where a model's context would hold more: a model that reads more finds less in it."""
OTHER_EXTENSIONS = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".htm": "text/html",
    ".jpg": "image/jpeg",
}
FORMATS = {"markdown": "text/markdown", "text": "text/plain", "html": "text/html"}


# ---- answers -----------------------------------------------------------------------------------------------------


async def answer(context: Context) -> Response:
    asked = await parse_json(RagRequest, context.request, context.settings.max_body_bytes)
    models = able_models(context, asked.model, lambda model: catalogue.check_sampling(model, asked.sampling()))
    filters.check(asked.filter, context.settings.rag_properties)
    limits.check_prompt(context, asked.texts(), "query" if asked.messages is None else "messages")
    told = [*asked.history(), {"role": "user", "content": asked.question}]
    await guard.check_input(context, told, asked.gateway)
    query = await _search_query(context, asked, models)
    found = await retrieve(context, _search(context, asked, query))
    if not found and not asked.answer_anyway:
        return _nothing_found(asked, models[0])
    prompts = _prompts(asked, models, found)
    candidates = [
        Candidate(model, Inputs({**asked.sampling(), "messages": prompts[model.id][0], "stream": asked.stream}))
        for model in models
        if model.id in prompts
    ]
    said = await model_call.run(context, candidates, asked.gateway)
    said = await guard.held(context, told, said, asked.gateway)
    used = prompts[said.model.id][1]
    if not asked.stream:
        return await _whole(said, used)
    sources = frame({"sources": [_source(number, each) for number, each in enumerate(used, 1)]}, "sources")
    if not said.is_stream:  # a model that ignores `stream`
        whole = await said.object()
        return priced(said.response(sources + "".join(as_frames(whole)), EVENT_STREAM), said, whole)
    end = StreamEnd(said, broken_off(context.request_id))
    return said.response(await relayed(context.streams, end, before=sources))


async def search(context: Context) -> Response:
    asked = await parse_json(SearchRequest, context.request, context.settings.max_body_bytes)
    filters.check(asked.filter, context.settings.rag_properties)
    found = await retrieve(context, _search(context, asked, asked.query))
    return json_response({"passages": [{**_source(n, each), "text": each.text} for n, each in enumerate(found, 1)]})


def _search(context: Context, asked: SearchOptions, query: str) -> Search:
    return Search(
        query, context.caller.the_tenant(asked.tenant), asked.top_k, asked.min_score, asked.filter,
        by_meaning=asked.stages.vector, by_words=asked.stages.text, rerank=asked.stages.rerank,
    )  # fmt: skip


async def _search_query(context: Context, asked: RagRequest, models: list[Model]) -> str:
    """What to look for: a follow-up question says too little without what came before it."""
    history = asked.history()
    if not any(message["role"] == "user" for message in history):
        return asked.question
    inputs = {"messages": prompt.search_query_messages(history, asked.question), "max_tokens": 100, "stream": False}
    candidates = [Candidate(model, Inputs(inputs)) for model in models]
    # a cache key stands for the answer, not for this
    gateway = asked.gateway.without_cache_key() if asked.gateway else None
    given = await model_call.run(context, candidates, gateway)
    said = Answer()
    said.add(await given.object())
    given.used(said.usage)
    return said.text.strip()[:1000] or asked.question


Prompt = tuple[list[dict[str, Any]], list[Passage]]
"""What a model is sent, and the passages in it."""


def _prompts(asked: RagRequest, models: list[Model], found: list[Passage]) -> dict[str, Prompt]:
    """By the ids of the models whose context has room for passages. Raises ApiError if the first has none."""
    made = {model.id: prompt.messages(asked.question, asked.history(), found, _room(asked, model)) for model in models}
    fitting = {model_id: each for model_id, each in made.items() if each[1] or not found}
    if models[0].id not in fitting:
        no_room = f"The question leaves no room for passages in {models[0].id}."
        raise ApiError("context_exceeded", no_room, param="query")
    return fitting


def _room(asked: RagRequest, model: Model) -> int:
    """Tokens that the prompt may take."""
    window = model.context_window or MOST_CONTEXT * 2
    return max(500, min(MOST_CONTEXT, window - (asked.max_tokens or tokens.ANSWER_TOKENS)))


def _source(number: int, passage: Passage) -> dict[str, Any]:
    snippet = " ".join(passage.text.split())
    return {
        "number": number,
        "id": passage.chunk_id,
        "document": passage.document_id,
        "title": passage.title,
        "url": passage.url,
        "heading": passage.heading,
        "snippet": snippet if len(snippet) <= 240 else f"{snippet[:239]}…",
        "score": passage.score,
        "scores": passage.scores,
    }


async def _whole(said: model_call.Answer, used: list[Passage]) -> Response:
    answer = Answer()
    answer.add(await said.object())
    said.used(answer.usage)
    body = {
        "answer": answer.text,
        "sources": [_source(number, each) for number, each in enumerate(used, 1)],
        "citations": prompt.cited(answer.text, len(used)),
        "usage": answer.usage or None,
    }
    return said.response(json.dumps(body, ensure_ascii=False, separators=(",", ":")), "application/json")


def _nothing_found(asked: RagRequest, model: Model) -> Response:
    """Said without asking the model, in the shape in which it would have answered."""
    if not asked.stream:
        return json_response({"answer": NOTHING_FOUND, "sources": [], "citations": [], "usage": None})
    said: dict[str, Any] = {"response": NOTHING_FOUND}
    if model.dialect == "openai":
        said = {
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": NOTHING_FOUND}, "finish_reason": "stop"}]
        }
    body = frame({"sources": []}, "sources") + frame(said) + frame(DONE)
    return Response(body, 200, {"content-type": EVENT_STREAM, "cache-control": "no-store"})


# ---- documents ---------------------------------------------------------------------------------------------------


async def add(context: Context) -> Response:
    """Take a document: keep it, and have it ingested. The same again is no work."""
    upload = await _received(context)
    filters.check_metadata(upload.fields.metadata, context.settings.rag_properties)
    version = _version(upload, context.caller.the_tenant(upload.fields.tenant))
    same = await _already_there(context, version)
    if same:
        if same.state == "queued":  # its workflow may never have been started
            await context.the_ingestions().start(same.id)
        return _shown(context, same, 200 if same.state == "indexed" else 202)
    database, bucket = context.the_database(), context.the_bucket()
    model = catalogue.MODELS[context.settings.models["EMBED_MODEL"]]
    [charge] = await context.spending.reserve([estimate.ingestion(model, upload.size)])
    try:
        await bucket.put(version.folder + ORIGINAL, upload.content, upload.kind, {})
        await store.add(database, version)
    except ApiError:
        charge.cost = 0
        await bucket.delete_folder(version.folder)
        raise
    # should this fail, or the Worker die here: resume() starts it
    await context.the_ingestions().start(version.id)
    return _shown(context, version, 202)


async def listed(context: Context) -> Response:
    asked = parse_query(ListQuery, context.request)
    tenant = context.caller.the_tenant(asked.tenant)
    found = await store.page(context.the_database(), tenant, asked.cursor, asked.limit + 1)
    page = found[: asked.limit]
    cursor = page[-1].document_id if len(found) > asked.limit else None
    return json_response({"documents": [_document(each) for each in page], "cursor": cursor})


async def state(context: Context, document_id: str) -> Response:
    asked = parse_query(TenantQuery, context.request)
    tenant = context.caller.the_tenant(asked.tenant)
    found = await store.versions_of(context.the_database(), tenant, _checked(document_id))
    if not found:
        raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
    live = await store.live_version(context.the_database(), tenant, document_id)
    return json_response({**_document(found[0]), "searchable": live is not None})


async def delete(context: Context, document_id: str) -> Response:
    asked = parse_query(TenantQuery, context.request)
    tenant = context.caller.the_tenant(asked.tenant)
    if not await remove_document(context, tenant, _checked(document_id)):
        raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
    return Response(status=204)


# ---- a document as it comes --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    fields: DocumentFields
    kind: str
    """Its media type."""
    content: str | Payload
    digest: str
    """SHA-256 of the content."""
    size: int
    """Bytes."""
    head: str
    """How its text begins; empty for what is no text yet."""


async def _received(context: Context) -> Upload:
    if media_type(context.request) == FORM:
        return await _received_file(context)
    asked = await parse_json(DocumentRequest, context.request, context.settings.max_document_bytes)
    if not asked.text.strip():
        raise ApiError("unprocessable", "The document is empty.", param="text")
    fields = DocumentFields.model_validate(asked.model_dump(exclude={"text", "format"}))
    content = asked.text.encode()
    digest = hashlib.sha256(content).hexdigest()
    return Upload(fields, FORMATS[asked.format], asked.text, digest, len(content), asked.text[:4096])


async def _received_file(context: Context) -> Upload:
    form, files = await parse_form(DocumentForm, context.request, context.settings.max_document_bytes, ("file",))
    file = files.get("file")
    if file is None:
        raise ApiError("invalid_request", "The form must bring the document as file.", param="file")
    if not file.size:
        raise ApiError("unprocessable", "The document is empty.", param="file")
    kind = _kind_of(file.name, file.media_type)
    if kind == "application/pdf" and b"/Encrypt" in file.read(max(0, file.size - TRAILER), file.size):
        raise ApiError("unprocessable", "The PDF is encrypted: send it without its password.", param="file")
    fields = parse_object(DocumentFields, {**form.model_dump(exclude_none=True), "metadata": _metadata(form.metadata)})
    if fields.title is None and file.name:
        fields = fields.model_copy(update={"title": file.name[:500]})
    head = file.read(0, min(file.size, 4096)).decode(errors="ignore") if kind in PLAIN else ""
    return Upload(fields, kind, file, await file.sha256(), file.size, head)


def _metadata(text: str) -> Any:
    try:
        # not by the json module: in Pyodide, JSON that is nested thousands deep would end the isolate
        return from_json(text)
    except ValueError:
        raise ApiError("invalid_request", "metadata must be a JSON object.", param="metadata") from None


def _kind_of(name: str, kind: str) -> str:
    """The media type by the file's name, else by what the client says.

    Raises ApiError `unsupported_media_type` for what cannot be converted.
    """
    by_name = {**{extension: known for known, extension in EXTENSIONS.items()}, **OTHER_EXTENSIONS}
    extension = re.search(r"\.\w+$", name.lower())
    found = by_name.get(extension[0]) if extension else None
    found = found or (kind if kind in EXTENSIONS or kind in PLAIN else None)
    if found is None:
        raise ApiError(
            "unsupported_media_type",
            f"Files of this kind cannot be read. Those that can end in {', '.join(sorted(by_name))}.",
            param="file",
        )
    return found


def _version(upload: Upload, tenant: str) -> Version:
    fields = upload.fields
    said = json.dumps([upload.digest, upload.kind, fields.title, fields.url, fields.metadata], sort_keys=True)
    heading = next((line.strip(" #") for line in upload.head.splitlines() if line.startswith("#")), "")
    at = now()
    return Version(
        id=secrets.token_hex(12),
        tenant=tenant,
        document_id=fields.id or f"doc_{upload.digest[:24]}",
        state="queued",
        reason=None,
        title=fields.title or heading[:200] or fields.id or "Untitled",
        url=fields.url,
        metadata=dict(fields.metadata),
        media_type=upload.kind,
        size=upload.size,
        fingerprint=hashlib.sha256(said.encode()).hexdigest(),
        chunks=0,
        created_at=at,
        updated_at=at,
    )


async def _already_there(context: Context, version: Version) -> Version | None:
    """The newest version, if it is the same and has not failed."""
    found = await store.versions_of(context.the_database(), version.tenant, version.document_id)
    newest = found[0] if found else None
    return newest if newest and newest.fingerprint == version.fingerprint and newest.state != "failed" else None


def _checked(document_id: str) -> str:
    if not re.fullmatch(NAME, document_id):
        raise ApiError("invalid_request", "A document's id has up to 64 letters, digits, ., _ and -.", param="id")
    return document_id


def _document(version: Version) -> dict[str, Any]:
    return {
        "id": version.document_id,
        "state": version.state,
        "reason": version.reason,
        "title": version.title,
        "url": version.url,
        "metadata": version.metadata,
        "media_type": version.media_type,
        "size": version.size,
        "chunks": version.chunks,
        "created_at": version.created_at,
        "updated_at": version.updated_at,
    }


def _shown(context: Context, version: Version, status: int) -> Response:
    tenant = "" if version.tenant == "default" else f"?tenant={version.tenant}"
    status_url = f"{context.request.origin}/rag/documents/{version.document_id}{tenant}"
    response = json_response({**_document(version), "status_url": status_url}, status)
    response.headers["location"] = status_url
    return response
