"""Measure whether the Python heap of aiworker grows with the requests that it serves."""

import json
from typing import Any

from tools.bench import rows
from tools.bench.client import Job, Target, fetched
from tools.bench.rows import Call
from tools.bench.servers import ADMIN_KEY, AIWORKER, Server, resident_bytes
from tools.bench.session import Session

REQUESTS = 10_000
BETWEEN = 1_000
"""Number of requests between two readings."""
MIX = [
    rows.chat("Why?", stream=False),
    rows.chat("frames=20", stream=True, frames=20),
    rows.completions(rows.NATIVE, "frames=20", 20),
    rows.completions(rows.OPENAI, "frames=20", 20),
    rows.embed(rows.TEXTS[:3]),
    rows.SEARCH,
    Call("GET", "/nothing", statuses=(404,)),
    Call("POST", "/chat", {"prompt": 5}, statuses=(400,)),
    rows.chat("Why not?", stream=False),
    Call("GET", "/models"),
]


async def growth(session: Session) -> list[dict[str, Any]]:
    """Take a reading before the first request, and after each thousand."""
    server = session.servers[AIWORKER]
    session.say(f"memory: {REQUESTS:,} requests of all kinds")
    readings = [reading(server)]
    target = Target(AIWORKER, server.port, [call.over_the_wire(server.port) for call in MIX])
    job = Job([target], [call.expected() for call in MIX], BETWEEN // len(MIX))
    for _ in range(REQUESTS // BETWEEN):
        await session.measure(job)
        readings.append(reading(server))
    return readings


def reading(server: Server) -> dict[str, Any]:
    """Return the isolate's figures of `GET /health`, and the size of workerd's process in bytes."""
    health = fetched(server.port, "/health", authorization=f"Bearer {ADMIN_KEY}")
    isolate: dict[str, Any] = json.loads(health)["isolate"]
    return {**isolate, "process_bytes": resident_bytes(server.process)}
