"""Every error that the API can return, and the errors of Workers AI that become one of them."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from aiworker.http.messages import Response, json_response

ErrorType = Literal[
    "invalid_request",
    "unauthorized",
    "forbidden",
    "not_found",
    "model_not_found",
    "not_configured",
    "method_not_allowed",
    "timeout",
    "payload_too_large",
    "context_exceeded",
    "unsupported_media_type",
    "unprocessable",
    "content_blocked",
    "rate_limited",
    "budget_exceeded",
    "internal_error",
    "upstream_error",
    "unavailable",
]
"""`error.type` of an error response."""


class ErrorKind(NamedTuple):
    status: int
    meaning: str
    """The cases in which clients get this error, as Markdown for the docs."""
    code: int | None = None
    """Number by which clients of Workers AI know this error."""


KINDS: Mapping[ErrorType, ErrorKind] = {
    "invalid_request": ErrorKind(400, "A field is wrong (`param`), or the model refuses the input.", 7504),
    "unauthorized": ErrorKind(401, "The key or token is missing, unknown, expired or revoked."),
    "forbidden": ErrorKind(
        403,
        "The key lacks the scope or is for another tenant; the page's origin is not allowed; or the account may not "
        "use the model.",
    ),
    "not_found": ErrorKind(404, "There is no such route or id."),
    "model_not_found": ErrorKind(
        404, "There is no such model, or it was retired. The message names similar ids.", 7502
    ),
    "not_configured": ErrorKind(
        404, "The Worker lacks a binding or a variable that the route needs. The message says what to set."
    ),
    "method_not_allowed": ErrorKind(405, "The route does not have this method. The header `Allow` lists those it has."),
    "timeout": ErrorKind(408, "The model has not begun to answer within `MODEL_SECONDS`."),
    "payload_too_large": ErrorKind(413, "The body is larger than one of the `MAX_` variables allows."),
    "context_exceeded": ErrorKind(413, "The request has more tokens than the model's context holds.", 7506),
    "unsupported_media_type": ErrorKind(415, "The content type is not one that the route takes."),
    "unprocessable": ErrorKind(422, "A document is empty or encrypted, or a structured answer never became valid."),
    "content_blocked": ErrorKind(
        422, "`GUARD_MODEL` calls the request or the answer unsafe. `details` say which and why."
    ),
    "rate_limited": ErrorKind(
        429,
        "Too many requests, no capacity at Workers AI, or no free neurons left today. `Retry-After` says when to try "
        "again, where that is known.",
        7505,
    ),
    "budget_exceeded": ErrorKind(
        429,
        "The key's `daily_neurons` or the Worker's `DAILY_NEURONS` are spent. `Retry-After` says when the next day "
        "begins.",
    ),
    "internal_error": ErrorKind(500, "The Worker failed. Its log has the cause under the request id."),
    "upstream_error": ErrorKind(502, "Workers AI or another service behind the Worker has failed."),
    "unavailable": ErrorKind(
        503,
        "The Worker is closed, a setting is wrong, or the model is paused after repeated failures. The message says "
        "which.",
    ),
}
"""`error.type` of a response → its HTTP status, meaning and `error.code`."""

UNUSABLE_INPUT = 3030
"""Workers AI's code for an input that a model cannot use: an image it cannot decode, a text that is too long."""

UPSTREAM_CODES: Mapping[int, ErrorType] = {
    2003: "rate_limited",  # AI Gateway's own limit
    3003: "invalid_request",
    3006: "payload_too_large",
    3007: "timeout",
    3008: "timeout",
    3021: "rate_limited",  # requests a minute of one model
    3023: "forbidden",
    UNUSABLE_INPUT: "invalid_request",
    3036: "rate_limited",  # the day's free neurons are used up
    3040: "rate_limited",  # out of capacity
    4006: "rate_limited",  # what the service really sends in place of 3036
    3041: "forbidden",
    3042: "model_not_found",
    5004: "invalid_request",
    5005: "invalid_request",
    5006: "invalid_request",
    5007: "model_not_found",
    5016: "forbidden",
    5018: "forbidden",
    5021: "context_exceeded",
    5024: "unprocessable",  # JSON mode could not be met
    5028: "model_not_found",  # retired
    5035: "forbidden",  # the model needs a paid plan
}
"""Internal codes of Workers AI → `error.type` of this API. Other codes become an `upstream_error`.

Source: developers.cloudflare.com/workers-ai/platform/errors, and for 2003, 3021, 3030, 4006, 5006, 5021, 5024 and 5028
answers of the service that public test suites have recorded.
"""


UPSTREAM_STATUSES: Mapping[int, ErrorType] = {
    400: "invalid_request",
    401: "forbidden",
    403: "forbidden",
    404: "model_not_found",
    408: "timeout",
    413: "payload_too_large",
    429: "rate_limited",
}
"""HTTP status of an upstream error without an internal code → `error.type` of this API.

Other statuses become an `upstream_error`.
"""


class OpenAIKind(NamedTuple):
    status: int
    type: str
    code: str | None = None


OUT_OF_QUOTA = OpenAIKind(429, "insufficient_quota", "insufficient_quota")

OPENAI_KINDS: Mapping[ErrorType, OpenAIKind] = {
    "invalid_request": OpenAIKind(400, "invalid_request_error"),
    "unauthorized": OpenAIKind(401, "invalid_request_error", "invalid_api_key"),
    "forbidden": OpenAIKind(403, "permission_error"),
    "not_found": OpenAIKind(404, "invalid_request_error", "unknown_url"),
    "model_not_found": OpenAIKind(404, "invalid_request_error", "model_not_found"),
    "not_configured": OpenAIKind(404, "invalid_request_error", "not_configured"),
    "method_not_allowed": OpenAIKind(405, "invalid_request_error", "method_not_supported"),
    "payload_too_large": OpenAIKind(413, "invalid_request_error", "request_too_large"),
    "context_exceeded": OpenAIKind(400, "invalid_request_error", "context_length_exceeded"),
    "unsupported_media_type": OpenAIKind(415, "invalid_request_error", "unsupported_media_type"),
    "unprocessable": OpenAIKind(422, "invalid_request_error", "unprocessable"),
    "content_blocked": OpenAIKind(400, "invalid_request_error", "content_policy_violation"),
    "rate_limited": OpenAIKind(429, "requests", "rate_limit_exceeded"),
    "budget_exceeded": OUT_OF_QUOTA,
    "timeout": OpenAIKind(504, "server_error", "timeout"),
    "internal_error": OpenAIKind(500, "server_error"),
    "upstream_error": OpenAIKind(502, "server_error"),
    "unavailable": OpenAIKind(503, "server_error", "unavailable"),
}
"""`error.type` of this API → status, `type` and `code` under /v1.

OpenAI's clients choose the exception that they raise, and whether they retry, by these. Codes of errors that OpenAI's
reference does not have are made up.
"""

QUOTA_CODES = {3036, 4006}
"""Upstream codes of quotas that last until the next day."""
LASTING: frozenset[ErrorType] = frozenset(("unavailable", "unprocessable"))
"""Types of errors after which a retry is useless, although their status invites one."""


class ApiError(Exception):
    """An error response of the API."""

    def __init__(
        self,
        type: ErrorType,  # noqa: A002 - the field's name in the API
        message: str,
        *,
        param: str | None = None,
        upstream_code: int | None = None,
        retry_after: int | None = None,
        details: Mapping[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """
        type: `error.type` of the response.
        message: a sentence that says what is wrong and, where it can, what to do.
        param: the field at fault, dotted (`messages.0.role`).
        retry_after: seconds after which the same request may succeed.
        details: JSON values that only errors of this type have; left out of other errors.
        headers: headers of the response, beside those of every error.
        """
        super().__init__(message)
        self.type: ErrorType = type
        self.message = message
        self.param = param
        self.upstream_code = upstream_code
        self.retry_after = retry_after
        self.details = details
        self.headers = headers or {}

    def to_json(self, request_id: str) -> dict[str, Any]:
        error: dict[str, Any] = {
            "code": KINDS[self.type].code,
            "type": self.type,
            "message": self.message,
            "param": self.param,
            "upstream_code": self.upstream_code,
            "request_id": request_id,
            "retry_after": self.retry_after,
        }
        return {"error": error if self.details is None else {**error, "details": self.details}}

    def to_response(self, request_id: str) -> Response:
        response = json_response(self.to_json(request_id), KINDS[self.type].status)
        response.headers |= self.headers
        if self.retry_after is not None:
            response.headers["retry-after"] = str(self.retry_after)
        return response

    def to_text_response(self) -> Response:
        """Return a response with the sentence alone, which the AI SDK's clients show as it is."""
        response = Response(self.message, KINDS[self.type].status, {"content-type": "text/plain; charset=utf-8"})
        response.headers |= self.headers
        if self.retry_after is not None:
            response.headers["retry-after"] = str(self.retry_after)
        return response

    def to_openai(self) -> dict[str, Any]:
        """The body of the response under /v1."""
        kind = self._openai_kind()
        return {"error": {"message": self.message, "type": kind.type, "param": self.param, "code": kind.code}}

    def to_openai_response(self) -> Response:
        response = json_response(self.to_openai(), self._openai_kind().status)
        response.headers |= self.headers
        if self.retry_after is not None:
            response.headers["retry-after"] = str(self.retry_after)
        is_lasting = self.type in LASTING and self.retry_after is None
        if is_lasting or self._openai_kind() is OUT_OF_QUOTA:
            response.headers["x-should-retry"] = "false"  # OpenAI's clients obey this header
        return response

    def _openai_kind(self) -> OpenAIKind:
        return OUT_OF_QUOTA if self.upstream_code in QUOTA_CODES else OPENAI_KINDS[self.type]


class ClientDisconnected(ApiError):  # noqa: N818 - an event, not a fault
    """The client disconnected before the end of its response. Only the log shows this error."""

    def __init__(self) -> None:
        super().__init__("timeout", "The client disconnected.")


def release(error: BaseException | None) -> None:
    """Let go of the frames that an exception has gone through, and of the exceptions that led to it.

    An exception that has left a future keeps its frames, they keep their callers, and those the future: a circle, which
    only Python's garbage collection frees. It runs seldom: until then, each would keep the body of its request.
    """
    while error is not None:
        BaseException.with_traceback(error, None)  # an error of JavaScript would give the attribute to its own object
        led_to_it = error.__context__ or error.__cause__
        if led_to_it is not None:
            error.__context__ = error.__cause__ = None
        error = led_to_it
