"""Journal of the calls of the simulator and the progress of their answers, for tests and for people."""

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, cast

from workers_ai_simulator.traffic.credentials import recorded

State = Literal["received", "streaming", "finished", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("finished", "failed", "cancelled")

MAX_ENTRIES = 1000
MAX_NUMBERS = 256
"""Numbers of a list that are recorded; of a longer list, only its length is."""
MAX_CHARACTERS = 262_144
"""Characters of a text that are recorded: twice the longest prompt that a model takes."""


@dataclass
class Entry:
    """One call of the simulator."""

    binding: str
    """Service that was called: AI, VECTORIZE, AI_GATEWAY or AI_SEARCH, by the binding or over REST."""
    operation: str
    """Method of the service: run, models, toMarkdown, query, upsert, getLog and so on."""
    model: str = ""
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    prompt: str = ""
    """Last message of the user, or the first text, of a model call; by it scripted answers are chosen."""
    scripted: int | None = None
    """Id of the scripted answer that it got; None if the simulator answered."""
    tape: str = ""
    """File of the tape that its answer is from, or was recorded in; else empty."""
    real_model: str = ""
    """Model that answered in place of the called one, as `llama3.2 by Ollama`; empty for a simulated answer."""
    state: State = "received"
    status: int | None = None
    error: str = ""
    """Code and description of the error, if the call failed; else empty."""
    frames: int = 0
    """Frames of a stream sent so far."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """UUID of the call; for a model call also the answer's header `cf-ai-req-id`."""
    received: float = field(default_factory=time.time)
    """When the call arrived, in seconds since 1970."""
    seconds: float = 0
    """Seconds from its arrival to its end, or to its last change so far."""
    number: int = 0
    """Number of its last change, counted over the whole journal, so that a client can ask for later changes."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def is_model(model: str, pattern: str) -> bool:
    """Whether a model's name matches a pattern, in which `*` stands for any characters."""
    return fnmatchcase(model, pattern.replace("[", "[[]"))


def shortened(inputs: dict[str, Any], max_characters: int = MAX_CHARACTERS, kept: int = 100) -> dict[str, Any]:
    """The inputs with a note of their length in place of bytes, long texts and long lists of numbers.

    A text of more than `max_characters` is cut to the `kept` first ones. Credentials are left out.
    """

    def shorten(value: Any) -> Any:
        if isinstance(value, bytes):
            return f"<{len(value)} bytes>"
        if isinstance(value, str):
            return value if len(value) <= max_characters else f"{value[:kept]}… <{len(value)} characters>"
        if isinstance(value, dict):
            return shortened(cast("dict[str, Any]", value), max_characters, kept)
        if isinstance(value, list):
            items = cast("list[Any]", value)
            is_long = len(items) > MAX_NUMBERS and isinstance(items[0], int | float)
            return f"<{len(items)} numbers>" if is_long else [shorten(item) for item in items]
        return value

    return {name: recorded(name, shorten(value)) for name, value in inputs.items()}


class Journal:
    """The last 1,000 calls. Tests wait for changes with `wait` and `since` instead of sleeping."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self._changed = asyncio.Condition()
        self._number = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def find(self, entry_id: str) -> Entry | None:
        return next((entry for entry in self._entries if entry.id == entry_id), None)

    async def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        await self.update(entry, "received")

    async def update(self, entry: Entry, state: State, frames: int | None = None) -> None:
        """Record a change of an entry, and wake those who wait for one."""
        async with self._changed:
            self._number += 1
            entry.number = self._number
            entry.state = state
            entry.seconds = time.time() - entry.received
            entry.frames = entry.frames if frames is None else frames
            self._changed.notify_all()

    async def wait(self, entry_id: str, states: tuple[str, ...], seconds: float) -> Entry | None:
        """The entry once it is in one of the states, or as it is after so many seconds; None if there is none."""

        def is_in_state() -> bool:
            entry = self.find(entry_id)
            return entry is not None and entry.state in states

        await self._wait_until(is_in_state, seconds)
        return self.find(entry_id)

    async def since(self, number: int, seconds: float) -> list[Entry]:
        """Entries changed after that number: as soon as there are any, or none after so many seconds."""
        await self._wait_until(lambda: self._number > number, seconds)
        return [entry for entry in self._entries if entry.number > number]

    async def _wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait_for(condition), seconds)
