"""The same on FastAPI, through the SDK's ASGI adapter."""

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from workers import asgi

CHAT = "@cf/meta/llama-3.1-8b-instruct-fast"
EMBED = "@cf/baai/bge-base-en-v1.5"

app = FastAPI()
Default = asgi.entrypoint(app)


class Chat(BaseModel):
    prompt: str
    stream: bool = True


class Texts(BaseModel):
    text: str | list[str]


@app.post("/chat")
async def chat(body: Chat, request: Request):
    answer = await request.scope["env"].AI.run(CHAT, body.model_dump())
    return StreamingResponse(parts(answer.getReader()), media_type="text/event-stream") if body.stream else answer


async def parts(reader):
    while not (part := await reader.read()).done:
        yield part.value.to_bytes()


@app.post("/embed")
async def embed(body: Texts, request: Request):
    return await request.scope["env"].AI.run(EMBED, {"text": body.text})
