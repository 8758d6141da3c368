"""Models that Ollama downloads, with the progress of it (`POST /api/pull`)."""

import sys
import time
from typing import TextIO

import httpx

from workers_ai_simulator.upstream.reply import NoAnswerError, json_object, reason

STEP = 10
"""Percents between two lines of progress where there is no terminal."""
TERMINAL_SECONDS = 0.2
"""Time between two changes of the line in a terminal."""


class PullError(Exception):
    """A model cannot be downloaded, for the reason in the message."""


class Report:
    """Lines about the start, for people; the progress of a download is one line in a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """stream: where the lines go; standard error by default."""
        self._stream = stream or sys.stderr
        self._open_line = 0
        """Length of the line of progress that is not ended yet."""
        self._shown = (-1, 0.0)
        """Step of the progress shown last, and its time."""

    def say(self, line: str) -> None:
        self._end_line()
        print(line, file=self._stream, flush=True)

    def progress(self, title: str, done: int, total: int) -> None:
        """Show how much of a download is done, in bytes."""
        percent = 100 * done // total if total else 0
        line = f"{title} … {percent} % of {_size(total)}"
        step, at = self._shown
        if not self._stream.isatty():
            if percent // STEP != step:
                self._shown = percent // STEP, at
                print(line, file=self._stream, flush=True)
        elif percent == 100 or time.monotonic() - at >= TERMINAL_SECONDS:
            self._shown = step, time.monotonic()
            print(f"\r{line.ljust(self._open_line)}", end="", file=self._stream, flush=True)
            self._open_line = len(line)

    def _end_line(self) -> None:
        self._shown = (-1, 0.0)
        if self._open_line:
            self._open_line = 0
            print(file=self._stream, flush=True)


def pull(client: httpx.Client, root: str, name: str, report: Report) -> None:
    """Have Ollama, at the address `root`, download a model. Raises PullError."""
    report.say(f"Ollama downloads {name}. Ctrl-C stops it, and another start goes on from there.")
    # the server sends nothing while it verifies what it has downloaded, which takes minutes for large models
    timeout = httpx.Timeout(None, connect=5)
    status, layers = "", dict[str, tuple[int, int]]()
    try:
        with client.stream("POST", f"{root}/api/pull", json={"model": name}, timeout=timeout) as response:
            if response.status_code != 200:
                raise PullError(reason(response.read()))
            for line in response.iter_lines():
                if not line.strip():
                    continue
                event = json_object(line, "progress of a download")
                status = str(event.get("status", ""))
                if digest := event.get("digest"):
                    layers[digest] = event.get("completed") or 0, event.get("total") or 0
                    report.progress(f"Downloading {name}", *(sum(each) for each in zip(*layers.values(), strict=True)))
    except (NoAnswerError, httpx.HTTPError) as error:
        raise PullError(str(error) or type(error).__name__) from None
    if status != "success":
        raise PullError(f"the download ended early, after {status or 'nothing'!r}")
    report.say(f"{name} is there.")


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
