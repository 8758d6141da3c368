"""The page at the simulator's root, which shows its fidelity, its models, and the requests as they arrive."""

import hashlib
from dataclasses import asdict
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.catalogue import MODELS, Model
from workers_ai_simulator.inference.answers import SIMULATED_TASKS

FOLDER = files("workers_ai_simulator").joinpath("page")
INDEX = "index.html"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # revalidated each time: whoever edits the page sees the change with the next reload
    "cache-control": "no-cache",
}
MODEL_FIELDS = (
    "id", "task", "context_window", "dimensions", "max_input_tokens", "price", "rate_limit_per_minute", "dialect",
    "abilities", "deprecated",
)  # fmt: skip


def routes() -> list[BaseRoute]:
    """Routes of the page, its files, and the models that it shows."""
    return [
        Route("/", _index),
        Route("/page/{file}", _file),
        Route("/simulator/models", _models),
    ]


def _index(request: Request) -> Response:
    return _file_response(request, INDEX)


def _file(request: Request) -> Response:
    name = request.path_params["file"]
    if name not in {each.name for each in FOLDER.iterdir()}:
        return Response("The page has no such file.", 404, media_type="text/plain")
    return _file_response(request, name)


def _file_response(request: Request, name: str) -> Response:
    """The file of that name, or status 304 if the browser has its current version."""
    content = FOLDER.joinpath(name).read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**HEADERS, "etag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers={**headers, "content-type": CONTENT_TYPES[PurePath(name).suffix]})


def _models(_: Request) -> Response:
    """All models of the catalogue, and whether each is `simulated`: calls of the others answer 501."""
    return JSONResponse([_row(model) for model in MODELS.values()])


def _row(model: Model) -> dict[str, Any]:
    facts = asdict(model)
    simulated = model.task in SIMULATED_TASKS
    return {**{name: facts[name] for name in MODEL_FIELDS}, "simulated": simulated}
