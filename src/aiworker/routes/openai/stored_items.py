"""Items of earlier responses: stored in the Durable Objects of conversations, one object for each response.

Clients such as the Vercel AI SDK do not repeat the items of a response in the next request, but refer to their ids.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import cast

from aiworker.bindings import Conversation
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.routes.openai.chat_schema import Json
from aiworker.routes.openai.responses_schema import FunctionCall, InputMessage, ItemReference, ResponsesRequest

ITEM_ID = re.compile(r"(?:msg|fc)_([0-9a-f]{24})\d+")
"""Ids of items as ResponsesWriter makes them; the group is the name of their response."""
ITEM_TYPES = {"message": InputMessage, "function_call": FunctionCall}
"""Type of a stored item → its schema in `input`."""
MAX_RESPONSES = 200
"""Responses whose items one request may refer to: each is read from an object of its own."""
PARALLEL_READS = 6


def can_store(context: Context) -> bool:
    return context.bindings.get("CONVERSATIONS", False)


async def store(context: Context, response: Json) -> bool:
    """Store the items of a response; return False if that fails, which need not fail the request."""
    items = [item for item in response["output"] if item["type"] in ITEM_TYPES]
    try:
        await _object(context, response["id"].removeprefix("resp_")).append(items)
    except ApiError:
        return False
    return True


async def resolve(context: Context, body: ResponsesRequest) -> ResponsesRequest:
    """Return the request with stored items in place of references to them. References to reasoning stay as they are.

    Raises ApiError `invalid_request` for an item that is not stored.
    """
    if isinstance(body.input, str) or not any(isinstance(item, ItemReference) for item in body.input):
        return body
    references = {
        number: item.id
        for number, item in enumerate(body.input)
        if isinstance(item, ItemReference) and not item.is_reasoning
    }
    stored = await _read(context, _names(references.values()))
    missing = next(((number, item_id) for number, item_id in references.items() if item_id not in stored), None)
    if missing:
        number, item_id = missing
        raise ApiError(
            "invalid_request",
            f"There is no stored item {item_id[:100]}: send the item itself in place of its id, which clients do with "
            "store: false.",
            param=f"input.{number}",
        )
    items = [stored.get(item.id, item) if isinstance(item, ItemReference) else item for item in body.input]
    return body.model_copy(update={"input": items})


def _names(ids: Iterable[str]) -> list[str]:
    """Return the names of the responses that these items belong to. Raises ApiError `invalid_request` for too many."""
    matches = map(ITEM_ID.fullmatch, ids)
    names = list(dict.fromkeys(match[1] for match in matches if match))
    if len(names) > MAX_RESPONSES:
        message = f"input refers to items of more than {MAX_RESPONSES} responses: send the items themselves."
        raise ApiError("invalid_request", message, param="input")
    return names


async def _read(context: Context, names: list[str]) -> Mapping[str, InputMessage | FunctionCall]:
    """Return the stored items of these responses by id."""
    items: list[Json] = []
    for start in range(0, len(names), PARALLEL_READS):
        objects = [_object(context, name) for name in names[start : start + PARALLEL_READS]]
        items += [item for each in await asyncio.gather(*(each.history() for each in objects)) for item in each]
    return {item["id"]: ITEM_TYPES[cast("str", item["type"])].model_validate(item) for item in items}


def _object(context: Context, name: str) -> Conversation:
    # no client can choose an id with a colon for a conversation
    return context.conversation(f"response:{name}")
