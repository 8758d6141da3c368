"""What a request was about, as one JSON line in the Worker's log. Never who proved how that they may send it, and what
was said in it only if the variable LOG_PROMPTS says so.

The line is written when the response is over: for a stream, behind its last byte.
"""

import json
import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiworker.bindings import Analytics, StreamOutcome
from aiworker.errors import ApiError, ClientDisconnected

MAX_PROMPT_LENGTH = 2_000
"""Characters of what models are asked, with LOG_PROMPTS `on`."""


@dataclass
class RequestLog:
    """Filled while the request is served; what stays None is not known."""

    method: str = ""
    analytics: Analytics | None = None
    """Where a data point goes beside the line."""
    write: Callable[[str], object] = print
    """Where the line goes."""
    request_id: str = field(default_factory=lambda: f"req_{secrets.token_hex(12)}")
    route: str | None = None
    """As the table of routes has it, such as `/images/{key}`: a path may say something."""
    caller: str | None = None
    """Name of the key."""
    status: int | None = None
    error: str | None = None
    """Type of the error."""
    upstream_code: int | None = None
    defect: str | None = None
    """Where the code has failed."""
    prompt: str | None = None
    """What the first model was asked, as JSON."""
    models: list[str] = field(default_factory=list[str])
    """Those that have answered, in order."""
    calls: int = 0
    """To models, retries included."""
    retries: int = 0
    model_seconds: float = 0
    """Until models have begun to answer."""
    first_byte_ms: int | None = None
    """From the request to the head of its response."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    neurons: float | None = None
    """What the answers have cost, as far as it is known."""
    cache: str | None = None
    """What AI Gateway's cache has said: HIT or MISS."""
    client_disconnected: bool = False
    """The client did not wait for the end."""
    log_prompts: str = "off"
    """What lines may repeat of requests: the variable LOG_PROMPTS."""
    started: float = field(default_factory=time.monotonic)
    is_written: bool = False

    # ---- while it is served --------------------------------------------------------------------------------------

    def record_call(self, inputs: Mapping[str, Any]) -> None:
        """inputs: what a model is sent, without bytes."""
        self.calls += 1
        if self.log_prompts == "on" and self.prompt is None:
            self.prompt = json.dumps(inputs, ensure_ascii=False)[:MAX_PROMPT_LENGTH]

    def record_answer(self, model: str, seconds: float, cache: str | None) -> None:
        self.models.append(model)
        self.model_seconds += seconds
        self.cache = cache or self.cache

    def record_usage(self, usage: Mapping[str, Any], neurons: float | None) -> None:
        """usage: tokens of one answer, as models report them. neurons: what it has cost."""
        self.input_tokens = _sum(self.input_tokens, usage.get("prompt_tokens"))
        self.output_tokens = _sum(self.output_tokens, usage.get("completion_tokens"))
        self.neurons = _sum(self.neurons, neurons)

    def record_error(self, error: ApiError) -> None:
        self.client_disconnected = isinstance(error, ClientDisconnected)
        if not self.client_disconnected:
            self.error, self.upstream_code = error.type, error.upstream_code

    def record_defect(self, error: Exception) -> None:
        """A defect of the server; its message may repeat what the request has said."""
        where = "".join(traceback.format_tb(error.__traceback__))
        message = "" if self.log_prompts == "off" else f": {error}"
        self.error = "internal_error"
        self.defect = f"{where}{type(error).__name__}{message}"

    def record_head(self, status: int) -> int:
        """The response's head is ready; after how many milliseconds."""
        self.status, self.first_byte_ms = status, self._ms
        return self.first_byte_ms

    # ---- when it is over -----------------------------------------------------------------------------------------

    def finish_disconnected(self) -> None:
        """The client is gone: what is still to come may never come."""
        self.finish(StreamOutcome(client_disconnected=True))

    def finish(self, end: StreamOutcome) -> None:
        """Write the line; once, whatever ends it first."""
        if self.is_written:
            return
        self.is_written = True
        self.client_disconnected |= end.client_disconnected
        if end.defect:
            self.record_defect(end.defect)
        self.write(self.line())
        if self.analytics:
            self.analytics.write(self.caller or "", self._texts(), self._numbers())

    @property
    def _ms(self) -> int:
        return round((time.monotonic() - self.started) * 1000)

    def line(self) -> str:
        told: dict[str, Any] = {
            "id": self.request_id,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "ms": self._ms,
            "first_byte_ms": self.first_byte_ms,
            "caller": self.caller,
            "error": self.error,
            "upstream_code": self.upstream_code,
            "models": self.models,
            "calls": self.calls,
            "retries": self.retries,
            "model_ms": round(self.model_seconds * 1000),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "neurons": None if self.neurons is None else round(self.neurons, 4),
            "cache": self.cache,
            "client_left": self.client_disconnected,
        }
        said = {"defect": self.defect, "prompt": self.prompt}
        told |= {name: value for name, value in said.items() if value is not None}
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))

    def _texts(self) -> tuple[str, ...]:
        """The data point's blobs: route, status, error, model, cache."""
        status = "" if self.status is None else str(self.status)
        return (self.route or "", status, self.error or "", "".join(self.models[-1:]), self.cache or "")

    def _numbers(self) -> tuple[float, ...]:
        """Its doubles: milliseconds in all and of models, tokens, neurons, calls."""
        tokens = (self.input_tokens or 0) + (self.output_tokens or 0)
        return (self._ms, self.model_seconds * 1000, tokens, self.neurons or 0, self.calls)


def _sum(one: Any, other: Any) -> Any:
    return one if not isinstance(other, (int, float)) else (one or 0) + other
