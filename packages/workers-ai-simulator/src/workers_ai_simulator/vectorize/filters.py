"""The `filter` of a query as conditions on what a vector's metadata indexes hold."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from workers_ai_simulator.vectorize.limits import (
    INDEXED_BYTES,
    LARGEST_FILTER,
    PARSE_BODY,
    VectorizeError,
    compact,
)

Scalar = str | float | bool | None
Indexed = Mapping[str, Scalar]
"""Property → value, for the properties that have a metadata index."""
Condition = tuple[str, Callable[[Scalar], bool]]
"""A property and what its value must be; the value of a vector that has none is None."""


def truncated(text: str) -> str:
    """What an index holds of a string: its first 64 bytes, cut between characters."""
    return text.encode()[:INDEXED_BYTES].decode(errors="ignore")


def conditions(asked: object) -> list[Condition]:
    """All of which must hold. Raises VectorizeError for a filter that is none."""
    if not isinstance(asked, dict) or not asked:
        raise _invalid("expected an object that is not empty")
    wanted = cast("dict[str, Any]", asked)
    size = len(compact(wanted).encode())
    if size > LARGEST_FILTER:
        raise _invalid(f"max is {LARGEST_FILTER} bytes, got {size} bytes")
    return [_condition(name, each) for name, each in wanted.items()]


def _condition(name: str, wanted: object) -> Condition:
    if not name or name.startswith("$") or '"' in name:
        raise _invalid(f"invalid property {name!r}")
    operations = cast("dict[str, Any]", wanted) if isinstance(wanted, dict) else {"$eq": wanted}
    if not operations:
        raise _invalid(f"{name}: expected an operator")
    tests = [_operation(name, operator, operand) for operator, operand in operations.items()]
    return name, lambda value: all(test(value) for test in tests)


def _operation(name: str, operator: str, operand: object) -> Callable[[Scalar], bool]:
    if operator in ("$in", "$nin"):
        if not isinstance(operand, list):
            raise _invalid(f"{name}: {operator} expects an array")
        wanted = [_scalar(name, each) for each in cast("list[Any]", operand)]
        is_in = operator == "$in"
        return lambda value: any(_equal(value, each) for each in wanted) is is_in
    scalar = _scalar(name, operand)
    if operator in ("$eq", "$ne"):
        is_equal = operator == "$eq"
        return lambda value: _equal(value, scalar) is is_equal
    if operator not in ORDER:
        raise _invalid(f"{name}: unknown operator {operator}")
    compare = ORDER[operator]
    return lambda value: _comparable(value, scalar) and compare(value, scalar)


ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$lt": lambda value, bound: value < bound,
    "$lte": lambda value, bound: value <= bound,
    "$gt": lambda value, bound: value > bound,
    "$gte": lambda value, bound: value >= bound,
}


def _scalar(name: str, operand: object) -> Scalar:
    if isinstance(operand, str):
        return truncated(operand)
    if operand is None or isinstance(operand, bool | int | float):
        return operand
    raise _invalid(f"{name}: expected a string, a number, a boolean or null")


def _equal(value: Scalar, wanted: Scalar) -> bool:
    # true is no 1 in JSON, as it is in Python
    return isinstance(value, bool) is isinstance(wanted, bool) and value == wanted


def _comparable(value: Scalar, bound: Scalar) -> bool:
    if isinstance(value, str) or isinstance(bound, str):
        return isinstance(value, str) and isinstance(bound, str)
    return value is not None and bound is not None and isinstance(value, bool) is isinstance(bound, bool)


def _invalid(reason: str) -> VectorizeError:
    return VectorizeError(PARSE_BODY, f"Failed to parse the request body as JSON: filter: {reason}")
