"""Simulated text: the same for the same model, input and seed, and honest about being simulated."""

import hashlib
import random
import re
from collections.abc import Iterator

TOKEN = re.compile(r"\s?\w{1,6}|\s?[^\w\s]|\s+")
"""Something like a tokenizer's pieces: up to six letters or one sign, with the space before it."""

SENTENCES = (
    "It is put together from fixed sentences, so that the same question always gets the same answer.",
    "What you see is how an answer arrives, piece by piece, and not what a model would say.",
    "The Worker in front of me is real: it runs in workerd and calls me through the real binding class.",
    "Numbers such as the token counts are computed from this text in the way a model would report them.",
    "Deployed to Cloudflare, the same request reaches the real model without a change to your code.",
    "Accents and other scripts survive the trip: naïve café, 東京, здравствуй, 👋🏽.",
)


def tokens(text: str) -> list[str]:
    """The text in pieces, which together are the text again."""
    return TOKEN.findall(text)


def answer(model: str, messages: list[dict[str, str]], seed: int | None) -> Iterator[str]:
    """The pieces of an answer to the messages (`role` and `content`), about 60 to 150 of them."""
    yield from tokens(f"This is a simulated answer in place of {model}.")
    system = " ".join(m["content"] for m in messages if m["role"] == "system")
    if system:
        yield from tokens(f" My instructions: “{_shortened(system)}”.")
    question = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    yield from tokens(f" You wrote: “{_shortened(question)}”.")
    for sentence in _chooser(model, messages, seed).sample(SENTENCES, 3):
        yield from tokens(f" {sentence}")


def count(messages: list[dict[str, str]]) -> int:
    """The tokens of a prompt; three a message are the template's."""
    return sum(3 + len(tokens(message["content"])) for message in messages)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"


def _chooser(*choice_of: object) -> random.Random:
    return random.Random(hashlib.sha256(repr(choice_of).encode()).digest())
