"""Calls of the `AI` binding, as the `Ai` class of workerd sends them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers_ai_simulator.errors import UpstreamError, incomplete
from workers_ai_simulator.http import form_fields, json_object, media_type
from workers_ai_simulator.inference import model_search
from workers_ai_simulator.inference.models import ModelCall, RunModel
from workers_ai_simulator.inference.responses import result_response


class Binding:
    """HTTP handlers of `env.AI`, one for each of its methods."""

    def __init__(self, run_model: RunModel) -> None:
        self._run_model = run_model

    async def run(self, request: Request) -> Response:
        """`env.AI.run(model, inputs, options)`."""
        try:
            inputs, options = await _inputs_and_options(request)
            model = request.headers.get("cf-consn-model-id", "")
            call = ModelCall(model, inputs, options, content_type=media_type(request))
            return result_response(await self._run_model(request, call))
        except UpstreamError as error:
            return error.response()

    async def models(self, request: Request) -> Response:
        """`env.AI.models(params)`."""
        return JSONResponse({"result": model_search.search(request.query_params)})


async def _inputs_and_options(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and options of a model call, in any of the three forms in which the `Ai` class sends them.

    Raises UpstreamError 3003 for a body that the class never sends.
    """
    declared = media_type(request)
    if declared == "application/json":
        return _json_inputs_and_options(await request.body())
    inputs = _query_object(request, "userInputs")
    if declared == "multipart/form-data":
        return {**inputs, **await form_fields(request)}, {}
    # one input is a stream, and the class does not say which; models that take a stream take it as `audio`
    return {**inputs, "audio": await request.body()}, {}


def _json_inputs_and_options(body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    match json_object(body):
        case {"inputs": {**inputs}, "options": {**options}}:
            return inputs, options
        case _:
            raise incomplete("the body must be JSON with objects `inputs` and `options`")


def _query_object(request: Request, name: str) -> dict[str, Any]:
    value = json_object(request.query_params.get(name, "{}"))
    if value is None:
        raise incomplete(f"the query's {name} must be a JSON object")
    return value
