"""Plain text: its estimated tokens, its sentences, and parts of it that end at a line, a space or a letter."""

import re
import unicodedata
from collections.abc import Iterator

TOKEN = re.compile(r"[A-Za-zÀ-ɏḀ-ỿ]{1,4}|\d{1,2}|([가-힣])|\S")
"""One token; a Korean syllable, the only group, counts as three.

The bge models for English use WordPiece with BERT's uncased vocabulary. It makes a token of each punctuation mark and
ideograph, and of nearly each letter of most scripts other than Latin; it splits Korean syllables and drops accents. An
English word has 1.2 tokens on average and counts as 1.5 here, a German one 2.2 and 1.9 (rough averages).
Source of the rules: BasicTokenizer and WordpieceTokenizer of github.com/google-research/bert.
"""
SYLLABLE_TOKENS = 3
MAX_TOKEN_CHARACTERS = 4 + 80
"""Characters of a token and of the spaces after it, of which markdown_blocks leaves 80."""

SENTENCE_END = re.compile(
    # one set at the start, which is searched for twenty times as fast as alternatives
    r"[!?…‽؟।.。！？｡]"
    r"(?:(?:(?<=[!?…‽؟।])|(?<=\.)(?<!\b[^\W\d]\.)(?<!\b[^\W\d]{2}\.)(?<!\b[^\W\d]{3}\.))"
    r"""["'”’»)\]*_`]*\s+(?=[^\sa-zß-ÿ])"""
    r"|(?<=[。！？｡])[」』”’）]*\s*(?![。！？｡」』”’）]))"
)
"""The end of a sentence with the spaces after it.

A full stop after a word of up to three letters (Dr., No., z.B., an initial) may belong to an abbreviation and ends no
sentence; nor does a mark before a small letter. Two sentences in one piece do less harm than half a sentence.
"""
MIN_SENTENCE_CHARACTERS = 4
"""Characters, spaces included. A shorter "sentence" is the number of a list's item."""

JOINER = "\u200d"
MAX_CLUSTER_CHARACTERS = 32
"""Maximum code points that are searched for the start of a grapheme cluster, which readers see as one letter."""


def tokens(text: str) -> int:
    """Return the estimated number of tokens, rather too high than too low."""
    groups = TOKEN.findall(text)  # empty for all tokens but Korean syllables
    return len(groups) + (SYLLABLE_TOKENS - 1) * (len(groups) - groups.count(""))


def tokens_up_to(text: str, limit: int) -> int:
    """Return `tokens(text)`, or some number above `limit` if it exceeds `limit`; the time depends on `limit` only."""
    return tokens(text[: (limit + 1) * MAX_TOKEN_CHARACTERS])


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, each with the spaces after it; joined they are the text."""
    start = 0
    for end in SENTENCE_END.finditer(text):
        if end.end() - start > MIN_SENTENCE_CHARACTERS:
            yield text[start : end.end()]
            start = end.end()
    if start < len(text):
        yield text[start:]


def parts(text: str, limit: int) -> Iterator[str]:
    """Yield parts of up to `limit` tokens (3 at least); joined they are the text.

    A part ends at the end of a line in its second half, else at a space, else between letters.
    """
    if tokens_up_to(text, limit) <= limit:
        yield text
        return
    start = count = 0
    for token in TOKEN.finditer(text):
        cost = SYLLABLE_TOKENS if token.lastindex else 1
        if count + cost > limit:
            end = _cut(text, start, token.start())
            yield text[start:end]
            start, count = end, tokens(text[end : token.start()])
        count += cost
    if start < len(text):
        yield text[start:]


def _cut(text: str, start: int, end: int) -> int:
    """Return where a part that begins at `start` ends: at `end` or before."""
    if line_end := text.rfind("\n", (start + end) // 2, end) + 1:
        return line_end
    space = max(text.rfind(each, start + 1, end) for each in " \n\t\u00a0\u3000") + 1
    return space or _cluster_start(text, start, end)


def _cluster_start(text: str, start: int, end: int) -> int:
    """Return `end`, or, if a grapheme cluster would be cut there, the start of that cluster."""
    for place in range(end, max(start, end - MAX_CLUSTER_CHARACTERS), -1):
        if not _continues(text, start, place):
            return place
    return end


def _continues(text: str, start: int, place: int) -> bool:
    """Return True if the code point at `place` continues the grapheme cluster before it.

    Implements the main rules of Unicode's annex 29.
    """
    here, before = text[place], text[place - 1]
    if JOINER in (here, before) or unicodedata.category(here)[0] == "M":
        return True
    if _is_flag_half(here):
        halves = text[start:place]
        return (len(halves) - len(halves.rstrip(FLAG_HALVES))) % 2 == 1
    # skin tones, tags of flags, Korean letters after the first
    return "\U0001f3fb" <= here <= "\U0001f3ff" or "\U000e0020" <= here <= "\U000e007f" or "\u1160" <= here <= "\u11ff"


FLAG_HALVES = "".join(map(chr, range(0x1F1E6, 0x1F200)))
"""Regional indicators, of which two make a flag."""


def _is_flag_half(letter: str) -> bool:
    return letter in FLAG_HALVES
