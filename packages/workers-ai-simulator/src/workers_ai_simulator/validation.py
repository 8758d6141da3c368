"""Checks of model inputs by their schemas, with the errors of Workers AI's own validator."""

import base64
from collections.abc import Sequence
from typing import Any, cast

from workers_ai_simulator.errors import UpstreamError

INVALID_INPUT = 5006
"""Code of an input that the model's schema refuses."""


def invalid(reason: str) -> UpstreamError:
    """Error 5006: the inputs do not match the model's schema."""
    return UpstreamError(400, INVALID_INPUT, f"Error: {reason}")


def mismatch(path: str, value: object, expected: str) -> UpstreamError:
    """Error 5006: the value at the path is of another type than expected."""
    return invalid(f"Type mismatch of '{path}', '{_type(value)}' not in '{expected}'")


def required(inputs: dict[str, Any], *names: str, at: str = "/") -> None:
    """Check that the properties are there. Raises UpstreamError 5006 if any is missing or null."""
    missing = [name for name in names if inputs.get(name) is None]
    if missing:
        raise invalid(f"required properties at '{at}' are '{','.join(missing)}'")


def text_input(inputs: dict[str, Any], name: str, default: str | None = None, max_length: int | None = None) -> str:
    """The input of that name, a string that is not empty; the default if it is missing.

    Raises UpstreamError 5006 if it is missing without a default, no string, empty, or longer than `max_length`.
    """
    value = inputs.get(name)
    if value is None and default is not None:
        return default
    required(inputs, name)
    if not isinstance(value, str):
        raise mismatch(f"/{name}", value, "string")
    if not value:
        raise invalid(f"'/{name}' length must be >= 1")
    if max_length is not None and len(value) > max_length:
        raise invalid(f"'/{name}' length must be <= {max_length}")
    return value


def number_input(
    inputs: dict[str, Any], name: str, default: float | None, minimum: float | None = None, maximum: float | None = None
) -> float | None:
    """The input of that name, a number within its range; the default if it is missing.

    Raises UpstreamError 5006 for anything else.
    """
    value = inputs.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mismatch(f"/{name}", value, "number")
    if minimum is not None and value < minimum:
        raise invalid(f"'/{name}' must be >= {minimum}")
    if maximum is not None and value > maximum:
        raise invalid(f"'/{name}' must be <= {maximum}")
    return value


def choice_input(inputs: dict[str, Any], name: str, choices: Sequence[str]) -> str | None:
    """The input of that name, one of the choices; None if it is missing.

    Raises UpstreamError 5006 for anything else.
    """
    if inputs.get(name) is None:
        return None
    value = text_input(inputs, name)
    if value not in choices:
        raise invalid(f"enum {value} not in {','.join(choices)}")
    return value


def list_input(inputs: dict[str, Any], name: str) -> list[Any]:
    """The input of that name, a list that is not empty. Raises UpstreamError 5006 for anything else."""
    required(inputs, name)
    value: Any = inputs[name]
    if not isinstance(value, list):
        raise mismatch(f"/{name}", value, "array")
    if not value:
        raise invalid(f"required properties at '/' are '{name}'")  # upstream, an empty list counts as missing
    return cast("list[Any]", value)


def object_input(inputs: dict[str, Any], name: str, at: str = "") -> dict[str, Any]:
    """The object of that name; empty if it is missing. at: path of the inputs, for the error.

    Raises UpstreamError 5006 for anything else.
    """
    value: Any = inputs.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise mismatch(f"{at}/{name}", value, "object")
    return cast("dict[str, Any]", value)


def byte_input(value: object, path: str) -> bytes:
    """Bytes from bytes, or from an array of numbers from 0 to 255.

    Raises UpstreamError 5006 for anything else.
    """
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if not isinstance(value, list):
        raise mismatch(path, value, "array")
    numbers = cast("list[Any]", value)
    try:
        return bytes(numbers)
    except (TypeError, ValueError):
        place, wrong = next((i, n) for i, n in enumerate(numbers) if not isinstance(n, int) or not 0 <= n <= 255)
    if isinstance(wrong, int):
        raise invalid(f"'{path}/{place}' must be {'>= 0' if wrong < 0 else '<= 255'}")
    raise mismatch(f"{path}/{place}", wrong, "integer")


def base64_input(value: object, path: str) -> bytes:
    """Bytes from base64, or from a data URI.

    Raises UpstreamError 5006 if the value is no string, 5004 if it is no base64.
    """
    if not isinstance(value, str):
        raise mismatch(path, value, "string")
    content = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except ValueError:
        raise UpstreamError(400, 5004, f"Invalid base64 input in '{path}'") from None


def _type(value: object) -> str:
    names: list[tuple[type, str]] = [(dict, "object"), (list, "array"), (str, "string"), (bool, "boolean")]
    if value is None:
        return "null"
    return next((name for kind, name in names if isinstance(value, kind)), "number")
