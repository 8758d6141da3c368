"""What a simulated model answers to a conversation: a text, a JSON value or tool calls. How that is written on the wire
is generation.py's business."""

import json
from dataclasses import dataclass, field
from typing import Any

from workers_ai_simulator import text
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.models import Model
from workers_ai_simulator.text_generation import extraction, tool_calls
from workers_ai_simulator.text_generation.conversation import Conversation, Message, ToolCall, description
from workers_ai_simulator.text_generation.schema_check import CHECKS, Schema, Unsatisfiable
from workers_ai_simulator.text_generation.schema_instance import instance

NOTHING_FOUND = "I find no answer to that in the context."
LONGEST_RESULT = 1000
"""Characters of a tool's result that are said."""
INSTRUCTS = ("system", "developer")
RESULTS = ("tool", "function")


@dataclass(frozen=True)
class Reply:
    text: str = ""
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    is_json: bool = False
    """Whether the text is the JSON of an instance of the conversation's schema."""


def reply(model: Model, conversation: Conversation) -> Reply:
    """What the model answers.

    Raises UpstreamError 5024 if no value fits the schema of JSON mode or of a tool that must be called, 5004 and 3030
    for an image that cannot be read.
    """
    seen = [description(image) for message in conversation.messages for image in message.images]
    reasoning = text.REASONING if conversation.reasons else ""
    try:
        if calls := tool_calls.wanted(conversation):
            return Reply("", reasoning, calls)
        if conversation.schema is not None:
            return Reply(
                json.dumps(_value(model, conversation, conversation.schema), ensure_ascii=False),
                reasoning,
                is_json=True,
            )
    except Unsatisfiable:
        # the sentence is upstream's; that its status is 400 is a guess
        raise UpstreamError(400, 5024, "JSON Mode couldn't be met") from None
    return Reply(_text(model, conversation, seen), reasoning)


def _value(model: Model, conversation: Conversation, schema: Schema) -> Any:
    said = [each.text for each in conversation.messages if each.role == "user"]
    asks_nothing = not CHECKS.keys() & schema.keys() - {"type"}
    if asks_nothing and schema.get("type", "object") == "object":
        return {"answer": text.mark(model.id)}
    return instance(schema, "\n".join(reversed(said)))


def _text(model: Model, conversation: Conversation, seen: list[str]) -> str:
    system = [each.text for each in conversation.messages if each.role in INSTRUCTS and each.text]
    users = [each.text for each in conversation.messages if each.role == "user"]
    if (query := extraction.rewritten(system, users)) is not None:
        return query  # and nothing else: it is a program that asked
    results = _results(conversation.messages)
    read = extraction.reading(system, users)
    if results:
        body = " ".join(results)
    elif seen and conversation.messages[-1].images:
        body = f"{' '.join(seen)} You asked: “{text.shortened(conversation.last_user)}”."
    elif sentences := extraction.found(read):
        body = extraction.cited(sentences)
    elif read.is_context:
        body = NOTHING_FOUND
    else:
        said = [(each.role, each.text) for each in conversation.messages]
        body = text.small_talk(model.id, " ".join(system), conversation.last_user, said, conversation.seed)
    return f"{text.mark(model.id)} {body}"


def _results(messages: list[Message]) -> list[str]:
    """What the tools have answered since anyone else spoke."""
    since = next((at for at, each in enumerate(reversed(messages)) if each.role not in RESULTS), len(messages))
    called = {call.id: call.name for message in messages for call in message.calls}
    return [
        f"The tool {each.name or called.get(each.call_id or '') or 'called'} answered: "
        f"{text.shortened(each.text, LONGEST_RESULT)}"
        for each in messages[len(messages) - since :]
    ]
