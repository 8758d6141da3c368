"""Cron Triggers of the local run, which wrangler never fires: after each start of the Worker, and each minute."""

import asyncio
import contextlib

SECONDS = 60.0
"""Time between two events."""
PATH = "/cdn-cgi/local/scheduled?cron=*+*+*+*+*"
"""Path of miniflare that has the Worker handle an event."""


async def fire(host: str, port: int, loaded: asyncio.Event) -> None:
    """Fire until cancelled. loaded: set when the Worker has been loaded, and cleared here."""
    await loaded.wait()
    while True:
        loaded.clear()
        with contextlib.suppress(OSError):  # it is reloading, or it has crashed
            await _get(host, port)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                await loaded.wait()


async def _get(host: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {PATH} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n".encode())
        await reader.read()
    finally:
        writer.close()
