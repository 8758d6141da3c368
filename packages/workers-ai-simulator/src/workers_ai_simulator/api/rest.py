"""Cloudflare's REST API for Workers AI, under `/client/v4/accounts/{account}/ai`."""

import base64
import struct
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from workers_ai_simulator.api import catalogue
from workers_ai_simulator.api.binding import written
from workers_ai_simulator.api.bodies import form_fields, json_object, media_type
from workers_ai_simulator.errors import UpstreamError, enveloped, incomplete
from workers_ai_simulator.inference.calls import Dialect, ModelCall, Result
from workers_ai_simulator.inference.service import Inference
from workers_ai_simulator.models import find
from workers_ai_simulator.text import tokens
from workers_ai_simulator.traffic.traffic import Traffic

ACCOUNT = "/client/v4/accounts/{account}"
INVALID_INPUT = 5006
MAY_BE_JSON = {"", "application/json", "application/x-www-form-urlencoded", "text/plain"}
"""curl says "form" of any data for which nothing is said, and Cloudflare's own examples leave it at that."""
CREDENTIALS = {b"authorization", b"x-auth-key"}


class Authentication:
    """Refuses calls of the REST API that bring no credentials; which ones they bring does not matter here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope.get("headers", [])}
        if scope["type"] == "http" and scope["path"].startswith("/client/v4/") and not names & CREDENTIALS:
            await enveloped(None, 401, [(10000, "Authentication error")])(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Rest:
    def __init__(self, inference: Inference, traffic: Traffic) -> None:
        self._inference = inference
        self._traffic = traffic

    def routes(self) -> list[BaseRoute]:
        search = self._traffic.watched("AI", "models", _models, refused)
        return [
            Route(f"{ACCOUNT}/ai/run/{{model:path}}", self._run, methods=["POST"]),
            Route(f"{ACCOUNT}/ai/models/search", search),
            Route(f"{ACCOUNT}/ai/v1/chat/completions", self._chat, methods=["POST"]),
            Route(f"{ACCOUNT}/ai/v1/responses", self._responses, methods=["POST"]),
            Route(f"{ACCOUNT}/ai/v1/embeddings", self._embeddings, methods=["POST"]),
        ]

    async def _run(self, request: Request) -> Response:
        """Any model, with its inputs as JSON, as a form, or as the bytes of one sound or image."""
        try:
            model = request.path_params["model"]
            inputs = await inputs_for(model, request)
            options = {"queueRequest": True} if request.query_params.get("queueRequest") == "true" else {}
            return in_envelope(await self._inference.run(request, ModelCall(model, inputs, options)))
        except UpstreamError as error:
            return refused(error)

    # ---- OpenAI's dialect ------------------------------------------------------------------------

    async def _chat(self, request: Request) -> Response:
        return await self._in_dialect(request, "openai", "messages")

    async def _responses(self, request: Request) -> Response:
        return await self._in_dialect(request, "responses", "input")

    async def _in_dialect(self, request: Request, dialect: Dialect, needed: str) -> Response:
        try:
            model, inputs = await _model_and_inputs(request, needed)
            return written(await self._inference.run(request, ModelCall(model, inputs, dialect=dialect)))
        except UpstreamError as error:
            return refused(error)

    async def _embeddings(self, request: Request) -> Response:
        try:
            model, asked = await _model_and_inputs(request, "input")
            given: Any = asked["input"]
            texts = cast("list[Any]", given) if isinstance(given, list) else [given]
            result = await self._inference.run(request, ModelCall(model, {"text": texts}))
        except UpstreamError as error:
            return refused(error)
        vectors = cast("dict[str, Any]", result.answer)["data"]
        count = sum(len(tokens(str(text))) for text in texts)
        written_as = _as_base64 if asked.get("encoding_format") == "base64" else list[float]
        return JSONResponse(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": number, "embedding": written_as(vector)}
                    for number, vector in enumerate(vectors)
                ],
                "model": model,
                "usage": {"prompt_tokens": count, "total_tokens": count},
            },
            headers=result.headers,
        )


async def _models(request: Request) -> Response:
    found = catalogue.search(request.query_params)
    return enveloped(found)


def refused(error: UpstreamError) -> Response:
    """The error in the envelope, worded as recordings of the REST API have it."""
    what = "Bad input" if error.code == INVALID_INPUT else "AiError"
    request_id = error.headers.get("cf-ai-req-id")
    message = f"AiError: {what}: {error.description}" + (f" ({request_id})" if request_id else "")
    response = enveloped({}, error.status, [(error.code, message)])
    response.headers.update(error.headers)
    return response


def in_envelope(result: Result) -> Response:
    """The answer as this API has it: what is not JSON goes without an envelope."""
    if not isinstance(result.answer, dict | list):
        return written(result)
    response = enveloped(result.answer)
    response.headers.update(result.headers)
    return response


async def inputs_for(model: str, request: Request) -> dict[str, Any]:
    """What a request brings for that model: JSON, a form, or the bytes of one sound or image.

    Raises UpstreamError 3003 for what begins as a JSON object and is none, 5007 for bytes if there is no such model.
    """
    sent_as = media_type(request)
    if sent_as == "multipart/form-data":
        return await form_fields(request)
    body = await request.body()
    if sent_as in MAY_BE_JSON and body.lstrip().startswith(b"{"):
        return await sent_object(request)
    return {"audio" if find(model).task == "speech-to-text" else "image": body}


async def sent_object(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings. Raises UpstreamError 3003 for any other body."""
    found = json_object(await request.body())
    if found is None:
        raise incomplete("the body must be a JSON object")
    return found


async def _model_and_inputs(request: Request, needed: str) -> tuple[str, dict[str, Any]]:
    inputs = await sent_object(request)
    missing = [name for name in ("model", needed) if name not in inputs]
    if missing:
        raise UpstreamError(400, INVALID_INPUT, f"Error: required properties at '/' are '{','.join(missing)}'")
    return str(inputs.pop("model")), inputs


def _as_base64(vector: list[float]) -> str:
    """Little-endian float32, as OpenAI's `encoding_format` has it."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
