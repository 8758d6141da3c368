"""The Worker's log for people: one readable line for each request instead of its JSON and of wrangler's line."""

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any, cast

WRANGLER_LINE = re.compile(r"^(\[wrangler:info\] )?[A-Z]+ \S+ \d{3} .*\(\d+(\.\d+)?m?s\)$")
"""Matches wrangler's line about a request: `POST /chat 200 OK (12ms)`."""


def is_request(line: str) -> bool:
    """Whether a line is about a request: the Worker's or wrangler's."""
    return line.startswith('{"id":"req_') or WRANGLER_LINE.match(line) is not None


def readable(line: str) -> str | None:
    """Return `POST /chat 200 · 213 ms · llama-3.1-8b-instruct · 45 tokens`; None for a line about anything else."""
    if not line.startswith('{"id":"req_'):
        return None
    try:
        record = json.loads(line)
    except ValueError:  # a line that was too long and was cut
        return None
    below = [textwrap.indent(str(record[name]), "    ") for name in ("prompt", "defect") if name in record]
    return "\n".join([" · ".join(_parts(cast("dict[str, Any]", record))), *below])


def _parts(record: dict[str, Any]) -> Iterator[str]:
    route = record["route"] or ("" if record["method"] == "OPTIONS" else "(no such route)")
    yield " ".join(filter(None, (record["method"], route, str(record["status"] or "…"))))
    if record["error"]:
        of_upstream = f" (Workers AI's {record['upstream_code']})" if record["upstream_code"] else ""
        yield record["error"].replace("_", " ") + of_upstream
    yield f"{record['ms']} ms"
    yield from dict.fromkeys(model.rpartition("/")[2] for model in record["models"])
    tokens = (record["input_tokens"] or 0) + (record["output_tokens"] or 0)
    if tokens:
        yield f"{tokens} tokens"
    if record["retries"]:
        yield "tried again once" if record["retries"] == 1 else f"tried again {record['retries']} times"
    if record["cache"] == "HIT":
        yield "from the gateway's cache"
    if record["client_left"]:
        yield "the client has left"
