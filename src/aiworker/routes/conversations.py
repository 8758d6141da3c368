"""`GET` and `DELETE /conversations/{conversation_id}`: the history that `POST /chat` stores."""

import re
from typing import Any

from aiworker.bindings import Conversation
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply
from aiworker.http.messages import Response, json_response
from aiworker.routes.chat_schema import NAME
from aiworker.routing import Returns, route


class ConversationHistory(Reply):
    conversation: str
    messages: list[dict[str, Any]]


@route(
    "GET", "/conversations/{conversation_id}", scope="chat", rate="read", tag="Text",
    returns=Returns(ConversationHistory, "The messages, oldest first."), errors=("not_found", "upstream_error"),
)  # fmt: skip
async def read_conversation(context: Context, conversation_id: str) -> Response:
    """Read a conversation.

    An unknown id, and a deleted conversation, have an empty history.
    """
    messages = await _find(context, conversation_id).history()
    return json_response({"conversation": conversation_id, "messages": messages})


@route(
    "DELETE", "/conversations/{conversation_id}", scope="chat", rate="read", tag="Text",
    returns=Returns(status=204, description="The conversation is deleted."), errors=("not_found", "upstream_error"),
)  # fmt: skip
async def erase_conversation(context: Context, conversation_id: str) -> Response:
    """Delete a conversation.

    At once and for good. Deleting an unknown conversation succeeds.
    """
    await _find(context, conversation_id).erase()
    return Response(status=204)


def _find(context: Context, conversation_id: str) -> Conversation:
    """Return the caller's conversation. Raises ApiError `not_found` for an invalid id."""
    if not re.fullmatch(NAME, conversation_id):
        raise ApiError("not_found", "A conversation's id has up to 64 letters, digits, - and _.")
    return context.conversation(conversation_id)
