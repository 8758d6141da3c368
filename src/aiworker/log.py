"""The log: one JSON line for each request, written when its response has ended (a stream's after its last byte).

Credentials are never logged; prompts only if the variable LOG_PROMPTS is `on`.
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
from aiworker.tracing import Attributes, Span

MAX_PROMPT_LENGTH = 2_000
"""Characters of the logged prompt."""
MAX_FRAMES = 30
"""Innermost frames of a logged traceback."""
MAX_TRACE_LENGTH = 6_000
"""Characters of a logged traceback; its end is kept."""
MAX_MESSAGE_LENGTH = 500
"""Characters of an exception's message, which is logged only if LOG_PROMPTS is not `off`."""


@dataclass
class RequestLog:
    """The facts of one request, collected while it is served. A value that is not known is None."""

    method: str = ""
    analytics: Analytics | None = None
    """Receives a data point beside the line."""
    write: Callable[[str], object] = print
    """Writes the line."""
    request_id: str = field(default_factory=lambda: f"req_{secrets.token_hex(12)}")
    route: str | None = None
    """The route's path with its parameters' names, such as `/images/{key}`: the path itself may be private."""
    tool: str | None = None
    """Name of the tool that an MCP client has called."""
    caller: str | None = None
    """Name of the key; `public` without one."""
    status: int | None = None
    error: str | None = None
    """Type of the error."""
    upstream_code: int | None = None
    defect: str | None = None
    """Traceback and type of an exception of this Worker's code."""
    prompt: str | None = None
    """Inputs of the first model call as JSON, at most MAX_PROMPT_LENGTH characters of it."""
    models: list[str] = field(default_factory=list[str])
    """Ids of the models that have answered, in order."""
    calls: int = 0
    """Number of model calls, retries included."""
    retries: int = 0
    model_seconds: float = 0
    """Seconds until models have begun to answer, all calls together."""
    first_byte_ms: int | None = None
    """Milliseconds from the request to the head of its response."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    neurons: float | None = None
    """Cost of those model calls whose cost is known."""
    cache: str | None = None
    """AI Gateway's cache status of the last answer that has one: HIT or MISS."""
    retired: str | None = None
    """Id of the retired model that was requested, or that a variable names."""
    successor: str | None = None
    """Id of the model that answers in its place."""
    ignored: list[str] = field(default_factory=list[str])
    """Names of the request's parameters that were ignored. They are not logged, because clients choose them."""
    gen_ai: Attributes = field(default_factory=dict[str, str | float])
    """Facts of the last model call, under OpenTelemetry's names."""
    spans: list[Span] = field(default_factory=list[Span])
    """Spans of the request's model calls. Those that are still open, because an answer was not read to its end, end
    with the request."""
    client_disconnected: bool = False
    """True if the client disconnected before the end."""
    log_prompts: str = "off"
    """The variable LOG_PROMPTS: which texts of a request the line may repeat."""
    started: float = field(default_factory=time.monotonic)
    """Seconds on the monotonic clock."""
    is_written: bool = False

    # ---- while the request is served -----------------------------------------------------------------------------

    def record_prompt(self, inputs: Mapping[str, Any]) -> None:
        """Record the inputs of the first model call. inputs: JSON values, without the owner's system prompt."""
        if self.log_prompts == "on" and self.prompt is None:
            self.prompt = json.dumps(inputs, ensure_ascii=False)[:MAX_PROMPT_LENGTH]

    def record_call(self, attributes: Attributes, span: Span) -> None:
        """Count a model call. attributes: its facts under `gen_ai.*`, of which the line has those of the last call."""
        self.calls += 1
        self.gen_ai = attributes
        self.spans.append(span)

    def record_retired(self, model: str, successor: str) -> None:
        """Note that another model answers in place of a retired one."""
        self.retired, self.successor = model, successor

    def record_answer(self, model: str, seconds: float, cache: str | None) -> None:
        """Note that a model has begun to answer. seconds: since the call. cache: AI Gateway's cache status."""
        self.models.append(model)
        self.model_seconds += seconds
        self.cache = cache or self.cache

    def record_usage(self, usage: Mapping[str, Any], neurons: float | None) -> None:
        """Add the tokens and the cost of one answer. usage: tokens as models report them."""
        self.input_tokens = _sum(self.input_tokens, usage.get("prompt_tokens"))
        self.output_tokens = _sum(self.output_tokens, usage.get("completion_tokens"))
        self.neurons = _sum(self.neurons, neurons)

    def record_error(self, error: ApiError) -> None:
        """Note the error that the client gets."""
        self.client_disconnected = isinstance(error, ClientDisconnected)
        if not self.client_disconnected:
            self.error, self.upstream_code = error.type, error.upstream_code

    def record_defect(self, error: Exception) -> None:
        """Note an exception of this Worker's code. Its message may repeat the request, and is left out by default."""
        frames = "".join(traceback.format_tb(error.__traceback__, -MAX_FRAMES))[-MAX_TRACE_LENGTH:]
        message = "" if self.log_prompts == "off" else f": {str(error)[:MAX_MESSAGE_LENGTH]}"
        self.error = "internal_error"
        self.defect = f"{frames}{type(error).__name__}{message}"

    def record_head(self, status: int) -> int:
        """Note that the response's head is ready; return the milliseconds since the request."""
        self.status, self.first_byte_ms = status, self._ms
        return self.first_byte_ms

    # ---- when the response has ended -----------------------------------------------------------------------------

    def finish_disconnected(self) -> None:
        """Write the line when the client disconnects: the platform may cut off everything after that."""
        self.finish(StreamOutcome(client_disconnected=True))

    def finish(self, outcome: StreamOutcome) -> None:
        """Write the line and the data point. Only the first call has an effect."""
        if self.is_written:
            return
        self.is_written = True
        self.client_disconnected |= outcome.client_disconnected
        if outcome.defect:
            self.record_defect(outcome.defect)
        for span in self.spans:
            span.end()
        self.write(self.line())
        if self.analytics:
            self.analytics.write(self.caller or "", self._texts(), self._numbers())

    @property
    def _ms(self) -> int:
        return round((time.monotonic() - self.started) * 1000)

    def line(self) -> str:
        """Return the line, a JSON object."""
        fields: dict[str, Any] = {
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
        fields |= self._gen_ai()
        texts = {"tool": self.tool, "retired": self.retired, "defect": self.defect, "prompt": self.prompt}
        fields |= {name: value for name, value in texts.items() if value is not None}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    def _gen_ai(self) -> dict[str, Any]:
        """Return the facts of the model calls under OpenTelemetry's names; nothing if there were none."""
        answers = {
            "gen_ai.response.model": self.models[-1] if self.models else None,
            "gen_ai.usage.input_tokens": self.input_tokens,
            "gen_ai.usage.output_tokens": self.output_tokens,
        }
        return {**self.gen_ai, **answers} if self.gen_ai else {}

    def _texts(self) -> tuple[str, ...]:
        """Return the data point's blobs: route, status, error, model, cache."""
        status = "" if self.status is None else str(self.status)
        return (self.route or "", status, self.error or "", "".join(self.models[-1:]), self.cache or "")

    def _numbers(self) -> tuple[float, ...]:
        """Return the data point's doubles: milliseconds in all, milliseconds of models, tokens, neurons, calls."""
        tokens = (self.input_tokens or 0) + (self.output_tokens or 0)
        return (self._ms, self.model_seconds * 1000, tokens, self.neurons or 0, self.calls)


def _sum(one: Any, other: Any) -> Any:
    """Return the sum of `one`, a number or None, and `other`; `one` if `other` is no number."""
    return one if not isinstance(other, (int, float)) else (one or 0) + other
