"""Durable Objects: the bindings `CONVERSATIONS` and `BUDGETS`, and the stores of entry.py's objects."""

import functools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import js
from pyodide.ffi import JsException

from aiworker.auth.budget import BudgetStore
from aiworker.bindings import AnswerStream, BudgetState, Turn
from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle
from aiworker.platform.javascript import binding_result, error_message, from_js, js_object

_from_conversation = functools.partial(binding_result, "The conversation could not be reached")
_from_budget = functools.partial(
    binding_result, "The daily budget could not be read", kind="unavailable", retry_after=1
)


# ---- calls from a request; arguments and results are JSON as text ------------------------------------------------


class ConversationObjects:
    """aiworker.bindings.Conversations over a namespace of Durable Objects."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def find(self, conversation_id: str) -> "ConversationObject":
        return ConversationObject(self._binding.getByName(conversation_id))

    def find_chat(self, chat_id: str) -> "ChatObject":
        return ChatObject(self._binding.getByName(chat_id))


@dataclass(frozen=True)
class ConversationObject:
    """aiworker.bindings.ItemizedConversation over the stub of one object."""

    _stub: Any

    async def history(self) -> list[dict[str, Any]]:
        return json.loads(await _from_conversation(self._stub.history()))

    async def append(self, messages: list[dict[str, Any]]) -> None:
        await _from_conversation(self._stub.append(json.dumps(messages)))

    async def turns(self) -> list[Turn]:
        return [Turn(*each) for each in json.loads(await _from_conversation(self._stub.turns()))]

    async def delete_item(self, turn: int, number: int) -> bool:
        return await _from_conversation(self._stub.delete_item(turn, number))

    async def metadata(self) -> dict[str, str]:
        return json.loads(await _from_conversation(self._stub.metadata()))

    async def set_metadata(self, pairs: Mapping[str, str]) -> None:
        await _from_conversation(self._stub.set_metadata(json.dumps(pairs)))

    async def erase(self) -> None:
        await _from_conversation(self._stub.erase())


@dataclass(frozen=True)
class ChatObject:
    """aiworker.bindings.Chat over the stub of the same object."""

    _stub: Any

    async def start(self, order: str) -> AnswerStream:
        response = await self._fetch({"method": "POST", "body": order})
        if response.status == 200:
            return _answer_stream(response)
        fields = from_js(await response.json())
        error = ApiError(
            fields["type"], fields["message"], param=fields["param"], upstream_code=fields["upstream_code"],
            retry_after=fields["retry_after"], details=fields.get("details"), headers=fields["headers"],
        )  # fmt: skip
        return AnswerStream(error=error)

    async def resume(self) -> AnswerStream | None:
        response = await self._fetch({})
        return None if response.status == 204 else _answer_stream(response)

    async def stop(self, message_id: str | None) -> bool:
        return await _from_conversation(self._stub.stop(message_id or ""))

    async def _fetch(self, options: Mapping[str, Any]) -> Any:
        try:
            return await self._stub.fetch("https://chat/", js_object(options))
        except JsException as error:
            raise ApiError("upstream_error", f"The chat could not be reached: {error_message(error)}") from error


def _answer_stream(response: Any) -> AnswerStream:
    headers = {name: value for name, value in response.headers if name != "content-type"}
    return AnswerStream(JsHandle(response.body), headers)


class BudgetObjects:
    """aiworker.bindings.Budgets over a namespace of Durable Objects."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def find(self, key_name: str) -> "BudgetObject":
        return BudgetObject(self._binding.getByName(key_name))


@dataclass(frozen=True)
class BudgetObject:
    """aiworker.bindings.Budget over the stub of one object."""

    _stub: Any

    async def reserve(self, charges: Mapping[str, float], daily: float) -> BudgetState:
        return BudgetState(**json.loads(await _from_budget(self._stub.reserve(json.dumps(charges), daily))))

    async def settle(self, costs: Mapping[str, float]) -> None:
        await _from_budget(self._stub.settle(json.dumps(costs)))

    async def today(self) -> BudgetState:
        return BudgetState(**json.loads(await _from_budget(self._stub.today())))


# ---- within the objects ------------------------------------------------------------------------------------------


def budget_store(storage: Any) -> BudgetStore:
    """Return the store of the object `Budget`. storage: its `ctx.storage`."""
    return BudgetStore(ObjectStorage(storage), time.time)


class ObjectStorage:
    """aiworker.object_storage.Storage and aiworker.auth.budget.Storage over the storage of a Durable Object."""

    def __init__(self, storage: Any) -> None:
        # JavaScript's own object: the SDK's wraps each result in objects that refer to themselves
        self._storage = getattr(storage, "_binding", storage)

    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        return [list(row) for row in self._storage.sql.exec(query, *values).raw().toArray()]

    async def wake_in(self, seconds: float) -> None:
        await self._storage.setAlarm(js.Date.now() + round(seconds * 1000))

    async def erase(self) -> None:
        await self._storage.deleteAlarm()
        await self._storage.deleteAll()
