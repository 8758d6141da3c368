"""`POST /v1/responses`. The items of a response are stored, so that later requests may refer to them by their ids."""

from collections.abc import Awaitable, Callable

from aiworker.context import Context
from aiworker.http.messages import Response
from aiworker.models.openai_stream import OpenAITransform
from aiworker.models.openai_writers import Head
from aiworker.models.responses_stream import ResponsesWriter
from aiworker.models.tool_calls import Json
from aiworker.routes.attachments import Attachments
from aiworker.routes.openai import conversations, stored_items, text_call, text_response
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

    Each request brings its whole conversation: as items, or as references to items of earlier responses. docs/openai.md
    describes what becomes of each parameter.
    """
    current = await stored_items.resolve(context, body)
    body = await conversations.with_history(context, current)
    is_stored = stored_items.can_store(context) and body.store is not False
    attachments = Attachments(context, "input")
    model_response, limits = await text_call.call_model(context, body, attachments)
    head = text_response.head(context, model_response, "resp_")
    writer = ResponsesWriter({**_initial_response(body, head), "store": is_stored})
    transform = OpenAITransform(writer, limits, head.id)

    async def store() -> None:
        if is_stored:
            writer.response["store"] = await stored_items.store(context, writer.response)
        await conversations.store_turn(context, current, writer.response["output"], attachments)

    if body.stream:
        storing = StoringTransform(transform, writer, store) if is_stored or body.conversation else None
        return await text_response.stream_response(context, model_response, transform, storing)
    data, _ = await model_response.answer()
    transform.transform_whole(data)
    await store()
    return model_response.json_response(writer.response, data.get("usage"))


class StoringTransform:
    """aiworker.bindings.StreamTransform that stores a response before its client sees the end of it.

    A client may refer to the items as soon as it has the end.
    """

    def __init__(
        self, transform: OpenAITransform, writer: ResponsesWriter, store: Callable[[], Awaitable[None]]
    ) -> None:
        """transform: writes the stream. writer: its writer. store: called with a response that is complete."""
        self._store = store
        self._transform = transform
        self._writer = writer
        self._end = b""

    def transform(self, chunk: bytes) -> bytes:
        content = self._transform.transform(chunk)
        if not self._writer.is_complete:
            return content
        self._end += content
        return b""

    async def finish(self) -> bytes:
        rest = self._transform.finish()
        if self._writer.is_complete:
            await self._store()
        return self._end + rest

    def fail(self, reason: str) -> str:
        return self._end.decode() + self._transform.fail(reason)


def _initial_response(body: ResponsesRequest, head: Head) -> Json:
    return {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "model": head.model,
        "error": None,
        "incomplete_details": None,
        "conversation": {"id": body.conversation_id} if body.conversation else None,
        **body.repeated(),
    }
