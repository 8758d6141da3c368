"""Faults that a test sets: the next answers fail, come late, break off, or hang until the faults are cleared."""

import asyncio
import json
import math
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Annotated, Any, Literal, cast, get_args, get_type_hints

from workers_ai_simulator.traffic.journal import Entry

Binding = Literal["AI", "VECTORIZE", "AI_GATEWAY", "AI_SEARCH"]
BINDINGS: tuple[str, ...] = get_args(Binding)


@dataclass(frozen=True)
class About:
    """Description of a part of a fault, and the range of its numbers, bounds included."""

    text: str
    minimum: float = -math.inf
    maximum: float = math.inf
    excluded: tuple[int, ...] = ()
    """Numbers of the range that are refused."""
    has_effect: bool = False
    """Whether the field changes an answer by itself, without any other field."""
    alias: str | None = None
    """Shorter name on the command line."""


@dataclass(kw_only=True)
class Fault:
    """Effects on the requests that match.

    The HTTP API, the command line and the client take their parameters, checks and help from these fields.
    """

    binding: Annotated[Binding | None, About("only requests of this service")] = None
    operation: Annotated[str | None, About("only requests of this operation: run, query, upsert and so on")] = None
    model: Annotated[str | None, About("only requests of this model")] = None
    count: Annotated[int | None, About("number of requests to apply to; none: all, until cleared", 1)] = 1
    probability: Annotated[float, About("chance that a matching request is hit; those spared do not count", 0, 1)] = 1
    seed: Annotated[int | None, About("seed of the random numbers: the same seed hits the same requests")] = None
    delay: Annotated[float, About("seconds until the answer begins", 0, 3600, has_effect=True)] = 0
    # 1xx are not final, 204 and 304 have no body
    status: Annotated[
        int | None,
        About("HTTP status of the answer; takes precedence over an empty body", 200, 599, (204, 304), has_effect=True),
    ] = None
    code: Annotated[int, About("internal code in the answer with that status")] = 0
    description: Annotated[str, About("sentence in the answer with that status")] = "Simulated fault"
    empty_body: Annotated[bool, About("answer with status 200 and no body", has_effect=True)] = False
    hold_response: Annotated[
        bool, About("do not answer until the faults are cleared", has_effect=True, alias="hold")
    ] = False
    hold_after_frames: Annotated[
        int | None, About("pause the stream after so many frames until the faults are cleared", 0, has_effect=True)
    ] = None
    cut_after_frames: Annotated[
        int | None, About("break the connection after so many frames of the stream", 0, has_effect=True)
    ] = None
    end_after_frames: Annotated[
        int | None, About("end the stream after so many frames, as if it were complete", 0, has_effect=True)
    ] = None
    broken_frame: Annotated[
        int | None, About("cut the frame of this number, from 0, in half, so that it is no JSON", 0, has_effect=True)
    ] = None
    tokens_per_second: Annotated[
        float | None, About("pace of the stream instead of the simulator's; 0: at once", 0, 1_000_000, has_effect=True)
    ] = None

    def __post_init__(self) -> None:
        self.id = 0
        self.applied = 0
        """Number of requests that it has been applied to."""
        self.released = asyncio.Event()
        self._random = random.Random(self.seed)

    @property
    def remaining(self) -> int | None:
        """Number of requests that it will still be applied to; None for all."""
        return None if self.count is None else self.count - self.applied

    @property
    def acts_on_frames(self) -> bool:
        """Whether the fault applies to single frames of a stream, which then have to be counted."""
        parts = (self.hold_after_frames, self.cut_after_frames, self.end_after_frames, self.broken_frame)
        return any(part is not None for part in parts)

    def hits(self, entry: Entry) -> bool:
        """Whether the request matches, the fault is not used up, and chance selects the request."""
        criteria = (self.binding, self.operation, self.model)
        values = (entry.binding, entry.operation, entry.model)
        if self.remaining == 0 or any(each not in (None, value) for each, value in zip(criteria, values, strict=True)):
            return False
        return self.probability >= 1 or self._random.random() < self.probability

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "applied": self.applied, "remaining": self.remaining, **asdict(self)}


class FaultError(ValueError):
    """An invalid fault. `part` names the wrong part, None the whole; `allowed` describes the valid values."""

    def __init__(self, part: str | None, message: str, allowed: str) -> None:
        super().__init__(message)
        self.part = part
        self.allowed = allowed


@dataclass(frozen=True)
class Part:
    """A field of `Fault`, with the facts by which it is read from JSON and from the command line."""

    name: str
    kind: type
    choices: tuple[str, ...]
    optional: bool
    default: Any
    about: About

    @property
    def allowed(self) -> str:
        """Valid values in words, such as "a whole number from 200 to 599, or null"."""
        minimum, maximum = self.about.minimum, self.about.maximum
        bounds = {
            (False, False): "",
            (True, False): f" of at least {minimum:g}",
            (True, True): f" from {minimum:g} to {maximum:.0f}",
        }[math.isfinite(minimum), math.isfinite(maximum)]
        bounds += f" without {' and '.join(map(str, self.about.excluded))}" if self.about.excluded else ""
        choice = f"one of {', '.join(self.choices)}" if self.choices else f"{KINDS[self.kind]}{bounds}"
        return f"{choice}, or null" if self.optional else choice

    def allows(self, value: object) -> bool:
        """Whether the value, from JSON, is valid."""
        if value is None:
            return self.optional
        if self.choices:
            return value in self.choices
        if self.kind in (int, float):
            # True is an int in Python, but no number in JSON
            is_number = type(value) is int or (type(value) is float and self.kind is float)
            about = self.about
            return is_number and about.minimum <= cast("float", value) <= about.maximum and value not in about.excluded
        return type(value) is self.kind


KINDS: dict[type, str] = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def _parts() -> Iterator[Part]:
    hints = get_type_hints(Fault, include_extras=True)
    for field in fields(Fault):
        hint, about = get_args(hints[field.name])
        kinds = get_args(hint) or (hint,)
        kind = next(kind for kind in kinds if kind is not NoneType)
        choices = get_args(kind)
        yield Part(field.name, str if choices else kind, choices, NoneType in kinds, field.default, about)


PARTS = {part.name: part for part in _parts()}


def read(value: object) -> Fault:
    """Read a fault from JSON. Raises FaultError for an unknown part, an invalid value, or a fault without effect."""
    if not isinstance(value, dict):
        raise FaultError(None, "a fault must be a JSON object", "an object")
    parts = cast("dict[str, Any]", value)
    for name, each in parts.items():
        if name not in PARTS:
            raise FaultError(name, f"{name} is no part of a fault; the parts are {', '.join(PARTS)}", ", ".join(PARTS))
        allowed = PARTS[name].allowed
        if not PARTS[name].allows(each):
            raise FaultError(name, f"{name} must be {allowed}, not {json.dumps(each)[:80]}", allowed)
    effects = [name for name, part in PARTS.items() if part.about.has_effect]
    if all(parts.get(name, PARTS[name].default) == PARTS[name].default for name in effects):
        allowed = f"at least one of {', '.join(effects)}"
        raise FaultError(None, f"the fault has no effect: set {allowed}", allowed)
    return Fault(**parts)


class Faults:
    """Faults set since they were last cleared, also those that are used up."""

    def __init__(self) -> None:
        self._set: list[Fault] = []
        self._last_id = 0

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._set)

    def add(self, fault: Fault) -> None:
        self._last_id += 1
        fault.id = self._last_id
        self._set.append(fault)

    def take(self, entry: Entry) -> Fault | None:
        """The first fault that hits the request, counted as applied; None if none does."""
        fault = next((each for each in self._set if each.hits(entry)), None)
        if fault:
            fault.applied += 1
        return fault

    def clear(self) -> None:
        """Delete all faults, and release the answers that they hold."""
        for fault in self._set:
            fault.released.set()
        self._set.clear()
