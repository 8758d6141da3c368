"""Lists that a conversation asks for: “5 queries, one per line”, “three bullet points”, “a JSON list of 4 words”."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from workers_ai_simulator.embeddings.lexical import STOP_WORDS, WORD
from workers_ai_simulator.text_generation import extraction

NUMBER_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
WORD_NUMBERS = {word: number for number, word in enumerate(NUMBER_WORDS.split(), 1)} | {"a dozen": 12}
MAX_ITEMS = 100
MAX_DISTANCE = 200
"""Characters between the number of items and the words that say how to write them."""
SEARCHED_CHARACTERS = 4_000
"""Characters at the start and at the end of a message that are searched for such words."""

COUNT = re.compile(
    rf"(?<![\w.,/-])(?P<count>\d{{1,3}}|{'|'.join(WORD_NUMBERS)})(?![\w.,/]*\d)"
    r"(?!\.\s)(?!\s+(?:per|on|each|at a time|line\b|of the\b|(?:short )?sentences?|words?|characters?|paragraphs?))"
    r"(?=[\s-]+\S)",
    re.IGNORECASE,
)

Write = Callable[[list[str]], str]
STYLES: dict[str, tuple[str, Write]] = {
    "json": (
        r"\bJSON\s+(?:list|array)\b|\b(?:list|array)\b[^.\n]{0,40}\bJSON\b",
        lambda items: json.dumps(items, ensure_ascii=False),
    ),
    "bullets": (
        r"\bbullet(?:ed|s|ed list|ed points?| points?|points?| list| items)?\b",
        lambda items: "\n".join(f"- {each}" for each in items),
    ),
    "numbered": (
        r"\b(?:numbered|enumerated|ordered)\s+(?:list|items|points|lines)\b",
        lambda items: "\n".join(f"{number}. {each}" for number, each in enumerate(items, 1)),
    ),
    "commas": (
        r"\bcomma[- ](?:separated|delimited)\b|\b(?:separated|delimited|split) by (?:a )?commas?\b",
        lambda items: ", ".join(each.rstrip(".") for each in items),
    ),
    "lines": (
        r"\bper line\b|\bline by line\b|\b(?:new ?line|line)[- ](?:separated|delimited)\b"
        r"|\b(?:separated|delimited|split) by (?:a )?(?:new ?lines?|line ?breaks?)\b"
        r"|\bon (?:its|their|a|an|each|every)(?: own| new| separate| single| individual| different)* lines?\b"
        r"|\bon (?:new|separate|different|individual) lines\b",
        "\n".join,
    ),
    "list": (
        r"\blist of\s+(?:exactly |the )?(?=\d|[a-z]+ )",
        lambda items: "\n".join(f"{number}. {each}" for number, each in enumerate(items, 1)),
    ),
}
"""Style → the words that ask for it, and how it is written; the first that the words of a message ask for counts."""

SHORT_STYLES = ("json", "commas")
"""Styles of lists for programs, whose items are short."""

QUERIES = re.compile(
    r"\b(?:search|quer(?:y|ies)|searches|rephras\w*|paraphras\w*|versions?|variations?)\b", re.IGNORECASE
)
QUESTIONS = re.compile(r"\bquestions\b", re.IGNORECASE)
WORDS = re.compile(r"\b(?:key ?words?|tags|terms|labels|hashtags|topics|words|names)\b", re.IGNORECASE)

QUERY_FORMS = ("{}", "{} overview", "{} explained", "{} examples", "{} facts", "{} guide", "{} details", "{} history")
QUESTION_FORMS = (
    "What is known about {}?", "Why does {} matter?", "How does {} work?", "Where is {} found?", "Who needs {}?",
    "When did {} begin?",
)  # fmt: skip
INSTRUCTION_STEMS = re.compile(
    r"(?:search\w*|quer(?:y|ies)|lines?|bullets?|points?|lists?|json|arrays?|number\w*|items?|per|each|separate\w*|"
    r"comma\w*|new|newlines?|keywords?|questions?|generat\w*|write|writ\w*|exactly|different|versions?|help\w*|"
    r"assistant|return\w*|output\w*|related|following|input|multiple|own|strings?|single|based|alternative|original|"
    r"tags|terms|words|topics|names|create\w*|suggest\w*|propose|user|given|\d+)",
    re.IGNORECASE,
)
"""Words that say how to write the list, not what it is about."""


AFTER_COLON = re.compile(r":\s+([^:\n]{3,})$")
"""Subject of a request, behind it: “Three questions, one per line: the history of bees”."""
ABOUT = re.compile(r"\b(?:about|regarding|related to|concerning|on the topic of|for)\b:?\s+(.{3,300})", re.IGNORECASE)


@dataclass(frozen=True)
class ListRequest:
    """Request for a list."""

    style: str
    count: int
    kind: str
    """`queries`, `questions`, `words` or `points`."""
    text: str
    """Message with the request."""


def read(system: list[str], users: list[str]) -> ListRequest | None:
    """The request for a list in the last message of the user, else in the instructions; None if there is none."""
    for message in chain(users[-1:], reversed(system)):
        if request := _request(message):
            return request
    return None


def write(request: ListRequest, points: list[str], topic: str) -> str:
    """The list, with exactly as many items as requested: the points as far as there are any, else about the topic.

    Its points say that they are simulated; queries, questions and words do not, since programs read them.
    """
    makers = {"queries": _queries, "questions": _questions, "words": _words}
    kind = "words" if request.kind == "points" and request.style in SHORT_STYLES and not points else request.kind
    if kind in makers:
        items = makers[kind](topic, request.count)
    else:
        more = [f"Simulated point {number} about {topic}." for number in range(len(points) + 1, request.count + 1)]
        items = [*points, *more][: request.count]
        items[0] = items[0] if items[0].startswith("Simulated") else f"[simulated] {items[0]}"
    return STYLES[request.style][1](items)


def topic(request: ListRequest, users: list[str]) -> str:
    """Words of what the list is about."""
    question = extraction.labelled_question(request.text)
    if question is None and users and request.text != users[-1]:
        question = users[-1]
    about = question or _about(request.text)
    content = _without_instructions(extraction.content_words(about)) or _without_instructions(WORD.findall(about))
    return " ".join(content[:12]) or "simulated topic"


def _without_instructions(listed: list[str]) -> list[str]:
    return [
        word
        for word in listed
        if not INSTRUCTION_STEMS.fullmatch(word) and word.lower() not in STOP_WORDS | WORD_NUMBERS.keys()
    ]


def _about(text: str) -> str:
    """The part of a request that says what the list is about, or all of it."""
    match = AFTER_COLON.search(text[-MAX_DISTANCE:]) or ABOUT.search(text)
    return match[1] if match else text[:1000]


def _request(message: str) -> ListRequest | None:
    text = message
    if len(message) > 2 * SEARCHED_CHARACTERS:
        text = f"{message[:SEARCHED_CHARACTERS]}\n{message[-SEARCHED_CHARACTERS:]}"
    for style, (pattern, _) in STYLES.items():
        for match in re.finditer(pattern, text, re.IGNORECASE):
            if count := _count(text, match):
                return ListRequest(style, count, _kind(text, match), message)
    return None


def _count(text: str, style: re.Match[str]) -> int:
    """The number nearest to the words that name the style; 0 if none is near."""
    start = max(0, style.start() - MAX_DISTANCE)
    near = COUNT.finditer(text, start, style.end() + MAX_DISTANCE)
    counts = [(abs(each.start() - style.start()), _number(each["count"])) for each in near]
    return min(((gap, count) for gap, count in counts if 0 < count <= MAX_ITEMS), default=(0, 0))[1]


def _number(digits_or_word: str) -> int:
    return int(digits_or_word) if digits_or_word.isdecimal() else WORD_NUMBERS[digits_or_word.lower()]


def _kind(text: str, style: re.Match[str]) -> str:
    near = text[max(0, style.start() - MAX_DISTANCE) : style.end() + MAX_DISTANCE]
    for kind, pattern in (("queries", QUERIES), ("questions", QUESTIONS), ("words", WORDS)):
        if pattern.search(near):
            return kind
    return "points"


def _queries(topic: str, count: int) -> list[str]:
    forms = [form.format(topic) for form in QUERY_FORMS]
    return [*forms, *(f"{topic} {number}" for number in range(len(forms) + 1, count + 1))][:count]


def _questions(topic: str, count: int) -> list[str]:
    forms = [form.format(topic) for form in QUESTION_FORMS]
    more = (f"What is part {number} of {topic}?" for number in range(len(forms) + 1, count + 1))
    return [*forms, *more][:count]


def _words(topic: str, count: int) -> list[str]:
    words = list(dict.fromkeys(topic.split()))
    return [*words, *(f"{words[0]} {number}" for number in range(len(words) + 1, count + 1))][:count]
