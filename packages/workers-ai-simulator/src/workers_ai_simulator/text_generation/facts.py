"""Values in a message that can fill an argument or a property: numbers, names, dates, addresses.

They are found by regular expressions and a few word lists. A value that has been taken is not offered again.
"""

import re
from collections.abc import Iterator

from workers_ai_simulator.embeddings.lexical import STOP_WORDS, stem, words

MAX_CHARACTERS = 20_000
"""Characters at the beginning of a message that are searched for values."""

MAX_WORD_LENGTH = 40

EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
URL = re.compile(r"https?://[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]")
UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
TIMESTAMP = re.compile(
    r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)\b|\b\d{4}-\d\d-\d\dT[\d:]+Z"
)
ISO_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
MONTH_NAMES = "january february march april may june july august september october november december"
MONTHS = MONTH_NAMES.split()
MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS)
WRITTEN_DATE = re.compile(
    rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<month>{MONTH})\.?,? (?P<year>\d{{4}})\b"
    rf"|\b(?P<month2>{MONTH})\.? (?P<day2>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year2>\d{{4}})\b",
    re.IGNORECASE,
)
EXPRESSION = re.compile(r"(?<![\w.])-?\(?\d[\d.]*+\)?(?:\s*[-+*/\u00d7\u00f7^]\s*-?\(?\d[\d.]*+\)?)+(?<!\.)")
"""Arithmetic, such as `2 + 3`."""
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]*\w@)")
YEAR = re.compile(r"(?<!\d)(?:1\d{3}|20\d\d)(?!\d)")
QUOTED = re.compile(r"[\"“«„]([^\"“”«»„]{1,200})[\"”»“]|(?<!\w)['\u2018]([^'\u2018\u2019]{1,200})['\u2019](?!\w)")
WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
SENTENCE_START = re.compile(r"(?:^|[.!?:;\n])[\s\"“'(]*$")

OPENING_WORDS = (
    "add always answer as ask book buy calculate call check compare compute contacts convert create customers "
    "delete describe distance divide do don't each employees evaluate every extract fetch find forecast from "
    "generate get give hello help here hey hi how i i'd i'm i've identify in invite its let list look make "
    "multiply my name named names never new no of on only open order output parse people persons play please "
    "price read remind reply respond return search send set show status subtract sum summarize task tell "
    "temperature thanks there these this three today tomorrow translate turn two use users weather what what's "
    "when where which who who's why write yes"
)
SUBJECT = re.compile(r"\W*(?:and\s+)?([^\W\d_][\w'-]*)\s*(?:\b(?:is|was|aged)\b|[:,(])", re.IGNORECASE)
OPENERS = frozenset(OPENING_WORDS.split())
"""Words that begin a sentence with a capital letter and are no names."""
DAY_NAMES = "monday tuesday wednesday thursday friday saturday sunday"
DAYS = frozenset(DAY_NAMES.split())
BETWEEN_VALUES = re.compile(
    r"\s*(?:,|&|;|,?\s+(?:and|or|und|et|y|e|as well as)\b|\n\s*(?:[-*•]|\d{1,3}[.)])?)\s*"
    r"(?:(?:also|and|then|in|at|for|of|to|on)\s+){0,2}",
    re.IGNORECASE,
)
"""Text between the values of one list."""


class Facts:
    """Values in a text, each kind in the order of the text."""

    def __init__(self, text: str) -> None:
        self.text = text[:MAX_CHARACTERS]
        urls = URL.findall(self.text)
        self.formats: dict[str, list[str]] = {
            "email": EMAIL.findall(self.text),
            "uri": urls,
            "url": urls,
            "uuid": UUID.findall(self.text),
            "date": [*ISO_DATE.findall(self.text), *map(_iso_date, WRITTEN_DATE.finditer(self.text))],
            "date-time": TIMESTAMP.findall(self.text),
            "expression": EXPRESSION.findall(_without_formats(self.text)),
        }
        """Format of JSON Schema, or name of a property → the values in that format."""
        self.quoted = ["".join(each) for each in QUOTED.findall(self.text)]
        self.names = list(_names(self.text))
        self.stems = [root(word) for word in words(self.text)]
        self._numbers = [(each.start(), each.group()) for each in NUMBER.finditer(_without_formats(self.text))]
        self._taken: set[str] = set()

    def taken(self) -> frozenset[str]:
        """Values taken so far, for `restore`."""
        return frozenset(self._taken)

    def restore(self, taken: frozenset[str]) -> None:
        """Offer again the values taken since `taken()` returned this."""
        self._taken = set(taken)

    def take(self, value: str) -> None:
        self._taken.add(value)

    def available(self, values: list[str]) -> Iterator[str]:
        return (value for value in values if value not in self._taken)

    def numbers(self, stems: list[str]) -> Iterator[str]:
        """Numbers not taken yet, the nearest to a word with one of the stems first; each is taken when yielded."""
        numbers = [
            (self._distance(at, stems), at, number) for at, number in self._numbers if f"{at}" not in self._taken
        ]
        for _, at, number in sorted(numbers):
            self.take(f"{at}")
            yield number.replace(",", "")

    def years(self) -> list[str]:
        return YEAR.findall(self.text)

    def labelled(self, key: str) -> str | None:
        """Value in the text after the words of the key and `:`, `=` or `is`; None if there is none."""
        if not key:
            return None
        label = r"[\s_-]?".join(map(re.escape, key_words(key)))
        pattern = rf"\b{label}(?:\s*[:=]\s*|\s+(?:is|are|was|called|named|of)\s+)[\"“'\u2018]?([^,.;:!?\n\"”]{{1,80}})"
        match = re.search(pattern, self.text, re.IGNORECASE)
        return re.split(r"\s+(?:and|but|with)\s|['\u2019]\s", match[1].strip())[0].strip(" '\u2019") if match else None

    def after(self, prepositions: tuple[str, ...]) -> list[str]:
        """Values after one of the prepositions: a name of any length, or one word."""
        pattern = (
            rf"\b(?i:{'|'.join(prepositions)})\s+(?i:the\s+|a\s+|an\s+)?({WORD.pattern}(?:[ -][A-Z][\w'\u2019-]*)*)"
        )
        return [each for each in re.findall(pattern, self.text) if each.casefold() not in STOP_WORDS]

    def subject(self) -> list[str]:
        """The first word, if `is`, a colon or the like follows, as in “alice is 30”: a name in lower case."""
        match = SUBJECT.match(self.text)
        return [match[1]] if match and match[1].casefold() not in OPENERS | STOP_WORDS else []

    def listed(self) -> list[str]:
        """Names or quoted texts that the text enumerates, as in “Paris, Rome and in Oslo”; empty if there are none."""
        for values in (self.quoted, self.names):
            for first, value in enumerate(values):
                listed = [value]
                for other in values[first + 1 :]:
                    if not self._are_adjacent(listed[-1], other):
                        break
                    listed.append(other)
                if len(listed) > 1:
                    return listed
        return []

    def _are_adjacent(self, one: str, other: str) -> bool:
        pattern = rf"{re.escape(one)}[\"”»'\u2019]?{BETWEEN_VALUES.pattern}[\"“«'\u2018]?{re.escape(other)}"
        return re.search(pattern, self.text, re.IGNORECASE) is not None

    def _distance(self, at: int, stems: list[str]) -> int:
        """Characters from a place to the nearest word with one of the stems; 1000 if none is within 40."""
        distances = [
            abs(each.start() - at)
            for each in WORD.finditer(self.text, max(0, at - 40), at + 40)
            if root(each.group().casefold()) in stems
        ]
        return min(distances, default=1000)


def root(word: str) -> str:
    """Stem of the word, or of its beginning if it is too long for a word."""
    return stem(word[:MAX_WORD_LENGTH])


def key_words(key: str) -> list[str]:
    """Words of an identifier: `birthYear`, `birth_year` → birth, year."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key).replace("_", " ").replace("-", " ").casefold().split()


def _names(text: str) -> Iterator[str]:
    """Runs of capitalized words, without words that only start a sentence."""
    run: list[re.Match[str]] = []
    for word in WORD.finditer(EMAIL.sub(_blank, URL.sub(_blank, text))):
        if run and text[run[-1].end() : word.start()] not in (" ", " - "):
            yield from _joined(run)
            run = []
        if _is_name(word, text, first=not run):
            run.append(word)
        else:
            yield from _joined(run)
            run = []
    yield from _joined(run)


def _is_name(word: re.Match[str], text: str, first: bool) -> bool:
    spelling, plain = word.group(), word.group().casefold()
    if (
        not spelling[0].isupper()
        or "_" in spelling
        or plain in DAYS
        or plain in MONTHS
        or plain in ("i", "i'm", "i'd", "i've")
    ):
        return False
    starts = first and SENTENCE_START.search(text[max(0, word.start() - 8) : word.start()])
    return not (starts and (plain in OPENERS or plain in STOP_WORDS))


def _joined(run: list[re.Match[str]]) -> Iterator[str]:
    if run:
        yield re.sub(r"['\u2019]s$", "", " ".join(each.group() for each in run))


def _iso_date(match: re.Match[str]) -> str:
    day, month = match["day"] or match["day2"], match["month"] or match["month2"]
    number = next(place for place, name in enumerate(MONTHS, 1) if name.startswith(month[:3].casefold()))
    return f"{match['year'] or match['year2']}-{number:02}-{int(day):02}"


def _without_formats(text: str) -> str:
    """The text with blanks in place of addresses, dates and ids, whose digits are no numbers."""
    for pattern in (EMAIL, URL, UUID, TIMESTAMP, ISO_DATE, WRITTEN_DATE):
        text = pattern.sub(_blank, text)
    return text


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())
