"""Normalisation of text for full-text search: passages and queries are treated alike, so that equal words match.

Case, accents, ligatures, width and invisible characters make no difference. The parts of a compound (`RFC-2119`,
`snake_case`, `camelCase`) are words, and so is the compound without its marks. Scripts without spaces between words
become overlapping pairs of letters. SQLite only splits the result at spaces, and stems English words.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

NORMALIZATION = 2
"""Number of this normalisation, stored with each version that is indexed by it. Increase it with every change below
that alters `index_text`, and of what passage_store.index_chunks indexes: the Worker then indexes the passages of
earlier numbers again."""

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff\u2122\u2120]"
)
"""Format characters, and trade mark signs, which would become letters."""
OPTIONAL_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08ff\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
"""Marks that people leave out when they search: accents of Latin, Greek and Cyrillic letters, points of Hebrew and
Arabic ones. Those of India's and South-East Asia's scripts are letters of their own, and stay."""
LETTERS = str.maketrans(
    {
        **dict(zip("øØđĐłŁħĦıŧŦ", "oOdDlLhHitT", strict=True)),
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ß": "ss",
        "ẞ": "SS",
        "þ": "th",
        "Þ": "TH",
        "ð": "d",
        "Ð": "D",
        # letters that Arabic and Persian keyboards make differently
        **dict(zip("ىیکة", "ييكه", strict=True)),
        # digits of other scripts; each block has ten of them in order
        **{
            chr(zero + digit): str(digit) for zero in (0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0x17E0) for digit in range(10)
        },
    }
)
"""Letters that Unicode does not decompose → what people type in their place."""

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17df\u1950-\u19df\u1a20-\u1aaf\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029"
    "\u3031-\u3035\u3038-\u303c\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u318f\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\ua9e0-\ua9ff\uaa60-\uaa7f\uac00-\ud7ff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Scripts in which spaces do not tell the words apart: Han, Kana, Hangul, Bopomofo, Yi, Thai, Lao, Burmese, Khmer."""
MARKS = (
    "\u0711-\u074a\u07a6-\u07b0\u07eb-\u07f3\u0900-\u0963\u0966-\u096f\u0971-\u0df3\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1"
    "\u0eb4-\u0ebc\u0ec8-\u0ecd\u0f18\u0f19\u0f35\u0f37\u0f39\u0f3e\u0f3f\u0f71-\u0f84\u0f86\u0f87\u0f8d-\u0fbc\u102b-\u103e"
    "\u1056-\u1059\u105e-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u109a-\u109d\u135d-\u135f\u1712-\u1734\u17b6-\u17d3"
    "\u1920-\u193b\u1a17-\u1a1b\u1a55-\u1a7f\u1b00-\u1b04\u1b34-\u1b44\u1b80-\u1bf3\u1c24-\u1c37\ua880-\ua8c5\ua926-\ua92d"
    "\ua947-\ua953\ua980-\ua9c0\uaa29-\uaa36\uabe3-\uabed\U00011000-\U00011fff"
)
"""Characters that belong to words and are neither letters nor digits for Python's `\\w`."""
CONNECTORS = r"-\u2010./:@'\u2019"
"""Marks that make a compound of the words around them; `_` is one as well, and is replaced by a hyphen."""
CONNECTOR = re.compile(rf"[{CONNECTORS}]")
COMPOUND = re.compile(rf"[\w{MARKS}]+(?:[{CONNECTORS}][\w{MARKS}]+)*")
UNSPACED_LETTER = re.compile(rf"[{UNSPACED}]")
RUN = re.compile(rf"[{UNSPACED}]+|[^{UNSPACED}]+")
CLUSTER = re.compile(rf"[^{MARKS}][{MARKS}]*|^[{MARKS}]+")
"""A letter with the marks after it."""
HYPHENATED = re.compile(r"(?<=\w)(?:[-\u2010\u2011\u00ac]|\u00ad)[^\S\n]*\r?\n[^\S\n]*(?=\w)")
"""A hyphen at the end of a line. It may or may not belong to the word, so that both spellings are indexed."""
BROKEN_LINE = re.compile(
    "(?<=[\u3041-\u30ff\u3400-\u9fff])(?:[^\\S\n]*\r?\n[^\\S\n]*|[^\\S\n]+)(?=[\u3041-\u30ff\u3400-\u9fff])"
)
"""A line's end or a gap between Han or Kana, which have no spaces: lines are broken within words."""
POSSESSIVE = re.compile(r"(?<=\w)['\u2019][sS]\b")
SMALL, CAPITAL = r"[a-z\u03b1-\u03c9\u0430-\u044f]", r"[A-Z\u0391-\u03a9\u0410-\u042f]"
"""Letters of Latin, Greek and Cyrillic script, without accents."""
SUBWORD = re.compile(
    rf"(?<={SMALL})(?={CAPITAL})|(?<={CAPITAL})(?={CAPITAL}{SMALL})|(?<=\d)(?=[^\W\d])|(?<=[^\W\d])(?=\d)"
)
"""Where a word within a word begins: at a capital after a small letter, and between letters and digits."""
MAX_SUBWORDS = 4
"""Maximum words within a word. A word with more is a hash or a random id, and is not divided."""
MAX_COMPOUND_PARTS = 8
MAX_COMPOUND_CHARACTERS = 64
"""Parts and characters of a compound that is also indexed as one word."""
MAX_PHRASE_CLUSTERS = 8
"""Letters of a run without spaces that is searched for as a whole, too: a longer one is a clause."""

WORD = re.compile(r"\w+")
AS_WRITTEN = re.compile(r"\w+(?:[-./:@]\w+)*")
COMMON_WORDS = (
    "a about am an and any are as at be been but by can could did do does for from had has have he her his how i if in "
    "into is it its me my of on or our she should so some than that the their them then there these they this those to "
    "us was we were what when where which who whom whose why will with would you your"
)
STOP_WORDS = frozenset(COMMON_WORDS.split())
"""Stop words, English like the index's stemmer. Nearly every passage has some of them, so that a search for them is
slow and finds any passage."""


MAX_FOLDED_QUERY = 16_384
"""Characters of a normalised query that are searched for. Some letters become eighteen."""


class Term(NamedTuple):
    """A word, a compound, or a run of letters without spaces, as it stands in a text."""

    parts: list[str]
    """The words of a compound, in order; the letters of a run without spaces."""
    joined: str = ""
    """The compound as one word; empty if it is none, or not to be searched for as one."""
    is_unspaced: bool = False


def index_text(text: str) -> str:
    """Return the words of a text for the index, separated by spaces."""
    words: list[str] = []
    for compound in COMPOUND.findall(_folded(text)):
        if _is_word(compound):  # most of an English text, which need no Term each
            words.append(compound.lower())
            continue
        for term in _terms_of(compound):
            if term.is_unspaced:
                words += _pairs(term.parts)
                words.append(term.parts[-1])  # the last one alone, too, so that a search for one letter finds it
            else:
                words += term.parts
                if term.joined:
                    words.append(term.joined)
    return " ".join(words)


def query_terms(query: str) -> list[str]:
    """Return expressions of FTS5 for what a query looks for: compounds first, then words, without repetition.

    Stop words are among them only if there is nothing else.
    """
    compounds: list[str] = []
    words: list[str] = []
    for term in _terms(query, MAX_FOLDED_QUERY):
        if term.is_unspaced:
            if 2 < len(term.parts) <= MAX_PHRASE_CLUSTERS:
                compounds.append(_phrase(_pairs(term.parts)))
            words += map(_quoted, _pairs(term.parts))
            if len(term.parts) == 1:
                words.append(f"{_quoted(term.parts[0])} *")
            continue
        if len(term.parts) > 1:
            compounds.append(_phrase(term.parts))
        if term.joined:
            compounds.append(_quoted(term.joined))
        is_compound = len(term.parts) > 1
        words += (_quoted(part) for part in term.parts if len(part) > 1 or not is_compound)
    content_words = [word for word in words if word.strip('"') not in STOP_WORDS]
    return list(dict.fromkeys([*compounds, *(content_words or words)]))


def query_terms_as_written(query: str) -> list[str]:
    """Return expressions of FTS5 for the index of earlier versions, which has passages as they are written."""
    terms = AS_WRITTEN.findall(unicodedata.normalize("NFC", query.lower()))
    codes = [each for each in terms if not each.isalnum()]
    words = [word for each in terms for word in WORD.findall(each)]
    content_words = [each for each in words if each not in STOP_WORDS]
    return list(map(_quoted, dict.fromkeys([*codes, *(content_words or words)])))


def _terms(text: str, longest: int | None = None) -> Iterator[Term]:
    for compound in COMPOUND.findall(_folded(text)[:longest]):
        if _is_word(compound):
            yield Term([compound.lower()])
        else:
            yield from _terms_of(compound)


def _is_word(compound: str) -> bool:
    """Tell whether it is a single word in English letters."""
    return (
        compound.isascii() and compound.isalpha() and (compound.islower() or compound.istitle() or compound.isupper())
    )


def _terms_of(compound: str) -> Iterator[Term]:
    for run in RUN.findall(compound):
        if UNSPACED_LETTER.match(run):
            yield Term(CLUSTER.findall(run), is_unspaced=True)
        elif any(map(str.isalnum, run)):
            yield _compound(run)


def _folded(text: str) -> str:
    """Return the text without differences that readers do not see or people do not type; case is kept."""
    text = HYPHENATED.sub("-", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKD", INVISIBLE.sub("", text))
        text = unicodedata.normalize("NFC", OPTIONAL_MARKS.sub("", text)).translate(LETTERS)
        text = BROKEN_LINE.sub("", text)
    return POSSESSIVE.sub("", text).replace("_", "-")


def _compound(run: str) -> Term:
    words = CONNECTOR.split(run)
    parts = [part.casefold() for word in words for part in _subwords(word) if part]
    joined = "".join(parts)
    is_word = 1 < len(parts) <= MAX_COMPOUND_PARTS and len(joined) <= MAX_COMPOUND_CHARACTERS
    # 3.14, 10:30 and 192.168.0.1 are no words without their marks, nor are addresses
    is_number = joined.isdecimal() and "-" not in run
    is_address = ":" in run or "@" in run or ("/" in run and "." in run) or run.count("/") > 1
    return Term(parts, joined if is_word and not is_number and not is_address else "")


def _subwords(word: str) -> list[str]:
    subwords = SUBWORD.split(word)
    return subwords if len(subwords) <= MAX_SUBWORDS else [word]


def _pairs(letters: list[str]) -> list[str]:
    return [first + second for first, second in pairwise(letters)]


def _phrase(words: list[str]) -> str:
    return _quoted(" ".join(words))


def _quoted(words: str) -> str:
    return f'"{words}"'
