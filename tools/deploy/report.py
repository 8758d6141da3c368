"""The output of a deployment: steps with their times on standard error, the outcome on standard output."""

import json
import os
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

QUIET_SECONDS = 2
"""Steps that take less are shown in a log by their outcome only."""


class Step:
    """A step in progress. `outcome` is shown after its title."""

    outcome = "done"


class Report:
    """Output for people, and with `as_json` for programs, too."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._is_terminal = sys.stderr.isatty()

    def say(self, text: str = "") -> None:
        _show(text, sys.stderr)

    @contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Show the step while the block runs, if that takes a while, and its outcome and time at the end."""
        step, began, over = Step(), time.monotonic(), threading.Event()
        progress = self._count if self._is_terminal else self._announce
        thread = threading.Thread(target=progress, args=(title, began, over), daemon=True)
        thread.start()
        try:
            yield step
        except BaseException:
            step.outcome = "failed"
            raise
        finally:
            over.set()
            thread.join()
            start = "\r" if self._is_terminal else ""
            self.say(f"{start}  {title}: {step.outcome} ({time.monotonic() - began:.1f} s)")

    def _count(self, title: str, began: float, over: threading.Event) -> None:
        """Show one line on a terminal on which the seconds count up."""
        while True:
            _show(f"\r  {title} … {time.monotonic() - began:.0f} s", sys.stderr, end="")
            if over.wait(1):
                return

    def _announce(self, title: str, _: float, over: threading.Event) -> None:
        """Print one line in a log for a step that takes long."""
        if not over.wait(QUIET_SECONDS):
            self.say(f"  {title} …")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Show rows in columns: on standard output, or beside the JSON on standard error."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            line = "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            _show(line, sys.stderr if self._as_json else sys.stdout)

    def result(self, text: str, **values: Any) -> None:
        """End with the outcome: a text for people, or values for programs."""
        _show(json.dumps(values, indent=2) if self._as_json else text, sys.stdout)

    def key(self, key: str) -> None:
        """Show an API key; beside JSON, where people look."""
        _show(key, sys.stderr if self._as_json else sys.stdout)

    def failure(self, text: str) -> None:
        """End with an error."""
        self.say(f"\n{text}")
        if self._as_json:
            _show(json.dumps({"ok": False, "error": text}, indent=2), sys.stdout)


def _show(text: str, stream: TextIO, end: str = "\n") -> None:
    """Print. If the reader of the output is gone (`| head`), go on without: the deployment must not end for that."""
    try:
        print(text, end=end, file=stream, flush=True)
    except BrokenPipeError:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - no path of ours
            os.dup2(nowhere.fileno(), stream.fileno())
