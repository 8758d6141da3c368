"""Daily budgets of keys: neurons are reserved before a model is called, and settled when its cost is known.

One Durable Object for each key (`Budget` of entry.py) counts for all isolates. A reservation counts as spent until it
is settled: if an isolate dies in between, the day has cost too much rather than too little.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from aiworker.auth.access import Key
from aiworker.bindings import Budget, BudgetState
from aiworker.errors import ApiError

DAY = 86_400
"""Seconds."""

ATTEMPTS = 3
"""Attempts to settle. The object counts each cost once, however often it is sent."""


# ---- in a request ------------------------------------------------------------------------------------------------


@dataclass
class BudgetReservation:
    """Neurons that one model call may cost, or has cost."""

    id: str = ""
    reserved: float = 0
    cost: float | None = None
    """Neurons that it has cost; None while that is unknown. If it stays unknown, `reserved` counts."""


@dataclass
class RequestBudget:
    """The reservations of one request in its key's daily budget; nothing is counted for a key without one."""

    key: Key | None = None
    budget: Budget | None = None
    request_id: str = ""
    reservations: list[BudgetReservation] = field(default_factory=list[BudgetReservation])

    def charge_to(self, key: Key, budget: Budget, request_id: str) -> None:
        """Count against the daily budget of this key from now on."""
        self.key, self.budget, self.request_id = key, budget, request_id

    @property
    def is_counted(self) -> bool:
        """True if the caller's key has a daily budget."""
        return self.budget is not None

    async def reserve(self, neurons: Sequence[float]) -> list[BudgetReservation]:
        """Reserve these neurons, one item for each model call; all of them or none.

        Raises ApiError `budget_exceeded` if the day has fewer left, `unavailable` if the budget cannot be reached.
        """
        if self.key is None or self.budget is None or self.key.daily_neurons is None:
            return [BudgetReservation() for _ in neurons]
        first = len(self.reservations)
        added = [BudgetReservation(f"{self.request_id}.{first + number}", each) for number, each in enumerate(neurons)]
        state = await self.budget.reserve({each.id: each.reserved for each in added}, self.key.daily_neurons)
        if not state.is_admitted:
            raise _exceeded(self.key.name, self.key.daily_neurons, state, sum(neurons))
        self.reservations += added
        return added

    async def settle(self) -> None:
        """Replace the reservations whose cost is known by their cost."""
        known = {each.id: each.cost for each in self.reservations if each.cost is not None}
        if self.budget is None or not known:
            return
        for attempt in range(ATTEMPTS):
            try:
                await self.budget.settle(known)
            except ApiError:  # if the last attempt fails too, the day keeps what was reserved
                await asyncio.sleep(0.2 * 2**attempt)
            else:
                return


def _exceeded(name: str, daily: float, state: BudgetState, requested: float) -> ApiError:
    hours, minutes = divmod(math.ceil(state.seconds_left / 60), 60)
    return ApiError(
        "budget_exceeded",
        f"The key {name} has {daily:,.6g} neurons a day, of which {state.neurons:,.6g} are spent or reserved: this "
        f"request may cost {requested:,.4g} more. The next day begins at midnight UTC, in {hours} h {minutes:02} min.",
        retry_after=state.seconds_left,
    )


# ---- in the object -----------------------------------------------------------------------------------------------


class Storage(Protocol):
    """The SQLite database of a Durable Object."""

    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        """Run a statement and return its rows."""
        ...


SCHEMA = (
    "CREATE TABLE IF NOT EXISTS days (day TEXT PRIMARY KEY, spent INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS charges (id TEXT PRIMARY KEY, day TEXT NOT NULL, reserved INTEGER NOT NULL)",
)
"""`days`: neurons spent on each day, reservations included. `charges`: reservations that are not settled yet.

Both in millionths of a neuron: whole numbers add up exactly."""

DELETE_OLD = ("DELETE FROM days WHERE day < ?", "DELETE FROM charges WHERE day < ?")


class BudgetStore:
    """Neurons that one key has spent. Nothing in here awaits, so that no other request comes in between."""

    def __init__(self, storage: Storage, now: Callable[[], float]) -> None:
        """now: seconds since 1970."""
        self._storage = storage
        self._now = now

    def reserve(self, charges: Mapping[str, float], daily: float) -> dict[str, Any]:
        """Reserve all charges or none, and return a BudgetState as JSON.

        charges: id → neurons; an id that is already known is not counted again. daily: neurons that a day may cost.
        """
        today = self._start()
        added = {name: math.ceil(neurons * 1e6) for name, neurons in charges.items() if not self._has(name)}
        spent = self._spent(today)
        is_admitted = spent + sum(added.values()) <= daily * 1e6
        if is_admitted:
            for name, reserved in added.items():
                self._storage.execute("INSERT INTO charges VALUES (?, ?, ?)", name, today, reserved)
            self._add(today, sum(added.values()))
        return self._state(today, is_admitted=is_admitted)

    def settle(self, costs: Mapping[str, float]) -> None:
        """Replace reservations by their cost, on the day on which they were made; unknown ids are ignored.

        costs: id → neurons.
        """
        self._start()
        for name, neurons in costs.items():
            for day, reserved in self._storage.execute(
                "DELETE FROM charges WHERE id = ? RETURNING day, reserved", name
            ):
                self._add(day, round(neurons * 1e6) - reserved)

    def today(self) -> dict[str, Any]:
        """Return a BudgetState as JSON."""
        return self._state(self._start(), is_admitted=True)

    def _start(self) -> str:
        """Create the tables, delete days before yesterday, and return today. (No request outlives two midnights.)"""
        for statement in SCHEMA:
            self._storage.execute(statement)
        today = datetime.fromtimestamp(self._now(), UTC).date()
        for statement in DELETE_OLD:
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

    def _state(self, today: str, *, is_admitted: bool) -> dict[str, Any]:
        return {
            "day": today,
            "neurons": self._spent(today) / 1e6,
            "seconds_left": DAY - int(self._now()) % DAY,
            "is_admitted": is_admitted,
        }
