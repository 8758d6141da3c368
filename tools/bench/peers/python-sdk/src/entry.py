"""The Python Worker that Cloudflare's documentation teaches to write: the SDK converts what passes, there and back."""

import asyncio
import json
import secrets
import time
from urllib.parse import urlsplit

import js
from pyodide.ffi import to_js
from workers import Response, WorkerEntrypoint

CHAT = "@cf/meta/llama-3.1-8b-instruct-fast"
EMBED = "@cf/baai/bge-base-en-v1.5"
EVENT_STREAM = {"content-type": "text/event-stream"}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        routes = {
            ("POST", "/chat"): self.chat,
            ("POST", "/v1/chat/completions"): self.completions,
            ("POST", "/embed"): self.embed,
        }
        route = routes.get((request.method, urlsplit(request.url).path))
        return await route(request) if route else Response("Not found", status=404)

    async def chat(self, request):
        body = await request.json()
        if not isinstance(body.get("prompt"), str):
            return Response.json({"error": "prompt must be a string"}, status=400)
        stream = body.get("stream", True)
        answer = await self.env.AI.run(CHAT, {"prompt": body["prompt"], "stream": stream})
        return Response(answer, headers=EVENT_STREAM) if stream else Response.json(answer)

    async def embed(self, request):
        body = await request.json()
        return Response.json(await self.env.AI.run(EMBED, {"text": body["text"]}))

    async def completions(self, request):
        """A native stream as OpenAI's chunks: read, translated and written in turns of asyncio's loop."""
        body = await request.json()
        stream = await self.env.AI.run(CHAT, {"messages": body["messages"], "stream": True})
        pipe = js.IdentityTransformStream.new()
        self.ctx.waitUntil(asyncio.ensure_future(translate(stream.getReader(), pipe.writable.getWriter())))
        return Response(pipe.readable, headers=EVENT_STREAM)


async def translate(reader, writer):
    head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "object": "chat.completion.chunk", "created": int(time.time())}
    rest = b""
    while not (part := await reader.read()).done:
        *blocks, rest = (rest + part.value.to_bytes()).split(b"\n\n")
        written = b"".join(chunk(head, block.removeprefix(b"data: ")) for block in blocks)
        if written:
            await writer.write(to_js(written))
    await writer.close()


def chunk(head, data):
    if data == b"[DONE]":
        return dumped(head, {}, "stop") + b"data: [DONE]\n\n"
    text = json.loads(data)["response"]
    return dumped(head, {"content": text}, None) if text else b""


def dumped(head, delta, finish_reason):
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return b"data: " + json.dumps({**head, "model": CHAT, "choices": [choice]}).encode() + b"\n\n"
