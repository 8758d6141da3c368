"""What a key may spend in a day: reserved before a model is asked, settled when the cost is known.

One object for each key counts (`Budget` of entry.py), whichever isolate a request is served in. What is reserved counts
as spent until it is settled: should an isolate die in between, the day has cost too much rather than too little.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from aiworker.auth.access import Key
from aiworker.bindings import Budget, Spent
from aiworker.errors import ApiError

DAY = 86_400
"""Seconds."""

ATTEMPTS = 3
"""How often the object is told what was spent. It notes each cost once, however often it hears of it."""


# ---- in a request ------------------------------------------------------------------------------------------------


@dataclass
class Charge:
    """What one model call may cost, or has cost. Neurons."""

    id: str = ""
    reserved: float = 0
    cost: float | None = None
    """None while it is not known, and where it never will be: then what was reserved counts."""


@dataclass
class Spending:
    """What one request spends of its key's budget; of a key without one, nothing is counted."""

    key: Key | None = None
    budget: Budget | None = None
    request_id: str = ""
    charges: list[Charge] = field(default_factory=list[Charge])

    def of(self, key: Key, budget: Budget, request_id: str) -> None:
        """From now on, count for that key."""
        self.key, self.budget, self.request_id = key, budget, request_id

    @property
    def is_counted(self) -> bool:
        return self.budget is not None

    async def reserve(self, neurons: Sequence[float]) -> list[Charge]:
        """Take as much from the day's budget, all of it or nothing.

        Raises ApiError `budget_exceeded` if it does not hold that much, `unavailable` if it cannot be asked.
        """
        if self.key is None or self.budget is None or self.key.daily_neurons is None:
            return [Charge() for _ in neurons]
        first = len(self.charges)
        made = [Charge(f"{self.request_id}.{first + number}", each) for number, each in enumerate(neurons)]
        spent = await self.budget.reserve({each.id: each.reserved for each in made}, self.key.daily_neurons)
        if not spent.is_admitted:
            raise _exceeded(self.key.name, self.key.daily_neurons, spent, sum(neurons))
        self.charges += made
        return made

    async def settle(self) -> None:
        """Give back what was not needed; where more was, take it."""
        known = {each.id: each.cost for each in self.charges if each.cost is not None}
        if self.budget is None or not known:
            return
        for attempt in range(ATTEMPTS):
            try:
                await self.budget.settle(known)
            except ApiError:  # what was reserved stays for the day if the last attempt fails too
                await asyncio.sleep(0.2 * 2**attempt)
            else:
                return


def _exceeded(name: str, daily: float, spent: Spent, wanted: float) -> ApiError:
    hours, minutes = divmod(math.ceil(spent.seconds_left / 60), 60)
    return ApiError(
        "budget_exceeded",
        f"The key {name} has {daily:,.6g} neurons a day, of which {spent.neurons:,.6g} are spent or reserved: this "
        f"request may cost {wanted:,.4g} more. The next day begins at midnight UTC, in {hours} h {minutes:02} min.",
        retry_after=spent.seconds_left,
    )


# ---- in the object -----------------------------------------------------------------------------------------------


class Storage(Protocol):
    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        """The rows."""
        ...


SCHEMA = (
    "CREATE TABLE IF NOT EXISTS days (day TEXT PRIMARY KEY, spent INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS charges (id TEXT PRIMARY KEY, day TEXT NOT NULL, reserved INTEGER NOT NULL)",
)
"""What each day has cost, and what of it is still reserved. In millionths of a neuron: whole numbers add up exactly."""

FORGET = ("DELETE FROM days WHERE day < ?", "DELETE FROM charges WHERE day < ?")


class KeptBudget:
    """What one key has spent. Nothing in here awaits, so that no other request comes in between."""

    def __init__(self, storage: Storage, now: Callable[[], float]) -> None:
        """now: seconds since 1970."""
        self._storage = storage
        self._now = now

    def reserve(self, charges: Mapping[str, float], daily: float) -> dict[str, Any]:
        """Spent, as JSON. charges: id → neurons; one that is already there is not counted again."""
        today = self._begin()
        wanted = {name: math.ceil(neurons * 1e6) for name, neurons in charges.items() if not self._has(name)}
        spent = self._spent(today)
        is_admitted = spent + sum(wanted.values()) <= daily * 1e6
        if is_admitted:
            for name, reserved in wanted.items():
                self._storage.execute("INSERT INTO charges VALUES (?, ?, ?)", name, today, reserved)
            self._add(today, sum(wanted.values()))
        return self._told(today, is_admitted=is_admitted)

    def settle(self, costs: Mapping[str, float]) -> None:
        """costs: id of a charge → neurons. Counted for the day on which it was reserved, and only once."""
        self._begin()
        for name, neurons in costs.items():
            for day, reserved in self._storage.execute(
                "DELETE FROM charges WHERE id = ? RETURNING day, reserved", name
            ):
                self._add(day, round(neurons * 1e6) - reserved)

    def today(self) -> dict[str, Any]:
        """Spent, as JSON."""
        return self._told(self._begin(), is_admitted=True)

    def _begin(self) -> str:
        """The day. What is older than a day is forgotten: a request may outlive a midnight, but not two."""
        for statement in SCHEMA:
            self._storage.execute(statement)
        today = datetime.fromtimestamp(self._now(), UTC).date()
        for statement in FORGET:
            self._storage.execute(statement, str(today - timedelta(days=1)))
        return str(today)

    def _has(self, name: str) -> bool:
        return bool(self._storage.execute("SELECT 1 FROM charges WHERE id = ?", name))

    def _spent(self, day: str) -> int:
        rows = self._storage.execute("SELECT spent FROM days WHERE day = ?", day)
        return int(rows[0][0]) if rows else 0

    def _add(self, day: str, amount: int) -> None:
        self._storage.execute(
            "INSERT INTO days VALUES (?1, ?2) ON CONFLICT (day) DO UPDATE SET spent = spent + ?2", day, amount
        )

    def _told(self, today: str, *, is_admitted: bool) -> dict[str, Any]:
        return {
            "day": today,
            "neurons": self._spent(today) / 1e6,
            "seconds_left": DAY - int(self._now()) % DAY,
            "is_admitted": is_admitted,
        }
