"""What the platform loads: the Worker's classes, and nothing else."""

from typing import TYPE_CHECKING

from workers import WorkerEntrypoint

from aiworker import platform

if TYPE_CHECKING:
    from js import Response
    from workers import Request


class Default(WorkerEntrypoint):
    async def fetch(self, request: "Request") -> "Response":
        return await platform.serve(request)
