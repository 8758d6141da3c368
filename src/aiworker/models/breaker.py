"""Circuit breaker: a model that keeps failing is not called for a while, so that nobody waits for another failure.

Each isolate counts its own calls. (On Workers, the clock advances only while something is awaited: that is enough.)
"""

import math
import time
from dataclasses import dataclass, field

from aiworker.errors import ApiError

FAILURES = 5
"""Failed calls in a row that open a model's circuit, each after its own attempts. Fewer than five may be chance: with a
fifth of all attempts failing, a call of three attempts fails once in 125."""
WITHIN = 30
"""Seconds in which they must have failed: older failures say nothing about now."""
REST = 10
"""Seconds for which an open circuit's model is not called. Then one call is a trial; if it fails, the time begins anew.
Long enough to spare clients a wait and upstream the calls, short enough that few miss a model that works again."""


@dataclass
class _Circuit:
    failures: list[float] = field(default_factory=list[float])
    """Times of the failed calls since the last success, in seconds on the monotonic clock."""
    open_until: float | None = None
    """Time of the next trial; None while the circuit is closed."""


class Breaker:
    """The circuits of all models. An answer that has begun is a success: streams break off for other reasons."""

    def __init__(self) -> None:
        self._circuits: dict[str, _Circuit] = {}
        """Model id → circuit; none for a model whose last call has succeeded."""

    def allow(self, model: str) -> bool:
        """Let a call pass, and tell whether it is a trial. Raises ApiError `unavailable` if the circuit is open."""
        circuit, now = self._circuits.get(model), time.monotonic()
        if circuit is None or circuit.open_until is None:
            return False
        if now < circuit.open_until:
            seconds = math.ceil(circuit.open_until - now)
            message = f"{model} has failed {FAILURES} times in a row and is paused: try again in {seconds} seconds."
            raise ApiError("unavailable", message, retry_after=seconds, headers={"x-model": model})
        circuit.open_until = now + REST  # this call is the trial; the others are refused until it has ended
        return True

    def cancel_trial(self, model: str) -> None:
        """Make the next call the trial, because this one did not test the model (its request was invalid, for
        instance)."""
        if (circuit := self._circuits.get(model)) and circuit.open_until is not None:
            circuit.open_until = time.monotonic()

    def record_failure(self, model: str) -> None:
        """Count a failed call, and open the circuit after FAILURES of them, or after a failed trial."""
        circuit, now = self._circuits.setdefault(model, _Circuit()), time.monotonic()
        circuit.failures = [when for when in (*circuit.failures, now) if now - when <= WITHIN]
        if circuit.open_until is not None or len(circuit.failures) >= FAILURES:
            circuit.open_until = now + REST

    def record_success(self, model: str) -> None:
        """Close the model's circuit."""
        self._circuits.pop(model, None)

    @property
    def open_circuits(self) -> list[str]:
        """Ids of the models whose circuit is open, those on trial included."""
        return sorted(model for model, circuit in self._circuits.items() if circuit.open_until is not None)
