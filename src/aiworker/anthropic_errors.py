"""Errors in the form of Anthropic's API. By the status, its clients choose which exception to raise and whether to
retry."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from aiworker.errors import LASTING, QUOTA_CODES, ApiError, ErrorType
from aiworker.http.messages import Response, json_response


class AnthropicKind(NamedTuple):
    status: int
    type: str


ANTHROPIC_KINDS: Mapping[ErrorType, AnthropicKind] = {
    "invalid_request": AnthropicKind(400, "invalid_request_error"),
    "unauthorized": AnthropicKind(401, "authentication_error"),
    "forbidden": AnthropicKind(403, "permission_error"),
    "not_found": AnthropicKind(404, "not_found_error"),
    "model_not_found": AnthropicKind(404, "not_found_error"),
    "not_configured": AnthropicKind(404, "not_found_error"),
    "method_not_allowed": AnthropicKind(405, "invalid_request_error"),
    "payload_too_large": AnthropicKind(413, "request_too_large"),
    "context_exceeded": AnthropicKind(400, "invalid_request_error"),
    "unsupported_media_type": AnthropicKind(415, "invalid_request_error"),
    "unprocessable": AnthropicKind(422, "invalid_request_error"),
    "content_blocked": AnthropicKind(400, "invalid_request_error"),
    "rate_limited": AnthropicKind(429, "rate_limit_error"),
    "budget_exceeded": AnthropicKind(429, "rate_limit_error"),
    "timeout": AnthropicKind(504, "timeout_error"),
    "internal_error": AnthropicKind(500, "api_error"),
    "upstream_error": AnthropicKind(502, "api_error"),
    "unavailable": AnthropicKind(503, "overloaded_error"),
}
"""`error.type` of this API → status and `error.type` of Anthropic's.

Source: platform.claude.com/docs/api/errors. The status 529, Anthropic's for an overload, is not used: proxies do
not know it.
"""

TOO_LONG = "prompt is too long: "
"""Beginning of Anthropic's message for a prompt that exceeds the model's context. Agents look for it."""


def anthropic_error(error: ApiError, request_id: str) -> dict[str, Any]:
    """Return the body of an error response, or the data of a stream's `error` event."""
    message = TOO_LONG + error.message if error.type == "context_exceeded" else error.message
    return {
        "type": "error",
        "error": {"type": ANTHROPIC_KINDS[error.type].type, "message": message},
        "request_id": request_id,
    }


def anthropic_response(error: ApiError, request_id: str) -> Response:
    """Return the response that tells the client of an error."""
    response = json_response(anthropic_error(error, request_id), ANTHROPIC_KINDS[error.type].status)
    response.headers |= {**error.headers, "request-id": request_id}
    if error.retry_after is not None:
        response.headers["retry-after"] = str(error.retry_after)
    is_out_of_quota = error.type == "budget_exceeded" or error.upstream_code in QUOTA_CODES
    if is_out_of_quota or (error.type in LASTING and error.retry_after is None):
        response.headers["x-should-retry"] = "false"  # Anthropic's clients obey this header
    return response
