"""Filters on documents' metadata: their checks, their form in SQL, which decides, and their form for Vectorize, which
narrows its search.

Vectorize indexes the first 64 bytes of a string, and only what was written after a property's index was made. Whatever
it finds is therefore checked against the rows of the database.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, cast

from aiworker.errors import ApiError
from aiworker.rag import paths

COMPARISONS = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
EQUALITIES = {"$eq": "IN", "$ne": "NOT IN", "$in": "IN", "$nin": "NOT IN"}
LISTS = ("$in", "$nin")
OPERATORS = ("$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$nin")
MAX_OPERANDS = 50
"""Values in one list."""
MAX_FILTER_BYTES = 2048
"""Bytes of a filter as JSON. Source of this and the next two: developers.cloudflare.com/vectorize/platform/limits"""
MAX_INDEXED_BYTES = 64
"""Bytes of a string that Vectorize indexes; it cuts between characters."""
MAX_METADATA_BYTES = 10_240
"""Bytes of a vector's metadata as JSON."""
MAX_EXACT_BYTES = MAX_INDEXED_BYTES - 4
"""Bytes up to which a string cannot be equal to what Vectorize keeps of a longer one: a character has up to four."""
MAX_INTEGER = 2**53 - 1
"""Numbers beyond are not exact in JavaScript, and so in D1."""
JSON_TYPES = {"string": "'text'", "number": "'integer', 'real'", "boolean": "'true', 'false'"}
"""Type of a property → SQLite's types of its values in JSON."""
Scalar = str | int | float | bool


def below(folder: str) -> dict[str, Any]:
    """Return the filter for documents of a folder and of those below it; an empty one for no folder."""
    path = paths.normalize(folder)
    # the character behind a slash is "0"
    return {paths.FOLDER: {"$gte": f"{path}/", "$lt": f"{path}0"}} if path else {}


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
    size = _json_bytes(vector_filter(filters))
    if size > MAX_FILTER_BYTES:
        raise ApiError(
            "invalid_request",
            f"The filter has {size:,} bytes as JSON; Vectorize takes at most {MAX_FILTER_BYTES:,}.",
            param="filter",
        )


def check_metadata(metadata: Mapping[str, Any], properties: Mapping[str, str]) -> None:
    """Raises ApiError `invalid_request` for values that cannot be indexed: of another type than their property's, or
    too long."""
    indexed = {name: metadata[name] for name in properties if name in metadata}
    for name, value in indexed.items():
        if not _has_type(properties[name], value):
            raise ApiError("invalid_request", f"{name} must be a {properties[name]}.", param=f"metadata.{name}")
    size = _json_bytes(indexed)
    if size > MAX_METADATA_BYTES:
        longest = max(indexed, key=lambda name: _json_bytes(indexed[name]))
        raise ApiError(
            "invalid_request",
            f"The properties {', '.join(indexed)} have {size:,} bytes as JSON; Vectorize takes at most "
            f"{MAX_METADATA_BYTES:,}. Shorten {longest}.",
            param=f"metadata.{longest}",
        )


def normalize_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata with its strings composed (Unicode's NFC), so that equal texts are equal strings."""
    return {name: _composed(value) if isinstance(value, str) else value for name, value in metadata.items()}


def vector_metadata(metadata: Mapping[str, Any], properties: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata that Vectorize indexes: values of the right type, and of strings the start."""
    return {
        name: _start(metadata[name]) if isinstance(metadata[name], str) else metadata[name]
        for name, kind in properties.items()
        if name in metadata and _has_type(kind, metadata[name])
    }


def condition(filters: Mapping[str, Any], first: int) -> tuple[str, list[Any]]:
    """Return the filter as SQL on `v.metadata` (`AND …`), and the values of its parameters.

    first: number of the first parameter.
    """
    parts: list[str] = []
    values: list[Any] = []
    for name, value in filters.items():
        for operator, operand in _conditions(name, value):
            operands = _operands(operator, operand)
            parameter = f"?{first + len(values)}"
            field = (
                f"CASE WHEN json_type(v.metadata, '$.{name}') IN ({JSON_TYPES[_type(operands[0])]}) "
                f"THEN json_extract(v.metadata, '$.{name}') END"
            )
            if operator in COMPARISONS:
                parts.append(f"AND {field} {COMPARISONS[operator]} {parameter}")
                values.append(operands[0])
                continue
            test = f"{field} {EQUALITIES[operator]} (SELECT value FROM json_each({parameter}))"  # noqa: S608 - names that are checked
            # as in Vectorize, a missing property differs from every value
            parts.append(f"AND ({field} IS NULL OR {test})" if "NOT" in test else f"AND {test}")
            values.append(json.dumps([form for each in operands for form in _forms(each)]))
    return " ".join(parts), values


def vector_filter(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter of Vectorize that every vector of a matching document passes; others may pass it as well."""
    narrowed: dict[str, Any] = {}
    for name, value in filters.items():
        tests: dict[str, Any] = {}
        for operator, operand in _conditions(name, value):
            tests |= _vector_test(operator, _operands(operator, operand))
        if tests:
            narrowed[name] = tests
    return narrowed


def _vector_test(operator: str, operands: Sequence[Scalar]) -> dict[str, Any]:
    """Return the test of Vectorize that a condition implies; empty if there is none."""
    if operator in COMPARISONS:
        [bound] = operands
        # two long strings with the same start are equal for Vectorize
        return {operator if _is_exact(bound) else f"{operator[:3]}e": _start(bound)}
    if operator in ("$eq", "$in"):
        starts = list(dict.fromkeys(_start(form) for each in operands for form in _forms(each)))
        return {"$eq": starts[0]} if len(starts) == 1 else {"$in": starts}
    excluded = [form for each in operands for form in _forms(each) if _is_exact(form)]
    return {"$ne": excluded[0]} if len(excluded) == 1 else {"$nin": excluded} if excluded else {}


def _operands(operator: str, operand: Any) -> list[Scalar]:
    return operand if operator in LISTS else [operand]


def _forms(operand: Scalar) -> list[Scalar]:
    """Return the operand composed, decomposed and as it is: documents added by earlier versions have either form."""
    if not isinstance(operand, str) or operand.isascii():
        return [operand]
    return list(dict.fromkeys((_composed(operand), unicodedata.normalize("NFD", operand), operand)))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _is_exact(operand: Scalar) -> bool:
    return not isinstance(operand, str) or len(operand.encode()) <= MAX_EXACT_BYTES


def _start(operand: Scalar) -> Scalar:
    """Return the part of a string that Vectorize indexes; other values as they are."""
    return operand.encode()[:MAX_INDEXED_BYTES].decode(errors="ignore") if isinstance(operand, str) else operand


def _json_bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _conditions(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return (operator, operand) pairs; a bare value is compared with `$eq`."""
    if not isinstance(value, Mapping):
        return [("$eq", value)]
    conditions: list[tuple[str, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    unknown = [operator for operator, _ in conditions if operator not in OPERATORS]
    if unknown or not conditions:
        raise _invalid(name, f"{name} must be a value or have conditions of {', '.join(OPERATORS)}.")
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
    return isinstance(value, str | int | float) and _type(value) == kind


def _type(value: Scalar) -> str:
    return "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"


def _invalid(name: str, message: str) -> ApiError:
    return ApiError("invalid_request", message, param=f"filter.{name[:80]}")
