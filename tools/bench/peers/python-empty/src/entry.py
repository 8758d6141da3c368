"""A Python Worker that does nothing, to measure the least time that a start takes."""

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):  # noqa: ARG002
        return Response("")
