"""Import: from the folder of an export into a Worker. Entries that the Worker already has, equal to the exported ones,
are left alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.transfer import folder as files
from tools.transfer.api import Api, TransferError, without_none
from tools.transfer.progress import Progress

COMPARED = ("title", "url", "metadata", "size")
"""Facts by which a document of the Worker is compared with that of the export."""
MAX_BATCH = 500_000
"""Characters of JSON in one request with messages, for which the Worker's limit is MAX_BODY_BYTES."""


def import_folder(api: Api, folder: Path, tenants: list[str]) -> bool:
    """Import the documents and conversations of these tenants, or of all; return True if nothing failed.

    Raises TransferError if the folder is not that of an export.
    """
    if not (folder / files.DOCUMENTS).exists():
        raise TransferError(f"{folder} has no {files.DOCUMENTS}: it is not the folder of an export.")
    documents = [each for each in files.read(folder / files.DOCUMENTS) if _is_chosen(each, tenants)]
    conversations = [each for each in files.read(folder / files.CONVERSATIONS) if _is_chosen(each, tenants)]
    return _documents(api, folder, documents).report() & _conversations(api, conversations).report()


def _is_chosen(entry: dict[str, Any], tenants: list[str]) -> bool:
    return not tenants or entry["tenant"] in tenants


def _documents(api: Api, folder: Path, documents: list[dict[str, Any]]) -> Progress:
    progress = Progress("documents")
    present = {
        (tenant, each["id"]): each
        for tenant in sorted({document["tenant"] for document in documents})
        for each in api.pages("/rag/documents", "documents", tenant=tenant)
        if each["state"] != "failed"
    }
    for document in documents:
        there = present.get((document["tenant"], document["id"]))
        if there and all(there[name] == document[name] for name in COMPARED):
            progress.count("there already")
            continue
        try:
            _upload(api, folder, document)
        except (TransferError, OSError) as error:
            progress.fail(f"{document['tenant']}/{document['id']}", str(error))
        else:
            progress.count("imported")
    return progress


def _upload(api: Api, folder: Path, document: dict[str, Any]) -> None:
    fields = {name: document[name] for name in ("id", "title", "url", "tenant")}
    form = without_none({**fields, "metadata": json.dumps(document["metadata"], ensure_ascii=False)})
    with files.file_of(folder, document).open("rb") as file:
        attached = {"file": (document["file_name"], file, document["content_type"])}
        api.send("POST", "/rag/documents", data=form, files=attached)


def _conversations(api: Api, conversations: list[dict[str, Any]]) -> Progress:
    progress = Progress("conversations")
    for each in conversations:
        path = f"/conversations/{each['conversation']}"
        owner = without_none({"tenant": each["tenant"], "subject": each["subject"]})
        try:
            if api.get(path, **owner)["messages"] == each["messages"]:
                progress.count("there already")
                continue
            api.send("DELETE", path, params=owner)
            for messages in _batches(each["messages"]):
                api.send("POST", f"{path}/messages", params=owner, json={"messages": messages})
        except TransferError as error:
            progress.fail(each["conversation"], str(error))
        else:
            progress.count("imported")
    return progress


def _batches(messages: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the messages in order, as lists that begin with a user's message where that is possible."""
    batch: list[dict[str, Any]] = []
    size = 0
    for message in messages:
        length = len(json.dumps(message))
        is_full = size + length > MAX_BATCH or (size > MAX_BATCH / 2 and message["role"] == "user")
        if batch and (is_full or len(batch) == 1_000):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch
