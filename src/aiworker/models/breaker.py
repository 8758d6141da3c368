"""A model that keeps failing is left alone for a while, so that nobody waits for what will fail again.

Each isolate judges by its own calls. (On Workers, time passes only while something is waited for: that is enough.)
"""

import math
import time
from dataclasses import dataclass, field

from aiworker.errors import ApiError

FAILURES = 5
"""Calls in a row that have failed, each after its own attempts. Fewer than five may be chance: with a fifth of all
attempts failing, a call of three attempts fails once in 125."""
WITHIN = 30
"""Seconds in which they have failed: what failed longer ago tells nothing of now."""
REST = 10
"""Seconds for which the model is not asked; then one call may try, and if it fails, as long again. Long enough to spare
clients a wait and upstream the calls, short enough that few notice when the model is well again."""


@dataclass
class _Trouble:
    failures: list[float] = field(default_factory=list[float])
    """When calls have failed, since the last that has not."""
    rests_until: float | None = None
    """None while it may be asked."""


class Breaker:
    """The troubles of all models. (It counts answers that have begun as successes: streams break for other reasons.)"""

    def __init__(self) -> None:
        self._troubles: dict[str, _Trouble] = {}

    def allow(self, model: str) -> bool:
        """Let a call pass; whether it is a trial. Raises ApiError `unavailable` for a model that is left alone."""
        trouble, now = self._troubles.get(model), time.monotonic()
        if trouble is None or trouble.rests_until is None:
            return False
        if now < trouble.rests_until:
            seconds = math.ceil(trouble.rests_until - now)
            message = f"{model} has failed {FAILURES} times in a row and is paused: try again in {seconds} seconds."
            raise ApiError("unavailable", message, retry_after=seconds, headers={"x-model": model})
        trouble.rests_until = now + REST  # this call is the trial; the others wait for how it ends
        return True

    def cancel_trial(self, model: str) -> None:
        """The trial has told nothing of the model, as when its request was a bad one: the next call is another."""
        if (trouble := self._troubles.get(model)) and trouble.rests_until is not None:
            trouble.rests_until = time.monotonic()

    def record_failure(self, model: str) -> None:
        trouble, now = self._troubles.setdefault(model, _Trouble()), time.monotonic()
        trouble.failures = [when for when in (*trouble.failures, now) if now - when <= WITHIN]
        if trouble.rests_until is not None or len(trouble.failures) >= FAILURES:
            trouble.rests_until = now + REST

    def record_success(self, model: str) -> None:
        self._troubles.pop(model, None)

    @property
    def open_circuits(self) -> list[str]:
        """Models that are left alone, or on trial."""
        return sorted(model for model, trouble in self._troubles.items() if trouble.rests_until is not None)
