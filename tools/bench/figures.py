"""Figures, ratios with their spread, and the table, computed from samples; and the guard, which finds ratios that have
become worse."""

import math
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tools.bench.client import Samples
from tools.bench.rows import ALL, Goal, Row
from tools.bench.servers import AIWORKER, BEFORE, GUARDED, JAVASCRIPT, MODELS, SDK
from tools.docs import markdown

ALLOWED = 1.3
"""Largest allowed quotient of a new ratio and the recorded one."""
RESAMPLES = 400
"""Number of resamples of the bootstrap, from which the 95 % interval of a ratio is read."""

DIVISORS = (JAVASCRIPT, GUARDED, SDK)
"""Peers by whose figure the table divides aiworker's, in the order of its columns."""
UNITS = {"total": "", "first": ", to the first byte", "delay": ", p95 of a frame's delay"}
"""Measure → words for it in the table, after the name of the work. Only `total` has processor time."""


@dataclass(frozen=True)
class Figure:
    """Times of one server for one kind of work, in milliseconds."""

    median: float
    p95: float
    runs: int
    cpu: float | None = None
    """Processor time on average, of the server's whole process; None if it is not measured."""

    @classmethod
    def of(cls, times: Sequence[float], cpu: Sequence[float] = ()) -> "Figure":
        return cls(statistics.median(times), percentile(times, 95), len(times), statistics.fmean(cpu) if cpu else None)


@dataclass(frozen=True)
class Ratio:
    """Quotient of two servers' figures, with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, own: Sequence[float], peer: Sequence[float]) -> "Ratio":
        """Return the ratio of two means. The samples of one round are a pair if both have as many."""
        source = random.Random(0)
        is_paired = len(own) == len(peer)
        quotients: list[float] = []
        for _ in range(RESAMPLES):
            chosen = source.choices(range(len(own)), k=len(own))
            others = chosen if is_paired else source.choices(range(len(peer)), k=len(peer))
            quotients.append(statistics.fmean([own[n] for n in chosen]) / statistics.fmean([peer[n] for n in others]))
        value = statistics.fmean(own) / statistics.fmean(peer)
        return cls(value, percentile(quotients, 2.5), percentile(quotients, 97.5))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this many per cent of the values do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * share / 100) - 1)]


@dataclass(frozen=True)
class Result:
    """One row of the table, by one measure."""

    row: str
    title: str
    measure: str
    figures: Mapping[str, Figure]
    """Figures by server."""
    ratios: Mapping[str, Ratio] = field(default_factory=dict[str, Ratio])
    """Peer → aiworker's processor time divided by the peer's."""
    goals: Sequence[Goal] = ()

    @property
    def name(self) -> str:
        return self.row if self.measure == "total" else f"{self.row}, {self.measure}"

    def is_met(self, goal: Goal) -> bool:
        return self.ratios[goal.peer].value <= goal.most

    def to_json(self) -> dict[str, Any]:
        goals = [{**asdict(goal), "is_met": self.is_met(goal)} for goal in self.goals]
        return {**asdict(self), "goals": goals}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Result":
        return cls(
            data["row"],
            data["title"],
            data["measure"],
            {name: Figure(**each) for name, each in data["figures"].items()},
            {name: Ratio(**each) for name, each in data["ratios"].items()},
            [Goal(each["most"], each["peer"]) for each in data["goals"]],
        )


def results(row: Row, samples: Mapping[str, Samples]) -> list[Result]:
    made: list[Result] = []
    for measure in row.measures:
        is_whole = measure == row.measures[0]  # processor time is measured for whole requests, and shown once
        shown = {
            name: Figure.of(getattr(each, measure), each.cpu if is_whole else ()) for name, each in samples.items()
        }
        goals = row.goals if is_whole else ()
        made.append(Result(row.name, row.title, measure, shown, _ratios(samples) if is_whole else {}, goals))
    return made


def _ratios(samples: Mapping[str, Samples]) -> dict[str, Ratio]:
    own = samples[AIWORKER].cpu
    return {name: Ratio.of(own, each.cpu) for name, each in samples.items() if name != AIWORKER and each.cpu}


# ---- the table -------------------------------------------------------------------------------------------------------


def table(results: Sequence[Result]) -> str:
    """Return the table as Markdown: each server's figures, aiworker's divided by those of three, and the targets."""
    known = dict.fromkeys((MODELS, *ALL, BEFORE))
    servers = [name for name in known if any(name in each.figures for each in results)]
    divisors = [name for name in (*DIVISORS, BEFORE) if name in servers]
    head = ("work", *servers, "runs", *(f"÷ {name}" for name in divisors), "target")
    return markdown.table(head, (_line(each, servers, divisors) for each in results))


def _line(result: Result, servers: Sequence[str], divisors: Sequence[str]) -> tuple[str, ...]:
    counts = {figure.runs for figure in result.figures.values()}
    runs = " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))
    cells = [_figure(result.figures.get(name), result.measure) for name in servers]
    quotients = [_ratio(result.ratios.get(name)) for name in divisors]
    targets = "; ".join(_target(result, goal) for goal in result.goals)
    return (f"{result.title}{UNITS[result.measure]}", *cells, runs, *quotients, targets)


def _figure(figure: Figure | None, measure: str) -> str:
    if figure is None:
        return ""
    time = f"({number(figure.p95 if measure == 'delay' else figure.median)})"
    return time if figure.cpu is None else f"{number(figure.cpu)} {time}"


def _ratio(ratio: Ratio | None) -> str:
    return f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if ratio else ""


def _target(result: Result, goal: Goal) -> str:
    return f"≤ {goal.most:.3g} of {goal.peer}: {'met' if result.is_met(goal) else 'MISSED'}"


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


# ---- the guard -------------------------------------------------------------------------------------------------------


def guarded_ratios(results: Iterable[Result]) -> dict[str, float]:
    """Return the ratios that --guard compares: of processor time, to the JavaScript Workers and the SDK's."""
    return {
        f"{result.name} / {peer}": result.ratios[peer].value
        for result in results
        for peer in DIVISORS
        if peer in result.ratios
    }


def worse(measured: Mapping[str, float], recorded: Mapping[str, float]) -> dict[str, str]:
    """Return the ratios above ALLOWED times the recorded ones, or never recorded, with a sentence about each."""
    return {
        name: _sentence(name, ratio, recorded.get(name))
        for name, ratio in measured.items()
        if name not in recorded or ratio > ALLOWED * recorded[name]
    }


def _sentence(name: str, ratio: float, recorded: float | None) -> str:
    if recorded is None:
        return f"{name}: {ratio:.2f}, and none is recorded to compare it with: scripts/bench --record"
    return f"{name}: {ratio:.2f}, recorded {recorded:.2f}: {ratio / recorded:.2f} times as much"
