"""Responses of model calls, as the binding and as the REST API write them."""

from starlette.responses import JSONResponse, Response, StreamingResponse

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.http import envelope
from workers_ai_simulator.inference.models import Result
from workers_ai_simulator.media import Media
from workers_ai_simulator.validation import INVALID_INPUT


def result_response(result: Result) -> Response:
    """The answer without an envelope, as the binding and OpenAI's dialects have it: JSON, media, or a stream."""
    answer = result.answer
    if isinstance(answer, Media):
        return Response(answer.content, media_type=answer.content_type, headers=result.headers)
    if isinstance(answer, dict | list):
        # exactly this content type: for any other, the binding returns a stream instead of an object
        return JSONResponse(answer, headers={**result.headers, "content-type": "application/json"})
    return StreamingResponse(answer, media_type="text/event-stream", headers=result.headers)


def enveloped_response(result: Result) -> Response:
    """The answer as the REST API has it: JSON in the envelope, media and streams without one."""
    if not isinstance(result.answer, dict | list):
        return result_response(result)
    response = envelope(result.answer)
    response.headers.update(result.headers)
    return response


def rest_error(error: UpstreamError) -> Response:
    """The error in the envelope, worded as in recordings of the REST API."""
    kind = "Bad input" if error.code == INVALID_INPUT else "AiError"
    request_id = error.headers.get("cf-ai-req-id")
    message = f"AiError: {kind}: {error.description}" + (f" ({request_id})" if request_id else "")
    response = envelope({}, error.status, [(error.code, message)])
    response.headers.update(error.headers)
    return response
