"""JSON that keeps the spelling of numbers, laid out so that people can read it and compare versions line by line."""

import json
import re
from typing import Any, Self, cast

WIDTH = 100
"""Characters of a line up to which an object or a list stands on one."""
SURROGATE = re.compile("[\ud800-\udfff]")


class ExactFloat(float):
    """A number with its own spelling: 1e21 and 1E+21 are the same number, and not the same bytes."""

    __slots__ = ("spelling",)
    spelling: str

    def __new__(cls, spelling: str) -> Self:
        number = super().__new__(cls, spelling)
        number.spelling = spelling
        return number


class OneLine(dict[str, Any]):
    """An object that stands on one line, however long it is."""


def parse(text: str) -> Any:
    """Parse JSON. Raises ValueError for text that is not JSON, and for JSON nested too deeply."""
    try:
        return json.loads(text, parse_float=ExactFloat)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def compact(value: Any) -> str:
    """JSON without spaces, as JavaScript writes it."""
    return _on_one_line(value, ",", ":")


def readable(value: Any, indent: str = "") -> str:
    """JSON on several lines. Lists of numbers, and short values, are on one line."""
    line = _on_one_line(value, ", ", ": ")
    if len(indent) + len(line) <= WIDTH or not _is_divided(value):
        return line
    deeper = f"{indent}  "
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value).items()
        parts = [f"{_string(name)}: {readable(each, deeper)}" for name, each in fields]
    else:
        parts = [readable(each, deeper) for each in cast("list[Any]", value)]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{closing}"


def _is_divided(value: Any) -> bool:
    return isinstance(value, dict | list) and not isinstance(value, OneLine) and not is_numbers(value)


def is_numbers(value: Any) -> bool:
    """Whether the value is a list of numbers, as a vector is."""
    return isinstance(value, list) and all(type(each) in (int, ExactFloat, float) for each in cast("list[Any]", value))


def _on_one_line(value: Any, comma: str, colon: str) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, ExactFloat):
        return value.spelling
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value).items()
        return f"{{{comma.join(f'{_string(name)}{colon}{_on_one_line(each, comma, colon)}' for name, each in fields)}}}"
    if isinstance(value, list):
        return f"[{comma.join(_on_one_line(each, comma, colon) for each in cast('list[Any]', value))}]"
    return json.dumps(value)


def _string(text: str) -> str:
    # half of a pair cannot be written in UTF-8
    return json.dumps(text, ensure_ascii=SURROGATE.search(text) is not None)
