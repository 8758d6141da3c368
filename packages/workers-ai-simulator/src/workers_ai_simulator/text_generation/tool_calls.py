"""Which tools a message asks for, and with what: by the words that they share."""

import hashlib
import re
from typing import Any, cast

from workers_ai_simulator.embeddings.lexical import STOP_WORDS, words
from workers_ai_simulator.text_generation.conversation import Conversation, Tool, ToolCall
from workers_ai_simulator.text_generation.facts import MOST_READ, Facts, key_words, root
from workers_ai_simulator.text_generation.schema_check import Unsatisfiable
from workers_ai_simulator.text_generation.schema_instance import instance

IN_NAME, IN_PARAMETERS, IN_DESCRIPTION = 3, 1, 1
"""What a shared stem counts, by where the tool has it."""
CLOSE_TO_BEST = 0.75
"""Another tool is called as well if it scores so much of what the best one does, and its name is in the message."""
MOST_CALLS = 8

COMMON_WORDS = (
    "about call current find function get give hello help hi information know like look make need new now please "
    "provide request result return show specific tell thing tool use user using value want given"
)
FILLERS = frozenset(map(root, COMMON_WORDS.split()))
"""Words that half of all tools have in their descriptions."""


def wanted(conversation: Conversation) -> list[ToolCall]:
    """The calls with which to answer; none to answer with a text.

    Raises Unsatisfiable if arguments that fit a forced tool's schema are not found.
    """
    said = conversation.last_user[:MOST_READ]
    return [
        ToolCall(_id(said, tool.name, number), tool.name, arguments)
        for number, (tool, arguments) in enumerate(
            (tool, arguments)
            for tool in _chosen(conversation, said)
            for arguments in _arguments(conversation, tool, said)
        )
        if number < (MOST_CALLS if conversation.parallel else 1)
    ]


def _chosen(conversation: Conversation, said: str) -> list[Tool]:
    tools, choice = conversation.tools, conversation.tool_choice
    if not tools or choice == "none":
        return []
    if choice not in ("auto", "required"):
        return [tool for tool in tools if tool.name == choice][:1]
    if choice == "auto" and conversation.messages[-1].role in ("tool", "function"):
        return []
    about = {root(word) for word in words(said) if word not in STOP_WORDS} - FILLERS
    scores = [_score(tool, about) for tool in tools]
    best = max(score for score, _ in scores)
    if not best:
        return tools[:1] if choice == "required" else []
    first = next(tool for tool, (score, _) in zip(tools, scores, strict=True) if score == best)
    close = [
        tool for tool, (score, named) in zip(tools, scores, strict=True) if named and score >= CLOSE_TO_BEST * best
    ]
    return close if first in close else [first]


def _score(tool: Tool, about: set[str]) -> tuple[int, bool]:
    """What the tool shares with the message, and whether it shares a word of its name."""
    properties = cast("dict[str, Any]", tool.parameters.get("properties") or {})
    names = {root(word) for word in key_words(tool.name)}
    parameters = {root(word) for name, of in properties.items() for word in (*key_words(name), *_values(of))}
    described = {root(word) for word in words(tool.description)}
    named = names & about
    score = IN_NAME * len(named) + IN_PARAMETERS * len(parameters & about) + IN_DESCRIPTION * len(described & about)
    return score, bool(named)


def _values(of: Any) -> list[str]:
    found: Any = cast("dict[str, Any]", of).get("enum", []) if isinstance(of, dict) else []
    return [word for each in found for word in words(str(each))]


def _arguments(conversation: Conversation, tool: Tool, said: str) -> list[dict[str, Any]]:
    """The arguments of each call of one tool: several where the message lists values for its one text parameter."""
    values = Facts(said).listed() if conversation.parallel and _takes_one_text(tool) else []
    texts = [_with_one(said, value, values) for value in values] or [said]
    try:
        return [instance({"type": "object", **tool.parameters}, each, otherwise=_otherwise(each)) for each in texts]
    except Unsatisfiable:
        if conversation.tool_choice == "auto":
            return []
        raise


def _takes_one_text(tool: Tool) -> bool:
    properties = cast("dict[str, Any]", tool.parameters.get("properties") or {})
    required = cast("list[str]", tool.parameters.get("required") or list(properties))
    schemas = {name: cast("dict[str, Any]", of) for name, of in properties.items() if isinstance(of, dict)}
    free = [name for name in required if schemas.get(name, {}).get("type") == "string" and "enum" not in schemas[name]]
    lists = [name for name, of in schemas.items() if of.get("type") == "array"]
    return len(free) == 1 and not lists


def _with_one(said: str, value: str, values: list[str]) -> str:
    """The message with one of the values listed in it only."""
    for other in values:
        if other != value:
            said = re.sub(rf"[\"“«'\u2018]?{re.escape(other)}[\"”»'\u2019]?", " ", said)
    return said


def _otherwise(said: str) -> str:
    return " ".join(said.split())[:200] or "simulated"


def _id(said: str, name: str, number: int) -> str:
    return f"chatcmpl-tool-{hashlib.sha256(repr((said, name, number)).encode()).hexdigest()[:32]}"
