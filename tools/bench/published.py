"""The figures of the last `scripts/bench --record`, in the form of docs/performance.md."""

import json
from collections.abc import Mapping
from typing import Any

from tools import ROOT
from tools.bench import figures
from tools.bench.figures import Result
from tools.bench.servers import AIWORKER, GUARDED, JAVASCRIPT, SDK
from tools.docs import markdown

RECORDED = ROOT / "tools/bench/recorded.json"

SUMMARY: Mapping[str, str] = {
    "chat": "`POST /chat`, a short answer as JSON",
    "stream": "`POST /chat`, a stream of 2,000 frames",
    "search": "`POST /rag/search`",
    "embed-100": "`POST /embed`, 100 texts",
    "translated": "`POST /v1/chat/completions`, 500 frames translated",
}
"""Row → its name in the summary."""
SUMMARY_SERVERS = (AIWORKER, GUARDED, JAVASCRIPT, SDK)


def read() -> dict[str, Any]:
    return json.loads(RECORDED.read_text())


def results() -> list[Result]:
    return [Result.from_json(each) for each in read()["rows"]]


def summary() -> str:
    """Return the processor time of a few rows, as a table."""
    recorded = {each.name: each for each in results()}
    rows = ((title, *map(_cpu(recorded[name]), SUMMARY_SERVERS)) for name, title in SUMMARY.items() if name in recorded)
    return markdown.table(("Processor milliseconds a request", *SUMMARY_SERVERS), rows)


def _cpu(result: Result) -> Any:
    def shown(server: str) -> str:
        figure = result.figures.get(server)
        return figures.number(figure.cpu) if figure and figure.cpu is not None else ""

    return shown


def table() -> str:
    return figures.table(results())


def machine() -> str:
    """Return a sentence about the run."""
    about = read()["machine"]
    where = f"{about['processor']}, {about['cores']} cores, a load of {about['load']} when it began"
    return f"One run of `{about['command']}`, {about['measured']}: {where}.\n"


def memory() -> str:
    """Return the memory of aiworker before and during many requests, as a table."""
    if not read()["memory"]:
        return "Not measured in this run.\n"
    rows = (
        (f"{each['requests']:,}", f"{each['objects']:,}", f"{each['memory_bytes'] >> 20} MB", _mebibytes(each))
        for each in read()["memory"]
    )
    return markdown.table(("Requests", "Objects of Python", "WebAssembly's memory", "Process"), rows)


def _mebibytes(reading: Mapping[str, int]) -> str:
    return f"{reading['process_bytes'] >> 20} MB"
