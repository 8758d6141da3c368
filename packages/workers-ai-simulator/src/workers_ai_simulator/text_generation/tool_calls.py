"""Tool calls that a message asks for, by the words that it shares with the tools."""

import hashlib
import re
from typing import Any, cast

from workers_ai_simulator.embeddings.lexical import STOP_WORDS, words
from workers_ai_simulator.text_generation.conversation import Conversation, Tool, ToolCall
from workers_ai_simulator.text_generation.facts import MAX_CHARACTERS, Facts, key_words, root
from workers_ai_simulator.text_generation.schema_check import UnsatisfiableError
from workers_ai_simulator.text_generation.schema_instance import instance

NAME_WEIGHT, PARAMETER_WEIGHT, DESCRIPTION_WEIGHT = 3, 1, 1
"""Score of a stem that the message shares with a part of the tool."""
MIN_RELATIVE_SCORE = 0.75
"""Share of the best score from which another tool is called as well, if the message has a word of its name."""
MAX_CALLS = 8

COMMON_WORDS = (
    "about call current find function get give hello help hi information know like look make need new now please "
    "provide request result return show specific tell thing tool use user using value want given"
)
FILLERS = frozenset(map(root, COMMON_WORDS.split()))
"""Stems of words that many tools have in their descriptions."""


def tool_calls(conversation: Conversation) -> list[ToolCall]:
    """Calls that answer the conversation; empty if a text answers it.

    Raises UnsatisfiableError if no arguments are found that fit the schema of a tool that must be called.
    """
    message = conversation.last_user[:MAX_CHARACTERS]
    return [
        ToolCall(_call_id(message, tool.name, number), tool.name, arguments)
        for number, (tool, arguments) in enumerate(
            (tool, arguments)
            for tool in _chosen_tools(conversation, message)
            for arguments in _arguments(conversation, tool, message)
        )
        if number < (MAX_CALLS if conversation.parallel else 1)
    ]


def _chosen_tools(conversation: Conversation, message: str) -> list[Tool]:
    tools, choice = conversation.tools, conversation.tool_choice
    if not tools or choice == "none":
        return []
    if choice not in ("auto", "required"):
        return [tool for tool in tools if tool.name == choice][:1]
    if choice == "auto" and conversation.messages[-1].role in ("tool", "function"):
        return []
    stems = {root(word) for word in words(message) if word not in STOP_WORDS} - FILLERS
    scores = [_score(tool, stems) for tool in tools]
    best = max(score for score, _ in scores)
    if not best:
        return tools[:1] if choice == "required" else []
    first = next(tool for tool, (score, _) in zip(tools, scores, strict=True) if score == best)
    close = [
        tool for tool, (score, named) in zip(tools, scores, strict=True) if named and score >= MIN_RELATIVE_SCORE * best
    ]
    return close if first in close else [first]


def _score(tool: Tool, stems: set[str]) -> tuple[int, bool]:
    """Score of the stems that the tool shares with the message, and whether one is of its name."""
    properties = cast("dict[str, Any]", tool.parameters.get("properties") or {})
    names = {root(word) for word in key_words(tool.name)}
    parameters = {root(word) for name, schema in properties.items() for word in (*key_words(name), *_values(schema))}
    description = {root(word) for word in words(tool.description)}
    score = NAME_WEIGHT * len(names & stems) + PARAMETER_WEIGHT * len(parameters & stems)
    return score + DESCRIPTION_WEIGHT * len(description & stems), bool(names & stems)


def _values(schema: Any) -> list[str]:
    """Words of the values in a property's `enum`."""
    values: Any = cast("dict[str, Any]", schema).get("enum", []) if isinstance(schema, dict) else []
    return [word for each in values for word in words(str(each))]


def _arguments(conversation: Conversation, tool: Tool, message: str) -> list[dict[str, Any]]:
    """Arguments of each call of a tool: several calls if the message lists values for its only text parameter."""
    values = Facts(message).listed() if conversation.parallel and _has_one_text_parameter(tool) else []
    texts = [_with_one_value(message, value, values) for value in values] or [message]
    try:
        return [
            instance({"type": "object", **tool.parameters}, each, default_text=_default_text(each)) for each in texts
        ]
    except UnsatisfiableError:
        if conversation.tool_choice == "auto":
            return []
        raise


def _has_one_text_parameter(tool: Tool) -> bool:
    properties = cast("dict[str, Any]", tool.parameters.get("properties") or {})
    required = cast("list[str]", tool.parameters.get("required") or list(properties))
    schemas = {name: cast("dict[str, Any]", each) for name, each in properties.items() if isinstance(each, dict)}
    free = [name for name in required if schemas.get(name, {}).get("type") == "string" and "enum" not in schemas[name]]
    lists = [name for name, schema in schemas.items() if schema.get("type") == "array"]
    return len(free) == 1 and not lists


def _with_one_value(message: str, value: str, values: list[str]) -> str:
    """The message with only one of the values that it lists."""
    for other in values:
        if other != value:
            message = re.sub(rf"[\"“«'\u2018]?{re.escape(other)}[\"”»'\u2019]?", " ", message)
    return message


def _default_text(message: str) -> str:
    """Value of a text parameter for which the message has none: the message itself."""
    return " ".join(message.split())[:200] or "simulated"


def _call_id(message: str, name: str, number: int) -> str:
    return f"chatcmpl-tool-{hashlib.sha256(repr((message, name, number)).encode()).hexdigest()[:32]}"
