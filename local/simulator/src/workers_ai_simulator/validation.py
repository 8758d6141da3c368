"""Inputs as the models' schemas take them, refused in the words of Workers AI's own validator."""

from typing import Any

from workers_ai_simulator.errors import UpstreamError


def invalid(reason: str) -> UpstreamError:
    return UpstreamError(400, 5006, f"Error: {reason}")


def mismatch(path: str, value: object, expected: str) -> UpstreamError:
    return invalid(f"Type mismatch of '{path}', '{_type(value)}' not in '{expected}'")


def required(inputs: dict[str, Any], *names: str, at: str = "/") -> None:
    """Raises UpstreamError 5006 if one of the properties is missing."""
    missing = [name for name in names if inputs.get(name) is None]
    if missing:
        raise invalid(f"required properties at '{at}' are '{','.join(missing)}'")


def text_input(inputs: dict[str, Any], name: str, default: str | None = None, longest: int | None = None) -> str:
    """The string of that name, not empty.

    Raises UpstreamError 5006 if it is missing (without a default), no string, empty, or longer than `longest`.
    """
    value = inputs.get(name)
    if value is None and default is not None:
        return default
    required(inputs, name)
    if not isinstance(value, str):
        raise mismatch(f"/{name}", value, "string")
    if not value:
        raise invalid(f"'/{name}' length must be >= 1")
    if longest is not None and len(value) > longest:
        raise invalid(f"'/{name}' length must be <= {longest}")
    return value


def number_input(
    inputs: dict[str, Any], name: str, default: float | None, least: float | None = None, most: float | None = None
) -> float | None:
    """The number of that name, within its range; the default if it is missing.

    Raises UpstreamError 5006 otherwise.
    """
    value = inputs.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mismatch(f"/{name}", value, "number")
    if least is not None and value < least:
        raise invalid(f"'/{name}' must be >= {least}")
    if most is not None and value > most:
        raise invalid(f"'/{name}' must be <= {most}")
    return value


def _type(value: object) -> str:
    names: list[tuple[type, str]] = [(dict, "object"), (list, "array"), (str, "string"), (bool, "boolean")]
    if value is None:
        return "null"
    return next((name for kind, name in names if isinstance(value, kind)), "number")
