"""`POST /v1/responses`. Nothing of a response is kept: each request brings its whole conversation."""

from aiworker.context import Context
from aiworker.http.body import parse_json
from aiworker.http.messages import Response
from aiworker.models.openai_stream import Head, Json, Translation
from aiworker.models.responses_stream import ResponsesWriter
from aiworker.routes.openai import text
from aiworker.routes.openai.responses_schema import ResponsesRequest


async def responses(context: Context) -> Response:
    asked = await parse_json(ResponsesRequest, context.request, context.settings.max_body_bytes)
    answer, limits = await text.ask(context, asked)
    head = text.head(context, answer, "resp_")
    writer = ResponsesWriter(_begun(asked, head))
    if asked.stream:
        return await text.streamed(context, answer, Translation(writer, limits, head.id))
    whole = await text.whole(answer)
    Translation(writer, limits, head.id).whole(whole)
    return text.responded(answer, writer.response, whole)


def _begun(asked: ResponsesRequest, head: Head) -> Json:
    return {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "model": head.model,
        "error": None,
        "incomplete_details": None,
        **asked.repeated(),
    }
