"""Workers AI in Cloudflare's REST API, with its OpenAI-compatible endpoints."""

import base64
import struct
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers_ai_simulator.errors import UpstreamError, incomplete
from workers_ai_simulator.http import envelope, media_type
from workers_ai_simulator.inference import model_schema, model_search
from workers_ai_simulator.inference.models import CallDialect, ModelCall, RunModel
from workers_ai_simulator.inference.requests import gateway_options, inputs_for, model_and_inputs
from workers_ai_simulator.inference.responses import dialect_response, enveloped_response, rest_error
from workers_ai_simulator.text import tokens
from workers_ai_simulator.validation import mismatch


class Rest:
    """HTTP handlers of the REST API, one for each of its endpoints."""

    def __init__(self, run_model: RunModel) -> None:
        self._run_model = run_model

    async def run_named(self, request: Request) -> Response:
        """Run the model that the body names: `{model, input}`, with the inputs as an object."""
        try:
            model, body = await model_and_inputs(request, "input")
            inputs: Any = body["input"]
            if not isinstance(inputs, dict):
                raise mismatch("/input", inputs, "object")
            call = ModelCall(model, cast("dict[str, Any]", inputs), gateway_options(request, model))
            return enveloped_response(await self._run_model(request, call))
        except UpstreamError as error:
            return rest_error(error)

    async def run(self, request: Request) -> Response:
        """Run any model, with inputs as JSON, as a form, or as the bytes of one sound or image."""
        try:
            model = request.path_params["model"]
            inputs = await inputs_for(model, request)
            options = gateway_options(request, model)
            if request.query_params.get("queueRequest") == "true":
                options["queueRequest"] = True
            call = ModelCall(model, inputs, options, content_type=media_type(request))
            return enveloped_response(await self._run_model(request, call))
        except UpstreamError as error:
            return rest_error(error)

    async def models(self, request: Request) -> Response:
        """Search the models."""
        return envelope(model_search.search(request.query_params, has_prices=True))

    async def model_schema(self, request: Request) -> Response:
        """JSON schemas of a model's inputs and answer."""
        model = request.query_params.get("model")
        if not model:
            raise incomplete("the query must name a `model`")
        return envelope(model_schema.schema(model))

    async def tasks(self, _: Request) -> Response:
        """The tasks of the models."""
        return envelope(model_search.tasks())

    async def authors(self, _: Request) -> Response:
        """The authors of the models."""
        return envelope(model_search.authors())

    # ---- OpenAI's dialects, and Anthropic's ----------------------------------------------------------------------

    async def chat_completions(self, request: Request) -> Response:
        return await self._in_dialect(request, "openai", "messages")

    async def responses(self, request: Request) -> Response:
        return await self._in_dialect(request, "responses", "input")

    async def messages(self, request: Request) -> Response:
        """Anthropic's Messages, of any model of text generation."""
        return await self._in_dialect(request, "messages", "messages")

    async def _in_dialect(self, request: Request, dialect: CallDialect, needed: str) -> Response:
        try:
            model, inputs = await model_and_inputs(request, needed)
            call = ModelCall(model, inputs, gateway_options(request, model), dialect)
            return dialect_response(await self._run_model(request, call))
        except UpstreamError as error:
            return rest_error(error)

    async def embeddings(self, request: Request) -> Response:
        try:
            model, body = await model_and_inputs(request, "input")
            value: Any = body["input"]
            texts = cast("list[Any]", value) if isinstance(value, list) else [value]
            result = await self._run_model(request, ModelCall(model, {"text": texts}, gateway_options(request, model)))
        except UpstreamError as error:
            return rest_error(error)
        vectors = cast("dict[str, Any]", result.answer)["data"]
        count = sum(len(tokens(str(text))) for text in texts)
        encode = _as_base64 if body.get("encoding_format") == "base64" else list[float]
        return JSONResponse(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": number, "embedding": encode(vector)}
                    for number, vector in enumerate(vectors)
                ],
                "model": model,
                "usage": {"prompt_tokens": count, "total_tokens": count},
            },
            headers=result.headers,
        )


def _as_base64(vector: list[float]) -> str:
    """The vector as little-endian float32, as OpenAI's `encoding_format: "base64"` has it."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
