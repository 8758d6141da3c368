"""The first request of a route in a new isolate: what it needs is made at import, so that the snapshot has it."""

import dataclasses
import json
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest

from aiworker import app
from aiworker.auth.access import Caller
from aiworker.context import Context
from aiworker.log import RequestLog
from aiworker.routes import ROUTES
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeConversation, FakeRequest, ReadStreams, a_context, answered

MAX_QUOTIENT = 1.5
"""Largest quotient of the calls of functions in a route's first and second request."""
MAX_ADDED = 60
"""Calls that a first request may make besides: Python's own modules keep little things of their first use, too."""
MADE_LATER = {("POST", "/mcp")}
"""Its list of tools has schemas that take a fifth of a second, more than each start of an isolate is to take."""
SETTINGS = Settings.read({**VARIABLES, "MODEL_ATTEMPTS": 1})


async def calls_of_request(method: str, path: str, body: Any) -> Counter[str]:
    """Return the functions of Python that a request calls, with the number of their calls."""
    content = b"" if body is None else json.dumps(body).encode()
    request = FakeRequest(method, path, content, **({} if body is None else {"content_type": "application/json"}))

    def context(settings: Settings, caller: Caller, log: RequestLog, **_: Any) -> Context:
        made = a_context(request, settings, FakeAi(answered({"response": "Yes."})), caller, log)
        return dataclasses.replace(made, streams=ReadStreams(), conversations=FakeConversation())

    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"] += 1

    log = RequestLog(method, write=lambda _: None)
    sys.setprofile(count)
    try:
        await app.handle(request, ReadStreams(), lambda: SETTINGS, context, log)
    finally:
        sys.setprofile(None)
    return calls


def is_object(example: object) -> bool:
    return isinstance(example, dict)


ALL = [(method, path) for path, methods in ROUTES.items() for method in methods if (method, path) not in MADE_LATER]


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_the_first_request_of_a_route_makes_nothing_that_the_second_finds(method: str, path: str) -> None:
    known = ROUTES[path][method]
    example: Any = known.example if is_object(known.example) else {} if known.body else None
    called = path.replace("{key}", f"{'a' * 64}.png").replace("...", "").replace("{", "").replace("}", "")
    first, second = [await calls_of_request(method, called, example) for _ in range(2)]
    assert first.total() <= MAX_QUOTIENT * second.total() + MAX_ADDED, (first - second).most_common(5)
