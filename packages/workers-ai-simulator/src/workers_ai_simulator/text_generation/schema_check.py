"""JSON Schema: a document with a schema, against which values are validated with the library jsonschema."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import date, datetime, time
from typing import Any, Protocol, cast

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import UnknownType
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

Schema = dict[str, Any]

KEYWORDS = Draft202012Validator.VALIDATORS.keys()
"""Keywords that restrict values."""


class UnsatisfiableError(Exception):
    """No value was found that fits the schema; the message says where."""


MAX_CHECKS = 30_000
"""Subschemas visited in all checks of one document: alternatives that refer to each other can need any number."""
NESTING_KEYWORDS = (
    "$dynamicRef", "$ref", "additionalProperties", "allOf", "anyOf", "contains", "dependentSchemas", "if", "items",
    "not", "oneOf", "patternProperties", "prefixItems", "properties", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
"""Keywords that apply other schemas."""


class _TooManyChecksError(Exception):
    """A document needs more than MAX_CHECKS checks."""


class _Budget:
    """Checks that are left for a document."""

    def __init__(self) -> None:
        self._left = MAX_CHECKS

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooManyChecksError


_BUDGET: ContextVar[_Budget] = ContextVar("budget")
"""Budget of the document that is being checked."""

Check = Callable[[Any, Any, Any, Any], Iterable[Any] | None]
"""Check of one keyword by jsonschema: of the validator, the keyword's value, the instance and the schema."""


def _bounded(check: Check) -> Check:
    def bounded(validator: Any, value: Any, instance: Any, schema: Any) -> Iterable[Any] | None:
        _BUDGET.get().spend()
        return check(validator, value, instance, schema)

    return bounded


_BOUNDED_CLASSES: dict[type, type] = {}


def _bounded_class(schema: Any) -> Any:
    """Validator for the draft that the schema names, which spends the budget."""
    original = cast("Any", validator_for(schema, default=Draft202012Validator))
    if original not in _BOUNDED_CLASSES:
        checks = cast("dict[str, Check]", original.VALIDATORS)
        nesting = {name: _bounded(check) for name, check in checks.items() if name in NESTING_KEYWORDS}
        _BOUNDED_CLASSES[original] = cast("Any", validators).extend(original, nesting)
    return _BOUNDED_CLASSES[original]


def without_draft(schema: Any) -> Any:
    """The schema without `$schema` in any of its parts, for which jsonschema would choose a validator anew."""
    if isinstance(schema, dict):
        fields = cast("dict[str, Any]", schema)
        return {
            name: without_draft(each)
            for name, each in fields.items()
            if not (name == "$schema" and isinstance(each, str))
        }
    if isinstance(schema, list):
        return [without_draft(each) for each in cast("list[Any]", schema)]
    return schema


class _Validator(Protocol):
    """The part of jsonschema's validators that is used here."""

    def evolve(self, *, schema: Any) -> "_Validator": ...

    def is_valid(self, instance: Any) -> bool: ...


class SchemaDocument:
    """A JSON Schema that is the target of its own `$ref`s. A schema without `$schema` is one of draft 2020-12.

    References to other documents are not followed: nothing is fetched.
    """

    def __init__(self, schema: Any, draft: Any = None) -> None:
        """`draft`: schema whose `$schema` names the draft, if it is not this."""
        validator = _bounded_class(schema if draft is None else draft)
        self._budget = _Budget()
        self._resolved: dict[str, Any] = {}
        # without a registry of its own, jsonschema would fetch the documents that references name
        registry: Registry[Any] = Registry()
        self._validator = cast("_Validator", validator(schema, registry=registry, format_checker=FORMATS))
        self._resolver = registry.resolver_with_root(DRAFT202012.create_resource(schema))

    def allows(self, value: Any, schema: Any) -> bool:
        """Whether the value fits the schema, which is a part of this document. False for endless references.

        Raises UnsatisfiableError for a reference that leads nowhere, and for a document that needs too many checks.
        """
        _BUDGET.set(self._budget)
        try:
            return self._validator.evolve(schema=schema).is_valid(value)
        except Unresolvable as error:
            raise UnsatisfiableError(f"$ref {error.ref}") from None
        except _TooManyChecksError:
            raise UnsatisfiableError("the schema needs too many checks") from None
        except (RecursionError, UnknownType, re.error):
            return False

    def resolve(self, reference: str) -> Any:
        """The schema that a `$ref` points to. Raises UnsatisfiableError if there is none."""
        try:
            if reference not in self._resolved:
                self._resolved[reference] = self._resolver.lookup(reference).contents
            return self._resolved[reference]
        except Unresolvable:
            raise UnsatisfiableError(f"$ref {reference}") from None


def is_one_of(value: Any, values: list[Any]) -> bool:
    """Whether JSON Schema takes the value for equal to one of the values: 1 equals 1.0, but not true."""
    schema = {"enum": values}
    return SchemaDocument(schema).allows(value, schema)


# ---- formats -------------------------------------------------------------------------------------------------------


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return check


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


_is_datetime = _parses(datetime.fromisoformat)

CHECKS: dict[str, Callable[[str], bool]] = {
    "date": _parses(date.fromisoformat),
    "time": _parses(time.fromisoformat),
    "date-time": lambda value: (
        "T" in value.upper() and bool(re.search(r"(?:Z|[+-]\d\d:\d\d)$", value)) and _is_datetime(value)
    ),
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "uri": _matches(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+"),
    "url": _matches(r"https?://[^\s]+"),
    "uuid": _matches(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "hostname": _matches(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}"),
    "duration": _matches(r"P(?=.)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?"),
}
"""Format → its check. Other formats are annotations only. jsonschema's own checks of some formats need a package each,
and pass every value without it."""


def _format_checker() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, check in CHECKS.items():
        checker.checks(name)(_of_strings(check))
    return checker


def _of_strings(check: Callable[[str], bool]) -> Callable[[object], bool]:
    """The check for values of any type: a format restricts strings only."""
    return lambda value: not isinstance(value, str) or check(value)


FORMATS = _format_checker()
