"""The `filter` of a query, read as conditions on the metadata in a vector's metadata indexes."""

from collections.abc import Callable
from typing import Any, cast

from workers_ai_simulator.vectorize.errors import VectorizeError, unparsable_body
from workers_ai_simulator.vectorize.limits import MAX_FILTER_BYTES, MAX_INDEXED_BYTES, compact_json
from workers_ai_simulator.vectorize.models import Scalar

Condition = tuple[str, Callable[[Scalar], bool]]
"""A property, and a test of its value. The value of a vector without the property is None."""


def truncated(text: str) -> str:
    """The part of a string that an index stores: its first 64 bytes, cut between characters."""
    return text.encode()[:MAX_INDEXED_BYTES].decode(errors="ignore")


def conditions(query_filter: object) -> list[Condition]:
    """Conditions of a filter, all of which must hold. Raises VectorizeError 40026 for an invalid filter."""
    if not isinstance(query_filter, dict) or not query_filter:
        raise _invalid("expected an object that is not empty")
    properties = cast("dict[str, Any]", query_filter)
    size = len(compact_json(properties).encode())
    if size > MAX_FILTER_BYTES:
        raise _invalid(f"max is {MAX_FILTER_BYTES} bytes, got {size} bytes")
    return [_condition(name, each) for name, each in properties.items()]


def _condition(name: str, test: object) -> Condition:
    if not name or name.startswith("$") or '"' in name:
        raise _invalid(f"invalid property {name!r}")
    operations = cast("dict[str, Any]", test) if isinstance(test, dict) else {"$eq": test}
    if not operations:
        raise _invalid(f"{name}: expected an operator")
    tests = [_test(name, operator, operand) for operator, operand in operations.items()]
    return name, lambda value: all(test(value) for test in tests)


def _test(name: str, operator: str, operand: object) -> Callable[[Scalar], bool]:
    if operator in ("$in", "$nin"):
        if not isinstance(operand, list):
            raise _invalid(f"{name}: {operator} expects an array")
        scalars = [_scalar(name, each) for each in cast("list[Any]", operand)]
        is_in = operator == "$in"
        return lambda value: any(_equal(value, each) for each in scalars) is is_in
    scalar = _scalar(name, operand)
    if operator in ("$eq", "$ne"):
        is_equal = operator == "$eq"
        return lambda value: _equal(value, scalar) is is_equal
    if operator not in COMPARISONS:
        raise _invalid(f"{name}: unknown operator {operator}")
    compare = COMPARISONS[operator]
    return lambda value: _comparable(value, scalar) and compare(value, scalar)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
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


def _equal(value: Scalar, operand: Scalar) -> bool:
    # true equals 1 in Python, but not in JSON
    return isinstance(value, bool) is isinstance(operand, bool) and value == operand


def _comparable(value: Scalar, bound: Scalar) -> bool:
    if isinstance(value, str) or isinstance(bound, str):
        return isinstance(value, str) and isinstance(bound, str)
    return value is not None and bound is not None and isinstance(value, bool) is isinstance(bound, bool)


def _invalid(reason: str) -> VectorizeError:
    return unparsable_body(f"filter: {reason}")
