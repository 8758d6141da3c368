"""A Python Worker that does nothing: what starting one takes at least."""

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):  # noqa: ARG002
        return Response("")
