"""Faults that tests set: the next requests that match get an error, are cut off, or held."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Kind = Literal["answer", "hang_up", "hold"]
"""Answer with a given status and body; close the connection without an answer; wait until released."""
Moment = Literal["before", "after"]
"""Before the request has done anything, or when it has taken effect and only its answer is missing."""


@dataclass
class Fault:
    kind: Kind
    method: str
    path: str
    """Regular expression that is found in the path."""
    times: int = 1
    moment: Moment = "before"
    status: int = 500
    body: Any = None
    seen: int = 0
    """Number of requests it has met so far."""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def meets(self, method: str, path: str) -> bool:
        return self.seen < self.times and self.method in (method, "*") and bool(re.search(self.path, path))


class Faults:
    """Faults in the order they were asked for; the first that matches is the one that happens."""

    def __init__(self) -> None:
        self.ordered: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.ordered.append(fault)

    def clear(self) -> None:
        """Delete all faults, and let held requests go on."""
        for fault in self.ordered:
            fault.released.set()
        self.ordered.clear()

    def take(self, method: str, path: str) -> Fault | None:
        fault = next((each for each in self.ordered if each.meets(method, path)), None)
        if fault:
            fault.seen += 1
        return fault


class Failing:
    """Makes the faults happen."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and not scope["path"].startswith("/_control")
        fault = self._faults.take(scope["method"], scope["path"]) if is_api else None
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.moment == "before":
            await _happen(fault, scope, receive, send, lambda: self._app(scope, receive, send))
        else:
            messages: list[Message] = []

            async def keep(message: Message) -> None:
                messages.append(message)

            async def send_kept() -> None:
                for message in messages:
                    await send(message)

            await self._app(scope, receive, keep)
            await _happen(fault, scope, receive, send, send_kept)


async def _happen(
    fault: Fault, scope: Scope, receive: Receive, send: Send, go_on: Callable[[], Awaitable[None]]
) -> None:
    if fault.kind == "hang_up":
        scope["extensions"]["transport"].abort()
        await asyncio.sleep(0.05)  # until the server has noticed: it would answer 500 otherwise
    elif fault.kind == "hold":
        await fault.released.wait()
        await go_on()
    else:
        content = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
        response = Response(content, fault.status, media_type="application/json")
        await response(scope, receive, send)
