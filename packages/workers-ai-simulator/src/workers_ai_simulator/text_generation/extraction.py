"""Extractive answers: the sentences of a conversation that share the most words with its question."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from workers_ai_simulator.embeddings.lexical import STOP_WORDS, WORD, words
from workers_ai_simulator.language import SENTENCE_END
from workers_ai_simulator.text_generation.facts import root

MAX_SENTENCES = 3
MIN_RELATIVE_SCORE = 0.6
"""Share of the best score from which further sentences are part of the answer."""
MAX_SENTENCE_LENGTH = 600
"""Characters of a sentence in the answer."""
MIN_CONTEXT_SENTENCES = 3
"""Sentences from which a text without a heading or numbers counts as a context to answer from."""

SEARCHED_CHARACTERS = 10_000
"""Characters at the start and at the end of a message that are searched for its question or request."""

QUESTION_WORDS = (
    "about according answer briefly cite context describe detail document explain exactly following give information "
    "just know let list mean mention passage please provide provided question quote say show source tell text think "
    "use using want"
)
FILLERS = frozenset(map(root, QUESTION_WORDS.split()))
"""Stems of words that say how to answer, not what the question is about."""
PRONOUN_WORDS = "it its they them their theirs he him his she her hers this that these those there one ones"
PRONOUNS = frozenset(PRONOUN_WORDS.split())

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
QUESTION = re.compile(
    r"(?:^|\n|(?<=[.!?] ))[ \t#*]*(?:(?:original |input |user )?(?:question|query)|topic|q)[ \t*]*:[ \t*]*",
    re.IGNORECASE,
)
AFTER_QUESTION = re.compile(r"\n[ \t#*]*(?:answer|helpful answer|response|a)[ \t*]*:", re.IGNORECASE)
INSTRUCTION = re.compile(
    r"(?:you are|you're|your (?:task|job|role)|act as|answer|use|using|reply|respond|do not|don't|if|be|cite|always|"
    r"never|only|please|write|given|based on|given|summari[sz]e|keep|say|help|think)\b",
    re.IGNORECASE,
)
REQUEST = re.compile(
    r"(?:please |can you |could you |now )*(?:write|give|show|list|make|create|compare|name|suggest|tell|explain|"
    r"describe|translate|summari[sz]e|calculate|draft|generate|find|build|implement|how|what)\b",
    re.IGNORECASE,
)
"""Start of a sentence that asks for something, and so says nothing to answer from."""
SPACES = re.compile(r"\s+")

SUMMARY = re.compile(r"\b(?:summari[sz]e|summary|tl;?dr|in (?:a few|two|three) sentences|main points)\b", re.IGNORECASE)
SENTENCE_COUNT = re.compile(
    r"\b(?:in|into|as|to)\s+(?:exactly\s+)?(a|one|two|1|2)\s+(?:single\s+|short\s+)?sentences?\b", re.IGNORECASE
)
"""Number of sentences that a request for a summary names."""
REWRITING = re.compile(
    r"\b(?:re-?writ|re-?phras|reformulat|condens|turn|convert|transform|generat|formulat|produc)\w*\b"
    r"[^\n]{0,200}?\b(?:stand-?alone|search quer|single quer|one quer|self-?contained)",
    re.IGNORECASE,
)
TURN = re.compile(r"^[ \t]*(?P<speaker>[A-Za-z][A-Za-z -]{0,30})[ \t]*:[ \t]*(?P<words>[^\n]*)$", re.MULTILINE)
USER_SPEAKERS = (
    "user",
    "human",
    "question",
    "customer",
    "q",
    "last question",
    "follow-up question",
    "follow up question",
)


@dataclass(frozen=True)
class Sentence:
    """A sentence of a conversation."""

    text: str
    number: int | None
    """Number of its passage; None if the passage has none."""


@dataclass(frozen=True)
class Task:
    """The question of a conversation, and the sentences to answer it from."""

    question: str
    previous_question: str
    passages: list[Sentence]
    history: list[Sentence]
    """Statements of the user in earlier messages, the latest first."""
    has_context: bool
    """Whether the conversation has passages that are meant to contain the answer."""


def read(system: list[str], users: list[str]) -> Task:
    """Read the question of the last user message, and the passages and the history in all messages."""
    question, rest = _split_question(users[-1] if users else "")
    parts = [part for part in ([rest] if rest else []) + system if part.strip()]
    passages = [sentence for part in parts for sentence in _passages(part)]
    is_marked = any(HEADING.search(part) or NUMBERED.search(part) for part in parts)
    earlier = (each for turn in reversed(users[:-1]) for each in _split(turn))
    history = [Sentence(each, None) for each in earlier if not each.endswith("?") and not REQUEST.match(each)]
    previous = _split_question(users[-2])[0] if len(users) > 1 else ""
    return Task(question, previous, passages, history, is_marked or len(passages) >= MIN_CONTEXT_SENTENCES)


def answer(task: Task) -> list[Sentence]:
    """One to three sentences that answer the question, in the order of the text; none if none shares a word with it."""
    sentences = task.passages + task.history
    if SUMMARY.search(task.question) and sentences:
        return _leading(sentences)[: _sentence_count(task.question)]
    stems = _content_stems(task.question)
    scores = _scores(sentences, stems)
    if not stems or PRONOUNS & set(words(task.question)):
        # passages only: in the history, the previous question would match itself
        earlier = _scores(task.passages, _content_stems(task.previous_question))
        scores = [score + other / 2 for score, other in zip_longest(scores, earlier, fillvalue=0.0)]
    best = max(scores, default=0.0)
    if not best:
        return []
    ranked = sorted(range(len(scores)), key=lambda at: (-scores[at], at))[:MAX_SENTENCES]
    chosen = sorted(at for at in ranked if scores[at] >= MIN_RELATIVE_SCORE * best)
    return [sentences[at] for at in chosen]


def search_query(system: list[str], users: list[str]) -> str | None:
    """Search query for a conversation that the messages ask to rewrite into one; None without such a request.

    It has the content words of the last question, after those of earlier questions if the last has a pronoun or hardly
    any content words.
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
        query = content_words(_split_question(turn)[0] or turn) + query
        if len(query) > 1 and not PRONOUNS & set(words(turn)):
            break
    first_of_stem = {root(words(each)[0]): each for each in reversed(query)}
    return " ".join(each for each in dict.fromkeys(query) if each in first_of_stem.values()) or (
        turns[-1] if turns else last
    )


def content_words(question: str) -> list[str]:
    """Words that a question is about, in its own spelling."""
    spellings = [(word, words(word)) for word in WORD.findall(question)]
    return [
        word
        for word, plain in spellings
        if plain and plain[0] not in STOP_WORDS and plain[0] not in PRONOUNS and root(plain[0]) not in FILLERS
    ]


def labelled_question(message: str) -> str | None:
    """The question after the last label such as `Question:` or `Query:`; None if there is none."""
    labelled = next(reversed(list(QUESTION.finditer(message))), None)
    question = AFTER_QUESTION.split(message[labelled.end() :])[0].strip() if labelled else ""
    return question.partition("\n\n")[0] or None


def points(task: Task, count: int) -> list[str]:
    """At most so many sentences: those that answer the question, then the others in their order."""
    sentences = task.passages + task.history
    best = answer(task)
    return [cited([each]) for each in [*best, *(each for each in sentences if each not in best)][:count]]


def _asks_to_rewrite(message: str) -> bool:
    return bool(REWRITING.search(message[:SEARCHED_CHARACTERS]) or REWRITING.search(message[-SEARCHED_CHARACTERS:]))


# ---- scores --------------------------------------------------------------------------------------------------------


def _content_stems(question: str) -> set[str]:
    """Stems of the words that a question is about."""
    content = [word for word in words(question) if word not in STOP_WORDS and word not in PRONOUNS]
    stems = {root(word) for word in content}
    return stems - FILLERS or stems


def _scores(sentences: list[Sentence], question: set[str]) -> list[float]:
    """For each sentence, the sum of the rarities of the stems that it shares with the question."""
    # a stem begins like its word, so that most words can be skipped
    starts = {each[:3] for each in question}
    shared = [{root(word) for word in words(each.text) if word[:3] in starts} & question for each in sentences]
    counts = Counter(each for stems in shared for each in stems)
    rarity = {each: math.log(1 + len(sentences) / count) for each, count in counts.items()}
    return [sum(rarity[each] for each in sorted(stems)) for stems in shared]


def _sentence_count(question: str) -> int:
    """Number of sentences that a summary may have."""
    match = SENTENCE_COUNT.search(question)
    return {"a": 1, "one": 1, "1": 1, "two": 2, "2": 2}.get(match[1].lower(), MAX_SENTENCES) if match else MAX_SENTENCES


def _leading(sentences: list[Sentence]) -> list[Sentence]:
    """First sentences of the passages, three at most; of a single passage its first three."""
    numbers = dict.fromkeys(each.number for each in sentences)
    if len(numbers) == 1:
        return sentences[:MAX_SENTENCES]
    return [next(each for each in sentences if each.number == number) for number in list(numbers)[:MAX_SENTENCES]]


# ---- texts ---------------------------------------------------------------------------------------------------------


def _split_question(message: str) -> tuple[str, str]:
    """The question or request in a message, and the rest of the message."""
    if labelled := next(reversed(list(QUESTION.finditer(message))), None):
        question = AFTER_QUESTION.split(message[labelled.end() :])[0].strip()
        first, _, more = question.partition("\n\n")
        if first:
            return first, f"{message[: labelled.start()]}\n\n{more}"
    sentences = _split(message[-SEARCHED_CHARACTERS:])
    if len(sentences) < 2:
        return message.strip(), ""
    question = next((each for each in reversed(sentences) if each.endswith(("?", "\uff1f"))), None)
    if question is None:  # a request, at the start or the end
        first = _split(message[:SEARCHED_CHARACTERS])[0]
        question = first if SUMMARY.search(first) or INSTRUCTION.match(first) else sentences[-1]
        head, colon, text = question.partition(": ")
        if colon and SUMMARY.search(head) and text.strip():  # the text begins on the same line
            question = head + colon.strip()
    return question, _without(message, question)


def _without(message: str, question: str) -> str:
    """The message without its question, which may span lines there."""
    place = re.compile(r"\s+".join(map(re.escape, question.split())))
    return place.sub("\n\n", message)


def _normalized(content: str) -> str:
    """The text with single spaces, and line breaks only where a sentence may end."""

    def space(gap: re.Match[str]) -> str:
        lines = gap.group().count("\n")
        continues = lines == 1 and content[gap.end() : gap.end() + 1].islower()
        return "\n" if lines and not continues else " "

    return SPACES.sub(space, content.strip())


def _split(content: str) -> list[str]:
    """Sentences of a text."""
    return [each.strip()[:MAX_SENTENCE_LENGTH] for each in SENTENCE_END.split(_normalized(content)) if each.strip()]


def _passages(part: str) -> Iterator[Sentence]:
    """Sentences of a text to answer from, without its instructions, each with the number of its passage."""
    heading = HEADING.search(part)
    markers = list(NUMBERED.finditer(part))
    start = min([each.start() for each in (heading, *markers[:1]) if each], default=0)
    ends = [*(marker.start() for marker in markers), len(part)]
    first = part[heading.end() if heading and heading.start() == start else start : ends[0]] if start < ends[0] else ""
    plain = [each for each in _split(TAG.sub("\n", first)) if heading or not _is_instruction(each)]
    yield from (Sentence(each, None) for each in plain)
    for marker, end in zip(markers, ends[1:], strict=True):
        number = int(marker["bracket"] or marker["tag"] or marker["label"])
        inside = CLOSED.split(part[marker.end() : end])
        yield from (Sentence(each, number) for each in _split(TAG.sub("\n", inside[0])))


def _is_instruction(sentence: str) -> bool:
    return bool(INSTRUCTION.match(sentence)) or sentence.endswith((":", "?"))


def _turns(transcript: str) -> list[str]:
    """Turns of the user in the transcript of a conversation."""
    return [
        each["words"]
        for each in TURN.finditer(transcript)
        if each["speaker"].strip().lower() in USER_SPEAKERS and each["words"]
    ]


def _without_request(users: list[str], last: str) -> list[str]:
    rest = [each for each in _split(last) if not REWRITING.search(each) and not _is_request(each)]
    return users[:-1] + rest[-1:] if rest else users[:-1]


def _is_request(sentence: str) -> bool:
    return bool(INSTRUCTION.match(sentence)) or sentence.endswith(":")


def cited(sentences: Iterable[Sentence]) -> str:
    """The sentences as one text, each with the number of its passage."""
    return " ".join(each.text if each.number is None else f"{each.text} [{each.number}]" for each in sentences)
