"""Numbers of tokens without the models' tokenizers: an estimate and a lower bound, the same for all models."""

from collections.abc import Mapping
from typing import Any, cast

BYTES_A_TOKEN = 3
"""Bytes of UTF-8 in a token. Tokenizers put more into one on average (about 4 in English): estimates are too high."""
ANSWER_TOKENS = 1024
"""Tokens reserved for an answer where the request has no `max_tokens`."""
IMAGE_TOKENS = 2_000
"""Tokens of an image, about the maximum; models do not document it, and scale large images down."""
TEMPLATE_TOKENS = 4
"""Tokens that the chat template adds to a message, about."""


def estimate_message(message: Mapping[str, Any]) -> int:
    """Estimate the tokens of a message, images included; rather too many than too few."""
    content = message.get("content")
    images = 0
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        texts = [part for part in parts if part.get("type") != "image_url"]
        images = len(parts) - len(texts)
        message = {**message, "content": texts}
    return TEMPLATE_TOKENS + images * IMAGE_TOKENS + len(str(message).encode()) // BYTES_A_TOKEN


def estimate_text(text: str) -> int:
    """Estimate the tokens of a text, rather too many than too few."""
    return len(text.encode()) // BYTES_A_TOKEN + 1


def lower_bound(text: str) -> int:
    """Return the least number of tokens that any tokenizer needs: none in use puts two words into one token."""
    return len(text.split())


def upper_bound(characters: int, texts: int = 1) -> int:
    """Return an upper bound of both counts for so many texts with so many characters in all.

    The texts need not be read: a character has at most four bytes, and a word at least one character and a space.
    """
    return characters * 4 // BYTES_A_TOKEN + texts
