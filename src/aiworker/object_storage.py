"""The storage of a Durable Object: a SQLite database, and one alarm for all deadlines."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

SCHEMA = "CREATE TABLE IF NOT EXISTS deadlines (name TEXT PRIMARY KEY, at REAL NOT NULL)"


class Storage(Protocol):
    """The storage of a Durable Object: a SQLite database and an alarm."""

    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        """Run a statement and return its rows."""
        ...

    async def wake_in(self, seconds: float) -> None:
        """Set the object's alarm, in place of any that is set."""
        ...

    async def erase(self) -> None:
        """Delete everything, the alarm included."""
        ...


class Due(NamedTuple):
    names: set[str]
    """Names of what is due now."""
    has_more: bool
    """Something else is due later."""


class Deadlines:
    """Times at which an object has something to do, each under a name. The alarm is set for the first of them."""

    def __init__(self, storage: Storage, now: Callable[[], float]) -> None:
        """now: seconds since 1970."""
        self._storage = storage
        self._now = now

    async def set(self, name: str, seconds: float) -> None:
        """Set the deadline of this name to so many seconds from now, in place of an earlier one."""
        self._storage.execute(SCHEMA)
        self._storage.execute("INSERT OR REPLACE INTO deadlines VALUES (?, ?)", name, self._now() + seconds)
        await self._set_alarm()

    async def take(self) -> Due:
        """Return the names of the deadlines that are due now, and delete them."""
        if not has_table(self._storage, "deadlines"):
            return Due(set(), has_more=False)
        rows = self._storage.execute("DELETE FROM deadlines WHERE at <= ? RETURNING name", self._now())
        return Due({name for [name] in rows}, await self._set_alarm())

    async def _set_alarm(self) -> bool:
        """Set the alarm for the first deadline; return False if there is none."""
        rows = self._storage.execute("SELECT at FROM deadlines ORDER BY at LIMIT 1")
        for [first] in rows:
            await self._storage.wake_in(max(0, first - self._now()))
        return bool(rows)


def has_table(storage: Storage, name: str) -> bool:
    """Tell whether there is a table. Reading must create none: an id that somebody tries would leave an object."""
    return bool(storage.execute("SELECT name FROM sqlite_master WHERE name = ?", name))
