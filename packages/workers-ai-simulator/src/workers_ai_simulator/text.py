"""Simulated text: the same for the same model, input and seed, and marked as simulated."""

import hashlib
import random
import re

TOKEN = re.compile(r"\s?\w{1,6}|\s?[^\w\s]|\s+")
"""A token, roughly as tokenizers have it: up to six letters or one sign, with the space before it."""

TEMPLATE_TOKENS = 3
"""Tokens that the prompt template adds for each message, and here for each tool or schema as well; invented."""

SENTENCES = (
    "It is put together from fixed sentences, so that the same question always gets the same answer.",
    "What you see is how an answer arrives, piece by piece, and not what a model would say.",
    "Only the interface is true to the original: its inputs, limits and errors, and the form of answers.",
    "Numbers such as the token counts are computed from this text in the way a model would report them.",
    "Deployed to Cloudflare, the same request reaches the real model without a change to your code.",
    "Accents and other scripts survive the trip: naïve café, 東京, здравствуй, 👋🏽.",
)
REASONING = "Simulated reasoning: I look for words that the question shares with what I was given."


def tokens(text: str) -> list[str]:
    """Tokens of the text, which joined are the text again."""
    return TOKEN.findall(text)


def notice(model: str) -> str:
    """First sentence of an answer for people: it is simulated."""
    return f"This is a simulated answer in place of {model}."


def filler(model: str, system: str, question: str, *seed: object) -> str:
    """Answer for a question without a context, about 60 to 150 tokens; its sentences depend on `seed` as well."""
    instructions = [f"My instructions: “{shortened(system)}”."] if system else []
    chosen = _random(model, system, question, *seed).sample(SENTENCES, 3)
    return " ".join([*instructions, f"You wrote: “{shortened(question)}”.", *chosen])


def count_prompt_tokens(messages: list[dict[str, str]]) -> int:
    """Tokens of a prompt, with three for the template of each message."""
    return sum(TEMPLATE_TOKENS + len(tokens(message["content"])) for message in messages)


def shortened(text: str, max_length: int = 200) -> str:
    """The text on one line, cut to `max_length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"


def _random(*seed: object) -> random.Random:
    return random.Random(hashlib.sha256(repr(seed).encode()).digest())
