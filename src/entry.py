"""What the platform loads: the Worker's classes, and nothing else."""

import json
from typing import TYPE_CHECKING, Any

from workers import DurableObject, WorkerEntrypoint, WorkflowEntrypoint

from aiworker.platform import durable_objects, worker

if TYPE_CHECKING:
    from js import Response
    from workers import Request


class Default(WorkerEntrypoint):
    async def fetch(self, request: "Request") -> "Response":
        return await worker.serve(request, self.ctx)  # pyright: ignore[reportUnknownMemberType]


class Conversation(DurableObject):
    """One conversation of `POST /chat`; JSON comes and goes as text."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)  # pyright: ignore[reportUnknownMemberType]
        self._kept = durable_objects.kept_conversation(ctx.storage)

    async def history(self) -> str:
        return self._kept.history()

    async def append(self, messages: str) -> None:
        await self._kept.append(messages)

    async def erase(self) -> None:
        await self._kept.erase()

    async def alarm(self) -> None:
        await self._kept.erase()


class Budget(DurableObject):
    """What one key has spent of its daily neurons; JSON comes and goes as text."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)  # pyright: ignore[reportUnknownMemberType]
        self._kept = durable_objects.kept_budget(ctx.storage)

    async def reserve(self, charges: str, daily: float) -> str:
        return json.dumps(self._kept.reserve(json.loads(charges), daily))

    async def settle(self, costs: str) -> None:
        self._kept.settle(json.loads(costs))

    async def today(self) -> str:
        return json.dumps(self._kept.today())


class Ingestion(WorkflowEntrypoint):
    """One version of a document of `POST /rag/documents`."""

    async def run(self, event: Any, step: Any) -> None:
        await worker.run_ingestion(event, step)
