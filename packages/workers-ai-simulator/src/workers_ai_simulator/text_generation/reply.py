"""The simulated reply to a conversation: a text, a JSON value or tool calls, not yet in a dialect (generation.py)."""

import json
from dataclasses import dataclass, field
from typing import Any

from workers_ai_simulator import text
from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.text_generation import composition, extraction, json_request, lists
from workers_ai_simulator.text_generation import turn as turns
from workers_ai_simulator.text_generation.conversation import Conversation, ToolCall, description
from workers_ai_simulator.text_generation.schema_check import KEYWORDS, Schema, UnsatisfiableError
from workers_ai_simulator.text_generation.schema_instance import instance
from workers_ai_simulator.text_generation.tool_calls import tool_calls

NOTHING_FOUND = "I find no answer to that in the context."
INSTRUCTION_ROLES = ("system", "developer")


@dataclass(frozen=True)
class Reply:
    """Reply of a simulated model."""

    text: str = ""
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    is_json: bool = False
    """Whether the text is JSON that fits the conversation's schema."""


def reply(model: Model, conversation: Conversation) -> Reply:
    """Reply to the conversation.

    Raises UpstreamError 5024 if no value is found for the schema of JSON mode or of a tool that must be called, 5004
    and 3030 for an image that cannot be decoded.
    """
    descriptions = [description(image) for message in conversation.messages for image in message.images]
    reasoning = text.REASONING if conversation.reasons else ""
    try:
        if calls := tool_calls(conversation):
            return Reply("", reasoning, calls)
        if conversation.schema is not None:
            return Reply(
                json.dumps(_value(model, conversation, conversation.schema), ensure_ascii=False),
                reasoning,
                is_json=True,
            )
    except UnsatisfiableError:
        # the sentence is upstream's; its status 400 is a guess
        raise UpstreamError(400, 5024, "JSON Mode couldn't be met") from None
    return Reply(_text(model, conversation, descriptions), reasoning)


def _value(model: Model, conversation: Conversation, schema: Schema) -> Any:
    """Value for JSON mode: for any object, one for the schema in the messages, if there is one."""
    if not _is_any_object(schema):
        return _instance(conversation, schema, _texts(conversation, "user"))
    request = json_request.read(_texts(conversation, *INSTRUCTION_ROLES), _texts(conversation, "user"))
    if request and request.schema.get("type", "object") == "object":
        return _instance(conversation, request.schema, request.users)
    return {"answer": text.notice(model.id)}


def _is_any_object(schema: Schema) -> bool:
    return not KEYWORDS & schema.keys() - {"type"} and schema.get("type", "object") == "object"


def _instance(conversation: Conversation, schema: Schema, users: list[str]) -> Any:
    """Instance of the schema, with values of tool results and of the user's messages, the last first."""
    results = [each.values for each in turns.read(conversation).results]
    return instance(schema, "\n".join([*results, *reversed(users)]))


def _texts(conversation: Conversation, *roles: str) -> list[str]:
    return [each.text for each in conversation.messages if each.role in roles and each.text]


def _written_json(conversation: Conversation, system: list[str], users: list[str]) -> str | None:
    """JSON for a request in words; None without a request, and for a schema without an instance."""
    request = json_request.read(system, users)
    if request is None:
        return None
    try:
        value = json.dumps(_instance(conversation, request.schema, request.users), ensure_ascii=False)
    except UnsatisfiableError:
        return None
    return f"```json\n{value}\n```" if request.is_fenced else value


def _for_programs(conversation: Conversation, system: list[str], users: list[str]) -> str | None:
    """Text in a format that the messages ask for, and nothing else, since a program reads it; None without one."""
    if (value := _written_json(conversation, system, users)) is not None:
        return value
    if request := lists.read(system, users):
        points = extraction.points(extraction.read(system, users), request.count)
        return lists.write(request, points, lists.topic(request, users))
    return extraction.search_query(system, users)


def _text(model: Model, conversation: Conversation, descriptions: list[str]) -> str:
    system, users = _texts(conversation, *INSTRUCTION_ROLES), _texts(conversation, "user")
    if (answer := _for_programs(conversation, system, users)) is not None:
        return answer
    results = _results(conversation)
    task = extraction.read(system, users)
    if len(results) > 1:
        return f"{text.notice(model.id)} From {len(results)} calls of tools:\n\n" + "\n".join(results)
    if results:
        body = results[0]
    elif descriptions and conversation.messages[-1].images:
        body = f"{' '.join(descriptions)} You asked: “{text.shortened(conversation.last_user)}”."
    elif sentences := extraction.answer(task):
        body = extraction.cited(sentences)
    elif task.has_context:
        body = NOTHING_FOUND
    elif form := _form(conversation, system):
        return f"{text.notice(model.id)}\n\n{form}"
    else:
        history = [(each.role, each.text) for each in conversation.messages]
        body = text.filler(model.id, " ".join(system), conversation.last_user, history, conversation.seed)
    return f"{text.notice(model.id)} {body}"


def _form(conversation: Conversation, system: list[str]) -> str | None:
    """Answer in the form that the last message asks for; None if it asks for none, or is a text to be summarized."""
    if any(extraction.SUMMARY.search(each) for each in system):
        return None
    return composition.compose(conversation.last_user, conversation.seed)


def _results(conversation: Conversation) -> list[str]:
    """Sentences with the results of tools, if the conversation ends with them."""
    if conversation.messages[-1].role not in turns.RESULT_ROLES:
        return []
    results = turns.read(conversation).results
    if len(results) < 2:
        return [f"The tool {each.tool or 'called'} answered: {each.text}" for each in results]
    named = [f"**{each.tool or 'called'}**{f' ({each.arguments})' if each.arguments else ''}" for each in results]
    return [f"- The tool {name} answered: {each.text}" for name, each in zip(named, results, strict=True)]
