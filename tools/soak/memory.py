"""The part `memory` of `scripts/soak`: memory and time of the isolate, with the worst request of each kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from tools.soak.attacks import Attack, Outcome
from tools.soak.inspector import Inspector

MAX_WEBASSEMBLY = 64_000_000
"""Bytes of WebAssembly's memory, which never shrinks. An isolate has 128 MB for everything."""
MAX_TOGETHER = 110_000_000
"""Bytes of WebAssembly's memory and V8's used heap together."""
MAX_STRETCH = 100.0
"""Milliseconds of processor time for which nobody else is served."""
DEADLINE = 3_600.0
"""Seconds for one request and the ingestion of its document."""
HEADINGS = ("Request", "Bytes", "Answered", "WebAssembly, MB", "V8's heap, MB", "Busy at a stretch, ms")


@dataclass(frozen=True)
class Row:
    """The isolate with one request."""

    name: str
    size: int
    answer: str
    memory_before: int
    """Bytes of WebAssembly's memory."""
    memory_after: int
    used_heap: int
    """Largest number of bytes of V8's heap in use."""
    stretch: float
    """Longest time without a pause, in milliseconds of processor time."""
    functions: Sequence[str] = field(default_factory=tuple[str, ...])
    """Functions that took most of it."""

    def broken_bounds(self) -> list[str]:
        """Return a sentence for each bound that does not hold."""
        together = self.memory_after + self.used_heap
        checks = [
            (self.memory_after > MAX_WEBASSEMBLY, f"WebAssembly has {self.memory_after / 1e6:.1f} MB"),
            (together > MAX_TOGETHER, f"WebAssembly and V8's heap have {together / 1e6:.1f} MB together"),
            (self.stretch > MAX_STRETCH, f"the isolate was busy for {self.stretch:.0f} ms at a stretch"),
            (self.answer.startswith("5"), f"it was answered {self.answer}"),
        ]
        return [f"{self.name}: {message}" for is_broken, message in checks if is_broken]

    def cells(self) -> tuple[str, ...]:
        memory = f"{self.memory_before / 1e6:.1f} → {self.memory_after / 1e6:.1f}"
        return self.name, f"{self.size:,}", self.answer, memory, f"{self.used_heap / 1e6:.1f}", f"{self.stretch:.0f}"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


async def measure(
    url: str,
    headers: Mapping[str, str],
    inspector: Inspector,
    attacks: Mapping[str, Attack],
    say: Callable[[str], None],
) -> list[Row]:
    """Send one request after the other; return a row for each. say: shows each row as it is measured."""
    rows: list[Row] = []
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=DEADLINE, trust_env=False) as client:
        for name, attack in attacks.items():
            rows.append(await _row(client, inspector, name, attack))
            say(f"  {' | '.join(rows[-1].cells())}   {', '.join(rows[-1].functions)}\n")
    return rows


async def _row(client: httpx.AsyncClient, inspector: Inspector, name: str, attack: Attack) -> Row:
    before = await _memory(client)
    async with inspector.watch() as watched:
        try:
            outcome = await attack(client)
        except httpx.HTTPError as error:
            outcome = Outcome(0, f"502 no answer: {error!r}"[:60])
    after = await _memory(client)
    return Row(name, outcome.size, outcome.answer, before, after, watched.used_heap, watched.stretch, watched.functions)


async def _memory(client: httpx.AsyncClient) -> int:
    """Return the size of WebAssembly's memory in bytes."""
    return int((await client.get("/health")).json()["isolate"]["memory_bytes"])


def to_json(rows: Sequence[Row]) -> dict[str, Any]:
    return {"rows": [asdict(row) for row in rows]}
