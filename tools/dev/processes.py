"""Child processes that end when this process does."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

SECONDS_TO_STOP = 3.0
"""Time between SIGTERM and SIGKILL, for all children at once."""

# linux/prctl.h
PR_SET_PDEATHSIG = 1
"""Option of prctl: the signal that a process gets when its parent dies."""
PR_SET_CHILD_SUBREAPER = 36
"""Option of prctl: descendants whose parent has died become children of this process instead of init's."""


class Child:
    """A program in a process group of its own, whose output is read line by line."""

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
        """Yield the lines that the program prints, until it closes its output. A line longer than a mebibyte is cut."""
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
        """End the program and all it started: SIGTERM to it, then to the rest of its group, then SIGKILL."""
        if self._process.returncode is not None and self._has_left_nothing:
            return  # it has ended: its id may belong to another process
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
            os.waitpid(-self._process.pid, os.WNOHANG)  # collect the statuses of adopted processes
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
    """Return an event that is set when this process is asked to end: by Ctrl-C, SIGTERM or a closed terminal.

    Call this inside the running loop. The handlers are set explicitly, because a shell starts background jobs with
    SIGINT ignored.
    """
    requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, requested.set)
    return requested


def adopt_orphans() -> None:
    """Adopt the processes that children leave behind, so that `end_orphans` finds them. Linux only."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_orphans() -> None:
    """Kill the adopted processes and collect their exit statuses. Call this when all other children have ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            process_id, _ = os.waitpid(-1, os.WNOHANG)
            for orphan in [] if process_id else _children():
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


_LIBC = ctypes.CDLL(None)


def end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies, even by SIGKILL. Linux only."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
