"""Responses of model calls, as the binding and as the REST API write them."""

from starlette.responses import JSONResponse, Response, StreamingResponse

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.gateway.errors import GatewayError
from workers_ai_simulator.http import envelope
from workers_ai_simulator.inference.models import Result
from workers_ai_simulator.media import Media
from workers_ai_simulator.tape.json_text import compact
from workers_ai_simulator.validation import INVALID_INPUT


def result_response(result: Result) -> Response:
    """The answer without an envelope, as the binding and OpenAI's dialects have it: JSON, media, or a stream."""
    answer = result.answer
    if isinstance(answer, Media):
        return Response(answer.content, result.status, result.headers, answer.content_type)
    if result.body is not None:  # of a tape, whose numbers keep their spelling
        return _same_response(compact(answer).encode(), result)
    if isinstance(answer, dict | list):
        # exactly this content type: for any other, the binding returns a stream instead of an object
        return JSONResponse(answer, result.status, {**result.headers, "content-type": "application/json"})
    return StreamingResponse(answer, result.status, result.headers, "text/event-stream")


def dialect_response(result: Result) -> Response:
    """The answer as the REST API has it in OpenAI's dialects: without an envelope."""
    return result_response(result) if result.body is None else _same_response(result.body, result)


def enveloped_response(result: Result) -> Response:
    """The answer as the REST API has it: JSON in the envelope, media and streams without one."""
    if not isinstance(result.answer, dict | list):
        return result_response(result)
    if result.body is not None:
        return _same_response(result.body, result)
    response = envelope(result.answer)
    response.headers.update(result.headers)
    return response


def rest_error(error: UpstreamError) -> Response:
    """The error in the envelope, worded as in recordings of the REST API; a gateway's own as gateways have it."""
    if error.body is not None:
        return Response(error.body, error.status, error.headers, "application/json")
    if isinstance(error, GatewayError):
        return error.response()
    kind = "Bad input" if error.code == INVALID_INPUT else "AiError"
    request_id = error.headers.get("cf-ai-req-id")
    message = f"AiError: {kind}: {error.description}" + (f" ({request_id})" if request_id else "")
    response = envelope({}, error.status, [(error.code, message)])
    response.headers.update(error.headers)
    return response


def _same_response(body: bytes, result: Result) -> Response:
    return Response(body, result.status, result.headers, "application/json")
