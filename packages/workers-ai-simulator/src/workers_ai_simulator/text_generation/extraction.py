"""Answers that are in what was said: the sentences that share most with the question, in place of understanding it."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from workers_ai_simulator.embeddings.lexical import STOP_WORDS, WORD, words
from workers_ai_simulator.language import SENTENCE_END
from workers_ai_simulator.text_generation.facts import root

MOST_SENTENCES = 3
CLOSE_TO_BEST = 0.6
"""Further sentences are said if they score so much of what the best one does."""
LONGEST_SENTENCE = 600
"""Characters of a sentence that are said."""
FEWEST_FOR_CONTEXT = 3
"""Sentences without a heading or numbers that are taken for something to answer from."""

ENDS = 10_000
"""Characters at the start and the end of a message among which its question or request is looked for."""

ASKING_WORDS = (
    "about according answer briefly cite context describe detail document explain exactly following give information "
    "just know let list mean mention passage please provide provided question quote say show source tell text think "
    "use using want"
)
FILLERS = frozenset(map(root, ASKING_WORDS.split()))
"""Words of a question that say how to answer, and not what about."""
POINTING_WORDS = "it its they them their theirs he him his she her hers this that these those there one ones"
PRONOUNS = frozenset(POINTING_WORDS.split())

HEADING = re.compile(
    r"(?:^|\n)[ \t#*]*(?:context|passages?|documents?|sources?|search results|article|text|excerpts?)[ \t*]*:|"
    r"<(?:context|passages?|documents?|sources?)\b[^<>]{0,80}>",
    re.IGNORECASE,
)
NUMBERED = re.compile(
    r"(?:(?:^|\n)[ \t]*|(?<=[:.!?] ))\[(?P<bracket>\d{1,4})\](?=\s*\S)"
    r"|<(?:passage|document|doc|source|context)\b[^<>]{0,80}?\b(?:id|index|number|n)\s*=\s*[\"']?(?P<tag>\d{1,4})[^<>]{0,80}>"
    r"|(?:^|\n)[ \t]*(?:passage|document|source|excerpt)[ \t]+#?(?P<label>\d{1,4})[ \t]*[:.)]",
    re.IGNORECASE,
)
CLOSED = re.compile(r"</(?:passage|document|doc|source|context)s?>", re.IGNORECASE)
TAG = re.compile(r"</?(?:passages?|documents?|docs?|sources?|context|title|text|content)\b[^<>]{0,80}>", re.IGNORECASE)
QUESTION = re.compile(r"(?:^|\n)[ \t#*]*(?:question|query|user question|q)[ \t*]*:[ \t*]*", re.IGNORECASE)
AFTER_QUESTION = re.compile(r"\n[ \t#*]*(?:answer|helpful answer|response|a)[ \t*]*:", re.IGNORECASE)
INSTRUCTION = re.compile(
    r"(?:you are|you're|your (?:task|job|role)|act as|answer|use|using|reply|respond|do not|don't|if|be|cite|always|"
    r"never|only|please|write|given|based on|given|summari[sz]e|keep|say|help|think)\b",
    re.IGNORECASE,
)
SPACES = re.compile(r"\s+")

SUMMARY = re.compile(r"\b(?:summari[sz]e|summary|tl;?dr|in (?:a few|two|three) sentences|main points)\b", re.IGNORECASE)
REWRITING = re.compile(
    r"\b(?:re-?writ|re-?phras|reformulat|condens|turn|convert|transform|generat|formulat|produc)\w*\b"
    r"[^\n]{0,200}?\b(?:stand-?alone|search quer|single quer|one quer|self-?contained)",
    re.IGNORECASE,
)
TURN = re.compile(r"^[ \t]*(?P<who>[A-Za-z][A-Za-z -]{0,30})[ \t]*:[ \t]*(?P<said>[^\n]*)$", re.MULTILINE)
ASKING = ("user", "human", "question", "customer", "q", "last question", "follow-up question", "follow up question")


@dataclass(frozen=True)
class Sentence:
    text: str
    number: int | None
    """Of the passage that it stands in, if it has one."""


@dataclass(frozen=True)
class Reading:
    """What there is to answer from, and to what."""

    question: str
    before: str
    """What the user asked before."""
    passages: list[Sentence]
    history: list[Sentence]
    """What the user has said before, the latest first."""
    is_context: bool
    """Whether an answer is expected to be in the passages."""


def reading(system: list[str], users: list[str]) -> Reading:
    """What the messages hold: passages in the system's and the user's, the history, and the question at their end."""
    question, rest = _parted(users[-1] if users else "")
    given = [part for part in ([rest] if rest else []) + system if part.strip()]
    passages = [sentence for part in given for sentence in _passages(part)]
    marked = any(HEADING.search(part) or NUMBERED.search(part) for part in given)
    said = [Sentence(each, None) for turn in reversed(users[:-1]) for each in _split(turn) if not each.endswith("?")]
    before = _parted(users[-2])[0] if len(users) > 1 else ""
    return Reading(question, before, passages, said, marked or len(passages) >= FEWEST_FOR_CONTEXT)


def found(read: Reading) -> list[Sentence]:
    """One to three sentences that answer the question, the closest alone if no other is near; none if none shares a
    word with it. Their order is that of the text."""
    sentences = read.passages + read.history
    if SUMMARY.search(read.question) and sentences:
        return _leading(sentences)
    asked = _content(read.question)
    scores = _scores(sentences, asked)
    if not asked or PRONOUNS & set(words(read.question)):
        # the passages only: in the history, the question before would find itself
        earlier = _scores(read.passages, _content(read.before))
        scores = [score + other / 2 for score, other in zip_longest(scores, earlier, fillvalue=0.0)]
    best = max(scores, default=0.0)
    if not best:
        return []
    ranked = sorted(range(len(scores)), key=lambda at: (-scores[at], at))[:MOST_SENTENCES]
    chosen = sorted(at for at in ranked if scores[at] >= CLOSE_TO_BEST * best)
    return [sentences[at] for at in chosen]


def rewritten(system: list[str], users: list[str]) -> str | None:
    """The search query that a request to rewrite a conversation into one asks for; None if there is no such request.

    It holds the content words of the last question, after those of the questions before where it has a pronoun or
    hardly a word of its own.
    """
    last = users[-1] if users else ""
    if _asks_to_rewrite(last):
        turns = _turns(last) or _without_request(users, last)
    elif any(_asks_to_rewrite(each) for each in system):
        turns = _turns(last) or users
    else:
        return None
    query: list[str] = []
    for turn in reversed(turns[-3:]):
        query = _spelled(_parted(turn)[0] or turn) + query
        if len(query) > 1 and not PRONOUNS & set(words(turn)):
            break
    once = {root(words(each)[0]): each for each in reversed(query)}
    return " ".join(each for each in dict.fromkeys(query) if each in once.values()) or (turns[-1] if turns else last)


def _asks_to_rewrite(message: str) -> bool:
    return bool(REWRITING.search(message[:ENDS]) or REWRITING.search(message[-ENDS:]))


# ---- scores --------------------------------------------------------------------------------------------------------


def _content(question: str) -> set[str]:
    """The stems of what a question is about."""
    kept = [word for word in words(question) if word not in STOP_WORDS and word not in PRONOUNS]
    found_ = {root(word) for word in kept}
    return found_ - FILLERS or found_


def _scores(sentences: list[Sentence], asked: set[str]) -> list[float]:
    """Of each sentence, the rarities of the stems that it shares with the question."""
    # a stem is the start of its word: most words need not be looked at
    starts = {each[:3] for each in asked}
    shared = [{root(word) for word in words(each.text) if word[:3] in starts} & asked for each in sentences]
    counts = Counter(each for stems in shared for each in stems)
    rarity = {each: math.log(1 + len(sentences) / count) for each, count in counts.items()}
    return [sum(rarity[each] for each in sorted(stems)) for stems in shared]


def _leading(sentences: list[Sentence]) -> list[Sentence]:
    """The first sentence of each passage; of a single one its first three."""
    numbers = dict.fromkeys(each.number for each in sentences)
    if len(numbers) == 1:
        return sentences[:MOST_SENTENCES]
    return [next(each for each in sentences if each.number == number) for number in list(numbers)[:MOST_SENTENCES]]


def _spelled(question: str) -> list[str]:
    """The content words as they are spelled."""
    each = [(word, words(word)) for word in WORD.findall(question)]
    return [
        word
        for word, plain in each
        if plain and plain[0] not in STOP_WORDS and plain[0] not in PRONOUNS and root(plain[0]) not in FILLERS
    ]


# ---- texts ---------------------------------------------------------------------------------------------------------


def _parted(asked: str) -> tuple[str, str]:
    """The question in a message, and what else the message holds."""
    if labelled := next(reversed(list(QUESTION.finditer(asked))), None):
        question = AFTER_QUESTION.split(asked[labelled.end() :])[0].strip()
        first, _, more = question.partition("\n\n")
        if first:
            return first, f"{asked[: labelled.start()]}\n\n{more}"
    sentences = _split(asked[-ENDS:])
    if len(sentences) < 2:
        return asked.strip(), ""
    question = next((each for each in reversed(sentences) if each.endswith(("?", "\uff1f"))), None)
    if question is None:  # a request then, which comes first or last
        first = _split(asked[:ENDS])[0]
        question = first if SUMMARY.search(first) or INSTRUCTION.match(first) else sentences[-1]
    return question, _cut_out(asked, question)


def _cut_out(asked: str, question: str) -> str:
    """The message without its question, which may be spread over lines there."""
    place = re.compile(r"\s+".join(map(re.escape, question.split())))
    return place.sub("\n\n", asked)


def _even(of: str) -> str:
    """With single spaces, and a line's end only where a sentence may end."""

    def space(gap: re.Match[str]) -> str:
        lines = gap.group().count("\n")
        goes_on = lines == 1 and of[gap.end() : gap.end() + 1].islower()
        return "\n" if lines and not goes_on else " "

    return SPACES.sub(space, of.strip())


def _split(of: str) -> list[str]:
    return [each.strip()[:LONGEST_SENTENCE] for each in SENTENCE_END.split(_even(of)) if each.strip()]


def _passages(part: str) -> Iterator[Sentence]:
    """The sentences of a text that may be answered from: without its instructions, each with its passage's number."""
    heading = HEADING.search(part)
    marks = list(NUMBERED.finditer(part))
    start = min([each.start() for each in (heading, *marks[:1]) if each], default=0)
    ends = [*(mark.start() for mark in marks), len(part)]
    first = part[heading.end() if heading and heading.start() == start else start : ends[0]] if start < ends[0] else ""
    plain = [each for each in _split(TAG.sub("\n", first)) if heading or not _is_instruction(each)]
    yield from (Sentence(each, None) for each in plain)
    for mark, end in zip(marks, ends[1:], strict=True):
        number = int(mark["bracket"] or mark["tag"] or mark["label"])
        inside = CLOSED.split(part[mark.end() : end])
        yield from (Sentence(each, number) for each in _split(TAG.sub("\n", inside[0])))


def _is_instruction(sentence: str) -> bool:
    return bool(INSTRUCTION.match(sentence)) or sentence.endswith((":", "?"))


def _turns(transcript: str) -> list[str]:
    """What the user says in a conversation that is written out."""
    return [
        each["said"] for each in TURN.finditer(transcript) if each["who"].strip().lower() in ASKING and each["said"]
    ]


def _without_request(users: list[str], last: str) -> list[str]:
    rest = [each for each in _split(last) if not REWRITING.search(each) and not _is_request(each)]
    return users[:-1] + rest[-1:] if rest else users[:-1]


def _is_request(sentence: str) -> bool:
    return bool(INSTRUCTION.match(sentence)) or sentence.endswith(":")


def cited(sentences: Iterable[Sentence]) -> str:
    """The sentences, each with the number of its passage."""
    return " ".join(each.text if each.number is None else f"{each.text} [{each.number}]" for each in sentences)
