"""The wire of the `AI` binding: what the `Ai` class of workerd sends, and what it reads."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.api import catalogue
from workers_ai_simulator.api.bodies import form_fields, json_object, media_type
from workers_ai_simulator.errors import NotSimulated, UpstreamError, incomplete
from workers_ai_simulator.inference.calls import ModelCall, Result
from workers_ai_simulator.inference.service import Inference
from workers_ai_simulator.media import Media
from workers_ai_simulator.traffic.traffic import Traffic


class Binding:
    def __init__(self, inference: Inference, traffic: Traffic) -> None:
        self._inference = inference
        self._traffic = traffic

    def routes(self) -> list[BaseRoute]:
        search = self._traffic.watched("AI", "models", self._models, UpstreamError.response)
        return [
            Route("/run", self._run, methods=["POST"]),
            Route("/run", _websocket, methods=["GET"]),
            Route("/ai-gateway/run", self._run, methods=["POST"]),
            Route("/ai-api/models/search", search),
        ]

    async def _run(self, request: Request) -> Response:
        """`env.AI.run(model, inputs, options)`."""
        try:
            inputs, options = await _asked(request)
            call = ModelCall(request.headers.get("cf-consn-model-id", ""), inputs, options)
            return written(await self._inference.run(request, call))
        except UpstreamError as error:
            return error.response()

    async def _models(self, request: Request) -> Response:
        """`env.AI.models(params)`."""
        return JSONResponse({"result": catalogue.search(request.query_params)})


async def _websocket(_: Request) -> Response:
    """`env.AI.run(model, inputs, {websocket: true})`, of which the class hands on any answer as it is."""
    return NotSimulated("The option `websocket`").response()


def written(result: Result) -> Response:
    """The answer as the binding reads it."""
    answer = result.answer
    if isinstance(answer, Media):
        return Response(answer.content, media_type=answer.content_type, headers=result.headers)
    if isinstance(answer, dict | list):
        # exactly this content type, or the binding hands on a stream instead of an object
        return JSONResponse(answer, headers={**result.headers, "content-type": "application/json"})
    return StreamingResponse(answer, media_type="text/event-stream", headers=result.headers)


async def _asked(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs and options of a model call, in any of the three forms in which the `Ai` class sends them.

    Raises UpstreamError 3003 for a body that it would not send.
    """
    sent_as = media_type(request)
    if sent_as == "application/json":
        return _asked_as_json(await request.body())
    inputs = _query_object(request, "userInputs")
    if sent_as == "multipart/form-data":
        return {**inputs, **await form_fields(request)}, {}
    # one input is a stream, and the class does not say which: of the models that take one, it is the audio
    return {**inputs, "audio": await request.body()}, {}


def _asked_as_json(body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    match json_object(body):
        case {"inputs": {**inputs}, "options": {**options}}:
            return inputs, options
        case _:
            raise incomplete("the body must be JSON with objects `inputs` and `options`")


def _query_object(request: Request, name: str) -> dict[str, Any]:
    found = json_object(request.query_params.get(name, "{}"))
    if found is None:
        raise incomplete(f"the query's {name} must be a JSON object")
    return found
