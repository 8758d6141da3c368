"""A Worker in the project's own `wrangler dev`, with simulated bindings, as a process for tests."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from workers_ai_simulator.client import SimulatorClient

QUICK = ("--simulator-port", "0", "--tokens-per-second", "0", "--vectorize-delay", "0")
QUIET = ("--ip", "127.0.0.1", "--port", "0", "--inspector-port", "0", "--show-interactive-dev-session=false")
"""Options of `wrangler dev`: any free port of this machine, and no keys to press."""
SECONDS_TO_START = 300.0
"""Time for a start, in which the interpreter of a Python Worker may have to be compiled."""
SECONDS_TO_STOP = 20.0
ADDRESSES = {"simulator": r"faults: (http://\S+)", "worker": r"Ready on (http://\S+)"}


class WorkerStartError(Exception):
    """The Worker did not start; the message has what was printed."""


class SimulatedWorker:
    """A Worker that runs by `workers-ai-simulator dev`."""

    def __init__(self, folder: Path, state: Path, options: Sequence[str] = ()) -> None:
        """Start the Worker of the folder. Its data are in the folder `state`, unless the options name another.

        Raises WorkerStartError.
        """
        names = {option.partition("=")[0] for option in options}
        own = {"--data": state / "simulator", "--persist-to": state / "wrangler"}
        folders = [f"{name}={path}" for name, path in own.items() if name not in names]
        self._lines: list[str] = []
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workers_ai_simulator", "dev", *QUIET, *QUICK, *folders, *options],
            cwd=folder, env=_environment(), text=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()
        try:
            addresses = self._addresses()
        except WorkerStartError:
            self.stop()
            raise
        self.url = addresses["worker"]
        """Address of the Worker, without a slash at the end."""
        self.ai = SimulatorClient(addresses["simulator"])
        """Client of its simulator: scripted answers, faults, and the journal of requests."""

    @property
    def printed(self) -> str:
        """Output of the Worker, wrangler and the simulator so far."""
        return "".join(self._lines)

    def stop(self) -> None:
        """End all its processes."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.append(line)
            self._new.put(line)
        self._new.put(None)

    def _addresses(self) -> Mapping[str, str]:
        """Addresses of the Worker and of its simulator, once both are ready. Raises WorkerStartError."""
        addresses: dict[str, str] = {}
        while len(addresses) < len(ADDRESSES):
            try:
                line = self._new.get(timeout=SECONDS_TO_START)
            except queue.Empty:
                raise WorkerStartError(f"not ready after {SECONDS_TO_START:.0f} s:\n{self.printed}") from None
            if line is None:
                raise WorkerStartError(f"it ended with status {self._process.wait()}:\n{self.printed}")
            matches = {name: re.search(pattern, line) for name, pattern in ADDRESSES.items()}
            addresses |= {name: match[1] for name, match in matches.items() if match}
        return addresses


def _environment() -> dict[str, str]:
    """This process's environment, in which the package is found as here, installed or not."""
    path = os.pathsep.join(each for each in sys.path if each)
    return {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "WORKERS_AI_SIMULATOR_ENDS_WITH_PARENT": "1"}
