"""What a deployment shows: steps with their times on standard error, the outcome on standard output."""

import json
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any


class Step:
    """A step that is being done; `outcome` is what is shown behind it."""

    outcome = "done"


class Report:
    """Output for people, or with `as_json` for programs, too."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._is_terminal = sys.stderr.isatty()

    def say(self, text: str = "") -> None:
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Show `title` at once, on a terminal the seconds that pass, and its outcome with its time at the end."""
        step, began, over = Step(), time.monotonic(), threading.Event()

        def count() -> None:
            while not over.wait(1):
                print(f"\r  {title} … {time.monotonic() - began:.0f} s", end="", file=sys.stderr, flush=True)

        counter = threading.Thread(target=count, daemon=True)
        print(f"  {title} …", end="" if self._is_terminal else "\n", file=sys.stderr, flush=True)
        if self._is_terminal:
            counter.start()
        try:
            yield step
        except BaseException:
            step.outcome = "failed"
            raise
        finally:
            over.set()
            if self._is_terminal:
                counter.join()
            start = "\r" if self._is_terminal else ""
            self.say(f"{start}  {title}: {step.outcome} ({time.monotonic() - began:.1f} s)")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Show rows in columns; with JSON asked for, not where that goes."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            line = "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            print(line, file=sys.stderr if self._as_json else sys.stdout, flush=True)

    def result(self, text: str, **values: Any) -> None:
        """End with the outcome: a text for people, or values for programs."""
        print(json.dumps(values, indent=2) if self._as_json else text, flush=True)
