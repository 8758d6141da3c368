"""The classes that the platform loads; wrangler.jsonc names them."""

import json
from typing import TYPE_CHECKING, Any

from workers import DurableObject, WorkerEntrypoint, WorkflowEntrypoint

from aiworker.platform import chat_object, durable_objects, worker

if TYPE_CHECKING:
    from js import Response
    from workers import Request


class Default(WorkerEntrypoint):
    """Serves HTTP requests, and does what is due each minute (`triggers` in wrangler.jsonc)."""

    async def fetch(self, request: "Request") -> "Response":
        return await worker.serve(request, self.ctx)  # pyright: ignore[reportUnknownMemberType]

    async def scheduled(self, *_: Any) -> None:
        await worker.run_scheduled()


class Conversation(DurableObject):
    """One conversation of `POST /chat`, or chat of `POST /api/chat`. Arguments and results are JSON as text."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)  # pyright: ignore[reportUnknownMemberType]
        self._object = chat_object.ConversationObject(ctx)

    async def fetch(self, request: "Request") -> "Response":
        return await self._object.fetch(request)

    async def stop(self, message_id: str) -> bool:
        return self._object.stop(message_id)

    async def history(self) -> str:
        return self._object.store.history()

    async def append(self, messages: str) -> None:
        await self._object.store.append(messages)

    async def turns(self) -> str:
        return self._object.store.turns()

    async def delete_item(self, turn: int, number: int) -> bool:
        return self._object.store.delete_item(turn, number)

    async def metadata(self) -> str:
        return self._object.store.metadata()

    async def set_metadata(self, pairs: str) -> None:
        await self._object.store.set_metadata(pairs)

    async def erase(self) -> None:
        await self._object.erase()

    async def alarm(self) -> None:
        await self._object.wake()


class Budget(DurableObject):
    """Neurons that one key has spent of its daily budget. Arguments and results are JSON as text."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)  # pyright: ignore[reportUnknownMemberType]
        self._store = durable_objects.budget_store(ctx.storage)

    async def reserve(self, charges: str, daily: float) -> str:
        return json.dumps(self._store.reserve(json.loads(charges), daily))

    async def settle(self, costs: str) -> None:
        self._store.settle(json.loads(costs))

    async def today(self) -> str:
        return json.dumps(self._store.today())


class Ingestion(WorkflowEntrypoint):
    """Ingests one version of a document of `POST /rag/documents`, or runs a job."""

    async def run(self, event: Any, step: Any) -> None:
        await worker.run_ingestion(event, step)
