"""The worst requests that the Worker's limits allow, and worse ones, each of which tries to make something large or
slow."""

import asyncio
import base64
import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tools.soak import worst_files
from tools.soak.worst_files import MEGABYTE

MEBIBYTE = 1_048_576
ENDED = ("indexed", "failed")
POLL_SECONDS = 0.5
MAX_TEXT, MAX_DOCX, MAX_XLSX = 12 * MEGABYTE, 8 * MEGABYTE, 7 * MEGABYTE
"""Bytes of text of the largest documents that are accepted: text has at most 20,000 passages, and archives unfold to
12 MiB, of which a workbook needs more for its markup."""
COUNTED_TEXT = 14 * MEGABYTE
"""Bytes of a text that has more passages than are indexed, which only cutting it shows."""
LARGE_SIDE, SIDE = 2_900, 1_660
"""Pixels of a side of a picture of 25 MB, and of one of 8.3 MB, the most that becomes base64."""
IMAGE_MODEL, FORM_MODEL = "@cf/runwayml/stable-diffusion-v1-5-img2img", "@cf/black-forest-labs/flux-2-dev"
"""Models that take a picture as base64, and as a file of a form."""


@dataclass(frozen=True)
class Outcome:
    """The answer to a request."""

    size: int
    """Bytes of its body."""
    answer: str
    """Status, and the error's type or the document's state."""


Attack = Callable[[httpx.AsyncClient], Awaitable[Outcome]]


async def send(client: httpx.AsyncClient, path: str, make: Callable[[], Any], **others: Any) -> Outcome:
    """Send a body: bytes, or anything else as JSON; if it adds a document, wait for the end of its ingestion."""
    body = await asyncio.to_thread(make)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", **others.pop("headers", {})}
    response = await client.post(path, content=content, headers=headers, **others)
    return Outcome(len(content), await _answer(client, response))


async def upload(client: httpx.AsyncClient, name: str, make: Callable[[], bytes]) -> Outcome:
    """Add a file as a document, and wait for the end of its ingestion."""
    file = await asyncio.to_thread(make)
    response = await client.post("/rag/documents", files={"file": (name, file)}, data={"id": name})
    return Outcome(len(file), await _answer(client, response))


async def _answer(client: httpx.AsyncClient, response: httpx.Response) -> str:
    if response.status_code == 202:
        return await _end_of_ingestion(client, response.json())
    is_error = response.status_code >= 400
    return f"{response.status_code} {_error_type(response)}" if is_error else str(response.status_code)


async def _end_of_ingestion(client: httpx.AsyncClient, document: dict[str, Any]) -> str:
    while document["state"] not in ENDED:
        await asyncio.sleep(POLL_SECONDS)
        document = (await client.get(f"/rag/documents/{document['id']}")).json()
    await client.delete(f"/rag/documents/{document['id']}")
    count = f"{document['chunks']:,} passages" if document["state"] == "indexed" else document["reason"]
    return f"202, {document['state']}: {count[:60]}"


def _error_type(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
    except ValueError:  # an answer that is not the Worker's
        return response.text[:40]
    return str(error.get("type"))


def _document(text: str) -> dict[str, Any]:
    return {"id": "text", "text": text}


def _form(parts: int, line_end: str) -> bytes:
    """A form of empty fields."""
    part = f'--b{line_end}content-disposition: form-data; name="a"{line_end * 2}{line_end}'
    return (part * parts + f"--b--{line_end}").encode()


def _picture_in_json() -> dict[str, Any]:
    data = base64.b64encode(worst_files.png(2_400)).decode()
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
    ]
    return {
        "model": "@cf/meta/llama-3.2-11b-vision-instruct",
        "messages": [{"role": "user", "content": parts}],
        "stream": False,
    }


def _picture_to_change() -> dict[str, Any]:
    return {"prompt": "a bridge", "model": IMAGE_MODEL, "image": base64.b64encode(worst_files.png(SIDE)).decode()}


def _nested(depth: int) -> bytes:
    return b'{"messages": ' + b"[" * depth + b"]" * depth + b"}"


def _conversation(characters: int, count: int) -> dict[str, Any]:
    turns = [
        {"role": "user" if at % 2 == 0 else "assistant", "content": "rain " * (characters // count // 5)}
        for at in range(count + 1)
    ]
    return {
        "messages": turns,
        "stream": False,
        "max_tokens": 10,
        "guard": True,
        "model": "@cf/meta/llama-4-scout-17b-16e-instruct",
    }


def _brackets(count: int) -> dict[str, Any]:
    message = {"role": "user", "content": "<" * count}
    return {"messages": [message], "stream": False, "model": "@cf/meta/llama-4-scout-17b-16e-instruct"}


def _tools(count: int) -> dict[str, Any]:
    properties = {f"field_{at}": {"type": "string", "description": "rain " * 20} for at in range(30)}
    tool: dict[str, Any] = {
        "type": "function",
        "function": {"description": "a tool", "parameters": {"type": "object", "properties": properties}},
    }
    tools = [{**tool, "function": {**tool["function"], "name": f"tool_{at}"}} for at in range(count)]
    return {"prompt": "Hello", "tools": tools, "stream": False, "model": "@cf/openai/gpt-oss-20b"}


def _extraction(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": "rain " * 1_000, "schema": schema}


def _branching(depth: int) -> dict[str, Any]:
    """A schema whose check doubles its steps at each level."""
    definitions = {f"d{at}": {"anyOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(depth)}
    last = {f"d{depth}": {"type": "object", "required": ["missing"]}}
    return {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "required": ["a"],
        "$defs": {**definitions, **last},
    }


def _patterns() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {f"p{at}": {"type": "string", "pattern": f"(a{{1,19}}){at}"} for at in range(90)},
    }


def _with_pattern(pattern: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}


def attacks(megabytes: float) -> Mapping[str, Attack]:
    """Return the attacks by their names. megabytes: text of the documents that are accepted."""
    size = int(megabytes * MEGABYTE)
    converted = min(size, MAX_DOCX)
    bomb = 30 * MEGABYTE
    of = functools.partial
    form = {"headers": {"content-type": "multipart/form-data; boundary=b"}}
    return {
        "DOCX": of(upload, name="long.docx", make=lambda: worst_files.docx(converted)),
        "DOCX that unfolds to 30 MB": of(upload, name="bomb.docx", make=lambda: worst_files.docx(bomb, repeated=True)),
        "XLSX": of(upload, name="long.xlsx", make=lambda: worst_files.xlsx(min(size, MAX_XLSX))),
        "XLSX of 5,000 columns": of(
            upload, name="wide.xlsx", make=lambda: worst_files.xlsx(converted // 4, columns=5_000)
        ),
        "PDF": of(upload, name="long.pdf", make=lambda: worst_files.pdf(converted // 4)),
        "HTML": of(upload, name="long.html", make=lambda: worst_files.html(converted)),
        "HTML above the limit": of(upload, name="bomb.html", make=lambda: worst_files.html(24 * MEGABYTE)),
        "text file": of(upload, name="long.txt", make=lambda: worst_files.prose(min(size, MAX_TEXT)).encode()),
        "text file above the limit": of(
            upload, name="bomb.txt", make=lambda: worst_files.prose(24 * MEGABYTE).encode()
        ),
        "text file that is counted": of(
            upload, name="counted.txt", make=lambda: worst_files.prose(COUNTED_TEXT).encode()
        ),
        "text file of ligatures": of(upload, name="ligatures.txt", make=lambda: ("ﷺ" * 200_000).encode()),
        "code in lines of four characters": of(upload, name="short.py", make=lambda: b"a=1\n" * 500_000),
        "picture as a document": of(upload, name="picture.png", make=lambda: worst_files.png(SIDE)),
        "picture above the limit": of(upload, name="large.png", make=lambda: worst_files.png(LARGE_SIDE)),
        "JSON text": of(send, path="/rag/documents", make=lambda: _document(worst_files.prose(2 * MEGABYTE))),
        "JSON text of 24 MB": of(send, path="/rag/documents", make=lambda: _document(worst_files.prose(24 * MEGABYTE))),
        "JSON text of one word": of(send, path="/rag/documents", make=lambda: _document("a" * 2 * MEGABYTE)),
        "JSON text of emoji": of(send, path="/rag/documents", make=lambda: _document("👩‍👩‍👧" * 40_000)),
        "JSON text of headings": of(send, path="/rag/documents", make=lambda: _document("# a\n\n" * 15_000)),
        "JSON text, a table of 5,000 columns": of(
            send, path="/rag/documents", make=lambda: _document(("|a" * 5_000 + "|\n" + "|-" * 5_000 + "|\n") * 40)
        ),
        "JSON text, nearly the rule of a table": of(
            send, path="/rag/documents", make=lambda: _document("a|b\n" + "-|" * 14_000 + "x")
        ),
        "form of 551,000 parts": of(send, path="/rag/documents", make=lambda: _form(551_000, "\n"), **form),
        "form of 100 parts": of(send, path="/rag/documents", make=lambda: _form(100, "\r\n"), **form),
        "WAV": of(
            send, path="/transcribe", make=lambda: worst_files.wav(26_000_000), headers={"content-type": "audio/wav"}
        ),
        "WAV, for a model that takes numbers": of(
            send,
            path="/transcribe?model=@cf/openai/whisper",
            make=lambda: worst_files.wav(26_000_000),
            headers={"content-type": "audio/wav"},
        ),
        "image in a form": of(image_in_a_form, side=SIDE, model=IMAGE_MODEL),
        "image in a form, above the limit": of(image_in_a_form, side=LARGE_SIDE, model=IMAGE_MODEL),
        "image in a form, passed on as one": of(image_in_a_form, side=LARGE_SIDE, model=FORM_MODEL),
        "image in JSON": of(send, path="/image", make=_picture_to_change),
        "image in JSON of a chat": of(send, path="/chat", make=_picture_in_json),
        "JSON of 100,000 levels": of(send, path="/chat", make=lambda: _nested(100_000)),
        "JSON of 500,000 lists": of(send, path="/chat", make=lambda: b'{"messages":[' + b"[]," * 340_000 + b"[]]}"),
        "JSON of 500,000 numbers": of(send, path="/chat", make=lambda: b'{"messages":[' + b"1," * 500_000 + b"1]}"),
        "a megabyte of messages, guarded": of(send, path="/chat", make=lambda: _conversation(900_000, 99)),
        "a message of 100,000 `<`": of(send, path="/chat", make=lambda: _brackets(100_000)),
        "128 tools": of(send, path="/chat", make=lambda: _tools(128)),
        "2,000 texts to embed": of(send, path="/embed", make=lambda: {"text": ["rain " * 90] * 2_000}),
        "schema that branches": of(send, path="/extract", make=lambda: _extraction(_branching(40))),
        "schema of 90 patterns": of(send, path="/extract", make=lambda: _extraction(_patterns())),
        "schema with a pattern of 20,000 brackets": of(
            send, path="/extract", make=lambda: _extraction(_with_pattern("[" * 20_000))
        ),
        "question of 8,000 words": of(send, path="/rag/search", make=lambda: {"query": "ab " * 2_700}),
    }


async def image_in_a_form(client: httpx.AsyncClient, side: int, model: str) -> Outcome:
    """Send a picture to be changed."""
    picture = await asyncio.to_thread(worst_files.png, side)
    data = {"prompt": "a bridge", "model": model}
    response = await client.post("/image", data=data, files={"image": ("a.png", picture)})
    return Outcome(len(picture), await _answer(client, response))
