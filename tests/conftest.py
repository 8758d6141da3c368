"""Servers for the tests: the real ones, started by scripts/dev as a user would."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tools import ROOT
from tools.dev.processes import end_with_parent
from workers_ai_simulator.client import SimulatorClient as Simulator

TLS = httpx.create_ssl_context()
"""For clients of any server. They would each make their own, which takes 30 ms: longer than most requests do."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--url", help="address of a server that is already up; none is started then")
    parser.addoption("--simulator", help="address of the simulator behind --url")


def pytest_configure() -> None:
    # as Ctrl-C does: fixtures are torn down, and with them every process they have started
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _frame: object) -> None:
    pytest.exit("SIGTERM", returncode=128 + number)


def unmeasured() -> dict[str, str]:
    """This process's environment without what has coverage measured in its children.

    The simulator's own tests measure it; behind a Worker's tests, that would only take time.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


V8_FLAGS = {"MINIFLARE_WORKERD_V8_FLAGS": "--liftoff-only"}
"""Has V8 compile WebAssembly once and leave it at that: optimising it takes 1.2 s of processor time for each server,
which the few hundred requests of its tests do not win back."""


@dataclass
class DevServer:
    """`scripts/dev` as a child process, and what it has printed."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list[str])
    changed: threading.Condition = field(default_factory=threading.Condition)
    ended: bool = False

    @classmethod
    def start(
        cls, *arguments: str | Path, seconds: float = 120, program: Sequence[str | Path] = (ROOT / "scripts/dev",)
    ) -> "DevServer":
        """program: scripts/dev, or arguments of Python that run it in a way of their own."""
        command = [sys.executable, *program, "--port", "0", "--for-tests", *arguments]
        # a closed standard input and a session of its own: nothing of this terminal reaches it
        server = cls(
            subprocess.Popen(
                command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**unmeasured(), **V8_FLAGS}, start_new_session=True, preexec_fn=end_with_parent,
            )
        )  # fmt: skip
        threading.Thread(target=server._read, daemon=True).start()
        try:
            server.wait_for(r"Ready on (\S+)", seconds)
            server.wait_for(r"Simulator on (\S+)", seconds)
        except BaseException:
            server.stop()
            raise
        return server

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip())
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, pattern: str, seconds: float = 60, after: int = 0) -> re.Match[str]:
        """The first printed line in which the pattern is found, `after` so many lines."""

        def found() -> re.Match[str] | None:
            return next((match for line in self.lines[after:] if (match := re.search(pattern, line))), None)

        with self.changed:
            self.changed.wait_for(lambda: found() or self.ended, seconds)
            match = found()
        assert match, f"scripts/dev has not printed {pattern!r}, but:\n" + "\n".join(self.lines)
        return match

    @contextmanager
    def reload(self) -> Generator[None]:
        """Edit files in the block: behind it, the Worker has been reloaded."""
        before = len(self.lines)
        yield
        self.wait_for("^Reloaded$", 120, after=before)

    @property
    def url(self) -> str:
        return self.wait_for(r"Ready on (\S+)")[1]

    @property
    def simulator(self) -> str:
        return self.wait_for(r"Simulator on (\S+)")[1]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture(scope="session")
def dev_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer | None]:
    """The Worker on this machine; None where --url names another."""
    if request.config.getoption("--url"):
        yield None
        return
    state = tmp_path_factory.mktemp("state")
    server = DevServer.start("--persist-to", state)
    yield server
    server.stop()


StartServer = Callable[..., AbstractContextManager[DevServer]]
"""Takes options of scripts/dev, and variables of the Worker by name."""


@pytest.fixture(scope="session")
def start_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """Starts a server beside `dev_server`, on a state of its own."""
    if request.config.getoption("--url"):
        pytest.skip("starts a server of its own: run it without --url")

    @contextmanager
    def start(*options: str | Path, **variables: object) -> Generator[DevServer]:
        overrides = [f"--var={name}={value}" for name, value in variables.items()]
        server = DevServer.start("--persist-to", tmp_path_factory.mktemp("state"), *options, *overrides)
        try:
            yield server
        finally:
            server.stop()

    return start


@pytest.fixture(scope="session")
def base_url(request: pytest.FixtureRequest, dev_server: DevServer | None) -> str:
    return dev_server.url if dev_server else str(request.config.getoption("--url"))


@pytest.fixture
def server(dev_server: DevServer | None) -> DevServer | None:
    """The server of `client` and `simulator`. A module with a server of its own has a fixture of this name."""
    return dev_server


@pytest.fixture
def client(request: pytest.FixtureRequest, server: DevServer | None) -> Generator[httpx.Client]:
    url = server.url if server else str(request.config.getoption("--url"))
    with httpx.Client(base_url=url, timeout=60, verify=TLS) as client:
        yield client


Seen = TypeVar("Seen")
POLL_SECONDS, MAX_POLL_SECONDS = 0.05, 0.5
"""First and longest pause between two looks: each takes processor time from the server that is waited for."""


def until(look: Callable[[], Seen], is_there: Callable[[Seen], bool], seconds: float = 60) -> Seen:
    """Poll `look` until its value satisfies `is_there`, and return the value. Fails after so many seconds."""
    deadline, pause = time.monotonic() + seconds, POLL_SECONDS
    while not is_there(seen := look()):
        assert time.monotonic() < deadline, f"after {seconds} s still {seen!r}"
        time.sleep(pause)
        pause = min(1.3 * pause, MAX_POLL_SECONDS)
    return seen


@pytest.fixture
def simulator(request: pytest.FixtureRequest, server: DevServer | None) -> Generator[Simulator]:
    url = server.simulator if server else request.config.getoption("--simulator")
    if not url:
        pytest.skip("needs the simulator behind the server: --simulator URL")
    simulator = Simulator(url)
    yield simulator
    simulator.close()


KEYS = {"code", "type", "message", "param", "upstream_code", "request_id", "retry_after"}
"""Fields of every error."""
DETAILED = {"unprocessable", "content_blocked"}
"""Types of errors that may have `details`."""


class NewCalls:
    """Calls of the simulator from now on. Its log keeps a thousand requests, so that their number tells nothing."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._before = {entry["id"] for entry in simulator.requests()}

    def of(self, **wanted: str) -> list[dict[str, Any]]:
        """Those that have all of that."""
        entries = [dict(entry) for entry in self._simulator.requests() if entry["id"] not in self._before]
        return [entry for entry in entries if wanted.items() <= entry.items()]


ErrorOf = Callable[[httpx.Response], dict[str, Any]]


@pytest.fixture(scope="session")
def error_of() -> ErrorOf:
    """The error of a response, checked for what every error has."""

    def checked(response: httpx.Response) -> dict[str, Any]:
        assert response.headers["content-type"] == "application/json"
        error = response.json()["error"]
        assert set(error) - {"details"} == KEYS
        assert "details" not in error or error["type"] in DETAILED
        assert error["request_id"] == response.headers["x-request-id"]
        assert error["message"]
        return error

    return checked
