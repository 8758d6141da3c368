"""A model call that failed: the error for the client, and whether another attempt or another model may succeed."""

from collections.abc import Mapping

from pydantic_core import from_json

from aiworker.bindings import UpstreamResponse
from aiworker.errors import UPSTREAM_CODES, UPSTREAM_STATUSES, ApiError, ErrorType

OUT_OF_CAPACITY = 3040
TRANSIENT_CODES = frozenset((OUT_OF_CAPACITY, 3007, 3008))
"""Workers AI's codes of errors that may be over in a moment: no capacity, a time-out. The same holds for the statuses
408 and 5xx.

Not among them: 3036 and 4006 (the day's neurons are used up), 3021 and 2003 (the minute's requests)."""
CODES_OF_ONE_MODEL = frozenset((3021, 5028))
"""Codes that need not apply to another model: its requests of this minute are used up, or it is retired."""

PREFIXES: Mapping[ErrorType, str] = {
    "rate_limited": "Workers AI refuses more requests for now",
    "upstream_error": "Workers AI could not answer",
}
"""Beginning of the message, for errors of which Workers AI's own message does not say where they come from."""


class CallFailure(Exception):  # noqa: N818 - not yet an error of the Worker: another model may answer
    """A call of one model that failed."""

    def __init__(self, error: ApiError, *, is_transient: bool, is_models_fault: bool | None = None) -> None:
        """
        error: for the client, if no other attempt and no other model succeeds.
        is_transient: the same call may succeed in a moment, or with another model.
        is_models_fault: counts against the model in the circuit breaker; by default what `is_transient` is.
        """
        super().__init__(error.message)
        self.error = error
        self.is_transient = is_transient
        self.is_models_fault = is_transient if is_models_fault is None else is_models_fault

    @property
    def another_model_may_answer(self) -> bool:
        """True if the next candidate is worth a call."""
        return self.is_transient or self.error.upstream_code in CODES_OF_ONE_MODEL

    @property
    def is_out_of_capacity(self) -> bool:
        return self.error.upstream_code == OUT_OF_CAPACITY


async def read_failure(raw: UpstreamResponse, headers: Mapping[str, str]) -> CallFailure:
    """Return the failure that an error response of Workers AI stands for.

    headers: those of the client's error response.
    """
    try:
        code, description = _code_and_description(await raw.text())
    except ApiError:  # the body broke off, but the status is known
        code, description = None, ""
    error_type = UPSTREAM_CODES.get(code) if code else UPSTREAM_STATUSES.get(raw.status)
    error_type = error_type or "upstream_error"
    words = description or f"HTTP status {raw.status}"
    prefix = PREFIXES.get(error_type)
    retry_after = raw.header("retry-after") or ""
    error = ApiError(
        error_type,
        f"{prefix}: {words}" if prefix else words,
        upstream_code=code,
        retry_after=int(retry_after) if retry_after.isdecimal() else None,
        headers=dict(headers),
    )
    is_transient = code in TRANSIENT_CODES or raw.status == 408 or raw.status >= 500
    return CallFailure(error, is_transient=is_transient)


def _code_and_description(body: str) -> tuple[int | None, str]:
    """Return the code and the description of an error, in either of the forms that Workers AI sends."""
    try:
        data = from_json(body)
    except ValueError:
        return None, body.strip()[:500]
    match data:
        case {"internalCode": int(code), "description": str(description)}:
            return code, description
        case {"errors": [{"code": int(code), "message": str(message)}, *_]}:
            return code, message
        case {"error": {"message": str(message)}}:  # of another vendor
            return None, message
        case _:
            return None, body.strip()[:500]
