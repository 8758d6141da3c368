"""Protection from web pages: any page that the user opens beside the simulator can send requests to this machine.

A page must neither change anything here, for which a form would suffice, nor read the prompts, which it could do if its
own name led to this machine (DNS rebinding).
"""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

BINDING_HOSTS = ("workers-binding.ai", "vector-search")
"""Hosts of the requests of a Worker's bindings `Ai` and `VectorizeIndexImpl`."""


class WebPages:
    """Middleware that answers 403 to requests of web pages other than the simulator's own."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        """hosts: names of this machine, besides localhost and its addresses."""
        self._app = app
        self._hosts = {"localhost", *BINDING_HOSTS, *map(str.lower, hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = self._refusal(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        app = self._app if reason is None else JSONResponse({"error": reason}, 403)
        await app(scope, receive, send)

    def _refusal(self, headers: Headers) -> str | None:
        """Why the request is refused, as a sentence; None if it is not."""
        host = headers.get("host")
        if host is not None and not self._is_own(_name(host)):
            return f"this simulator does not answer for {host[:100]}: start it with --allowed-host and the name"
        origin = headers.get("origin")
        if origin not in (None, f"http://{host}", f"https://{host}"):
            return f"pages of {origin[:100]} may not call this simulator"
        # images and scripts of a page name no origin; links to the simulator's page may be followed
        is_foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if is_foreign and headers.get("sec-fetch-mode") != "navigate":
            return "other pages may not call this simulator"
        return None

    def _is_own(self, name: str) -> bool:
        return name in self._hosts or name.endswith(".localhost") or _is_address(name)


def _name(host: str) -> str:
    """The name or address in a header `Host`; empty if it has none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
