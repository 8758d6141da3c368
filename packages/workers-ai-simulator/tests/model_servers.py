"""Stand-ins for model servers, which speak as Ollama, LM Studio, llama.cpp and vLLM document their APIs."""

import json
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]

OWNERS = {"ollama": "library", "lmstudio": "organization_owner", "llama.cpp": "llamacpp", "vllm": "vllm"}
WIDTHS = {"nomic-embed-text": 768, "bge-m3": 1024, "qwen3-embedding": 4096}


class ModelServer:
    """A server of one kind, whose models and troubles a test sets."""

    def __init__(self, kind: str, *models: str) -> None:
        self.kind = kind
        self.models = list(models)
        self.in_memory: list[str] = []
        self.loading = 0
        """Number of requests that are still refused because the model is being loaded."""
        self.refuses: tuple[int, Json] | None = None
        """Status and body of the answer to every chat."""
        self.frames: list[str] = []
        """Frames of the answer to every chat that streams."""
        self.pull_events: list[Json] | None = None
        """Events of a download; by default, of one that succeeds."""
        self.lists_models = True
        self.key = ""
        self.requests: list[tuple[str, Json]] = []
        """Path and body of each request but those for the list of models."""

    # ---- HTTP

    def routes(self) -> list[Route]:
        common = [
            Route("/v1/models", self._list),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/embeddings", self._embed, methods=["POST"]),
        ]
        ollama = [
            Route("/api/version", self._version),
            Route("/api/ps", self._ps),
            Route("/api/pull", self._pull, methods=["POST"]),
        ]
        return common + (ollama if self.kind == "ollama" else [])

    async def _list(self, request: Request) -> Response:
        if self.loading:
            self.loading -= 1
            error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
            return JSONResponse({"error": error}, 503)
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": "Unauthorized"}, 401)
        if not self.lists_models:
            return Response("<h1>Not Found</h1>", 404, media_type="text/html")
        entries = [{"id": name, "object": "model", "created": 1, "owned_by": self._owner(name)} for name in self.models]
        # a nil slice of Go's is null
        return JSONResponse({"object": "list", "data": entries or (None if self.kind == "ollama" else [])})

    def _owner(self, name: str) -> str:
        return name.split("/")[1] if self.kind == "ollama" and name.startswith("hf.co/") else OWNERS[self.kind]

    async def _version(self, _: Request) -> Response:
        return JSONResponse({"version": "0.15.6"})

    async def _ps(self, _: Request) -> Response:
        return JSONResponse({"models": [{"name": each, "model": each, "size": 1} for each in self.in_memory]})

    async def _pull(self, request: Request) -> Response:
        name = (await request.json())["model"]
        self.requests.append((request.url.path, {"model": name}))
        digest = {"status": "pulling 6a0746a1ec1a", "digest": "sha256:6a0746a1ec1a"}
        events = self.pull_events or [
            {"status": "pulling manifest"},
            {**digest, "total": 2_000_000_000},
            {**digest, "total": 2_000_000_000, "completed": 900_000_000},
            {**digest, "total": 2_000_000_000, "completed": 2_000_000_000},
            {"status": "verifying sha256 digest"},
            {"status": "writing manifest"},
            {"status": "success"},
        ]
        if events[-1] == {"status": "success"}:
            self.models.insert(0, name if ":" in name else f"{name}:latest")

        async def lines() -> AsyncIterator[str]:
            for event in events:
                yield f"{json.dumps(event)}\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append((request.url.path, body))
        name = body["model"]
        if self.refuses:
            status, content = self.refuses
            return JSONResponse(content, status)
        if self.kind != "llama.cpp" and name not in self.models and f"{name}:latest" not in self.models:
            return JSONResponse(self._unknown(name), 404)
        if body.get("stream"):

            async def frames() -> AsyncIterator[str]:
                for frame in self.frames:
                    yield frame

            return StreamingResponse(frames(), media_type="text/event-stream")
        message = {"role": "assistant", "content": f"I am {name}."}
        return JSONResponse({"object": "chat.completion", "choices": [{"index": 0, "message": message}]})

    def _unknown(self, name: str) -> Json:
        sentences = {
            "ollama": (f"model '{name}' not found", "not_found_error", None),
            "vllm": (f"The model `{name}` does not exist.", "NotFoundError", 404),
        }
        message, kind, code = sentences.get(self.kind, (f"model {name} not found", "invalid_request_error", None))
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    async def _embed(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append((request.url.path, body))
        width = WIDTHS.get(body["model"].removesuffix(":latest"))
        if width is None:
            return JSONResponse({"error": {"message": "this model does not support embeddings"}}, 400)
        rows = [[float(len(each))] * width for each in body["input"]]
        # the order is that of `index`
        data = [{"object": "embedding", "embedding": row, "index": at} for at, row in reversed([*enumerate(rows)])]
        return JSONResponse({"object": "list", "data": data, "model": body["model"]})


@contextmanager
def serving(stand_in: ModelServer) -> Generator[str]:
    """Serve on a free port; the value is the address."""
    config = uvicorn.Config(Starlette(routes=stand_in.routes()), port=0, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
