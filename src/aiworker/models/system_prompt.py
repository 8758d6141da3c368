"""The owner's system prompt, the variable SYSTEM_PROMPT: models read it before what clients say.

It is added when a model is called, so that it is neither stored in conversations nor judged by the guard, and no route
has to know of it.
"""

from collections.abc import Mapping
from typing import Any, cast

from aiworker.errors import ApiError
from aiworker.models import token_counts
from aiworker.settings import Settings


def add_system_prompt(settings: Settings, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a text model with the owner's system prompt at the beginning of their messages.

    A `prompt` becomes a message of the user. Raises ApiError `invalid_request` for a raw prompt, in which a client
    could write a system message of its own.
    """
    text = settings.system_prompt
    if not text:
        return dict(fields)
    if fields.get("raw"):
        raise ApiError(
            "invalid_request", "This Worker has a system prompt, which raw would leave out: leave raw out.", param="raw"
        )
    messages = fields.get("messages") or [{"role": "user", "content": fields.get("prompt")}]
    others = {name: value for name, value in fields.items() if name != "prompt"}
    return {**others, "messages": _with_system(text, messages)}


def estimate_tokens(settings: Settings) -> int:
    """Estimate the tokens that the owner's system prompt adds to a prompt, rather too many than too few."""
    return token_counts.estimate_text(settings.system_prompt) if settings.system_prompt else 0


def hide(settings: Settings, message: str) -> str:
    """Return an upstream's error message without the owner's system prompt, which it may repeat."""
    return message.replace(settings.system_prompt, "…") if settings.system_prompt else message


def _with_system(text: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # one message with the client's own: some chat templates take a single system message only
    first, *others = messages
    if first.get("role") != "system":
        return [{"role": "system", "content": text}, *messages]
    content: Any = first.get("content") or ""
    if isinstance(content, list):
        joined: Any = [{"type": "text", "text": f"{text}\n\n"}, *cast("list[Any]", content)]
    else:
        joined = f"{text}\n\n{content}"
    return [{**first, "content": joined}, *others]
