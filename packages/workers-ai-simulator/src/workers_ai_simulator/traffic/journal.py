"""What was asked of the simulator and how far each answer has come, for tests and for people."""

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

State = Literal["received", "streaming", "finished", "failed", "cancelled"]
MOST_NUMBERS = 256
"""In a list that the journal keeps."""
LONGEST_TEXT = 262_144
"""Characters: twice the longest prompt that a model takes."""
ENDED: tuple[State, ...] = ("finished", "failed", "cancelled")


@dataclass
class Entry:
    binding: str
    """AI, VECTORIZE or AI_GATEWAY: the service, by whatever way it was called."""
    operation: str
    """run, models, toMarkdown, query, upsert, getLog and so on."""
    model: str = ""
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    state: State = "received"
    status: int | None = None
    error: str = ""
    """Code and description, if it was refused."""
    frames: int = 0
    """Frames of the stream written so far."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Of a model call, also the answer's `cf-ai-req-id`."""
    received: float = field(default_factory=time.time)
    """Seconds since 1970."""
    seconds: float = 0
    """From its arrival to its end, or to the last change."""
    number: int = 0
    """Counts every change in the journal, so that a page can ask for what is new."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def shortened(inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs without the bytes of images, sounds and files, of which only the number is kept."""
    return {name: _short(value) for name, value in inputs.items()}


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else f"{value[:100]}… <{len(value)} characters>"
    if isinstance(value, dict):
        return shortened(cast("dict[str, Any]", value))
    if isinstance(value, list):
        items = cast("list[Any]", value)
        numbers = len(items) > MOST_NUMBERS and isinstance(items[0], int | float)
        return f"<{len(items)} numbers>" if numbers else [_short(item) for item in items]
    return value


class Journal:
    """The last 1,000 requests. `wait` lets a test wait for an event instead of sleeping."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=1000)
        self._changed = asyncio.Condition()
        self._number = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    async def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        await self.note(entry, "received")

    async def note(self, entry: Entry, state: State, frames: int | None = None) -> None:
        async with self._changed:
            self._number += 1
            entry.number = self._number
            entry.state = state
            entry.seconds = time.time() - entry.received
            entry.frames = entry.frames if frames is None else frames
            self._changed.notify_all()

    async def wait(self, entry_id: str, states: tuple[str, ...], seconds: float) -> Entry | None:
        """The entry once it is in one of the states, or as it is when the time is over; None if there is none."""

        def arrived() -> bool:
            entry = self._find(entry_id)
            return entry is not None and entry.state in states

        await self._wait_until(arrived, seconds)
        return self._find(entry_id)

    async def since(self, number: int, seconds: float) -> list[Entry]:
        """The entries that have changed after that number, as soon as there are any or the time is over."""
        await self._wait_until(lambda: self._number > number, seconds)
        return [entry for entry in self._entries if entry.number > number]

    async def _wait_until(self, arrived: Callable[[], bool], seconds: float) -> None:
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait_for(arrived), seconds)

    def _find(self, entry_id: str) -> Entry | None:
        return next((entry for entry in self._entries if entry.id == entry_id), None)
