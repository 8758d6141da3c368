"""CORS: the headers by which browsers let pages of allowed origins call the API.

Pages of an allowed origin may send any header: clients add headers of their own (`openai-beta`, `x-stainless-…`,
`anthropic-…`), and none of them gives a page more than its key does.
"""

import re

from aiworker.errors import ApiError
from aiworker.http.messages import Request, Response

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
RESPONSE_HEADERS = (
    "accept-ranges, content-disposition, content-range, etag, request-id, retry-after, server-timing, warning, "
    "x-ai-request-id, "
    "x-gateway-cache, x-gateway-log-id, x-ignored-parameters, x-model, x-neurons, x-real-model, x-request-id"
)
HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
"""A name of a header, in lower case. Source: RFC 9110, `token`."""
MAX_REQUEST_HEADERS = 100
"""Headers that a preflight may ask for."""
PREFLIGHT_SECONDS = 7200
"""Seconds for which a browser may cache a preflight; Chromium's own maximum."""


def headers(request: Request, allowed: tuple[str, ...]) -> dict[str, str]:
    """Return the CORS headers of a response to this request; only `vary` for an origin that is not allowed."""
    origin = request.header("origin")
    if "*" in allowed:
        return {
            "access-control-allow-origin": "*",
            "access-control-expose-headers": RESPONSE_HEADERS,
        }
    # every response has it: a cache must not give one origin's response to another
    vary = {"vary": "origin"}
    if origin is None or not is_allowed(origin, allowed):
        return vary
    return {
        **vary,
        "access-control-allow-origin": origin,
        "access-control-expose-headers": RESPONSE_HEADERS,
    }


def is_allowed(origin: str, allowed: tuple[str, ...]) -> bool:
    """Tell whether `origin` is in the list: exactly, as `scheme://host:*` for any port, or by `*` for all origins."""
    host, _, port = origin.rpartition(":")
    any_port = f"{host}:*" if port.isdecimal() else f"{origin}:*"
    return "*" in allowed or origin in allowed or any_port in allowed


def is_preflight(request: Request) -> bool:
    """Tell whether the request is a browser's CORS preflight."""
    return request.method == "OPTIONS" and request.header("access-control-request-method") is not None


def answer_preflight(request: Request, allowed: tuple[str, ...]) -> Response:
    """Return the response to a preflight; raises ApiError `forbidden` for an origin that is not allowed."""
    origin = request.header("origin") or ""
    if not is_allowed(origin, allowed):
        raise ApiError(
            "forbidden",
            f"Pages of {origin or 'an unnamed origin'} may not call this Worker: "
            "add the origin to its variable ALLOWED_ORIGINS.",
        )
    return Response(
        status=204,
        headers={
            "access-control-allow-methods": METHODS,
            "access-control-allow-headers": ", ".join(_requested_headers(request)),
            "access-control-max-age": str(PREFLIGHT_SECONDS),
        },
    )


def _requested_headers(request: Request) -> list[str]:
    """Return the names of headers that a preflight asks for; anything that is not a name is left out."""
    names = (request.header("access-control-request-headers") or "").lower().split(",")[:MAX_REQUEST_HEADERS]
    return [name for each in names if HEADER_NAME.fullmatch(name := each.strip())]
