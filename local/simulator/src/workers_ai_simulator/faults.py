"""Faults that a test sets: the next answers fail, or stop where they are until released."""

import asyncio
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What shall happen to the next `count` requests (of `model`, if named)."""

    model: str | None = None
    count: int = 1
    status: int | None = None
    """Answer with this HTTP status, `code` and `description`."""
    code: int = 0
    description: str = "Simulated fault"
    hold_response: bool = False
    """Do not answer until the faults are cleared."""
    hold_after_frames: int | None = None
    """Stop the stream after so many frames until the faults are cleared."""
    tokens_per_second: float | None = None
    """Write the stream at this pace instead of the simulator's own."""
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Faults:
    def __init__(self) -> None:
        self._set: list[Fault] = []
        self._held: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._set.append(fault)

    def take(self, model: str) -> Fault | None:
        """The fault for a request of that model, if one is set; it counts as used."""
        for fault in self._set:
            if fault.model in (None, model):
                fault.count -= 1
                if fault.count == 0:
                    self._set.remove(fault)
                self._held.append(fault)
                return fault
        return None

    def clear(self) -> None:
        """Forget all faults and let go of what they hold."""
        for fault in (*self._set, *self._held):
            fault.released.set()
        self._set.clear()
        self._held.clear()
