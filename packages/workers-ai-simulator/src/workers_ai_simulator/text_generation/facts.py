"""What a message says, in values that an argument or a property can take: numbers, names, dates, addresses.

Regular expressions and a few lists of words in place of understanding. What has been taken is not offered again.
"""

import re
from collections.abc import Iterator

from workers_ai_simulator.embeddings.lexical import STOP_WORDS, stem, words

MOST_READ = 20_000
"""Characters of a message that are looked at for values: its beginning."""

LONGEST_WORD = 40

EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
URL = re.compile(r"https?://[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]")
UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
TIMESTAMP = re.compile(
    r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)\b|\b\d{4}-\d\d-\d\dT[\d:]+Z"
)
ISO_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
YEAR_OF_MONTHS = "january february march april may june july august september october november december"
MONTHS = YEAR_OF_MONTHS.split()
MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS)
WRITTEN_DATE = re.compile(
    rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<month>{MONTH})\.?,? (?P<year>\d{{4}})\b"
    rf"|\b(?P<month2>{MONTH})\.? (?P<day2>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year2>\d{{4}})\b",
    re.IGNORECASE,
)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]*\w@)")
YEAR = re.compile(r"(?<!\d)(?:1\d{3}|20\d\d)(?!\d)")
QUOTED = re.compile(r"[\"“«„]([^\"“”«»„]{1,200})[\"”»“]|(?<!\w)['\u2018]([^'\u2018\u2019]{1,200})['\u2019](?!\w)")
WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
SENTENCE_START = re.compile(r"(?:^|[.!?:;\n])[\s\"“'(]*$")

OPENING_WORDS = (
    "answer ask book buy calculate call check compare compute convert create delete describe do extract fetch find "
    "generate get give hello help hey hi how i i'm i'd i've in its let list look make my name named of on open "
    "order play please read remind reply search send set show summarize tell thanks today tomorrow translate turn "
    "use weather what what's when where which who who's why write yes no"
)
OPENERS = frozenset(OPENING_WORDS.split())
"""Words that are written large at the start of a sentence and are no name."""
WEEK = "monday tuesday wednesday thursday friday saturday sunday"
DAYS = frozenset(WEEK.split())
BETWEEN_VALUES = re.compile(
    r"\s*(?:,|&|,?\s+(?:and|or|und|et|y|e|as well as))\s*(?:(?:also|in|at|for|of|to|on)\s+)?", re.IGNORECASE
)
"""What stands between the values of one list."""


class Facts:
    """The values in a text, each kind in the order in which the text has them."""

    def __init__(self, text: str) -> None:
        self.text = text[:MOST_READ]
        urls = URL.findall(self.text)
        self.formats: dict[str, list[str]] = {
            "email": EMAIL.findall(self.text),
            "uri": urls,
            "url": urls,
            "uuid": UUID.findall(self.text),
            "date": [*ISO_DATE.findall(self.text), *map(_iso, WRITTEN_DATE.finditer(self.text))],
            "date-time": TIMESTAMP.findall(self.text),
        }
        """By the names that JSON Schema has for them."""
        self.quoted = ["".join(each) for each in QUOTED.findall(self.text)]
        self.names = list(_names(self.text))
        self.stems = [root(word) for word in words(self.text)]
        self._numbers = [(each.start(), each.group()) for each in NUMBER.finditer(_without_others(self.text))]
        self._taken: set[str] = set()

    def taken(self) -> frozenset[str]:
        """What has been taken so far, to come back to with `only`."""
        return frozenset(self._taken)

    def only(self, taken: frozenset[str]) -> None:
        """Gives back all that was taken since."""
        self._taken = set(taken)

    def take(self, value: str) -> None:
        self._taken.add(value)

    def left(self, values: list[str]) -> Iterator[str]:
        return (value for value in values if value not in self._taken)

    def numbers(self, about: list[str]) -> Iterator[str]:
        """The numbers not taken yet, those first that stand beside a word with one of the stems."""
        left = [(self._distance(at, about), at, number) for at, number in self._numbers if f"{at}" not in self._taken]
        for _, at, number in sorted(left):
            self.take(f"{at}")
            yield number.replace(",", "")

    def years(self) -> list[str]:
        return YEAR.findall(self.text)

    def labelled(self, key: str) -> str | None:
        """What the text says after the words of the key and `:`, `=` or `is`."""
        if not key:
            return None
        label = r"[\s_-]?".join(map(re.escape, key_words(key)))
        pattern = rf"\b{label}(?:\s*[:=]\s*|\s+(?:is|are|was|called|named|of)\s+)[\"“'\u2018]?([^,.;:!?\n\"”]{{1,80}})"
        found = re.search(pattern, self.text, re.IGNORECASE)
        return re.split(r"\s+(?:and|but|with)\s|['\u2019]\s", found[1].strip())[0].strip(" '\u2019") if found else None

    def after(self, prepositions: tuple[str, ...]) -> list[str]:
        """What stands behind one of the prepositions: a name of any length, or one word."""
        pattern = (
            rf"\b(?i:{'|'.join(prepositions)})\s+(?i:the\s+|a\s+|an\s+)?({WORD.pattern}(?:[ -][A-Z][\w'\u2019-]*)*)"
        )
        return [each for each in re.findall(pattern, self.text) if each.casefold() not in STOP_WORDS]

    def listed(self) -> list[str]:
        """The names or quoted texts that the text lists as alike: “Paris, Rome and in Oslo”; none if it lists none."""
        for values in (self.quoted, self.names):
            for first, value in enumerate(values):
                together = [value]
                for other in values[first + 1 :]:
                    if not self._side_by_side(together[-1], other):
                        break
                    together.append(other)
                if len(together) > 1:
                    return together
        return []

    def _side_by_side(self, one: str, other: str) -> bool:
        pattern = rf"{re.escape(one)}[\"”»'\u2019]?{BETWEEN_VALUES.pattern}[\"“«'\u2018]?{re.escape(other)}"
        return re.search(pattern, self.text, re.IGNORECASE) is not None

    def _distance(self, at: int, about: list[str]) -> int:
        near = [
            abs(each.start() - at)
            for each in WORD.finditer(self.text, max(0, at - 40), at + 40)
            if root(each.group().casefold()) in about
        ]
        return min(near, default=1000)


def root(word: str) -> str:
    """The stem; of a word too long to be one, that of its beginning."""
    return stem(word[:LONGEST_WORD])


def key_words(key: str) -> list[str]:
    """The words of a name in the code's manner: `birthYear`, `birth_year` → birth, year."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key).replace("_", " ").replace("-", " ").casefold().split()


def _names(text: str) -> Iterator[str]:
    """Words written large that follow each other, without those that only start a sentence."""
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
    found, plain = word.group(), word.group().casefold()
    if not found[0].isupper() or plain in DAYS or plain in MONTHS or plain in ("i", "i'm", "i'd", "i've"):
        return False
    starts = first and SENTENCE_START.search(text[max(0, word.start() - 8) : word.start()])
    return not (starts and (plain in OPENERS or plain in STOP_WORDS))


def _joined(run: list[re.Match[str]]) -> Iterator[str]:
    if run:
        yield re.sub(r"['\u2019]s$", "", " ".join(each.group() for each in run))


def _iso(found: re.Match[str]) -> str:
    day, month = found["day"] or found["day2"], found["month"] or found["month2"]
    number = next(place for place, name in enumerate(MONTHS, 1) if name.startswith(month[:3].casefold()))
    return f"{found['year'] or found['year2']}-{number:02}-{int(day):02}"


def _without_others(text: str) -> str:
    for pattern in (EMAIL, URL, UUID, TIMESTAMP, ISO_DATE, WRITTEN_DATE):
        text = pattern.sub(_blank, text)
    return text


def _blank(found: re.Match[str]) -> str:
    return " " * len(found.group())
