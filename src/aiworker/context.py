"""What a route is given: the request, the Worker's settings, and what it is bound to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aiworker.errors import ApiError
from aiworker.http import Opaque, Request
from aiworker.settings import Settings


class UpstreamResponse(Protocol):
    """The raw answer to a model call: its head in Python, its body left where it is."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> Opaque: ...

    def header(self, name: str) -> str | None: ...

    async def text(self) -> str:
        """The body, read to its end: for errors, which are small."""
        ...


class Ai(Protocol):
    async def run(self, model: str, inputs: str, options: str) -> UpstreamResponse:
        """Call a model; `inputs` and `options` are JSON objects.

        Raises ApiError `upstream_error` if no answer arrives at all.
        """
        ...


@dataclass(frozen=True)
class Context:
    request: Request
    request_id: str
    settings: Settings
    bindings: Mapping[str, bool]
    """Every binding of wrangler.jsonc → whether this Worker has it."""
    ai: Ai | None
    versions: Mapping[str, str]
    """Of the platform, for /health."""

    def the_ai(self) -> Ai:
        """Raises ApiError `unavailable` if the Worker has no AI binding."""
        if self.ai is None:
            raise ApiError(
                "unavailable",
                'This Worker has no binding AI: add "ai": {"binding": "AI"} to wrangler.jsonc.',
            )
        return self.ai
