"""`scripts/bench --load`: one isolate under load, beside the guarded JavaScript Worker's.

Requests a second and latency at 1, 20 and 200 clients, and the latency of a light request beside heavy ones. A client
has one connection and sends its next request as soon as it has read the response. The clients, the model server and the
Worker share the machine, so the rates are lower bounds.

With `--minutes`, the load lasts that long instead: does the isolate become slower, or its memory larger?
"""

import asyncio
import contextlib
import itertools
import statistics
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from tools.bench import memory, rows
from tools.bench.client import Answer, Expected
from tools.bench.figures import percentile
from tools.bench.rows import Call
from tools.bench.servers import AIWORKER, GUARDED, Server
from tools.bench.session import Session

CLIENTS = (1, 20, 200)
SECONDS = 10.0
"""Measured time of each number of clients and each heavy request."""
WARM_UP_SECONDS = 2.0
COMPARED = (GUARDED, AIWORKER)
LIGHT = rows.chat("Why?", stream=False)
HEAVY_CLIENTS = 4
PERCENTILES = (50, 95, 99)
DEADLINE = 60.0
"""Seconds after which a response that is still missing ends the measurement."""
LASTING_CLIENTS = 20
"""Clients under a load of minutes."""
PERIODS = 6
"""Number of rows in which a load of minutes is shown."""
STREAMS = "`/v1`, 500 native frames one by one, translated"


def _heavy() -> dict[str, Call]:
    return {
        "`/embed`, 100 texts": rows.embed(rows.TEXTS),
        "`/rag/search`": rows.SEARCH,
        STREAMS: rows.completions(rows.NATIVE, "frames=500 flushed", 500),
    }


async def measure(session: Session) -> int:
    """Measure both Workers, print the tables, and write the file of --json. Returns the exit status."""
    await session.start(COMPARED)
    if minutes := session.options.minutes:
        return await _last(session, minutes)
    crowds = [await _crowd(session, clients) for clients in CLIENTS]
    beside = [await _beside(session, None)]
    beside += [await _beside(session, title) for title in _heavy()]
    _show(crowds, beside)
    session.write({"clients": crowds, "beside": beside})
    return 0


async def _crowd(session: Session, clients: int) -> dict[str, Any]:
    """Measure that many clients of `POST /chat` without a stream, on one Worker after the other."""
    figures: dict[str, Any] = {}
    for name in COMPARED:
        session.say(f"{clients} clients: {name}")
        times = await _latencies(session.servers[name], [LIGHT], clients)
        figures[name] = {"requests_a_second": len(times) / SECONDS, **_percentiles(times)}
    return {"clients": clients, **figures}


async def _beside(session: Session, title: str | None) -> dict[str, Any]:
    """Measure one client of the light request while HEAVY_CLIENTS send a heavy one. title: its name; None for none."""
    figures: dict[str, Any] = {}
    for name in COMPARED:
        server = session.servers[name]
        session.say(f"a light request beside {title or 'nothing'}: {name}")
        async with _sending(server, _heavy()[title] if title else None):
            figures[name] = _percentiles(await _latencies(server, [LIGHT], 1))
    return {"beside": title or "nothing", **figures}


@contextlib.asynccontextmanager
async def _sending(server: Server, call: Call | None) -> AsyncGenerator[None]:
    """Send a request again and again from HEAVY_CLIENTS clients while the block runs."""
    ignored: list[float] = []
    tasks = [asyncio.create_task(_client(server, [call], ignored)) for _ in range(HEAVY_CLIENTS)] if call else []
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if end is not None and not isinstance(end, asyncio.CancelledError):
            raise end


async def _latencies(server: Server, calls: Sequence[Call], clients: int) -> list[float]:
    """Return the milliseconds of all responses that arrive within SECONDS, after a warm-up."""
    times: list[float] = []
    tasks = [asyncio.create_task(_client(server, calls, times)) for _ in range(clients)]
    try:
        await _unless_failed(tasks, WARM_UP_SECONDS)
        times.clear()
        await _unless_failed(tasks, SECONDS)
        return list(times)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _unless_failed(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Wait so many seconds. Raises the exception of a client that fails meanwhile."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


async def _client(server: Server, calls: Sequence[Call], times: list[float]) -> None:
    """Send the requests again and again on one connection, and add the milliseconds of each response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    requests = [(call.over_the_wire(server.port).encode(), call.expected()) for call in calls]
    try:
        for request, expected in itertools.cycle(requests):
            began = time.monotonic()
            writer.write(request)
            async with asyncio.timeout(DEADLINE):
                await _response(reader, server.name, expected)
            times.append((time.monotonic() - began) * 1000)
    finally:
        writer.close()


async def _response(reader: asyncio.StreamReader, server: str, expected: Expected) -> None:
    """Read a response to its end, and check it. Raises Unexpected."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head[9:12])
    _, has_length, rest = head.partition("\r\ncontent-length:")
    if has_length:
        body = await reader.readexactly(int(rest.partition("\r\n")[0]))
    else:
        parts: list[bytes] = []
        while size := int(await reader.readline(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readline()
        body = b"".join(parts)
    expected.check(server, Answer(status, body, 0, 0))


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{share}_ms": percentile(times, share) for share in PERCENTILES}


# ---- a load of minutes -----------------------------------------------------------------------------------------------


async def _last(session: Session, minutes: float) -> int:
    """Keep both Workers under load for that long, in turns. Prints a row for each period. Returns the exit status."""
    began = time.monotonic()
    periods: list[dict[str, Any]] = []
    for number in range(1, PERIODS + 1):
        turns: list[dict[str, Any]] = []
        while not turns or time.monotonic() - began < minutes * 60 * number / PERIODS:
            turns.append(await _turn(session))
        isolate = memory.reading(session.servers[AIWORKER])
        periods.append({"minutes": (time.monotonic() - began) / 60, **_medians(turns), "isolate": isolate})
        session.say(f"period {number} of {PERIODS} has ended")
    _show_periods(periods)
    session.write({"periods": periods})
    return 0


async def _turn(session: Session) -> dict[str, Any]:
    """Measure many clients, and a light request beside translated streams. Then send aiworker requests of all kinds."""
    crowd = await _crowd(session, LASTING_CLIENTS)
    beside = await _beside(session, STREAMS)
    session.say(f"{LASTING_CLIENTS} clients with requests of all kinds: {AIWORKER}")
    await _latencies(session.servers[AIWORKER], memory.MIX, LASTING_CLIENTS)
    return {"crowd": crowd, "beside": beside}


def _medians(turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of a period's turns: rates and their ratio, and the latency of the light request."""
    rates = {name: [turn["crowd"][name]["requests_a_second"] for turn in turns] for name in COMPARED}
    ratios = [ours / theirs for ours, theirs in zip(rates[AIWORKER], rates[GUARDED], strict=True)]
    kinds = [f"p{share}_ms" for share in PERCENTILES]
    light = {
        name: {kind: statistics.median(turn["beside"][name][kind] for turn in turns) for kind in kinds}
        for name in COMPARED
    }
    medians = {name: statistics.median(of_one) for name, of_one in rates.items()}
    return {"requests_a_second": medians, "ratio": statistics.median(ratios), "light": light}


# ---- what is printed -------------------------------------------------------------------------------------------------


def _show(crowds: Sequence[dict[str, Any]], beside: Sequence[dict[str, Any]]) -> None:
    heads = " | ".join(f"{name}: p50 / p95 / p99, ms" for name in COMPARED)
    rates = " | ".join(f"{name}: requests a second" for name in COMPARED)
    print(f"| clients of `POST /chat`, JSON | {rates} | {heads} |\n|---|--:|--:|--:|--:|")
    for each in crowds:
        shown = [f"{each[name]['requests_a_second']:.0f}" for name in COMPARED]
        print(f"| {each['clients']} | {' | '.join([*shown, *(_spread(each[name]) for name in COMPARED)])} |")
    print(f"\n| `POST /chat`, JSON, beside {HEAVY_CLIENTS} clients of | {heads} |\n|---|--:|--:|")
    for each in beside:
        print(f"| {each['beside']} | {' | '.join(_spread(each[name]) for name in COMPARED)} |")


def _show_periods(periods: Sequence[dict[str, Any]]) -> None:
    rates = " | ".join(f"{name}: requests a second" for name in COMPARED)
    light = " | ".join(f"{name}: light beside streams, p50 / p95 / p99, ms" for name in COMPARED)
    print(f"| minutes | requests | {rates} | ratio | {light} | objects of Python | WebAssembly, MB | process, MB |")
    print(f"|{'--:|' * 10}")
    for each in periods:
        shown = [f"{each['requests_a_second'][name]:.0f}" for name in COMPARED]
        latencies = [_spread(each["light"][name]) for name in COMPARED]
        isolate = each["isolate"]
        sizes = [
            f"{isolate['objects']:,}",
            *(f"{isolate[size] / 1e6:.1f}" for size in ("memory_bytes", "process_bytes")),
        ]
        when = [f"{each['minutes']:.0f}", f"{isolate['requests']:,}"]
        cells = [*when, *shown, f"{each['ratio']:.2f}", *latencies, *sizes]
        print(f"| {' | '.join(cells)} |")


def _spread(figures: dict[str, float]) -> str:
    return " / ".join(f"{figures[f'p{share}_ms']:.0f}" for share in PERCENTILES)
