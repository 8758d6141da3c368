"""Lines about a step that takes long: a silent program looks like one that hangs."""

import asyncio

FIRST_SECONDS = 2.0
"""Time after which a step is first spoken of."""
NEXT_SECONDS = 10.0
"""Time between two further lines."""


class LongStep:
    """Names the step that is under way after two seconds, and then every ten, until `end`."""

    def __init__(self) -> None:
        self._lines: asyncio.Task[None] | None = None

    def start(self, title: str) -> None:
        """Start a step, in place of the one before. title: what is done, such as `Starting the Worker`."""
        self.end()
        self._lines = asyncio.create_task(_show(title))

    def end(self) -> None:
        if self._lines:
            self._lines.cancel()
        self._lines = None


async def _show(title: str) -> None:
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        print(f"{title} … {asyncio.get_running_loop().time() - began:.0f} s", flush=True)
        await asyncio.sleep(NEXT_SECONDS)
