"""`POST /v1/responses`. Nothing of a response is kept: each request brings its whole conversation."""

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
    answer, limits = await text.ask(context, body)
    head = text.head(context, answer, "resp_")
    writer = ResponsesWriter(_begun(body, head))
    if body.stream:
        return await text.streamed(context, answer, OpenAITransform(writer, limits, head.id))
    whole = await text.whole(answer)
    OpenAITransform(writer, limits, head.id).transform_whole(whole)
    return text.responded(answer, writer.response, whole)


def _begun(body: ResponsesRequest, head: Head) -> Json:
    return {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "model": head.model,
        "error": None,
        "incomplete_details": None,
        **body.repeated(),
    }
