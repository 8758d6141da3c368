"""Simulated text: the same for the same model, input and seed, and honest about being simulated."""

import hashlib
import random
import re

TOKEN = re.compile(r"\s?\w{1,6}|\s?[^\w\s]|\s+")
"""Something like a tokenizer's pieces: up to six letters or one sign, with the space before it."""

TEMPLATE_TOKENS = 3
"""Of each message, and here of a tool or a schema as well; invented."""

SENTENCES = (
    "It is put together from fixed sentences, so that the same question always gets the same answer.",
    "What you see is how an answer arrives, piece by piece, and not what a model would say.",
    "The Worker in front of me is real: it runs in workerd and calls me through the real binding class.",
    "Numbers such as the token counts are computed from this text in the way a model would report them.",
    "Deployed to Cloudflare, the same request reaches the real model without a change to your code.",
    "Accents and other scripts survive the trip: naïve café, 東京, здравствуй, 👋🏽.",
)
REASONING = "Simulated reasoning: I look for words that the question shares with what I was given."


def tokens(text: str) -> list[str]:
    """The text in pieces, which together are the text again."""
    return TOKEN.findall(text)


def mark(model: str) -> str:
    """How an answer begins that a person reads."""
    return f"This is a simulated answer in place of {model}."


def small_talk(model: str, system: str, question: str, *choice: object) -> str:
    """What is said when there is nothing to answer from: about 60 to 150 tokens, some chosen by `choice`."""
    instructions = [f"My instructions: “{shortened(system)}”."] if system else []
    chosen = _chooser(model, system, question, *choice).sample(SENTENCES, 3)
    return " ".join([*instructions, f"You wrote: “{shortened(question)}”.", *chosen])


def count(messages: list[dict[str, str]]) -> int:
    """The tokens of a prompt; three a message are the template's."""
    return sum(TEMPLATE_TOKENS + len(tokens(message["content"])) for message in messages)


def shortened(text: str, most: int = 200) -> str:
    """The text on one line, of so many characters at most."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _chooser(*choice_of: object) -> random.Random:
    return random.Random(hashlib.sha256(repr(choice_of).encode()).digest())
