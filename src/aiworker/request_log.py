"""What a request was about, as one JSON line in the Worker's log. Never what was said in it, nor who proved how."""

import json
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class RequestLog:
    """Filled while the request is served; what stays None is not known."""

    request_id: str = ""
    method: str = ""
    route: str | None = None
    """As the table of routes has it, such as `/images/{key}`."""
    caller: str | None = None
    """Name of the key."""
    status: int | None = None
    error: str | None = None
    """Type of the error."""
    upstream_code: int | None = None
    models: list[str] = field(default_factory=list[str])
    """Those that have answered, in order."""
    calls: int = 0
    """To models, retries included."""
    model_seconds: float = 0
    """Until models have begun to answer."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    neurons: float | None = None
    """What the answers have cost, as far as it is known."""
    cache: str | None = None
    """What AI Gateway's cache has said: HIT or MISS."""
    has_left: bool = False
    """The client did not wait for the end of a stream."""
    repeats: str = "off"
    """What lines may repeat of requests: the variable LOG_PROMPTS."""
    began: float = field(default_factory=time.monotonic)

    def answered(self, model: str, seconds: float, cache: str | None) -> None:
        self.models.append(model)
        self.model_seconds += seconds
        self.cache = cache or self.cache

    def used(self, usage: Mapping[str, Any], neurons: float | None) -> None:
        """usage: tokens of one answer, as models report them. neurons: what it has cost."""
        self.input_tokens = _sum(self.input_tokens, usage.get("prompt_tokens"))
        self.output_tokens = _sum(self.output_tokens, usage.get("completion_tokens"))
        self.neurons = _sum(self.neurons, neurons)

    def write(self, has_left: bool) -> None:
        self.has_left = has_left
        print(self.line())  # noqa: T201 - the Worker's log

    def write_defect(self, error: Exception) -> None:
        """Where the code has failed; its message may repeat what the request has said."""
        where = "".join(traceback.format_tb(error.__traceback__))
        message = "" if self.repeats == "off" else f": {error}"
        print(f"{self.request_id} failed\n{where}{type(error).__name__}{message}")  # noqa: T201 - the Worker's log

    def line(self) -> str:
        told: dict[str, Any] = {
            "id": self.request_id,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "ms": round((time.monotonic() - self.began) * 1000),
            "caller": self.caller,
            "error": self.error,
            "upstream_code": self.upstream_code,
            "models": self.models,
            "calls": self.calls,
            "model_ms": round(self.model_seconds * 1000),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "neurons": None if self.neurons is None else round(self.neurons, 4),
            "cache": self.cache,
            "client_left": self.has_left,
        }
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _sum(one: Any, other: Any) -> Any:
    return one if not isinstance(other, (int, float)) else (one or 0) + other
