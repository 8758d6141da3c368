"""Data of AI Gateway: gateways, and the logs of the calls through them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

Scalar = str | int | float | bool
"""Value of an entry of a log's metadata."""

HEAD_CHARACTERS = 4096
"""Characters of a body that are shown with its log. How many Cloudflare shows is not documented."""


@dataclass(frozen=True)
class Gateway:
    """A gateway and its settings."""

    id: str
    settings: dict[str, Any]
    created: int
    """Milliseconds since 1970."""
    modified: int
    """Milliseconds since 1970."""


@dataclass
class Log:
    """Log of one call through a gateway."""

    id: str
    gateway: str
    created_at: int
    """When the call arrived, in milliseconds since 1970."""
    provider: str
    model: str
    path: str
    event_id: str | None = None
    user_agent: str | None = None
    model_type: str | None = None
    """Task of the model."""
    step: int = 0
    duration: int = 0
    """Milliseconds until the end of the answer."""
    status_code: int = 200
    success: bool = False
    """Whether the model's answer came to its end."""
    cached: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0
    """Dollars."""
    custom_cost: bool = False
    metadata: dict[str, Scalar | None] | None = None
    request_type: str | None = None
    request_content_type: str | None = None
    response_content_type: str | None = None
    request_size: int = 0
    """Bytes."""
    response_size: int = 0
    """Bytes."""
    request: str | None = None
    """Beginning of the body, or None if bodies are not logged."""
    response: str | None = None
    """Beginning of the body, or None if bodies are not logged."""
    score: float | None = None
    feedback: int | None = None
    number: int = field(default=0, compare=False)
    """Number of the log, counted over all gateways, so that a page can ask for the newer ones."""

    def summary(self) -> dict[str, Any]:
        """The log as a list of logs shows it: without the bodies."""
        return {name: getattr(self, name) for name in SUMMARY_FIELDS} | {"created_at": iso_time(self.created_at)}

    def to_json(self) -> dict[str, Any]:
        """The log as `getLog` and the REST API show it; `AiGatewayLog` leaves out what is not known."""
        request, response = self.request or "", self.response or ""
        known = {name: value for name, value in self.summary().items() if value is not None or name in NULLABLE}
        return known | {
            "request_size": self.request_size,
            "request_head": request[:HEAD_CHARACTERS],
            "request_head_complete": _is_complete(request, self.request_size),
            "response_size": self.response_size,
            "response_head": response[:HEAD_CHARACTERS],
            "response_head_complete": _is_complete(response, self.response_size),
        }


BODY_FIELDS = ("request", "response", "request_size", "response_size")
SUMMARY_FIELDS = [each.name for each in fields(Log) if each.name not in (*BODY_FIELDS, "number", "gateway")]
NULLABLE = ("score", "feedback", "event_id", "user_agent", "metadata")
"""Fields shown even if they are null: those that `AiGatewayLog` does not list, and `metadata`, null in recordings."""


@dataclass(frozen=True)
class LogSearch:
    """Search in a gateway's logs: an SQL condition with its values, an order, and a page."""

    where: str = "TRUE"
    values: Sequence[Any] = ()
    order: str = "created_at DESC, number DESC"
    limit: int = 20
    offset: int = 0


def iso_time(milliseconds: int) -> str:
    """ISO 8601 in UTC, of milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_complete(body: str, size: int) -> bool:
    """Whether the head of a stored body is the whole body of that size, in bytes."""
    return len(body.encode()) >= size and len(body) <= HEAD_CHARACTERS
