"""Spans of a trace, which the platform records beside those of its own bindings."""

from collections.abc import Mapping
from typing import Protocol

Attributes = Mapping[str, str | float]
"""Name, after OpenTelemetry's conventions where it has one → value."""


class Span(Protocol):
    """One operation of a request. Calls after its end have no effect."""

    def set(self, attributes: Attributes) -> None: ...

    def fail(self, reason: str) -> None:
        """End the span with an error. reason: a type of errors, such as `rate_limited`."""
        ...

    def end(self) -> None: ...


class Tracer(Protocol):
    def start(self, name: str, attributes: Attributes) -> Span:
        """Begin a span below the request's own."""
        ...


class NoSpan:
    """A span that is not recorded."""

    def set(self, attributes: Attributes) -> None: ...

    def fail(self, reason: str) -> None: ...

    def end(self) -> None: ...


class NoTracer:
    """The tracer of work that is not traced."""

    def start(self, name: str, attributes: Attributes) -> Span:  # noqa: ARG002 - the signature of all tracers
        return NoSpan()
