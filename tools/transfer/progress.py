"""Counts of transferred things, in one line of the terminal."""

import sys
from collections import Counter


class Progress:
    def __init__(self, what: str) -> None:
        """what: the things that are counted, such as "documents"."""
        self._what = what
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def count(self, outcome: str) -> None:
        """Count one more thing with this outcome, such as "exported"."""
        self.counts[outcome] += 1
        if sys.stderr.isatty():
            print(f"\r{self}", end="", file=sys.stderr, flush=True)

    def fail(self, name: str, reason: str) -> None:
        """Note a thing that could not be transferred."""
        self.failures.append(f"{name}: {reason}")
        self.count("failed")

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in self.counts.items())
        return f"{self._what}: {counts or 'none'}"

    def report(self) -> bool:
        """Print the counts and the failures; return True if there are no failures."""
        print("\r" * sys.stderr.isatty(), end="", file=sys.stderr)
        print(self)
        for failure in self.failures:
            print(f"  failed: {failure}", file=sys.stderr)
        return not self.failures
