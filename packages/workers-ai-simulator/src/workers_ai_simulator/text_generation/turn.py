"""The last request of a conversation, and the tool calls that were made for it so far."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator import text
from workers_ai_simulator.http import json_value
from workers_ai_simulator.text_generation.conversation import Conversation, Message, ToolCall

RESULT_ROLES = ("tool", "function")
MAX_RESULT_LENGTH = 1000
"""Characters of a tool's result that are read."""

WRITTEN_CALLS = re.compile(r"\A\s*Calling tools:")
WRITTEN_NAME = re.compile(r"['\"]name['\"]:\s*['\"]([\w.-]{1,100})['\"]")
WRITTEN_RESULT = re.compile(r"\A\s*(?:Observation:|Call id: \S+\s+Error:)\s*")
WRITTEN_REQUEST = re.compile(r"\A\s*New task:\s*")
"""Calls, results and requests as smolagents writes them into plain messages of the assistant and the user."""
ERROR = re.compile(r"\b(?:errors?|exception|failed|invalid|retry|try again|traceback)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Result:
    """Result of a tool call."""

    tool: str | None
    """None if the conversation does not tell which tool's result it is."""
    text: str
    """The result on one line."""
    values: str
    """The result without the syntax of JSON, a line `name: value` for each value."""
    arguments: str = ""
    """Values of the call's arguments; empty if the conversation does not have the call."""

    @property
    def is_error(self) -> bool:
        return ERROR.search(self.text) is not None


@dataclass(frozen=True)
class Turn:
    """The last request of the user, and what came after it."""

    request: str
    calls: Counter[str]
    """Number of calls of each tool."""
    unnamed: int
    """Number of results of calls that the conversation does not contain."""
    results: list[Result]

    @property
    def has_begun(self) -> bool:
        """Whether a tool has been called for the request."""
        return bool(self.calls or self.results)

    def facts(self, tool: str | None = None) -> str:
        """The results of other tools, and the request, from which arguments and properties are taken."""
        return "\n".join([*(each.values for each in self.results if each.tool != tool), self.request])


def read(conversation: Conversation) -> Turn:
    """Read the last turn of the conversation."""
    messages = conversation.messages
    start = max((at for at, each in enumerate(messages) if _is_request(each)), default=-1)
    after = messages[start + 1 :]
    names = {call.id: call.name for each in messages for call in each.calls}
    arguments = {call.id: _arguments(call) for each in messages for call in each.calls}
    results = [_result(each, names, arguments) for each in after if _is_result(each)]
    called = Counter(name for each in after for name in _called(each))
    # a client may leave out the calls, and send their results only
    answered = Counter(each.tool for each in results if each.tool)
    unnamed = sum(each.tool is None for each in results)
    missing = max(0, unnamed - max(0, called.total() - answered.total()))
    request = WRITTEN_REQUEST.sub("", messages[start].text, count=1) if start >= 0 else ""
    return Turn(request, called | answered, missing, results)


def _is_request(message: Message) -> bool:
    return message.role == "user" and not WRITTEN_RESULT.match(message.text)


def _is_result(message: Message) -> bool:
    return message.role in RESULT_ROLES or (message.role == "user" and bool(WRITTEN_RESULT.match(message.text)))


def _arguments(call: ToolCall) -> str:
    """Values of the arguments, for people."""
    values = call.arguments
    if isinstance(values, str):
        try:
            values = json_value(values)
        except ValueError:
            return text.shortened(str(values))
    listed: list[Any] = [*cast("dict[str, Any]", values).values()] if isinstance(values, dict) else []
    return text.shortened(", ".join(str(each) for each in listed if isinstance(each, str | int | float)))


def _result(message: Message, names: dict[str, str], arguments: dict[str, str]) -> Result:
    name = message.name or names.get(message.call_id or "")
    content = WRITTEN_RESULT.sub("", message.text, count=1) if message.role == "user" else message.text
    short, values = text.shortened(content, MAX_RESULT_LENGTH), _values(content)[:MAX_RESULT_LENGTH]
    return Result(name, short, values, arguments.get(message.call_id or "", ""))


def _values(content: str) -> str:
    try:
        return "\n".join(_lines("", json_value(content)))
    except ValueError:
        return content


def _lines(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in cast("dict[str, Any]", value).items():
            yield from _lines(key, each)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _lines(name, each)
    elif value is not None:
        yield f"{name}: {value}" if name else str(value)


def _called(message: Message) -> list[str]:
    """Names of the tools that a message of the assistant calls."""
    if message.calls:
        return [call.name for call in message.calls]
    if message.role == "assistant" and WRITTEN_CALLS.match(message.text):
        return WRITTEN_NAME.findall(message.text)
    return []
