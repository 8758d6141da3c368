"""The prompt of a model call, read from its inputs in any dialect."""

from collections.abc import Iterator
from typing import Any, cast

MESSAGES = ("messages", "input", "contents")
"""Lists of messages: Workers AI's, OpenAI's and Anthropic's; those of OpenAI's Responses; Gemini's."""
TEXTS = ("prompt", "input", "text", "query", "question", "input_text", "state")
"""Inputs that are a text, or a list of texts."""


def prompt_of(inputs: dict[str, Any]) -> str:
    """Text of the last message of the user, else of the first input that is a text; empty if there is neither."""
    for name in MESSAGES:
        if isinstance(inputs.get(name), list):
            texts = [_text(each) for each in reversed(cast("list[Any]", inputs[name])) if _is_users(each)]
            if text := next(filter(None, texts), ""):
                return text
    return next(filter(None, (_text_input(inputs.get(name)) for name in TEXTS)), "")


def _is_users(message: Any) -> bool:
    return isinstance(message, dict) and cast("dict[str, Any]", message).get("role", "user") == "user"


def _text(message: dict[str, Any]) -> str:
    """Text of a message: its content, or that of its parts."""
    content: Any = message.get("content", message.get("parts"))
    return content if isinstance(content, str) else "\n".join(_part_texts(content))


def _part_texts(parts: Any) -> Iterator[str]:
    for part in cast("list[Any]", parts) if isinstance(parts, list) else []:
        if isinstance(part, dict) and isinstance(text := cast("dict[str, Any]", part).get("text"), str):
            yield text


def _text_input(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(each for each in cast("list[Any]", value) if isinstance(each, str))
    return value if isinstance(value, str) else ""
