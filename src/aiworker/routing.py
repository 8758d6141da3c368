"""The table of routes."""

import re
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from functools import cache
from urllib.parse import unquote

from aiworker.api import chat, health, models
from aiworker.errors import ApiError
from aiworker.http import Response

Handler = Callable[..., Awaitable[Response]]
"""Takes the Context, and by name what its path says in braces."""

ROUTES: dict[str, dict[str, Handler]] = {
    "/health": {"GET": health.health},
    "/models": {"GET": models.models},
    "/chat": {"POST": chat.chat},
    "/conversations/{conversation_id}": {"GET": chat.read, "DELETE": chat.erase},
}
"""Path → method → handler. `GET /` and the other files of public/ are served before the Worker is asked."""


def find(method: str, path: str) -> tuple[Handler, dict[str, str]]:
    """The handler of a request and the values of its path; HEAD is answered as GET.

    Raises ApiError `not_found` or, with the header `Allow`, `method_not_allowed`.
    """
    methods, parameters = _match(path)
    handler = methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
        raise ApiError("method_not_allowed", f"{path} takes {allowed}, not {method}.", headers={"allow": allowed})
    return handler, parameters


def _match(path: str) -> tuple[dict[str, Handler], dict[str, str]]:
    if path in ROUTES:
        return ROUTES[path], {}
    for pattern, methods in ROUTES.items():
        if "{" in pattern and (found := _expression(pattern).fullmatch(path)):
            return methods, {name: unquote(value) for name, value in found.groupdict().items()}
    near = get_close_matches(path, ROUTES, n=1)
    hint = f" Did you mean {near[0]}?" if near else f" The routes are {', '.join(ROUTES)}."
    raise ApiError("not_found", f"There is no route {path}.{hint}")


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """`/images/{key}` → an expression whose group `key` is one segment of the path."""
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern)))
