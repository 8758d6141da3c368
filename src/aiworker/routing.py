"""The table of routes."""

from collections.abc import Awaitable, Callable
from difflib import get_close_matches

from aiworker.api import chat, health, models
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http import Response

Handler = Callable[[Context], Awaitable[Response]]

ROUTES: dict[str, dict[str, Handler]] = {
    "/health": {"GET": health.health},
    "/models": {"GET": models.models},
    "/chat": {"POST": chat.chat},
}
"""Path → method → handler. `GET /` and the other files of public/ are served before the Worker is asked."""


def find(method: str, path: str) -> Handler:
    """The handler of a request; HEAD is answered as GET.

    Raises ApiError `not_found` or, with the header `Allow`, `method_not_allowed`.
    """
    methods = ROUTES.get(path)
    if methods is None:
        near = get_close_matches(path, ROUTES, n=1)
        hint = f" Did you mean {near[0]}?" if near else f" The routes are {', '.join(ROUTES)}."
        raise ApiError("not_found", f"There is no route {path}.{hint}")
    handler = methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
        raise ApiError("method_not_allowed", f"{path} takes {allowed}, not {method}.", headers={"allow": allowed})
    return handler
