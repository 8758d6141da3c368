"""`/conversations`: the histories that `POST /chat` stores."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator

from aiworker import conversation_index
from aiworker.auth.access import DEFAULT_TENANT
from aiworker.bindings import Conversation
from aiworker.context import Context
from aiworker.conversation_owner import ConversationOwner
from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.http.messages import Response, json_response
from aiworker.routes.chat_schema import NAME
from aiworker.routes.documents_schema import Name
from aiworker.routing import Returns, route

ROLES = ("system", "user", "assistant", "tool")


class OwnerQuery(Schema):
    tenant: Name | None = None
    """The tenant that has the conversation; the caller's own if left out. Only an `admin` key may name another."""
    subject: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63}|\*)$")] | None = None
    """The user of that tenant; `*` for callers without a key."""


class ConversationsQuery(OwnerQuery):
    cursor: Annotated[str, Field(max_length=300)] = ""
    """`cursor` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class ConversationEntry(Reply):
    conversation: str
    tenant: str | None
    """Null for conversations of an `admin` key without a tenant."""
    subject: str | None
    """The user; null for those of a key itself."""
    title: str | None
    """The beginning of the first question; null without a text, and until the next turn for those stored before the
    Worker was upgraded to keep titles."""
    created_at: str
    updated_at: str
    """Time of the last turn."""


class ConversationList(Reply):
    conversations: list[ConversationEntry]
    cursor: str | None
    """Cursor of the next page; null on the last page."""


class ConversationHistory(Reply):
    conversation: str
    messages: list[dict[str, Any]]


class StoredTurn(Schema):
    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1_000, fail_fast=True)]
    """A turn, as `GET /conversations/{conversation_id}` returns it."""

    @field_validator("messages")
    @classmethod
    def _check_roles(cls, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not all(message.get("role") in ROLES for message in messages):
            raise ValueError(f"must be messages whose role is one of {', '.join(ROLES)}")
        return messages


@route(
    "GET", "/conversations", scope="chat", rate="read", tag="Text",
    query=ConversationsQuery, returns=Returns(ConversationList, "A page."), errors=("forbidden", "upstream_error"),
)  # fmt: skip
async def list_conversations(context: Context, query: ConversationsQuery) -> Response:
    """List the caller's conversations.

    Ordered by id, in pages. An `admin` key may name a tenant, whose users' conversations are listed then. Those without
    a turn since the Worker was upgraded to list them are missing. Callers without a key, and tokens without a subject,
    may not list conversations, which they share with all others like them.
    """
    owner, caller = _owner(context, query), context.caller
    if caller.tenant is not None and not caller.owner:
        # only the ids, which are secret, keep these conversations apart
        raise ApiError("forbidden", "Callers without a key or a subject share conversations, which are not listed.")
    if query.tenant is not None and query.subject is None and caller.tenant is None:
        rows = await conversation_index.page_of_tenant(context.database, query.tenant, query.cursor, query.limit + 1)
        column = "name"
    else:
        rows = await conversation_index.page(context.database, owner, query.cursor, query.limit + 1)
        column = "id"
    page = rows[: query.limit]
    cursor = page[-1][column] if len(rows) > query.limit else None
    return json_response({"conversations": list(map(conversation_index.as_json, page)), "cursor": cursor})


@route(
    "GET", "/conversations/{conversation_id}", scope="chat", rate="read", tag="Text", query=OwnerQuery,
    returns=Returns(ConversationHistory, "The messages, oldest first."),
    errors=("forbidden", "not_found", "upstream_error"),
)  # fmt: skip
async def read_conversation(context: Context, conversation_id: str, query: OwnerQuery) -> Response:
    """Read a conversation.

    An unknown id, and a deleted conversation, have an empty history.
    """
    messages = await _find(context, conversation_id, query).history()
    return json_response({"conversation": conversation_id, "messages": messages})


@route(
    "POST", "/conversations/{conversation_id}/messages", scope="admin", rate="read", tag="Text", query=OwnerQuery,
    body=StoredTurn, returns=Returns(status=204, description="The turn is stored."),
    errors=("not_found", "upstream_error"),
    example={"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]},
)  # fmt: skip
async def add_messages(context: Context, conversation_id: str, query: OwnerQuery, body: StoredTurn) -> Response:
    """Add a turn to a conversation.

    As it was exported: no model is called, and the guard does not judge it.
    """
    await _find(context, conversation_id, query).append(body.messages)
    return Response(status=204)


@route(
    "DELETE", "/conversations/{conversation_id}", scope="chat", rate="read", tag="Text", query=OwnerQuery,
    returns=Returns(status=204, description="The conversation is deleted."),
    errors=("forbidden", "not_found", "upstream_error"),
)  # fmt: skip
async def erase_conversation(context: Context, conversation_id: str, query: OwnerQuery) -> Response:
    """Delete a conversation.

    At once and for good. Deleting an unknown conversation succeeds.
    """
    await _find(context, conversation_id, query).erase()
    return Response(status=204)


def _owner(context: Context, query: OwnerQuery) -> ConversationOwner:
    """Return the owner that the query names, by default the caller. Raises ApiError `forbidden` for another's."""
    own = context.caller.conversation_owner
    if query.tenant is None and query.subject is None:
        return own
    if own.tenant is None:
        return ConversationOwner(query.tenant or DEFAULT_TENANT, query.subject or "")
    named = ConversationOwner(context.caller.resolve_tenant(query.tenant), query.subject or own.subject)
    if named != own:
        raise ApiError("forbidden", "Only an admin key may read conversations of other users.", param="subject")
    return own


def _find(context: Context, conversation_id: str, query: OwnerQuery) -> Conversation:
    """Return the conversation. Raises ApiError `not_found` for an invalid id, `forbidden` for another's."""
    if not NAME.fullmatch(conversation_id):
        raise ApiError("not_found", "A conversation's id has up to 64 letters, digits, - and _.")
    return context.conversation_of(_owner(context, query), conversation_id)
