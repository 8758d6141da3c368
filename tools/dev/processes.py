"""Child processes that end when we do."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

SECONDS_TO_STOP = 3.0
"""From the polite signal to SIGKILL, for all children at once."""

# linux/prctl.h
PR_SET_PDEATHSIG = 1
"""The signal a process gets when its parent dies."""
PR_SET_CHILD_SUBREAPER = 36
"""Descendants whose parent has died become ours instead of init's."""


class Child:
    """A program in a process group of its own, its output read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._has_left_nothing = False

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> "Child":
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,  # one call into the kernel, which takes no locks
            limit=2**20,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def lines(self) -> AsyncIterator[str]:
        """What the program prints, until it closes its output. A line longer than a mebibyte is cut."""
        assert self._process.stdout
        while True:
            try:
                line = await self._process.stdout.readuntil()
            except asyncio.IncompleteReadError as end:
                if end.partial:
                    yield end.partial.decode(errors="replace")
                return
            except asyncio.LimitOverrunError as overrun:
                line = await self._process.stdout.readexactly(overrun.consumed)
            yield line.decode(errors="replace").rstrip("\r\n")

    async def wait(self) -> int:
        status = await self._process.wait()
        self._has_left_nothing = not self._is_group_alive()
        return status

    async def stop(self) -> None:
        """End the program and all it has started: SIGTERM to itself, then to the rest of its group, then SIGKILL."""
        if self._process.returncode is not None and self._has_left_nothing:
            return  # by now the number may be somebody else's
        with contextlib.suppress(TimeoutError, ProcessLookupError):
            async with asyncio.timeout(SECONDS_TO_STOP):
                self._process.terminate()
                await self._process.wait()
                while self._is_group_alive():
                    os.killpg(self._process.pid, signal.SIGTERM)
                    await asyncio.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def _is_group_alive(self) -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-self._process.pid, os.WNOHANG)  # bury the adopted
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True


class Children:
    """Children that are stopped together when the block ends, however it ends."""

    def __init__(self) -> None:
        self._started: list[Child] = []

    async def start(self, command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> Child:
        child = await Child.start(command, environment, cwd)
        self._started.append(child)
        return child

    async def __aenter__(self) -> "Children":
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(child.stop() for child in self._started))


def stopping() -> asyncio.Event:
    """An event that is set when this process is asked to end: by Ctrl-C, SIGTERM or a closed terminal.

    To be called inside the running loop. Handlers are set in so many words, because a shell starts background jobs
    with SIGINT ignored.
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked.set)
    return asked


def adopt_orphans() -> None:
    """Linux only: make what our children leave behind our own children, so that `end_orphans` finds it."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_orphans() -> None:
    """Kill and bury the adopted. To be called when all children of our own have ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            found, _ = os.waitpid(-1, os.WNOHANG)
            for orphan in [] if found else _children():
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


_LIBC = ctypes.CDLL(None)


def end_with_parent() -> None:
    """Linux only: get SIGTERM should our parent be killed in a way it cannot answer to (SIGKILL)."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
