"""Checks of the host's name and of the page's origin, for requests that a browser may have sent on behalf of a web
page.

Callers without a key are recognised by their network alone, and any web page that they open can send requests from
there. CORS
does not prevent that: it only keeps the page from reading the responses, and not even that once the page's own name
leads to this Worker (DNS rebinding).
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from aiworker.errors import ApiError
from aiworker.http.cors import is_allowed
from aiworker.http.messages import Request

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing (RFC 9110, section 9.2.1)."""
FOREIGN = ("cross-site", "same-site")
"""Values of `sec-fetch-site` for requests of pages of other origins."""


def check_host(request: Request, allowed: tuple[str, ...]) -> None:
    """Raise ApiError `forbidden` for a request to a name that a page's owner could have led to this machine.

    allowed: the names that are served; `localhost` and IP addresses always are. Empty for all names.
    """
    if not allowed:
        return
    host = _host(request.origin)
    if not _is_served(host, allowed):
        raise ApiError(
            "forbidden", f"This Worker does not answer for {host[:100]}: add the name to its variable ALLOWED_HOSTS."
        )


def check_page(request: Request, allowed: tuple[str, ...], what: str = "this Worker without a key") -> None:
    """Raise ApiError `forbidden` for a request by which a foreign page would change something.

    allowed: the origins whose pages may call, besides the Worker's own; as in `cors.is_allowed`. what: name of what
    those pages may not call, for the message.
    """
    if request.method in SAFE_METHODS or "*" in allowed:
        return
    origin = request.header("origin")
    if origin is None:
        is_foreign = request.header("sec-fetch-site") in FOREIGN
    else:
        is_foreign = origin != request.origin and not is_allowed(origin, allowed)
    if is_foreign:
        raise ApiError(
            "forbidden",
            f"Pages of {(origin or 'another origin')[:100]} may not call {what}: add the origin to the variable "
            "ALLOWED_ORIGINS.",
        )


def _host(url: str) -> str:
    """Return the name of a URL's host; empty if it has none."""
    try:
        return (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_served(host: str, allowed: tuple[str, ...]) -> bool:
    return host == "localhost" or host.endswith(".localhost") or host in allowed or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
