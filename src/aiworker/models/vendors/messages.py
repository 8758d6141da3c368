"""Parts of OpenAI's messages that every vendor's dialect needs: texts, images, tool calls."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from pydantic_core import from_json

Json = dict[str, Any]


class Image(NamedTuple):
    media_type: str
    data: str
    """Base64."""


def content_parts(content: Any) -> Iterator[str | Image]:
    """Yield the texts and images of a message's content, without empty texts."""
    parts: list[Json] = cast("list[Json]", content) if isinstance(content, list) else [{"text": content or ""}]
    for part in parts:
        if "image_url" in part:
            head, _, data = str(part["image_url"]["url"]).partition(",")
            yield Image(head.removeprefix("data:").partition(";")[0], data)
        elif part["text"]:
            yield str(part["text"])


def text_of(message: Mapping[str, Any]) -> str:
    """Return the texts of a message, on lines of their own."""
    return "\n".join(part for part in content_parts(message.get("content")) if isinstance(part, str))


def split_system(messages: list[Json]) -> tuple[str, list[Json]]:
    """Return the texts of all system messages, and the other messages."""
    system = [text_of(message) for message in messages if message["role"] == "system"]
    return "\n\n".join(filter(None, system)), [message for message in messages if message["role"] != "system"]


def calls_of(message: Mapping[str, Any]) -> list[tuple[str, str, Json]]:
    """Return the id, the name and the arguments of each tool call of a message."""
    calls = cast("list[Json]", message.get("tool_calls") or [])
    return [(str(call["id"]), str(call["function"]["name"]), _object(call["function"]["arguments"])) for call in calls]


def json_schema(fields: Mapping[str, Any]) -> Json | None:
    """Return the schema that `response_format` asks for; None without one."""
    match fields.get("response_format"):
        case {"json_schema": {"schema": {**schema}}}:
            return schema
        case _:
            return None


def chosen_tool(fields: Mapping[str, Any]) -> str | None:
    """Return the name of the tool that `tool_choice` names; None if it names none."""
    choice: Any = fields.get("tool_choice")
    return str(cast("Json", choice)["function"]["name"]) if isinstance(choice, dict) else None


def objects(values: list[Any]) -> list[Json]:
    """Return the objects of a list."""
    return [cast("Json", value) for value in values if isinstance(value, dict)]


def count(usage: Mapping[str, Any], name: str) -> int:
    """Return a count of a vendor's usage; 0 if it is missing or no whole number."""
    value = usage.get(name)
    return value if isinstance(value, int) else 0


def as_text(value: Any) -> str:
    """Return a value as text, for fields that hold JSON text in OpenAI's dialect."""
    return json.dumps(value, ensure_ascii=False)


def _object(arguments: str) -> Json:
    """Return the arguments of a call; empty for a text that is no JSON object."""
    try:
        value: Any = from_json(arguments)
    except ValueError:
        return {}
    return cast("Json", value) if isinstance(value, dict) else {}
