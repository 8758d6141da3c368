"""Tokens, counted without the models' tokenizers: bounds and an estimate, for every model the same."""

from collections.abc import Mapping
from typing import Any, cast

BYTES_A_TOKEN = 3
"""Of UTF-8, and fewer than the models' tokenizers put into one on average (about 4 in English): estimates come out
rather too high."""
ANSWER_TOKENS = 1024
"""Left free for an answer where the request does not say `max_tokens`."""
IMAGE_TOKENS = 2_000
"""What an image takes at most, about; models do not say, and scale large ones down."""
TEMPLATE_TOKENS = 4
"""What the chat template adds to a message, about."""


def estimate_message(message: Mapping[str, Any]) -> int:
    """Tokens of a message, rather too many than too few."""
    content = message.get("content")
    images = 0
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        texts = [part for part in parts if part.get("type") != "image_url"]
        images = len(parts) - len(texts)
        message = {**message, "content": texts}
    return TEMPLATE_TOKENS + images * IMAGE_TOKENS + len(str(message).encode()) // BYTES_A_TOKEN


def estimate_text(text: str) -> int:
    return len(text.encode()) // BYTES_A_TOKEN + 1


def lower_bound(text: str) -> int:
    """A number of tokens that no tokenizer in use stays below: none puts two words into one token."""
    return len(text.split())
