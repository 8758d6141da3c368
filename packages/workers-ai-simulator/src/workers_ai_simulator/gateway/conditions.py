"""Conditions of a dynamic route, in the manner of MongoDB's queries.

After https://developers.cloudflare.com/ai-gateway/features/routing/dynamic-routing/json-configuration/, which names the
operators `$eq`, `$ne`, `$in`, `$and` and `$or` as examples of MongoDB's, and shows `metadata.plan`. That a condition
reads the body and the headers is documented, too, but not how their fields are named: here `body.…` and `headers.…`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator.gateway.errors import invalid

Fields = Mapping[str, Any]
"""Parts of a request by their names: `metadata`, `headers` (names in lower case), `body`."""


def field_value(fields: Fields, path: str) -> Any:
    """Value at a path such as `metadata.user_id`; None if there is none.

    A name may contain dots, such as the reserved `cf.user_id`: the longest name that is there counts.
    """
    return _at(fields, path.split("."))


def _at(value: Any, names: list[str]) -> Any:
    if not names:
        return value
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return _at(items[int(names[0])], names[1:]) if names[0].isdecimal() and int(names[0]) < len(items) else None
    if not isinstance(value, Mapping):
        return None
    entries = cast("Mapping[str, Any]", value)
    for count in range(len(names), 0, -1):
        name = ".".join(names[:count])
        if name in entries:
            return _at(entries[name], names[count:])
    return None


@dataclass(frozen=True)
class Operator:
    """Operator on the value of a field: which operands it takes, and its test."""

    takes: Callable[[Any], bool]
    holds: Callable[[Any, Any], bool]


def _is_scalar(operand: Any) -> bool:
    return operand is None or isinstance(operand, str | int | float | bool)


def _is_ordered(operand: Any) -> bool:
    return isinstance(operand, str | int | float) and not isinstance(operand, bool)


def _is_list(operand: Any) -> bool:
    return isinstance(operand, list) and all(map(_is_scalar, cast("list[Any]", operand)))


def _same(value: Any, operand: Any) -> bool:
    """Whether both are equal and of one kind: 1 is not true."""
    return value == operand and isinstance(value, bool) == isinstance(operand, bool)


def _compared(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A test of two numbers or two texts; false for all other values."""

    def holds(value: Any, operand: Any) -> bool:
        if not _is_ordered(value) or isinstance(value, str) != isinstance(operand, str):
            return False
        return test(value, operand)

    return holds


OPERATORS = {
    "$eq": Operator(_is_scalar, _same),
    "$ne": Operator(_is_scalar, lambda value, operand: not _same(value, operand)),
    "$in": Operator(_is_list, lambda value, operand: any(_same(value, each) for each in operand)),
    "$nin": Operator(_is_list, lambda value, operand: not any(_same(value, each) for each in operand)),
    "$gt": Operator(_is_ordered, _compared(lambda value, operand: value > operand)),
    "$gte": Operator(_is_ordered, _compared(lambda value, operand: value >= operand)),
    "$lt": Operator(_is_ordered, _compared(lambda value, operand: value < operand)),
    "$lte": Operator(_is_ordered, _compared(lambda value, operand: value <= operand)),
    "$exists": Operator(
        lambda operand: isinstance(operand, bool), lambda value, operand: (value is not None) is operand
    ),
}
COMBINATIONS: dict[str, Callable[[list[bool]], bool]] = {"$and": all, "$or": any, "$nor": lambda each: not any(each)}


def check(condition: Any, at: str = "conditions") -> None:
    """Check a condition. Raises GatewayError 7001, with the place, for one that is malformed."""
    if not isinstance(condition, dict):
        raise invalid(f"{at}: Expected object")
    for name, operand in cast("dict[str, Any]", condition).items():
        place = f"{at}.{name}"
        if name in COMBINATIONS:
            if not isinstance(operand, list) or not operand:
                raise invalid(f"{place}: Expected array")
            for number, each in enumerate(cast("list[Any]", operand)):
                check(each, f"{place}.{number}")
        elif name.startswith("$"):
            raise invalid(f"{place}: Invalid operator. Expected {' | '.join(COMBINATIONS)}")
        else:
            _check_field(operand, place)


def _check_field(operand: Any, at: str) -> None:
    if _is_scalar(operand):
        return
    if not isinstance(operand, dict) or not operand:
        raise invalid(f"{at}: Expected a value, or an object of operators")
    for name, value in cast("dict[str, Any]", operand).items():
        if name == "$not":
            _check_field(value, f"{at}.$not")
        elif name not in OPERATORS:
            raise invalid(f"{at}.{name}: Invalid operator. Expected {' | '.join((*OPERATORS, '$not'))}")
        elif not OPERATORS[name].takes(value):
            raise invalid(f"{at}.{name}: Invalid operand")


def holds(condition: dict[str, Any], fields: Fields) -> bool:
    """Whether a request with these fields meets a condition that has been checked."""
    return all(_holds(name, operand, fields) for name, operand in condition.items())


def _holds(name: str, operand: Any, fields: Fields) -> bool:
    if name in COMBINATIONS:
        return COMBINATIONS[name]([holds(each, fields) for each in operand])
    return _field_holds(field_value(fields, name), operand)


def _field_holds(value: Any, operand: Any) -> bool:
    if not isinstance(operand, dict):
        return _same(value, operand)
    tests = cast("dict[str, Any]", operand)
    return all(
        not _field_holds(value, each) if name == "$not" else OPERATORS[name].holds(value, each)
        for name, each in tests.items()
    )
