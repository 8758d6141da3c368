"""The steps of a Workflow, as ingestion and jobs use them."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

Done = TypeVar("Done")


class Steps(Protocol):
    """The steps of a Workflow, whose results are stored: a step that has succeeded does not run again."""

    async def do(self, name: str, work: Callable[[], Awaitable[Done]], *, patiently: bool = False) -> Done:
        """Return the result of `work`, which must be JSON. Work that fails is retried.

        patiently: retry for about two minutes. Raises NonRetryableError at once if the work does.
        """
        ...


class StepError(RuntimeError):
    """A step that failed in every attempt; the message is for the document's owner."""


class NonRetryableError(StepError):
    """A failure that no retry can repair."""
