"""Text cut where it hurts least: at the ends of sentences, at spaces, between letters; and what it counts for."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

PIECE = re.compile(r"[A-Za-zÀ-ɏḀ-ỿ]{1,4}|\d{1,2}|([가-힣])|\S")
"""What counts as a token.

WordPiece with the vocabulary of BERT, uncased, as the bge models for English have it, takes punctuation marks one by
one, as it does the ideographs and, as good as, the letters of any script but Latin; accents it leaves out. An English
word is 1.2 tokens on average and counts for 1.5 here, so that estimates come out too high; a German word is about 2.2
and counts for 1.9. Source of the rules: BasicTokenizer and WordpieceTokenizer of github.com/google-research/bert; the
averages are rough.
"""
MAX_PIECE_LENGTH = 4 + 80
"""Characters of a piece and the spaces behind it."""
SYLLABLE_TOKENS = 3
"""A Korean syllable, which the tokenizer takes apart into its letters."""

GAP = re.compile(
    r"""(?<=[.!?…‽؟।"'”’»)\]*_`])\s+"""  # after what may be the end of a sentence
    r"|(?<=[。！？｡])(?=[^\s。！？｡」』”’）])\s*"
    r"|(?<=[。！？｡][」』”’）])(?=[^\s。！？｡」』”’）])\s*"
)
ENDS = ".!?…‽؟।。！？｡"
CLOSERS = "\"'”’»)]*_`」』）"
MAX_CLOSING_LENGTH = 8
"""Brackets and quotation marks that are looked through for the end of a sentence."""
ABBREVIATIONS = frozenset(
    [
        "al",
        "approx",
        "art",
        "bzw",
        "ca",
        "cf",
        "ch",
        "co",
        "corp",
        "dr",
        "ed",
        "eds",
        "eq",
        "etc",
        "fig",
        "figs",
        "gen",
        "hr",
        "inc",
        "jr",
        "ltd",
        "max",
        "min",
        "mme",
        "mr",
        "mrs",
        "ms",
        "nr",
        "no",
        "op",
        "p",
        "pp",
        "prof",
        "ref",
        "rev",
        "sec",
        "sr",
        "st",
        "str",
        "tab",
        "tel",
        "univ",
        "usw",
        "vgl",
        "vol",
        "vs",
    ]
)
MAX_ABBREVIATION_LENGTH = 8
MAX_DOTTED_LENGTH = 6
SHORTEST = 4
"""Characters of a sentence that ends with a full stop; what is shorter is the number of an item."""
WORD_START = re.compile(r"[\s(\[]")

SPACE = " \n\t\u00a0\u3000"
MAX_CLUSTER_LENGTH = 32
"""Code points that are taken for one letter at most."""
JOINER = "\u200d"


class Piece(NamedTuple):
    text: str
    tokens: int
    """Estimated."""
    joint: str = "\n\n"
    """What stands between it and the piece before."""
    is_sentence: bool = False
    """Whole, and so may be said twice."""


def tokens(text: str) -> int:
    """What the text counts for, rather too much than too little."""
    found = PIECE.findall(text)  # one string each, empty but for Korean
    return len(found) + (SYLLABLE_TOKENS - 1) * (len(found) - found.count(""))


def tokens_up_to(text: str, most: int) -> int:
    """The same, of a text with more than `most` perhaps less, but still more than these."""
    return tokens(text[: (most + 1) * MAX_PIECE_LENGTH])


def sentences(text: str, most: int, joint: str = "\n\n") -> Iterator[Piece]:
    """The sentences of a paragraph; those of more than `most` tokens in parts.

    joint: what stands before the first.
    """
    start = 0
    for gap in GAP.finditer(text):
        if _ends_sentence(text, start, gap.start(), gap.end()):
            yield from _sentence(text[start : gap.start()], most, joint)
            start, joint = gap.end(), gap.group()
    if rest := text[start:].rstrip():
        yield from _sentence(rest, most, joint)


def _sentence(text: str, most: int, joint: str) -> Iterator[Piece]:
    if (count := tokens_up_to(text, most)) <= most:
        yield Piece(text, count, joint, is_sentence=True)
        return
    for part in parts(text, most):
        yield Piece(part, tokens(part), joint)
        joint = "\n"


def _ends_sentence(text: str, start: int, end: int, following: int) -> bool:
    """Whether a sentence that began at `start` has ended where a gap begins at `end`."""
    said = text[max(start, end - MAX_CLOSING_LENGTH - MAX_ABBREVIATION_LENGTH) : end].rstrip(CLOSERS)
    if not said or said[-1] not in ENDS or following >= len(text) or text[following].islower():
        return False
    return said[-1] != "." or not (end - start < SHORTEST or _is_abbreviated(said[:-1]))


def _is_abbreviated(said: str) -> bool:
    """Whether the last word, whose full stop is left out, is written with one: Dr, e.g, z.B, an initial."""
    word = WORD_START.split(said)[-1].lower()
    return (
        word in ABBREVIATIONS or (len(word) == 1 and word.isalpha()) or (len(word) < MAX_DOTTED_LENGTH and "." in word)
    )


def parts(text: str, most: int) -> Iterator[str]:
    """Parts of up to `most` tokens, cut at line ends or else spaces, and where there are none between letters."""
    start = 0
    while start < len(text):
        end = _reach(text, start, most)
        if end < len(text):
            end = _line_end(text, start, end) or _space(text, start, end) or _letter_end(text, start, end)
        if part := text[start:end].strip():
            yield part
        start = end


def _reach(text: str, start: int, most: int) -> int:
    """Where so many tokens from `start` end, spaces behind them included."""
    found = _pieces(most).match(text, start)
    end = found.end() if found else len(text)
    if tokens(text[start:end]) <= most:
        return end
    count, end = 0, start
    for piece in PIECE.finditer(text, start):  # there is Korean in it
        count += SYLLABLE_TOKENS if piece.lastindex else 1
        if count > most and end > start:
            break
        end = piece.end()
    return end


@lru_cache(maxsize=512)
def _pieces(most: int) -> re.Pattern[str]:
    """Up to so many pieces."""
    piece = PIECE.pattern.replace("(", "(?:")
    return re.compile(rf"\s*(?:(?:{piece})\s*){{1,{most}}}")


def _line_end(text: str, start: int, end: int) -> int:
    """Behind the last line's end in the second half of the range; 0 if there is none."""
    return text.rfind("\n", (start + end) // 2, end) + 1


def _space(text: str, start: int, end: int) -> int:
    """Behind the last space in the range; 0 if there is none."""
    found = max(text.rfind(space, start, end) for space in SPACE) + 1
    return found if found > start + 1 else 0


def _letter_end(text: str, start: int, end: int) -> int:
    """`end`, or earlier if that is between a letter and its accents, or in the midst of an emoji."""
    for place in range(end, max(start, end - MAX_CLUSTER_LENGTH), -1):
        if not _belongs(text, start, place):
            return place
    return end


def _belongs(text: str, start: int, place: int) -> bool:
    """Whether the code point at `place` is seen as one with that before it. The main rules of Unicode's annex 29."""
    here, before = text[place], text[place - 1]
    if JOINER in (here, before) or unicodedata.category(here) in ("Mn", "Mc", "Me"):
        return True
    if _is_flag_letter(here) and _is_flag_letter(before):  # two make a flag
        run = 1
        while place - run - 1 >= start and _is_flag_letter(text[place - run - 1]):
            run += 1
        return run % 2 == 1
    # colours of skin, letters of flags, Korean letters behind the first
    return "\U0001f3fb" <= here <= "\U0001f3ff" or "\U000e0020" <= here <= "\U000e007f" or "\u1160" <= here <= "\u11ff"


def _is_flag_letter(letter: str) -> bool:
    return "\U0001f1e6" <= letter <= "\U0001f1ff"
