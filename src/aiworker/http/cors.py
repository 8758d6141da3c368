"""CORS: the headers by which browsers let pages of allowed origins call the API."""

from aiworker.errors import ApiError
from aiworker.http.messages import Request, Response

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
OPENAI_CLIENT = (
    "openai-organization", "openai-project", "idempotency-key", "x-stainless-arch", "x-stainless-async",
    "x-stainless-helper-method", "x-stainless-lang", "x-stainless-os", "x-stainless-package-version",
    "x-stainless-raw-response", "x-stainless-retry-count", "x-stainless-runtime", "x-stainless-runtime-version",
    "x-stainless-timeout",
)  # fmt: skip
"""Headers that OpenAI's JavaScript client sends from a page."""
REQUEST_HEADERS = ", ".join(("authorization", "content-type", "x-api-key", *OPENAI_CLIENT))
RESPONSE_HEADERS = (
    "retry-after, server-timing, x-ai-request-id, x-gateway-cache, x-gateway-log-id, x-model, x-neurons, x-request-id"
)
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
            "access-control-allow-headers": REQUEST_HEADERS,
            "access-control-max-age": str(PREFLIGHT_SECONDS),
        },
    )
