"""Daily budgets of keys and of the Worker: reserve neurons before a model call, settle them when its cost is known.

One Durable Object for each budget (`Budget` of entry.py) counts for all isolates. A reservation counts as spent until
it is settled: if an isolate dies in between, the day has cost too much rather than too little.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from aiworker.auth.access import Key
from aiworker.bindings import Budget, Budgets, BudgetState
from aiworker.errors import ApiError

DAY = 86_400
"""Seconds."""

ATTEMPTS = 3
"""Attempts to settle. The object counts each cost once, however often it is sent."""

WORKER = ":worker"
"""Name of the budget of the whole Worker. No key has it: names of keys have no colon."""


# ---- in a request ------------------------------------------------------------------------------------------------


@dataclass
class BudgetReservation:
    """Neurons that one model call may cost, or has cost."""

    id: str = ""
    reserved: float = 0
    cost: float | None = None
    """Neurons that it has cost; None while that is unknown. If it stays unknown, `reserved` counts."""


@dataclass(frozen=True)
class DailyBudget:
    """A budget that a request draws on."""

    owner: str
    """Subject of error messages, such as `The key web`."""
    neurons: float
    """Neurons that a day may cost."""
    budget: Budget
    is_shared: bool = False
    """True if other callers draw on it, too: error messages then do not tell how much is spent."""


@dataclass
class RequestBudget:
    """The reservations of one request, in every budget that it draws on."""

    budgets: list[DailyBudget] = field(default_factory=list[DailyBudget])
    request_id: str = ""
    reservations: list[BudgetReservation] = field(default_factory=list[BudgetReservation])

    def charge_to(self, budget: DailyBudget, request_id: str) -> None:
        """Count later reservations against this budget, too. request_id: makes their ids unique."""
        self.budgets.append(budget)
        self.request_id = request_id

    @property
    def is_counted(self) -> bool:
        """True if there is a budget to count against."""
        return bool(self.budgets)

    async def reserve(self, neurons: Sequence[float], ids: Sequence[str] = ()) -> list[BudgetReservation]:
        """Reserve these neurons, one item for each model call, in all budgets; all of them or none.

        ids: ids of the reservations, for work that goes on after the request; by default they are made from the
        request's id.

        Raises ApiError `budget_exceeded` if a budget has fewer left today, `unavailable` if it cannot be reached.
        """
        if not self.budgets:
            return [BudgetReservation() for _ in neurons]
        first = len(self.reservations)
        names = ids or [f"{self.request_id}.{first + number}" for number in range(len(neurons))]
        added = [BudgetReservation(name, each) for name, each in zip(names, neurons, strict=True)]
        await reserve(self.budgets, {each.id: each.reserved for each in added}, "this request")
        self.reservations += added
        return added

    async def settle(self) -> None:
        """Replace the reservations whose cost is known by their cost."""
        known = {each.id: each.cost for each in self.reservations if each.cost is not None}
        if known:
            await settle(self.budgets, known)


def budgets_of(budgets: Budgets, key: Key | None, worker_neurons: float | None) -> list[DailyBudget]:
    """Return the budgets that the calls of a key draw on; those of a caller without a key if it is None.

    worker_neurons: neurons that a day of the whole Worker may cost; None for no limit.
    """
    drawn: list[DailyBudget] = []
    if key and key.daily_neurons is not None:
        drawn.append(DailyBudget(f"The key {key.name}", key.daily_neurons, budgets.find(key.name)))
    if worker_neurons is not None:
        drawn.append(DailyBudget("This Worker", worker_neurons, budgets.find(WORKER), is_shared=True))
    return drawn


async def reserve(budgets: Sequence[DailyBudget], charges: Mapping[str, float], subject: str) -> None:
    """Reserve charges, id → neurons, in all budgets or in none; those that are reserved already are not counted again.

    subject: what costs them, for the error's message. Raises ApiError as RequestBudget.reserve does.
    """
    reserved: list[DailyBudget] = []
    try:
        for each in budgets:
            state = await each.budget.reserve(charges, each.neurons)
            if not state.is_admitted:
                raise _exceeded(each, state, sum(charges.values()), subject)
            reserved.append(each)
    except ApiError:
        await settle(reserved, dict.fromkeys(charges, 0))
        raise


async def settle(budgets: Sequence[DailyBudget], costs: Mapping[str, float]) -> None:
    """Replace reservations by their cost, id → neurons, in all budgets. Those that cannot be reached keep them."""
    await asyncio.gather(*(_settle(each.budget, costs) for each in budgets))


async def _settle(budget: Budget, costs: Mapping[str, float]) -> None:
    for attempt in range(ATTEMPTS):
        try:
            await budget.settle(costs)
        except ApiError:  # if the last attempt fails too, the day keeps what was reserved
            await asyncio.sleep(0.2 * 2**attempt)
        else:
            return


def _exceeded(budget: DailyBudget, state: BudgetState, requested: float, subject: str) -> ApiError:
    hours, minutes = divmod(math.ceil(state.seconds_left / 60), 60)
    if budget.is_shared:  # a caller must not see what others have spent
        reason = f"{budget.owner} has too few neurons left today: {subject} may cost {_figure(requested)}."
    else:
        reason = (
            f"{budget.owner} has {_figure(budget.neurons)} neurons a day, of which {_figure(state.neurons)} are spent "
            f"or reserved: {subject} may cost {_figure(requested)} more."
        )
    return ApiError(
        "budget_exceeded",
        f"{reason} The next day begins at midnight UTC, in {hours} h {minutes:02} min.",
        retry_after=state.seconds_left,
    )


def _figure(neurons: float) -> str:
    """Return a number for people: four significant digits, or all of the whole ones."""
    return f"{neurons:,.0f}" if neurons >= 1_000 else f"{neurons:.4g}"


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
    """Neurons that one budget has spent. No method awaits, so that requests cannot interleave."""

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
