"""`scripts/nightly`: the parts, run one after the other, with a table of their outcomes at the end."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tools import ROOT


@dataclass(frozen=True)
class Part:
    title: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables of its command, in addition."""


MANY_DOCUMENTS = "tests/runtime/test_ingestion.py::test_many_documents_come_and_go"
REPLACEMENT = "tests/worker/test_replacement.py"

PROPERTIES = (
    "tests/unit/test_json_schema.py",
    "packages/workers-ai-simulator/tests/test_generation.py",
    "packages/workers-ai-simulator/tests/test_vectorize.py",
)
"""Files whose tests take their number of examples from HYPOTHESIS_EXAMPLES. scripts/soak runs
tests/unit/test_fuzz.py."""

PARTS: Mapping[str, Part] = {
    "licences": Part("licences and pins of everything used", (sys.executable, "-m", "tools.check.licences")),
    "docs": Part("the documentation's site, with its links checked", ("scripts/docs",)),
    "bench": Part("figures beside those recorded", ("scripts/bench", "--quick", "--guard")),
    "eval": Part("what searches find, beside what is recorded", ("scripts/eval",)),
    "documents": Part("a thousand documents", ("scripts/test", MANY_DOCUMENTS), {"DOCUMENTS": "1000"}),
    "replacement": Part(
        "10,000 searches while a document is replaced", ("scripts/test", REPLACEMENT), {"SEARCHES": "10000"}
    ),
    "tests": Part("tests that are marked as nightly", ("scripts/test", "-m", "nightly")),
    "properties": Part(
        "1,000 examples of what must hold for any input",
        ("scripts/test", *PROPERTIES, "--timeout=3600"),
        {"HYPOTHESIS_EXAMPLES": "1000"},
    ),
    "fuzz": Part("3,000 examples of each fuzz test", ("scripts/soak", "--only", "fuzz")),
    "schemathesis": Part("5,000 requests made from /openapi.json", ("scripts/soak", "--only", "schemathesis")),
    "memory": Part("the worst file of each kind, and what it takes", ("scripts/soak", "--only", "memory")),
    "slow-readers": Part("200 clients that read slowly", ("scripts/soak", "--only", "slow-readers")),
    "load": Part("half an hour of load with faults", ("scripts/soak", "--only", "load")),
}
"""Parts by the name that --only takes, in the order in which they run. scripts/test runs each of the checks briefly;
only this compares figures of time."""


@dataclass(frozen=True)
class Outcome:
    name: str
    status: int
    seconds: float

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        word = "ok    " if self.status == 0 else "FAILED"
        return f"{word} {self.name:<13} {minutes:3}:{seconds:02}  {PARTS[self.name].title}"


def run(names: Sequence[str]) -> int:
    """Run the parts, all of them even if one fails. Returns the exit status: 0 if all pass, else 1."""
    outcomes = [_run(name, number, len(names)) for number, name in enumerate(names, 1)]
    print("\n" + "\n".join(map(str, outcomes)), flush=True)
    return 1 if any(outcome.status for outcome in outcomes) else 0


def _run(name: str, number: int, count: int) -> Outcome:
    part = PARTS[name]
    print(f"\n==== {number}/{count} {name}: {part.title} ({' '.join(part.command)})\n", flush=True)
    began = time.monotonic()
    done = subprocess.run(part.command, cwd=ROOT, env={**os.environ, **part.environment}, check=False)
    return Outcome(name, done.returncode, time.monotonic() - began)
