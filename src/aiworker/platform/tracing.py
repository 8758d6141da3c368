"""Spans of the platform's traces: `tracing` of a request's context."""

from typing import Any

from aiworker.platform.javascript import js_object
from aiworker.tracing import Attributes, NoSpan, Span


class JsTracer:
    """aiworker.tracing.Tracer of one request."""

    def __init__(self, execution: Any) -> None:
        """execution: the platform's context of the request."""
        self._tracing = getattr(execution, "tracing", None)

    def start(self, name: str, attributes: Attributes) -> Span:
        if self._tracing is None:
            return NoSpan()
        span = self._tracing.startSpan(name)
        if not span.isTraced:  # the request is not sampled
            span.end()
            return NoSpan()
        return JsSpan(span, attributes)


class JsSpan:
    """aiworker.tracing.Span over a span of the platform's."""

    def __init__(self, span: Any, attributes: Attributes) -> None:
        self._span: Any = span
        self.set(attributes)

    def set(self, attributes: Attributes) -> None:
        if self._span is not None:
            self._span.setAttributes(js_object(attributes))

    def fail(self, reason: str) -> None:
        if self._span is not None:
            self.set({"error.type": reason})
            self._span.setStatus(js_object({"code": "error", "message": reason}))
        self.end()

    def end(self) -> None:
        span, self._span = self._span, None
        if span is not None:
            span.end()
