"""Tool calls that a conversation asks for, by the words that its last request shares with the tools."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from workers_ai_simulator.embeddings.lexical import STOP_WORDS, words
from workers_ai_simulator.text_generation import turn as turns
from workers_ai_simulator.text_generation.conversation import Conversation, Tool, ToolCall
from workers_ai_simulator.text_generation.facts import MAX_CHARACTERS, Facts, key_words, root
from workers_ai_simulator.text_generation.schema_check import UnsatisfiableError
from workers_ai_simulator.text_generation.schema_instance import instance
from workers_ai_simulator.text_generation.segments import messages_with
from workers_ai_simulator.text_generation.turn import Turn

NAME_WEIGHT, PARAMETER_WEIGHT, DESCRIPTION_WEIGHT = 3, 1, 1
"""Score of a stem that the message shares with a part of the tool."""
MIN_RELATIVE_SCORE = 0.75
"""Share of the best score from which another tool is called as well, if the message has a word of its name."""
MAX_CALLS = 8
MAX_FINAL_CALLS = 3
"""Calls of a final tool for one request: further ones only after a result that reports an error."""

COMMON_WORDS = (
    "about call current find function get give hello help hi information know like look make need new now please "
    "provide request result return show specific tell thing tool use user using value want given"
)
FILLERS = frozenset(map(root, COMMON_WORDS.split()))
"""Stems of words that many tools have in their descriptions."""
USER = root("user")
"""Stem that is significant only in the name of a tool, such as `get_user`."""

OPERATIONS = {
    r"\d\s*\+\s*[-(\d]|\bplus\b|\bsum\b|\btotal\b": "add addition plus sum",
    r"\d\s+[-\u2212\u2013]\s+[(\d]|\bminus\b": "subtract subtraction minus difference",
    r"\d\s*[*\u00d7\u00b7]\s*[-(\d]|\d\s+x\s+\d|\btimes\b": "multiply multiplication product times",
    r"\d\s*\u00f7\s*[-(\d]|\d\s+/\s+\d|\bdivided\b": "divide division quotient",
}
"""Arithmetic in a message → words of tools that do it."""
ANY_OPERATION = "arithmetic calculate calculation calculator compute evaluate expression math"
EXPLICIT = re.compile(
    r"\b(?:us(?:e|ing)|call|with)\s+(?:the|your|a|an|this|that|any|my|our|available|provided)\s+(?:\w+\s+)?"
    r"(?:tools?|functions?)\b",
    re.IGNORECASE,
)
"""Demand for a tool, whichever."""

FINAL_NAMES = re.compile(
    r"(?:final|structured)[_-]?(?:result|answer|response|output)\w*|(?:respond|response|answer|finish|submit|done|reply)"
    r"|(?:submit|return|give|provide|produce)[_-](?:final[_-])?(?:result|answer|response|output)s?"
    r"|attempt[_-]completion|finish[_-]\w+|StructuredOutputTool\w*",
    re.IGNORECASE,
)
FINAL_DESCRIPTION = re.compile(
    r"\bfinal (?:response|answer|result|output)\b|\bends? (?:this|the) (?:conversation|task|run)\b"
    r"|\bstructured (?:response|output)\b",
    re.IGNORECASE,
)
"""Name and description of a tool by which an agent returns its typed result, as pydantic-ai's `final_result`."""
CLASS_NAME = re.compile(r"[A-Z]\w*")
"""Name of a class, as LangChain and LangGraph give to the tool of a typed result, behind all other tools."""


@dataclass(frozen=True)
class PlannedCall:
    """Call of a tool, with the text that its arguments are taken from."""

    tool: Tool
    text: str
    default_text: str | None = None
    """Value of a text parameter for which the text has none; None for the text itself."""


def tool_calls(conversation: Conversation) -> list[ToolCall]:
    """Calls that answer the conversation; empty if a text answers it.

    Raises UnsatisfiableError if no arguments are found that fit the schema of a tool that must be called.
    """
    turn = turns.read(conversation)
    planned = _next_calls(conversation, turn)[: MAX_CALLS if conversation.parallel else 1]
    calls: list[ToolCall] = []
    for number, call in enumerate(planned):
        arguments = _arguments(call, is_forced=conversation.tool_choice != "auto")
        if arguments is not None:
            # calls of one request have different ids, also when it takes several answers to make them
            made = turn.calls.total() + turn.unnamed + number
            calls.append(ToolCall(_call_id(turn.request, call.tool.name, made), call.tool.name, arguments))
    return calls


# ---- which tools ---------------------------------------------------------------------------------------------------


def _next_calls(conversation: Conversation, turn: Turn) -> list[PlannedCall]:
    """The calls to make next, for the `tool_choice` of the conversation."""
    tools, choice = conversation.tools, conversation.tool_choice
    if not tools or choice == "none":
        return []
    if choice not in ("auto", "required"):
        return _named_calls([tool for tool in tools if tool.name == choice][:1], turn)
    final = [tool for tool in tools if _is_final(tool)] or (_typed_results(tools) if choice == "required" else [])
    others = [tool for tool in tools if tool not in final]
    if remaining := _remaining(_plan(others, turn.request), turn):
        return _possible(remaining, turn)
    if choice == "auto" and not turn.has_begun and not _relevant(final if not others else [], turn.request):
        return []
    return _closing_calls(final, turn) or ([] if choice == "auto" else _unused(others, final, turn))


def _named_calls(named: list[Tool], turn: Turn) -> list[PlannedCall]:
    """Calls of the tool that the client names: those not made yet, else all of them again."""
    calls = [call for tool in named for call in _calls_of(tool, turn, named)]
    return _remaining(calls, turn) or calls


def _plan(tools: list[Tool], request: str) -> list[PlannedCall]:
    """All calls that the request asks for, in the order of the tools."""
    message = request[:MAX_CHARACTERS]
    chosen = _relevant(tools, message)
    chosen = [*_providers(chosen, tools, message), *chosen]
    return [PlannedCall(tool, each) for tool in chosen for each in _messages(tool, message, chosen)]


def _providers(chosen: list[Tool], tools: list[Tool], message: str) -> list[Tool]:
    """Tools whose results have the ids that the chosen ones require and the message does not have."""
    providers: list[Tool] = []
    for subject in (each for tool in chosen for each in _missing_ids(tool, message)):
        other = [tool for tool in tools if tool not in (*chosen, *providers) and not _missing_ids(tool, message)]
        providers += [tool for tool in other if subject in map(root, key_words(tool.name))][:1]
    return providers


def _missing_ids(tool: Tool, message: str) -> list[str]:
    """Stems of the things whose ids the tool requires: `customer` for `customer_id`; none if the message has a
    number."""
    if re.search(r"\d", message):
        return []
    keys = [key_words(name) for name in _required(tool, "string", "integer", "number")]
    return [root(" ".join(words[:-1])) for words in keys if words and words[-1] in ("id", "ids")]


def _possible(remaining: list[PlannedCall], turn: Turn) -> list[PlannedCall]:
    """The calls that can be made now: those that need an id of a result come after the others, with the results."""
    ready = [call for call in remaining if not _missing_ids(call.tool, call.text)]
    return ready or [replace(call, text=turn.facts(call.tool.name)) for call in remaining]


def _remaining(planned: list[PlannedCall], turn: Turn) -> list[PlannedCall]:
    """The planned calls that were not made yet; results without a call count for the first of them."""
    made, unnamed = turn.calls.copy(), turn.unnamed
    remaining: list[PlannedCall] = []
    for call in planned:
        if made[call.tool.name] > 0:
            made[call.tool.name] -= 1
        elif unnamed > 0:
            unnamed -= 1
        else:
            remaining.append(call)
    return remaining


def _closing_calls(final: list[Tool], turn: Turn) -> list[PlannedCall]:
    """Call of the final tool that fits best, unless one was called already; again if its result is an error."""
    names = {tool.name for tool in final}
    last = next((each for each in reversed(turn.results) if each.tool in names), None)
    made = sum(turn.calls[name] for name in names)
    if not final or (made and not (last and last.is_error and made < MAX_FINAL_CALLS)):
        return []
    stems = _stems(turn.request)
    best = max(final, key=lambda tool: _score(tool, stems)[0])
    return _calls_of(best, turn, [best])[:1]


def _unused(tools: list[Tool], final: list[Tool], turn: Turn) -> list[PlannedCall]:
    """Call of the first tool that was not called yet, for a client that requires one; empty once all were called."""
    if any(turn.calls[tool.name] for tool in final):
        return []
    first = [PlannedCall(tool, turn.request) for tool in tools]
    return _remaining(first, turn)[:1]


def _calls_of(tool: Tool, turn: Turn, chosen: list[Tool]) -> list[PlannedCall]:
    """Calls of one tool for the request, with values of the results of other tools."""
    if not any(each.tool != tool.name for each in turn.results):
        return [PlannedCall(tool, each) for each in _messages(tool, turn.request[:MAX_CHARACTERS], chosen)]
    results = " ".join(each.text for each in turn.results if each.tool != tool.name)
    return [PlannedCall(tool, turn.facts(tool.name), f"Simulated answer: {results}")]


def _is_final(tool: Tool) -> bool:
    return bool(FINAL_NAMES.fullmatch(tool.name) or FINAL_DESCRIPTION.search(tool.description))


def _typed_results(tools: list[Tool]) -> list[Tool]:
    """Tools with names of classes behind tools with other names."""
    count = next((at for at, tool in enumerate(reversed(tools)) if not CLASS_NAME.fullmatch(tool.name)), 0)
    return tools[len(tools) - count :]


def _relevant(tools: list[Tool], message: str) -> list[Tool]:
    """Tools that the message is about: the one with the best score, and those whose names it has as well."""
    stems = _stems(message)
    scores = [_score(tool, stems) for tool in tools]
    best = max((score for score, _ in scores), default=0)
    if not best:
        return _fitting(tools, message) if EXPLICIT.search(message) else []
    first = next(tool for tool, (score, _) in zip(tools, scores, strict=True) if score == best)
    close = [
        tool for tool, (score, named) in zip(tools, scores, strict=True) if named and score >= MIN_RELATIVE_SCORE * best
    ]
    return close if first in close else [first]


def _fitting(tools: list[Tool], message: str) -> list[Tool]:
    """The first tool for whose numeric parameters the message has values, else the first."""
    numbers = _number_count(message)
    fitting = [tool for tool in tools if 0 < len(_required(tool, "number", "integer")) <= numbers]
    return (fitting or tools)[:1]


def _stems(message: str) -> set[str]:
    """Stems of the words that the message is about."""
    operations = [names for pattern, names in OPERATIONS.items() if re.search(pattern, message, re.IGNORECASE)]
    implied = " ".join([*operations, ANY_OPERATION]).split() if operations else []
    stems = {root(word) for word in words(message) if word not in STOP_WORDS}
    return stems - (FILLERS - {USER}) | {root(word) for word in implied}


def _score(tool: Tool, stems: set[str]) -> tuple[int, bool]:
    """Score of the stems that the tool shares with the message, and whether one is of its name."""
    properties = cast("dict[str, Any]", tool.parameters.get("properties") or {})
    names = {root(word) for word in key_words(tool.name)}
    about = stems - {USER}
    parameters = {root(word) for name, schema in properties.items() for word in (*key_words(name), *_values(schema))}
    description = {root(word) for word in words(tool.description)}
    score = NAME_WEIGHT * len(names & stems) + PARAMETER_WEIGHT * len(parameters & about)
    return score + DESCRIPTION_WEIGHT * len(description & about), bool(names & stems)


def _values(schema: Any) -> list[str]:
    """Words of the values in a property's `enum`."""
    values: Any = cast("dict[str, Any]", schema).get("enum", []) if isinstance(schema, dict) else []
    return [word for each in values for word in words(str(each))]


# ---- with which arguments ------------------------------------------------------------------------------------------


def _arguments(call: PlannedCall, is_forced: bool) -> dict[str, Any] | None:
    """Arguments of the call; None if none are found and the call is not forced."""
    default_text = call.default_text if call.default_text is not None else _default_text(call.text)
    try:
        return instance({"type": "object", **call.tool.parameters}, call.text, default_text=default_text)
    except UnsatisfiableError:
        if is_forced:
            raise
        return None


def _messages(tool: Tool, message: str, chosen: Iterable[Tool]) -> list[str]:
    """The message for each call of a tool: several if it lists values, or groups of numbers, for the parameters."""
    if _array_parameters(tool):
        return [message]
    if _has_one_text_parameter(tool):
        values = _listed(tool, message)
        if values:
            return [_with_one_value(message, value, values) for value in values]
        if parts := messages_with(message, _named_number_count, 1):
            return parts
    numbers = len(_required(tool, "number", "integer"))
    parts = messages_with(message, _number_count, numbers) if numbers else []
    return [part for part in parts if _concerns(tool, part, chosen)] or [message]


def _concerns(tool: Tool, part: str, chosen: Iterable[Tool]) -> bool:
    """Whether a part of the message is for this tool: it is not if it names only others of the chosen tools."""
    stems = _stems(part)
    named = [each.name for each in chosen if _score(each, stems)[1]]
    return not named or tool.name in named


def _number_count(part: str) -> int:
    return sum(1 for _ in Facts(part).numbers([]))


def _named_number_count(part: str) -> int:
    """Number of names in a part that has numbers as well, as in “Paris for 3 days”."""
    return len(Facts(part).names) if _number_count(part) else 0


def _listed(tool: Tool, message: str) -> list[str]:
    """Values that the message lists for the only text parameter of the tool."""
    facts = Facts(message)
    keys = {word for name in _required(tool, "string") for word in key_words(name)}
    for kind in keys & facts.formats.keys():
        if len(facts.formats[kind]) > 1:
            return facts.formats[kind]
    return facts.listed()


def _schemas(tool: Tool) -> dict[str, dict[str, Any]]:
    """Parameter → its schema, for the schemas that are objects."""
    properties = cast("dict[str, Any]", tool.parameters.get("properties") or {})
    return {name: cast("dict[str, Any]", each) for name, each in properties.items() if isinstance(each, dict)}


def _required(tool: Tool, *kinds: str) -> list[str]:
    """Required parameters of these types without an `enum`."""
    schemas = _schemas(tool)
    required = cast("list[str]", tool.parameters.get("required") or list(schemas))
    free = {name for name, each in schemas.items() if each.get("type") in kinds and "enum" not in each}
    return [name for name in required if name in free]


def _has_one_text_parameter(tool: Tool) -> bool:
    return len(_required(tool, "string")) == 1


def _array_parameters(tool: Tool) -> bool:
    return any(schema.get("type") == "array" for schema in _schemas(tool).values())


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
