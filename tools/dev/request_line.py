"""The Worker's log for people: of each request one readable line in place of its JSON, and of wrangler's own."""

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any, cast

WRANGLERS = re.compile(r"^(\[wrangler:info\] )?[A-Z]+ \S+ \d{3} .*\(\d+(\.\d+)?m?s\)$")
"""What wrangler says of a request: `POST /chat 200 OK (12ms)`."""


def readable(line: str) -> str | None:
    """`POST /chat 200 · 213 ms · llama-3.1-8b-instruct · 45 tokens`; None for what tells of no request."""
    if not line.startswith('{"id":"req_'):
        return None
    try:
        told = json.loads(line)
    except ValueError:  # a line that was too long, and is cut
        return None
    below = [textwrap.indent(str(told[name]), "    ") for name in ("prompt", "defect") if name in told]
    return "\n".join([" · ".join(_parts(cast("dict[str, Any]", told))), *below])


def _parts(told: dict[str, Any]) -> Iterator[str]:
    route = told["route"] or ("" if told["method"] == "OPTIONS" else "(no such route)")
    yield " ".join(filter(None, (told["method"], route, str(told["status"] or "…"))))
    if told["error"]:
        of_upstream = f" (Workers AI's {told['upstream_code']})" if told["upstream_code"] else ""
        yield told["error"].replace("_", " ") + of_upstream
    yield f"{told['ms']} ms"
    yield from dict.fromkeys(model.rpartition("/")[2] for model in told["models"])
    tokens = (told["input_tokens"] or 0) + (told["output_tokens"] or 0)
    if tokens:
        yield f"{tokens} tokens"
    if told["retries"]:
        yield "tried again once" if told["retries"] == 1 else f"tried again {told['retries']} times"
    if told["cache"] == "HIT":
        yield "from the gateway's cache"
    if told["client_left"]:
        yield "the client has left"
