"""`/api/chat`: chats of Vercel's `useChat`, whose answers outlast the request for them.

The Worker checks a request; the Durable Object of the chat writes the answer and keeps it, so that a page takes it up
again after a reload or a lost connection. A chat belongs to its caller: the same id of another caller is another chat.
"""

import time

from aiworker.auth import limits
from aiworker.bindings import AnswerStream
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import EVENT_STREAM
from aiworker.http.messages import Response
from aiworker.models.selection import text_models
from aiworker.rag import filters
from aiworker.routes.chat_schema import NAME
from aiworker.routes.ui_chat.chat_schema import AnswerOrder, StopQuery, UiChatRequest
from aiworker.routing import EVENTS, MODEL_ERRORS, Returns, route

DESCRIPTION = "The UI message stream of the AI SDK."
UNCHANGED = "no-store, no-transform"
"""`no-transform`: otherwise a server in between, such as that of Next.js, would compress the stream, and send it only
at its end."""


@route(
    "POST", "/api/chat", scope="chat", rate="model", tag="Vercel AI SDK",
    body=UiChatRequest, returns=Returns({EVENT_STREAM: EVENTS}, DESCRIPTION),
    errors=(*MODEL_ERRORS, "content_blocked"),
    example={
        "id": "chat-1",
        "messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": "What is a Worker?"}]}],
    },
)  # fmt: skip
async def ui_chat(context: Context, body: UiChatRequest) -> Response:
    """Answer a message of a chat, for `useChat`.

    The answer is written to its end although the client disconnects, and can be taken up again. A further message to
    the same chat stops it.
    """
    chat = body.to_chat()
    limits.check_prompt(context, chat.texts(), "messages" if body.messages else "message")
    text_models(context, chat.model, chat.check)
    _check_documents(context, body)
    return await _start(context, body)


@route(
    "GET", "/api/chat/{chat_id}/stream", scope="chat", rate="read", tag="Vercel AI SDK",
    returns=(
        Returns({EVENT_STREAM: EVENTS}, DESCRIPTION),
        Returns(status=204, description="No answer is being written, and none has ended lately."),
    ),
    errors=("not_found", "upstream_error"),
)  # fmt: skip
async def ui_chat_stream(context: Context, chat_id: str) -> Response:
    """Take up the last answer of a chat again, from its beginning.

    Its end follows as it is written. After its end, it is kept for CHAT_RESUME_SECONDS.
    """
    answer = await context.chat(_checked(chat_id)).resume()
    return Response(status=204) if answer is None else _response(answer)


@route(
    "POST", "/api/chat/{chat_id}/stop", scope="chat", rate="read", tag="Vercel AI SDK", query=StopQuery,
    returns=Returns(status=204, description="The answer is not being written any more."),
    errors=("not_found", "upstream_error"),
)  # fmt: skip
async def ui_chat_stop(context: Context, chat_id: str, query: StopQuery) -> Response:
    """Stop the answer that is being written, and the model.

    Every listener gets its end. `stop()` of `useChat` only disconnects.
    """
    if not await context.chat(_checked(chat_id)).stop(query.message_id):
        raise ApiError("not_found", "No such answer is being written in this chat, and none has ended lately.")
    return Response(status=204)


async def _start(context: Context, body: UiChatRequest) -> Response:
    """Make the chat's object write the answer, and the request's log line."""
    caller, log = context.caller, context.log
    order = AnswerOrder(
        request=body,
        request_id=context.request_id,
        milliseconds=(time.monotonic() - log.started) * 1000,
        origin=context.request.origin,
        caller=caller.name,
        tenant=caller.tenant,
        subject=caller.subject,
        key=caller.key.name if caller.key else None,
        has_token=caller.has_token,
    )
    log.is_written = True
    try:
        answer = await context.chat(body.id).start(order.model_dump_json(by_alias=True, exclude_unset=True))
    except ApiError:
        log.is_written = False
        raise
    if answer.error:
        raise answer.error
    return _response(answer)


def _response(answer: AnswerStream) -> Response:
    headers = {"content-type": EVENT_STREAM, "cache-control": UNCHANGED, "x-vercel-ai-ui-message-stream": "v1"}
    return Response(answer.body, 200, {**headers, **answer.headers})


def _check_documents(context: Context, body: UiChatRequest) -> None:
    """Raise ApiError if the caller may not search documents, or the options for the search are invalid."""
    options = body.search_options
    if options is None:
        return
    if not context.caller.has_scope("rag:read"):
        raise ApiError("forbidden", "documents needs the scope rag:read.", param="documents")
    filters.check(options.conditions(), context.settings.rag_properties)
    context.caller.resolve_tenant(options.tenant)


def _checked(chat_id: str) -> str:
    """Return the id. Raises ApiError `not_found` for one that no chat can have."""
    if not NAME.fullmatch(chat_id):
        raise ApiError("not_found", "A chat's id has up to 64 letters, digits, - and _.")
    return chat_id
