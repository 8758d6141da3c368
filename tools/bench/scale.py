"""`scripts/bench --scale`: what a request costs in processor time, and how many streams one isolate holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tools.bench import rows
from tools.bench.client import Expected, Job, Target
from tools.bench.figures import percentile
from tools.bench.rows import Call
from tools.bench.servers import AIWORKER, JAVASCRIPT, MODELS, cpu_seconds
from tools.bench.session import CannotMeasure, Session

REQUEST_DOLLARS = 0.30
"""Price of a million requests, above the 10 million that the paid plan includes.

Source of both: developers.cloudflare.com/workers/platform/pricing.
"""
CPU_DOLLARS = 0.02
"""Price of a million milliseconds of processor time, above the 30 million that the plan includes."""

LATE_MS = 50
"""An isolate is full when one frame in twenty takes longer from the model to the client."""
FIRST_TRY = 25
MAX_STREAMS = 3_200
FRAMES = 300
SETTLE_MS = 500
"""Wait after the last stream has begun, before frames count."""
HALVINGS = 3
"""Number of times that the interval between a sufficient and an excessive number of streams is halved."""


async def measure(session: Session) -> int:
    await session.start([JAVASCRIPT, AIWORKER])
    costs = [await _cost(session, endpoint) for endpoint in _endpoints()]
    crowds = [await _crowd(session, *each) for each in _crowds()]
    _show(costs, crowds)
    session.write({"cpu": costs, "streams": crowds})
    return 0


# ---- processor time of a request -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    title: str
    calls: Sequence[Call]
    count: int
    servers: Sequence[str] = (JAVASCRIPT, AIWORKER)


def _endpoints() -> list[Endpoint]:
    return [
        Endpoint("404", [Call("GET", "/nothing", statuses=(404,))], 1000),
        Endpoint("invalid request", [Call("POST", "/chat", {"prompt": 5}, statuses=(400,))], 1000),
        Endpoint("POST /chat, JSON", [rows.chat("Why?", stream=False)], 1000),
        Endpoint("POST /chat, 500 frames", [rows.chat("frames=500 flushed", stream=True, frames=500)], 200),
        Endpoint(
            "POST /v1/chat/completions, 500 native frames",
            [rows.completions(rows.NATIVE, "frames=500 flushed", 500)],
            200,
        ),
        Endpoint(
            "POST /v1/chat/completions, 500 frames of OpenAI's dialect",
            [rows.completions(rows.OPENAI, "frames=500 flushed", 500)],
            200,
        ),
        Endpoint("POST /embed, 1 text", [rows.embed(rows.TEXTS[:1])], 500),
        Endpoint("POST /embed, 100 texts", [rows.embed(rows.TEXTS)], 200),
        Endpoint("POST /rag/search", [rows.SEARCH], 300),
        Endpoint("POST /image, stored, and GET /images/{key}", rows.image(), 100),
    ]


async def _cost(session: Session, endpoint: Endpoint) -> dict[str, Any]:
    """Return the processor time of workerd's whole process for each request, in milliseconds."""
    session.say(f"processor time: {endpoint.title}")
    measured: dict[str, float] = {}
    for name in endpoint.servers:
        server = session.servers[name]
        target = Target(name, server.port, [call.over_the_wire(server.port) for call in endpoint.calls])
        expected = [call.expected() for call in endpoint.calls]
        await session.measure(Job([target], expected, max(5, endpoint.count // 20)))
        before = cpu_seconds(server.process)
        await session.measure(Job([target], expected, endpoint.count))
        measured[name] = (cpu_seconds(server.process) - before) * 1000 / endpoint.count
    return {"title": endpoint.title, "requests": len(endpoint.calls), "count": endpoint.count, "cpu_ms": measured}


def dollars(cpu_ms: float, requests: int = 1) -> float:
    """Return the price of a million times the work beyond the plan's allowance, without bindings."""
    return REQUEST_DOLLARS * requests + CPU_DOLLARS * cpu_ms


# ---- streams at once -------------------------------------------------------------------------------------------------


def _crowds() -> list[tuple[str, str, Call]]:
    prompt = f"frames={FRAMES} every={rows.EVERY}"
    relayed = rows.in_time(FRAMES)
    translated = rows.completions(rows.NATIVE, prompt, FRAMES)
    return [
        ("the model server alone", MODELS, rows.models_stream(prompt)),
        ("javascript, POST /chat", JAVASCRIPT, relayed),
        ("javascript, POST /v1/chat/completions", JAVASCRIPT, translated),
        ("aiworker, POST /chat", AIWORKER, relayed),
        ("aiworker, POST /v1/chat/completions", AIWORKER, translated),
    ]


async def _crowd(session: Session, title: str, name: str, call: Call) -> dict[str, Any]:
    """Return the largest number of streams at once of which 95 % of the frames arrive in time."""
    tries: list[dict[str, Any]] = []

    async def holds(clients: int) -> bool:
        tries.append(await _tried(session, title, name, call, clients))
        p95 = tries[-1]["p95_ms"]
        return p95 is not None and p95 <= LATE_MS

    held, failed = 0, FIRST_TRY
    while failed <= MAX_STREAMS and await holds(failed):
        held, failed = failed, failed * 2
    for _ in range(HALVINGS if failed <= MAX_STREAMS else 0):
        middle = (held + failed) // 2
        held, failed = (middle, failed) if await holds(middle) else (held, middle)
    return {"title": title, "streams": held, "is_limit": failed <= MAX_STREAMS, "tries": tries}


async def _tried(session: Session, title: str, name: str, call: Call, clients: int) -> dict[str, Any]:
    server = session.servers[name]
    job = Job(
        [Target(name, server.port, [call.over_the_wire(server.port)])],
        [Expected(marker='"t', least=FRAMES)],
        1,
        clients=clients,
        settle_ms=SETTLE_MS,
    )
    try:
        delays = (await session.measure(job))[name].delay
    except CannotMeasure as error:
        session.say(f"{title}, {clients} streams: {str(error)[:200]}")
        return {"clients": clients, "p95_ms": None, "failed": str(error)}
    if not delays:  # the first stream was over before the last had begun
        return {"clients": clients, "p95_ms": None, "failed": "the streams were never all open at once"}
    p95 = percentile(delays, 95)
    session.say(f"{title}, {clients} streams: p95 {p95:.1f} ms")
    return {"clients": clients, "frames": len(delays), "p95_ms": p95}


# ---- what is printed -------------------------------------------------------------------------------------------------


def _show(costs: Sequence[dict[str, Any]], crowds: Sequence[dict[str, Any]]) -> None:
    print("| work | processor ms: JavaScript | aiworker | $ a million: JavaScript | aiworker |\n|---|---|---|---|---|")
    for each in costs:
        times = [each["cpu_ms"][name] for name in (JAVASCRIPT, AIWORKER)]
        prices = [dollars(time, each["requests"]) for time in times]
        print(f"| {each['title']} | {times[0]:.2f} | {times[1]:.2f} | {prices[0]:.2f} | {prices[1]:.2f} |")
    print(f"\n| streams of a frame each {rows.EVERY} ms | at once, p95 of the delay ≤ {LATE_MS} ms |\n|---|---|")
    for each in crowds:
        failures = [f"{tried['clients']}: {tried['failed'][:100]}" for tried in each["tries"] if "failed" in tried]
        notes = "".join(f" ({failure})" for failure in failures)
        print(f"| {each['title']} | {each['streams']}{'' if each['is_limit'] else ' or more'}{notes} |")
