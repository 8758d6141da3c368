"""`scripts/bench --first`: what the first request of each route takes in a new isolate, beside its second one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from tools.bench import rows
from tools.bench.client import Connection, cpu_nanoseconds
from tools.bench.figures import Ratio, number
from tools.bench.rows import Call
from tools.bench.servers import AIWORKER, SDK, Server, laid_out
from tools.bench.session import Session
from tools.docs import markdown

STARTS = 10
"""Number of new isolates of each Worker."""
SETTLE_SECONDS = 0.2
"""Time after a response whose processor time counts as the request's: V8 compiles in other threads."""
GOAL = 1.5
"""Largest multiple of its second request's time that the first of a route may take."""
VERY_FIRST = "the very first: 404"
"""The request with which a new isolate begins. Its second is the same again."""


@dataclass(frozen=True)
class Route:
    title: str
    call: Call
    servers: Sequence[str] = (SDK, AIWORKER)


ROUTES = (
    Route("`/chat`, JSON", rows.chat("Why?", stream=False)),
    Route("`/chat`, 50 frames", rows.chat("frames=50", stream=True, frames=50)),
    Route("`/embed`, 1 text", rows.embed(rows.TEXTS[:1])),
    Route("`/v1`, 50 native frames, translated", rows.completions(rows.NATIVE, "frames=50", 50)),
    Route("`/rag/search`", rows.SEARCH, (AIWORKER,)),
    Route("`/image`, stored", rows.image()[0], (AIWORKER,)),
)


@dataclass
class Turns:
    """Milliseconds of the first and the second request of a route, one of each for every new isolate."""

    first: list[float] = field(default_factory=list[float])
    second: list[float] = field(default_factory=list[float])
    first_cpu: list[float] = field(default_factory=list[float])
    second_cpu: list[float] = field(default_factory=list[float])


Measured = Mapping[str, Mapping[str, Turns]]
"""Server → title of a route → what was measured."""


async def measure(session: Session) -> int:
    titles = [VERY_FIRST, *(route.title for route in ROUTES)]
    measured = {name: {title: Turns() for title in titles} for name in (SDK, AIWORKER)}
    for start in range(STARTS):
        session.say(f"new isolates of {SDK} and {AIWORKER}, {start + 1} of {STARTS}")
        for name, turns in measured.items():
            async with laid_out(session.folder) as site:
                await site.start_models()
                await _ask(await site.start(name), start, turns)
    print(_table(measured))
    session.write({name: {title: asdict(each) for title, each in of.items()} for name, of in measured.items()})
    return 0


async def _ask(server: Server, start: int, turns: Mapping[str, Turns]) -> None:
    """Send each request twice. The routes begin with another one in each isolate, since the first prepares others."""
    connection = Connection(server.name, server.port)
    routes = [route for route in ROUTES if server.name in route.servers]
    turned = [*routes[start % len(routes) :], *routes[: start % len(routes)]]
    for route in (Route(VERY_FIRST, Call("GET", "/nothing", statuses=(404,))), *turned):
        made = turns[route.title]
        for total, cpu in ((made.first, made.first_cpu), (made.second, made.second_cpu)):
            before = cpu_nanoseconds(server.process)
            answer = connection.ask(route.call.over_the_wire(server.port).encode())
            route.call.expected().check(server.name, answer)
            await asyncio.sleep(SETTLE_SECONDS)
            total.append(answer.total / 1e6)
            cpu.append((cpu_nanoseconds(server.process) - before) / 1e6)
    connection.close()


def _table(measured: Measured) -> str:
    head = ("request in a new isolate", *(f"{name}: {what}" for name in measured for what in ("first", "second", "÷")))
    titles = next(iter(measured.values()))
    return markdown.table((*head, "target"), (_line(title, measured) for title in titles))


def _line(title: str, measured: Measured) -> tuple[str, ...]:
    cells = [cell for turns in measured.values() for cell in _cells(turns[title])]
    own = measured[AIWORKER][title]
    verdict = "met" if Ratio.of(own.first, own.second).value <= GOAL else "MISSED"
    return (title, *cells, "" if title == VERY_FIRST else f"≤ {GOAL}: {verdict}")


def _cells(turns: Turns) -> tuple[str, ...]:
    """Return the mean time of both requests, in brackets their processor time, and the ratio of the times."""
    if not turns.first:
        return ("", "", "")
    ratio = Ratio.of(turns.first, turns.second)
    pairs = ((turns.first, turns.first_cpu), (turns.second, turns.second_cpu))
    both = [f"{number(sum(times) / len(times))} ({number(sum(cpu) / len(cpu))})" for times, cpu in pairs]
    return (*both, f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
