"""Export: from a Worker into a folder. Entries that an earlier run has exported, and that have not changed since, are
left alone."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from tools.transfer import folder as files
from tools.transfer.api import Api, TransferError
from tools.transfer.progress import Progress

FIELDS = ("id", "title", "url", "metadata", "media_type", "size", "state", "created_at", "updated_at")
"""Facts about a document that are exported."""
FILE_NAME = re.compile(r"filename\*=UTF-8''([^;]+)")
PLAIN_FILE_NAME = re.compile(r'filename="([^"]*)"')


def export(api: Api, folder: Path, tenants: list[str]) -> bool:
    """Export the documents and conversations of these tenants, or of all; return True if nothing failed."""
    folder.mkdir(parents=True, exist_ok=True)
    names = api.tenants(tenants)
    documents = _documents(api, folder, names)
    # an admin's own conversations have no tenant
    conversations = _conversations(api, folder, names if tenants else [None, *names])
    return documents.report() & conversations.report()


def _documents(api: Api, folder: Path, tenants: list[str]) -> Progress:
    progress, listing = Progress("documents"), folder / files.DOCUMENTS
    known = {(each["tenant"], each["id"]): each for each in files.read(listing)}
    exported: list[dict[str, Any]] = []
    files.write(listing, known.values())
    for tenant in tenants:
        for listed in api.pages("/rag/documents", "documents", tenant=tenant):
            document = {"tenant": tenant, **{name: listed[name] for name in FIELDS}}
            earlier = known.get((tenant, listed["id"]))
            if earlier and _is_current(folder, earlier, document):
                exported.append(earlier)
                progress.count("unchanged")
                continue
            try:
                document |= _download(api, files.file_of(folder, document), document)
            except TransferError as error:
                progress.fail(f"{tenant}/{listed['id']}", str(error))
                continue
            files.append(listing, document)
            exported.append(document)
            progress.count("exported")
    others = [each for each in known.values() if each["tenant"] not in tenants]
    files.write(listing, [*others, *exported])
    return progress


def _is_current(folder: Path, earlier: dict[str, Any], document: dict[str, Any]) -> bool:
    file = files.file_of(folder, earlier)
    return document.items() <= earlier.items() and file.exists() and file.stat().st_size == document["size"]


def _download(api: Api, file: Path, document: dict[str, Any]) -> dict[str, str]:
    """Store a document's file; return its name and content type."""
    path = f"/rag/documents/{document['id']}/original"
    response = api.send("GET", path, params={"tenant": document["tenant"]})
    if response.status_code == 404:
        raise TransferError("it has no file")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    partial.write_bytes(response.content)
    partial.replace(file)
    return {"file_name": _file_name(response), "content_type": response.headers["content-type"]}


def _file_name(response: httpx.Response) -> str:
    disposition = response.headers.get("content-disposition", "")
    if match := FILE_NAME.search(disposition):
        return unquote(match[1])
    match = PLAIN_FILE_NAME.search(disposition)
    return match[1] if match else "document"


def _conversations(api: Api, folder: Path, tenants: list[str] | list[str | None]) -> Progress:
    progress, listing = Progress("conversations"), folder / files.CONVERSATIONS
    known = {_identity(each): each for each in files.read(listing)}
    exported: list[dict[str, Any]] = []
    files.write(listing, known.values())
    for tenant in tenants:
        for entry in api.pages("/conversations", "conversations", tenant=tenant):
            earlier = known.get(_identity(entry))
            if earlier and earlier["updated_at"] == entry["updated_at"]:
                exported.append(earlier)
                progress.count("unchanged")
                continue
            try:
                read = api.get(
                    f"/conversations/{entry['conversation']}", tenant=entry["tenant"], subject=entry["subject"]
                )
            except TransferError as error:
                progress.fail(str(_identity(entry)), str(error))
                continue
            files.append(listing, {**entry, "messages": read["messages"]})
            exported.append({**entry, "messages": read["messages"]})
            progress.count("exported")
    others = [each for each in known.values() if each["tenant"] not in tenants]
    files.write(listing, [*others, *exported])
    return progress


def _identity(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["tenant"] or "", entry["subject"] or "", entry["conversation"]
