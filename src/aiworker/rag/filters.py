"""Filters on documents' metadata: Vectorize's, checked, and as SQL for full-text search."""

from collections.abc import Mapping
from typing import Any, cast

from aiworker.errors import ApiError

COMPARISONS = {"$eq": "=", "$ne": "IS NOT", "$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
MAX_OPERANDS = 50
"""Values in one list. D1 takes 100 values in a statement."""
MAX_INTEGER = 2**53 - 1
"""Numbers beyond are not exact in JavaScript, and so in D1."""
LISTS = {"$in": "IN", "$nin": "NOT IN"}
Scalar = str | int | float | bool


def check(filters: Mapping[str, Any], properties: Mapping[str, str]) -> None:
    """Raises ApiError `invalid_request`, naming the property, for an invalid filter.

    properties: indexed property → `string`, `number` or `boolean`.
    """
    for name, value in filters.items():
        if name not in properties:
            known = ", ".join(properties) or "none: set the Worker's variable RAG_PROPERTIES"
            raise _invalid(name, f"{name} is not indexed. The indexed properties are {known}.")
        for operator, operand in _conditions(name, value):
            _check_operand(name, operator, operand, properties[name])


def check_metadata(metadata: Mapping[str, Any], properties: Mapping[str, str]) -> None:
    """Raises ApiError `invalid_request` for a value of another type than its property is indexed as."""
    for name, kind in properties.items():
        if name in metadata and not _has_type(kind, metadata[name]):
            raise ApiError("invalid_request", f"{name} must be a {kind}.", param=f"metadata.{name}")


def condition(filters: Mapping[str, Any], first: int) -> tuple[str, list[Any]]:
    """Return the filter as SQL on `v.metadata` (`AND …`), and the values of its parameters.

    first: number of the first parameter.
    """
    parts: list[str] = []
    values: list[Any] = []
    for name, value in filters.items():
        for operator, operand in _conditions(name, value):
            operands: list[Any] = operand if operator in LISTS else [operand]
            placeholders = [f"?{first + len(values) + place}" for place in range(len(operands))]
            field = f"json_extract(v.metadata, '$.{name}')"
            if operator in LISTS:
                test = f"{field} {LISTS[operator]} ({', '.join(placeholders)})"
                # as in Vectorize, a missing property differs from every value
                parts.append(f"AND ({field} IS NULL OR {test})" if operator == "$nin" else f"AND {test}")
            else:
                parts.append(f"AND {field} {COMPARISONS[operator]} {placeholders[0]}")
            values += operands
    return " ".join(parts), values


def _conditions(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return (operator, operand) pairs; a bare value is compared with `$eq`."""
    if not isinstance(value, Mapping):
        return [("$eq", value)]
    conditions: list[tuple[str, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    unknown = [operator for operator, _ in conditions if operator not in COMPARISONS and operator not in LISTS]
    if unknown or not conditions:
        known = ", ".join([*COMPARISONS, *LISTS])
        raise _invalid(name, f"{name} must be a value or have conditions of {known}.")
    return conditions


def _check_operand(name: str, operator: str, operand: Any, kind: str) -> None:
    is_list = operator in LISTS and isinstance(operand, list)
    operands: list[Any] = cast("list[Any]", operand) if is_list else [operand]
    if is_list != (operator in LISTS) or (isinstance(operand, list) and not is_list) or not operands:
        raise _invalid(name, f"{operator} of {name} takes {'a list' if operator in LISTS else 'one value'}.")
    if len(operands) > MAX_OPERANDS:
        raise _invalid(name, f"{operator} of {name} must have at most {MAX_OPERANDS} values.")
    for each in operands:
        if not _has_type(kind, each):
            raise _invalid(name, f"{name} is a {kind}: compare it with a {kind}.")
        if isinstance(each, int | float) and not abs(each) <= MAX_INTEGER:
            raise _invalid(name, f"{name} must be compared with numbers between -{MAX_INTEGER} and {MAX_INTEGER}.")


def _has_type(kind: str, value: Any) -> bool:
    types = {"string": (str,), "number": (int, float), "boolean": (bool,)}[kind]
    return isinstance(value, types) and (kind == "boolean" or not isinstance(value, bool))


def _invalid(name: str, message: str) -> ApiError:
    return ApiError("invalid_request", message, param=f"filter.{name[:80]}")
