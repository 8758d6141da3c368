"""Compares the answers of the simulator with the service's, call by call."""

import asyncio
import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from workers_ai_simulator.conform import shapes
from workers_ai_simulator.conform.corpus import Case
from workers_ai_simulator.conform.shapes import MISSING, Shape
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.tape.models import RecordedAnswer
from workers_ai_simulator.tape.service import Service

AT_ONCE = 4
"""Maximum number of calls made at the same time."""
FRAMES = "frames["
FIRST_AND_LAST = ("first frame", "last frame")
PARTS = ("HTTP status", "content type", "body", "body text", "media format", "stream end")
"""Parts of an answer that are not fields of its body."""


class Difference(NamedTuple):
    """A field whose kinds differ between the simulator's answer and the service's."""

    field: str
    simulator: str
    service: str


@dataclass(frozen=True)
class Comparison:
    """Result of one call."""

    model: str
    call: str
    """Name of the call in the corpus, or its file on the tape."""
    differences: list[Difference] = field(default_factory=list[Difference])
    failure: str = ""
    """Why the call was not compared; else empty."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"differences": [each._asdict() for each in self.differences]}


def chosen(cases: Iterable[Case], models: Sequence[str]) -> list[Case]:
    """The calls of these models, whose names may have `*`; of all if there are none."""
    return [each for each in cases if not models or any(fnmatch.fnmatchcase(each.call.model, name) for name in models)]


async def compare_all(cases: Sequence[Case], simulator: Service, service: Service | None) -> list[Comparison]:
    """Make each call of the simulator, and of the service where the case has no recorded answer."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> Comparison:
        async with turns:
            return await _compare(case, simulator, service)

    return list(await asyncio.gather(*map(one, cases)))


async def _compare(case: Case, simulator: Service, service: Service | None) -> Comparison:
    try:
        ours = await _answered(simulator, case)
        if case.recorded:
            theirs = _shape(case.recorded)
        else:
            assert service
            theirs = await _answered(service, case)
    except (UpstreamError, ConnectionAbortedError) as error:
        return Comparison(case.call.model, case.name, failure=str(error))
    return Comparison(case.call.model, case.name, differences(ours, theirs))


async def _answered(service: Service, case: Case) -> Shape:
    response = await service.ask(case.call)
    answer = RecordedAnswer(response.status, response.content_type, 0)
    if response.is_stream:
        frames = [each.text async for each in response.frames()]
        return _about(answer) | shapes.of_frames(frames)
    if response.is_text:
        return _about(answer) | shapes.of_json(await response.text())
    return _about(answer) | shapes.of_media(b"".join([each async for each in response.chunks()]))


def _shape(answer: RecordedAnswer) -> Shape:
    """Shape of an answer on a tape."""
    if answer.frames is not None:
        return _about(answer) | shapes.of_frames([each.text for each in answer.frames])
    if answer.media:
        return _about(answer) | shapes.of_media(answer.media())
    return _about(answer) | shapes.of_json(answer.text or "")


def _about(answer: RecordedAnswer) -> Shape:
    media_type = answer.content_type.partition(";")[0].strip().lower()
    return {"HTTP status": frozenset({str(answer.status)}), "content type": frozenset({media_type or "none"})}


def differences(simulator: Shape, service: Shape) -> list[Difference]:
    """Fields that differ. If an object or a list itself differs, its fields are not listed."""
    missing = frozenset({MISSING})
    pairs = {
        name: (simulator.get(name, missing), service.get(name, missing))
        for name in dict.fromkeys((*service, *simulator))
    }
    differing = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    named = [name for name in differing if not any(each in differing for each in _holders(name))]
    # the first and the last frame count for their types, too
    in_frames = {_in_frame(name) for name in named if name.startswith(FRAMES)}
    return [
        Difference(name, *(" or ".join(sorted(each)) for each in differing[name]))
        for name in named
        if not (name.startswith(FIRST_AND_LAST) and _in_frame(name) in in_frames)
    ]


def _holders(name: str) -> list[str]:
    """The objects and lists that contain a field: for `a/b[]/c`, they are the body, `a`, `a/b` and `a/b[]`."""
    ends = [place for place in range(len(name)) if name[place] == "/" or name.startswith("[]", place)]
    return [] if name in PARTS else ["body", *(name[:end] for end in ends)]


def _in_frame(name: str) -> str:
    """Name of a field within its frame."""
    start = name.index("]") if name.startswith(FRAMES) else 0
    return name[start:].partition("/")[2]
