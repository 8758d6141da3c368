"""Tool calls that a model writes into its text, although `tool_choice` requires a call, as gpt-oss does."""

import json
import re
from collections.abc import Collection
from typing import Any, cast

from pydantic_core import from_json

Json = dict[str, Any]

FENCE = re.compile(r"\s*```[a-z]*\n(.*?)\n?```\s*", re.DOTALL)
"""A code fence of Markdown, around everything."""


class WrittenCalls:
    """Filter of a text, which comes in pieces; holds back what may be a call of one of the required tools."""

    def __init__(self, names: Collection[str]) -> None:
        """names: tools one of which must be called."""
        self._names = names
        self._buffered = ""
        self._is_text = False

    def feed(self, piece: str) -> str:
        """Add a piece; return the text that can be sent now: none as long as it may be JSON."""
        text = self._buffered + piece
        self._is_text |= not text.lstrip().startswith(("{", "[", "`")) and bool(text.strip())
        if self._is_text:
            self._buffered = ""
            return text
        self._buffered = text
        return ""

    def finish(self) -> tuple[list[Json], str]:
        """Return the calls of which the text consists, as items of `tool_calls`; else none, and the text that was held
        back."""
        text, self._buffered = self._buffered, ""
        calls = read_calls(text, self._names)
        return (calls, "") if calls else ([], text)


def read_calls(text: str, names: Collection[str]) -> list[Json]:
    """Return the calls of these tools of which a text consists; none if any part of it is something else."""
    fenced = FENCE.fullmatch(text)
    try:
        # not by the json module: in Pyodide, JSON that is nested thousands deep would end the isolate
        value: Any = from_json(fenced[1] if fenced else text)
    except ValueError:
        return []
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    calls = [_call(item, names) for item in items]
    return [call for call in calls if call] if all(calls) else []


def _call(item: Any, names: Collection[str]) -> Json | None:
    """Read an object as a call: its arguments are in `arguments` or `parameters`, or beside the name."""
    if not isinstance(item, dict):
        return None
    fields = cast("Json", item)
    inner = fields.get("function")
    fields = cast("Json", inner) if isinstance(inner, dict) else fields
    name = fields.get("name")
    if not isinstance(name, str) or name not in names:
        return None
    key = next((each for each in ("arguments", "parameters") if isinstance(fields.get(each), dict | str)), None)
    others = {each: value for each, value in fields.items() if each not in ("name", "type", "id")}
    arguments = fields[key] if key else others
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"function": {"name": name, "arguments": text}}
