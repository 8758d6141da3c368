"""Medians, ratios and the table, from samples, and the guard that finds ratios that have become worse."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.bench.client import Samples
from tools.bench.rows import Goal, Row
from tools.bench.servers import AIWORKER, JAVASCRIPT

ALLOWED = 1.3
"""Largest allowed quotient of a new ratio and the recorded one."""

UNITS = {"total": "ms", "first": "ms to the first byte", "delay": "ms delay of a frame"}


@dataclass(frozen=True)
class Figure:
    """Times of one server for one kind of work, in milliseconds."""

    median: float
    p95: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        return cls(statistics.median(values), percentile(values, 95), len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this many per cent of the values do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * share / 100) - 1)]


@dataclass(frozen=True)
class Result:
    """One row of the table, by one measure."""

    row: Row
    measure: str
    figures: Mapping[str, Figure]
    """Figures by server."""

    @property
    def name(self) -> str:
        return self.row.name if self.measure == "total" else f"{self.row.name}, {self.measure}"

    @property
    def goals(self) -> Sequence[Goal]:
        return self.row.goals[self.measure]

    def decisive(self, server: str) -> float:
        """Return the median; for delays, where the slow ones matter, the 95th percentile."""
        figure = self.figures[server]
        return figure.p95 if self.measure == "delay" else figure.median

    def ratio(self, peer: str = JAVASCRIPT) -> float:
        return self.decisive(AIWORKER) / self.decisive(peer)

    def reached(self, goal: Goal) -> float:
        if goal.is_difference:
            return self.decisive(AIWORKER) - self.decisive(goal.peer)
        return self.ratio(goal.peer)

    def to_json(self) -> dict[str, Any]:
        return {
            "row": self.row.name,
            "title": self.row.title,
            "measure": self.measure,
            "unit": "ms",
            "servers": {
                name: {"median": each.median, "p95": each.p95, "runs": each.runs} for name, each in self.figures.items()
            },
            "ratio_to_javascript": self.ratio(),
            "goals": [
                {
                    "peer": goal.peer,
                    "kind": "difference" if goal.is_difference else "ratio",
                    "most": goal.most,
                    "reached": self.reached(goal),
                    "is_met": self.reached(goal) <= goal.most,
                }
                for goal in self.goals
            ],
        }


def results(row: Row, samples: Mapping[str, Samples]) -> list[Result]:
    return [
        Result(row, measure, {name: Figure.of(getattr(each, measure)) for name, each in samples.items()})
        for measure in row.goals
    ]


# ---- the table -------------------------------------------------------------------------------------------------------


def table(results: Sequence[Result], servers: Sequence[str]) -> str:
    """Return the table as Markdown: median and p95 of each server, and the goals below."""
    head = ["work", *servers, "runs", "aiworker ÷ JavaScript", "goal"]
    lines = [head, ["---"] * len(head), *(_line(each, servers) for each in results)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _line(result: Result, servers: Sequence[str]) -> list[str]:
    cells = [_shown(result, name) for name in servers]
    counts = {figure.runs for figure in result.figures.values()}
    runs = "–".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))
    goals = "; ".join(_goal(result, goal) for goal in result.goals) or "–"
    return [f"{result.row.title}, {UNITS[result.measure]}", *cells, runs, f"{result.ratio():.2f}", goals]


def _shown(result: Result, server: str) -> str:
    figure = result.figures.get(server)
    return f"{_number(figure.median)} ({_number(figure.p95)})" if figure else "–"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _goal(result: Result, goal: Goal) -> str:
    reached = result.reached(goal)
    verdict = "met" if reached <= goal.most else "MISSED"
    if goal.is_difference:
        return f"{goal.peer} + {goal.most:g} ms: {reached:+.2f} ms, {verdict}"
    return f"≤ {goal.most:.3g} of {goal.peer}: {reached:.2f}, {verdict}"


# ---- the guard -------------------------------------------------------------------------------------------------------


def ratios(results: Iterable[Result]) -> dict[str, float]:
    """Return the ratios to record: of total times, to JavaScript and to the peers of the goals. Never a time."""
    kept: dict[str, float] = {}
    for result in results:
        if result.measure == "total":
            peers = {JAVASCRIPT, *(goal.peer for goal in result.goals)}
            kept |= {f"{result.name} / {peer}": round(result.ratio(peer), 3) for peer in sorted(peers)}
    return kept


def worse(measured: Mapping[str, float], recorded: Mapping[str, float]) -> dict[str, str]:
    """Return the ratios above ALLOWED times the recorded ones, or never recorded, with a sentence about each."""
    return {
        name: _sentence(name, ratio, recorded.get(name))
        for name, ratio in measured.items()
        if name not in recorded or ratio > ALLOWED * recorded[name]
    }


def _sentence(name: str, ratio: float, recorded: float | None) -> str:
    if recorded is None:
        return f"{name}: {ratio:.2f}, and none is recorded to compare it with: scripts/bench --quick --record"
    return f"{name}: {ratio:.2f}, recorded {recorded:.2f}: {ratio / recorded:.2f} times as much"
