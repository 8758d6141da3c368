"""Faults that a test sets: the next answers fail, come late, break off, or stop where they are until released."""

import asyncio
import json
import math
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Annotated, Any, Literal, cast, get_args, get_type_hints

from workers_ai_simulator.traffic.journal import Entry

Binding = Literal["AI", "VECTORIZE", "AI_GATEWAY"]
BINDINGS: tuple[str, ...] = get_args(Binding)


@dataclass(frozen=True)
class About:
    """What people are told of a part of a fault, and the range of its numbers, ends included."""

    text: str
    least: float = -math.inf
    most: float = math.inf
    never: tuple[int, ...] = ()
    """Numbers of the range that are refused."""
    effect: bool = False
    """Whether it does something to an answer by itself."""
    also: str | None = None
    """A shorter name on the command line."""


@dataclass(kw_only=True)
class Fault:
    """What shall happen to the requests that match.

    The API, the command line and the client all take their arguments, their checks and their help from these fields.
    """

    binding: Annotated[Binding | None, About("befall calls of this service only")] = None
    operation: Annotated[str | None, About("befall this operation only: run, query, upsert and so on")] = None
    model: Annotated[str | None, About("befall calls of this model only")] = None
    count: Annotated[int | None, About("requests it befalls until it is used up; none: until cleared", 1)] = 1
    probability: Annotated[float, About("of befalling a request that matches; the spared do not count", 0, 1)] = 1
    seed: Annotated[int | None, About("of the random numbers: the same seed befalls the same requests")] = None
    delay: Annotated[float, About("seconds until the answer begins", 0, 3600, effect=True)] = 0
    # 1xx ends no answer, and the other two have no body
    status: Annotated[
        int | None, About("answer with this HTTP status, goes before an empty body", 200, 599, (204, 304), effect=True)
    ] = None
    code: Annotated[int, About("internal code of the answer with that status")] = 0
    description: Annotated[str, About("sentence of the answer with that status")] = "Simulated fault"
    empty_body: Annotated[bool, About("answer with status 200 and no body", effect=True)] = False
    hold_response: Annotated[bool, About("do not answer until the faults are cleared", effect=True, also="hold")] = (
        False
    )
    hold_after_frames: Annotated[
        int | None, About("stop the stream after so many frames until the faults are cleared", 0, effect=True)
    ] = None
    cut_after_frames: Annotated[
        int | None, About("break the connection after so many frames of the stream", 0, effect=True)
    ] = None
    end_after_frames: Annotated[
        int | None, About("end the stream after so many frames as if that were all", 0, effect=True)
    ] = None
    broken_frame: Annotated[
        int | None, About("cut the stream's frame of this number, from 0, in half: no JSON any more", 0, effect=True)
    ] = None
    tokens_per_second: Annotated[
        float | None, About("pace of the stream instead of the simulator's; 0: at once", 0, 1_000_000, effect=True)
    ] = None

    def __post_init__(self) -> None:
        self.id = 0
        self.befallen = 0
        """Requests so far."""
        self.released = asyncio.Event()
        self._random = random.Random(self.seed)

    @property
    def remaining(self) -> int | None:
        """Requests it will still befall; None for all."""
        return None if self.count is None else self.count - self.befallen

    def befalls(self, entry: Entry) -> bool:
        """Whether this request is one of those meant, and its turn to be hit."""
        wanted = (self.binding, self.operation, self.model)
        found = (entry.binding, entry.operation, entry.model)
        if self.remaining == 0 or any(want not in (None, have) for want, have in zip(wanted, found, strict=True)):
            return False
        return self.probability >= 1 or self._random.random() < self.probability

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "befallen": self.befallen, "remaining": self.remaining, **asdict(self)}


class FaultError(ValueError):
    """No such fault can be set. `part` is the wrong one, None for the whole; `allowed` says what may be given."""

    def __init__(self, part: str | None, message: str, allowed: str) -> None:
        super().__init__(message)
        self.part = part
        self.allowed = allowed


@dataclass(frozen=True)
class Part:
    """A field of `Fault`, as those see it who read one from JSON or from a command line."""

    name: str
    kind: type
    choices: tuple[str, ...]
    optional: bool
    default: Any
    about: About

    @property
    def allowed(self) -> str:
        """In words: "a whole number from 200 to 599, or null"."""
        least, most = self.about.least, self.about.most
        bounds = {
            (False, False): "",
            (True, False): f" of at least {least:g}",
            (True, True): f" from {least:g} to {most:.0f}",
        }[math.isfinite(least), math.isfinite(most)]
        bounds += f" without {' and '.join(map(str, self.about.never))}" if self.about.never else ""
        choice = f"one of {', '.join(self.choices)}" if self.choices else f"{KINDS[self.kind]}{bounds}"
        return f"{choice}, or null" if self.optional else choice

    def admits(self, value: object) -> bool:
        if value is None:
            return self.optional
        if self.choices:
            return value in self.choices
        if self.kind in (int, float):
            # True is an int to Python, and no number to JSON
            numeric = type(value) is int or (type(value) is float and self.kind is float)
            about = self.about
            return numeric and about.least <= cast("float", value) <= about.most and value not in about.never
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


def read(said: object) -> Fault:
    """The fault of that JSON. Raises FaultError for an unknown part, a wrong value, and a fault without effect."""
    if not isinstance(said, dict):
        raise FaultError(None, "a fault must be a JSON object", "an object")
    parts = cast("dict[str, Any]", said)
    for name, value in parts.items():
        if name not in PARTS:
            raise FaultError(name, f"{name} is no part of a fault, which are {', '.join(PARTS)}", ", ".join(PARTS))
        allowed = PARTS[name].allowed
        if not PARTS[name].admits(value):
            raise FaultError(name, f"{name} must be {allowed}, not {json.dumps(value)[:80]}", allowed)
    effects = [name for name, part in PARTS.items() if part.about.effect]
    if all(parts.get(name, PARTS[name].default) == PARTS[name].default for name in effects):
        allowed = f"at least one of {', '.join(effects)}"
        raise FaultError(None, f"a fault without effect: give {allowed}", allowed)
    return Fault(**parts)


class Faults:
    """All faults that have been set since they were last cleared, the used up as well."""

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
        """The first fault set that befalls that request, if one does; it counts as used."""
        fault = next((each for each in self._set if each.befalls(entry)), None)
        if fault:
            fault.befallen += 1
        return fault

    def clear(self) -> None:
        """Forget all faults and let go of what they hold."""
        for fault in self._set:
            fault.released.set()
        self._set.clear()
