"""The record of requests: method, path and status, never a header or a body, so that no secret is in it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_ANSWER = 0
"""Status of a request that has not been answered: it is held, or its connection was closed."""


class Journal:
    """Requests in the order in which they came."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str | int]] = []
        self.unknown: list[str] = []
        """Calls that the stand-in does not answer, as `METHOD PATH`."""

    def clear(self) -> None:
        self.requests.clear()
        self.unknown.clear()


class Recording:
    """Writes every request of the REST API into the journal."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_control"):
            await self._app(scope, receive, send)
            return
        entry: dict[str, str | int] = {"method": scope["method"], "path": scope["path"], "status": NO_ANSWER}
        entry["query"] = scope["query_string"].decode()

        self._journal.requests.append(entry)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        await self._app(scope, receive, noting)
