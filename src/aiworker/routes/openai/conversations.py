"""`/v1/conversations`: the conversations of `/conversations`, in OpenAI's form.

A conversation exists from its first item or metadata on; before, every caller finds it empty.
"""

import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from aiworker.auth import limits
from aiworker.bindings import ItemizedConversation, Turn
from aiworker.context import Context
from aiworker.conversations import item_numbers
from aiworker.errors import ApiError
from aiworker.http.body import Schema, parse_object
from aiworker.http.messages import Response, json_response
from aiworker.models import guard
from aiworker.models.answer_reader import objects
from aiworker.routes.attachments import Attachments
from aiworker.routes.openai.chat_schema import Json
from aiworker.routes.openai.fields import JSON_REPLY, OpenAIRequest
from aiworker.routes.openai.responses_schema import InputMessage, Item, ItemReference, ResponsesRequest
from aiworker.routing import route

MAX_ITEMS = 20
"""Items of one request, as at OpenAI."""
ID = re.compile(r"conv_([0-9a-f]{8})[0-9a-f]{24}")
"""Id of a conversation; the group is the time at which it was created, in seconds since 1970."""
ITEMS: TypeAdapter[list[Item]] = TypeAdapter(list[Item])
PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}
"""Type of an item → beginning of its id, which goes on with the id of its turn and its number in it."""
ITEM_ID = re.compile(r"(?:msg|fc|fco)_(\d{1,15})_(\d{1,9})")
COMPLETED = {"status": "completed"}

Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
"""Limits as at OpenAI."""
Items = Annotated[list[Item], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)]


class ConversationRequest(OpenAIRequest):
    items: Annotated[list[Item], Field(max_length=MAX_ITEMS, fail_fast=True)] | None = None
    """The first items."""
    metadata: Metadata | None = None


class MetadataRequest(OpenAIRequest):
    metadata: Metadata
    """In place of what is stored."""


class ItemsRequest(OpenAIRequest):
    items: Items


class ItemsQuery(Schema):
    after: str | None = None
    """Id of the item before the page."""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    include: str | None = None
    """Accepted without effect."""


@route(
    "POST", "/v1/conversations", scope="chat", rate="read", tag="OpenAI",
    body=ConversationRequest, returns=JSON_REPLY, errors=("content_blocked", "upstream_error"),
    example={"items": [{"role": "user", "content": "Hello"}]},
)  # fmt: skip
async def openai_create_conversation(context: Context, body: ConversationRequest) -> Response:
    """Create a conversation, for OpenAI's clients.

    Its id is also one of `POST /chat` and `/conversations`.
    """
    conversation_id = f"conv_{int(time.time()):08x}{secrets.token_hex(12)}"
    if body.items:
        await _append(context, conversation_id, body.items)
    if body.metadata:
        await _find(context, conversation_id).set_metadata(body.metadata)
    return json_response(_resource(conversation_id, body.metadata or {}))


@route(
    "GET", "/v1/conversations/{conversation_id}", scope="chat", rate="read", tag="OpenAI",
    returns=JSON_REPLY, errors=("not_found", "upstream_error"),
)  # fmt: skip
async def openai_read_conversation(context: Context, conversation_id: str) -> Response:
    """Read a conversation in OpenAI's form."""
    metadata = await _find(context, conversation_id).metadata()
    return json_response(_resource(conversation_id, metadata))


@route(
    "POST", "/v1/conversations/{conversation_id}", scope="chat", rate="read", tag="OpenAI",
    body=MetadataRequest, returns=JSON_REPLY, errors=("not_found", "upstream_error"),
    example={"metadata": {"topic": "weather"}},
)  # fmt: skip
async def openai_update_conversation(context: Context, conversation_id: str, body: MetadataRequest) -> Response:
    """Store a conversation's metadata, for OpenAI's clients."""
    await _find(context, conversation_id).set_metadata(body.metadata)
    return json_response(_resource(conversation_id, body.metadata))


@route(
    "DELETE", "/v1/conversations/{conversation_id}", scope="chat", rate="read", tag="OpenAI",
    returns=JSON_REPLY, errors=("not_found", "upstream_error"),
)  # fmt: skip
async def openai_delete_conversation(context: Context, conversation_id: str) -> Response:
    """Delete a conversation with its items."""
    await _find(context, conversation_id).erase()
    return json_response({"id": conversation_id, "object": "conversation.deleted", "deleted": True})


@route(
    "GET", "/v1/conversations/{conversation_id}/items", scope="chat", rate="read", tag="OpenAI", query=ItemsQuery,
    returns=JSON_REPLY, errors=("not_found", "upstream_error"),
)  # fmt: skip
async def openai_list_items(context: Context, conversation_id: str, query: ItemsQuery) -> Response:
    """List the items of a conversation in OpenAI's form, the latest first."""
    items = _items(await _find(context, conversation_id).turns())
    if query.order == "desc":
        items.reverse()
    ids = [item["id"] for item in items]
    if query.after is not None and query.after not in ids:
        raise ApiError("invalid_request", "after must be the id of an item of this conversation.", param="after")
    start = ids.index(query.after) + 1 if query.after else 0
    return json_response(_page(items[start : start + query.limit], has_more=len(items) > start + query.limit))


@route(
    "POST", "/v1/conversations/{conversation_id}/items", scope="chat", rate="read", tag="OpenAI",
    body=ItemsRequest, returns=JSON_REPLY, errors=("not_found", "content_blocked", "upstream_error"),
    example={"items": [{"role": "user", "content": "Hello"}]},
)  # fmt: skip
async def openai_add_items(context: Context, conversation_id: str, body: ItemsRequest) -> Response:
    """Add items to a conversation, for OpenAI's clients.

    No model is called but the guard, if there is one.
    """
    conversation = _find(context, conversation_id)
    before = {turn.id for turn in await conversation.turns()}
    await _append(context, conversation_id, body.items)
    added = [turn for turn in await conversation.turns() if turn.id not in before]
    return json_response(_page(_items(added), has_more=False))


@route(
    "GET", "/v1/conversations/{conversation_id}/items/{item_id}", scope="chat", rate="read", tag="OpenAI",
    returns=JSON_REPLY, errors=("not_found", "upstream_error"),
)  # fmt: skip
async def openai_read_item(context: Context, conversation_id: str, item_id: str) -> Response:
    """Read an item of a conversation in OpenAI's form."""
    items = _items(await _find(context, conversation_id).turns())
    item = next((each for each in items if each["id"] == item_id), None)
    if item is None:
        raise _no_such_item()
    return json_response(item)


@route(
    "DELETE", "/v1/conversations/{conversation_id}/items/{item_id}", scope="chat", rate="read", tag="OpenAI",
    returns=JSON_REPLY, errors=("not_found", "upstream_error"),
)  # fmt: skip
async def openai_delete_item(context: Context, conversation_id: str, item_id: str) -> Response:
    """Delete an item of a conversation, and return the conversation.

    The ids of other items stay as they are. Models refuse the output of a call that was deleted: delete both.
    """
    conversation, match = _find(context, conversation_id), ITEM_ID.fullmatch(item_id)
    if match is None or not await conversation.delete_item(int(match[1]), int(match[2])):
        raise _no_such_item()
    return json_response(_resource(conversation_id, await conversation.metadata()))


# ---- conversations -----------------------------------------------------------------------------------------------


def _find(context: Context, conversation_id: str) -> ItemizedConversation:
    """Return the caller's conversation. Raises ApiError `not_found` for an id that was not made here."""
    if not ID.fullmatch(conversation_id):
        raise ApiError("not_found", "There is no such conversation: ids are those of POST /v1/conversations.")
    return context.conversation(conversation_id)


def _no_such_item() -> ApiError:
    return ApiError("not_found", "The conversation has no item of this id.")


def _resource(conversation_id: str, metadata: Mapping[str, str]) -> Json:
    match = ID.fullmatch(conversation_id)
    created = int(match[1], 16) if match else 0
    return {"id": conversation_id, "object": "conversation", "created_at": created, "metadata": dict(metadata)}


async def _append(context: Context, conversation_id: str, items: list[Item]) -> None:
    """Store items. Raises ApiError `content_blocked` if the guard judges them unsafe."""
    if any(isinstance(item, ItemReference) for item in items):
        raise ApiError("invalid_request", "items must be whole: a conversation stores no references.", param="items")
    chat = parse_object(ResponsesRequest, {"model": "any", "input": items}).to_chat()
    limits.check_prompt(context, chat.texts(), "items")
    chat = await Attachments(context, "items").resolve(chat)
    await guard.check_input(context, chat.turn(), None)
    await _find(context, conversation_id).append(chat.turn())


async def with_history(context: Context, body: ResponsesRequest) -> ResponsesRequest:
    """Return a request with the items of its conversation before its own; the request itself without one.

    Raises ApiError `not_found` for an id that was not made here.
    """
    if body.conversation_id is None:
        return body
    past = ITEMS.validate_python(_items(await _find(context, body.conversation_id).turns()))
    current = [InputMessage(role="user", content=body.input)] if isinstance(body.input, str) else body.input
    return body.model_copy(update={"input": [*past, *current]})


async def store_turn(context: Context, body: ResponsesRequest, output: list[Json], attachments: Attachments) -> None:
    """Store a request's input and the items of its response in its conversation, if it names one.

    Attachments are stored in the form that the model got: an address may lead elsewhere later.
    """
    if body.conversation_id is None:
        return
    answer = [item for item in output if item["type"] != "reasoning"]
    if answer:
        current = await attachments.resolve(body.model_copy(update={"instructions": None}).to_chat())
        messages = current.turn()
        messages += parse_object(ResponsesRequest, {"model": body.model, "input": answer}).to_chat().turn()
        await _find(context, body.conversation_id).append(messages)


# ---- items -------------------------------------------------------------------------------------------------------


def _items(turns: Sequence[Turn]) -> list[Json]:
    """Return stored turns as items, oldest first: a text and each tool call are items of their own."""
    return [
        {"id": f"{PREFIXES[item['type']]}_{turn.id}_{number}", **item}
        for turn in turns
        for message, numbers in zip(turn.messages, item_numbers(turn.messages), strict=True)
        for number, item in zip(numbers, _items_of(message), strict=False)
    ]


def _items_of(message: Json) -> Iterator[Json]:
    if message["role"] == "tool":
        output = _text_of(message)
        yield {
            "type": "function_call_output",
            "call_id": message.get("tool_call_id", ""),
            "output": output,
            **COMPLETED,
        }
        return
    content = list(_parts_of(message))
    if content:
        yield {"type": "message", "role": message["role"], "content": content, **COMPLETED}
    for call in objects(message.get("tool_calls")):
        function = call["function"]
        facts = {"call_id": call["id"], "name": function["name"], "arguments": function["arguments"]}
        yield {"type": "function_call", **facts, **COMPLETED}


def _parts_of(message: Json) -> Iterator[Json]:
    is_answer = message["role"] == "assistant"
    content: Any = message.get("content") or []
    parts: list[Json] = [{"type": "text", "text": content}] if isinstance(content, str) else objects(content)
    for part in parts:
        if part["type"] == "image_url":
            yield {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto", "file_id": None}
        elif is_answer:
            yield {"type": "output_text", "text": part["text"], "annotations": []}
        else:
            yield {"type": "input_text", "text": part["text"]}


def _text_of(message: Json) -> str:
    content: Any = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in objects(content))


def _page(items: list[Json], *, has_more: bool) -> Json:
    ends = (items[0]["id"], items[-1]["id"]) if items else ("", "")
    return {"object": "list", "data": items, "first_id": ends[0], "last_id": ends[1], "has_more": has_more}
