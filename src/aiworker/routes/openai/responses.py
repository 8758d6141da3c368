"""`POST /v1/responses`. Responses are not stored: each request brings its whole conversation."""

from aiworker.context import Context
from aiworker.http.messages import Response
from aiworker.models.openai_stream import Head, Json, OpenAITransform
from aiworker.models.responses_stream import ResponsesWriter
from aiworker.routes.openai import text
from aiworker.routes.openai.fields import STREAM_OR_JSON
from aiworker.routes.openai.responses_schema import ResponsesRequest
from aiworker.routing import MODEL_ERRORS, route


@route(
    "POST", "/v1/responses", scope="chat", rate="model", tag="OpenAI",
    body=ResponsesRequest,
    returns=STREAM_OR_JSON, errors=(*MODEL_ERRORS, "unprocessable"),
    example={"model": "gpt-4o-mini", "input": "What is a Worker?"},
)  # fmt: skip
async def openai_responses(context: Context, body: ResponsesRequest) -> Response:
    """Create a response, for OpenAI's clients.

    Nothing is stored: each request brings its whole conversation. docs/openai.md describes what becomes of each
    parameter.
    """
    model_response, limits = await text.call_model(context, body)
    head = text.head(context, model_response, "resp_")
    writer = ResponsesWriter(_initial_response(body, head))
    if body.stream:
        return await text.stream_response(context, model_response, OpenAITransform(writer, limits, head.id))
    data = await text.read_object(model_response)
    OpenAITransform(writer, limits, head.id).transform_whole(data)
    return text.json_response(model_response, writer.response, data)


def _initial_response(body: ResponsesRequest, head: Head) -> Json:
    return {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "model": head.model,
        "error": None,
        "incomplete_details": None,
        **body.repeated(),
    }
