"""Reads the tool calls in a model's answer as they come: whole or in pieces, with or without ids and indexes."""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

Json = dict[str, Any]

EMPTY_ARGUMENTS = ("", "{}", "null")
"""Arguments that say nothing; some models send them first and the real ones later."""
STRUCTURE = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
"""Marks on which the end of a JSON text depends: brackets, quotation marks, and characters after a backslash."""


@dataclass(frozen=True)
class CallPart:
    """A part of a tool call: its beginning, if it has a name, or a piece of its arguments."""

    index: int
    """Number of the call in the answer, from 0."""
    id: str = ""
    name: str = ""
    arguments: str = ""
    """A piece of a JSON object as text."""


class JsonEnd:
    """Finds the end of a JSON object or list that comes in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_in_string = False
        self._backslash = ""
        self.is_reached = False

    def feed(self, piece: str) -> str:
        """Add a piece; return it, cut at the end of the JSON text."""
        text = self._backslash + piece
        is_cut_in_escape = (len(text) - len(text.rstrip("\\"))) % 2 == 1
        for match in STRUCTURE.finditer(text, 0, len(text) - is_cut_in_escape):
            if self._is_at_end(match[0]):
                self.is_reached = True
                return piece[: match.end() - len(self._backslash)]
        self._backslash = "\\" if is_cut_in_escape else ""
        return piece

    def _is_at_end(self, mark: str) -> bool:
        if mark == '"':
            self._is_in_string = not self._is_in_string
        elif not self._is_in_string:
            self._depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(mark, 0)
            return self._depth <= 0
        return False


@dataclass
class _Call:
    """A call that has begun, as the model describes it."""

    number: int
    name: str
    id: str
    """The model's own id; empty without one."""
    place: int | None
    """The model's own index."""
    frame: int
    """Number of the frame that has named it last."""
    is_dropped: bool = False
    arguments: str = ""
    end: JsonEnd = field(default_factory=JsonEnd)

    def repeats(self, piece: str) -> bool:
        """Tell whether the piece repeats the call's complete arguments."""
        try:
            return piece.strip() in EMPTY_ARGUMENTS or json.loads(piece) == json.loads(self.arguments)
        except (ValueError, RecursionError):
            return False


class ToolCallReader:
    """Reads the items of `tool_calls`, in either dialect, frame by frame.

    An item with a name begins a new call, unless its id or its index is that of a call of the same name whose arguments
    are incomplete: then it continues that call. An item without a name continues a call that has begun.
    """

    def __init__(self, answer_id: str, *, is_single: bool = False, known_ids: Collection[str] = ()) -> None:
        """
        answer_id: unique to the answer; ids that are missing, or not unique, are made from it.
        is_single: leave out all calls but the first.
        known_ids: ids of earlier calls of the conversation, which no call of this answer may have.
        """
        self._answer_id = answer_id.rpartition("-")[2].rpartition("_")[2]
        self._is_single = is_single
        self._ids = set(known_ids)
        self._calls: list[_Call] = []
        self._frames = 0

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    def read(self, items: list[Json]) -> Iterator[CallPart]:
        """Yield the parts of calls in one frame's items, or in those of a whole answer."""
        self._frames += 1
        for number, item in enumerate(items):
            function = _dict(item.get("function")) or item
            name, piece = function.get("name"), _arguments(function)
            if isinstance(name, str) and name:
                call = self._named(item, name, piece)
                if call is None:
                    call = self._add(item, name)
                    if not call.is_dropped:
                        yield CallPart(call.number, self._unique_id(call), name)
                call.frame = self._frames
            else:
                call = self._continued(item, number if len(items) > 1 else None)
            if call and (text := self._feed(call, piece)):
                yield CallPart(call.number, arguments=text)

    def finish(self) -> Iterator[CallPart]:
        """Yield the arguments of calls that have got none: an empty object."""
        for call in self._calls:
            if not call.arguments and not call.is_dropped:
                yield CallPart(call.number, arguments="{}")

    def _named(self, item: Json, name: str, piece: str) -> _Call | None:
        """Return the call that a named item continues or repeats; None for a new one."""
        call_id, place = _id(item), _place(item)
        for call in reversed(self._calls):
            is_other = call.name != name or call.frame == self._frames
            if is_other or (place is not None and call.place not in (None, place)):
                continue
            if call_id and call.id and call.id != call_id:
                continue
            is_same = (call_id and call.id == call_id) or (place is not None and call.place == place)
            if is_same and (not call.end.is_reached or (call_id and call.repeats(piece))):
                return call
        return None

    def _continued(self, item: Json, number: int | None) -> _Call | None:
        """Return the call that an item without a name continues. number: position of the item among several."""
        call_id, place = _id(item), _place(item)
        by_id = [call for call in self._calls if call_id and call.id == call_id]
        by_place = [call for call in self._calls if place is not None and call.place == place]
        if by_id or by_place:
            return (by_id or by_place)[-1]
        without_place = self._calls if place is None else [call for call in self._calls if call.place is None]
        if number is not None and number < len(without_place):
            return without_place[number]
        return without_place[-1] if without_place else None

    def _add(self, item: Json, name: str) -> _Call:
        number = len(self._calls)
        call = _Call(number, name, _id(item), _place(item), self._frames, self._is_single and number > 0)
        self._calls.append(call)
        return call

    def _unique_id(self, call: _Call) -> str:
        call_id = call.id
        made = call.number
        while not call_id or call_id in self._ids:
            call_id = f"call_{self._answer_id}{made}"
            made += 1
        self._ids.add(call_id)
        return call_id

    def _feed(self, call: _Call, piece: str) -> str:
        if call.is_dropped or call.end.is_reached or (not call.arguments and piece.strip() in EMPTY_ARGUMENTS):
            return ""
        text = call.end.feed(piece)
        call.arguments += text
        return text


def _arguments(function: Json) -> str:
    """Return the arguments as text; native models send an object where OpenAI's dialect has its JSON text."""
    value = function["arguments"] if "arguments" in function else function.get("parameters")
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _id(item: Json) -> str:
    value = item.get("id")
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _place(item: Json) -> int | None:
    value = item.get("index")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _dict(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
