"""Errors of scripted answers."""

from workers_ai_simulator.errors import UpstreamError

UNEXPECTED = 600
"""Code of a call without a scripted answer. Upstream never sends it."""


class AnswersError(ValueError):
    """JSON that is neither a scripted answer nor a list of them. `part` names the place, such as `0/text`."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(f"{part}: {message}" if part else message)
        self.part = part


class UnexpectedCall(UpstreamError):  # noqa: N818 - a statement about the test, not about the request
    """Refusal, in strict mode, of a call without a scripted answer.

    Its status is 400, so that clients do not try again.
    """

    def __init__(self, description: str) -> None:
        super().__init__(400, UNEXPECTED, description, "UnexpectedCall")
