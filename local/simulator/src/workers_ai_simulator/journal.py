"""What was asked of the simulator and how far each answer has come, for tests and for people."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

State = Literal["received", "streaming", "finished", "failed", "cancelled"]
LONG = 256
ENDED: tuple[State, ...] = ("finished", "failed", "cancelled")


@dataclass
class Entry:
    id: str
    """Also the answer's `cf-ai-req-id`."""
    model: str
    inputs: dict[str, Any]
    options: dict[str, Any]
    state: State = "received"
    status: int | None = None
    frames: int = 0
    """Frames of the stream written so far."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def shortened(inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs without the bytes of images and sounds, of which only the number is kept."""
    return {name: _short(value) for name, value in inputs.items()}


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return f"<{len(items)} numbers>" if len(items) > LONG and isinstance(items[0], int | float) else items
    return value


class Journal:
    """The last 1,000 requests. `wait` lets a test wait for an event instead of sleeping."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=1000)
        self._changed = asyncio.Condition()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    async def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        await self.note(entry, "received")

    async def note(self, entry: Entry, state: State, frames: int | None = None) -> None:
        async with self._changed:
            entry.state = state
            entry.frames = entry.frames if frames is None else frames
            self._changed.notify_all()

    async def wait(self, entry_id: str, states: tuple[str, ...], seconds: float) -> Entry | None:
        """The entry once it is in one of the states, or as it is when the time is over; None if there is none."""

        def arrived() -> bool:
            entry = self._find(entry_id)
            return entry is not None and entry.state in states

        async with self._changed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait_for(arrived), seconds)
        return self._find(entry_id)

    def _find(self, entry_id: str) -> Entry | None:
        return next((entry for entry in self._entries if entry.id == entry_id), None)
