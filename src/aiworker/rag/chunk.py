"""Cuts documents into passages that can be understood alone.

A document is cut at its headings. A section that exceeds one passage is cut between paragraphs, else between items,
sentences or words. Small sections stay with the section that contains them; code and tables are cut between lines only.
The passages contain every letter of the document, in its order. Only overlaps, fences of code and headers of tables are
repeated.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from aiworker.rag.markdown_blocks import ITEM, Block, blocks
from aiworker.rag.passage import HEADING_SEPARATOR
from aiworker.rag.text_pieces import parts, sentences, tokens, tokens_up_to

MAX_HEADING_TOKENS = 64
"""Tokens of the path of headings, whose outermost titles are left out first. With 320 for the text and some for a
title, a passage stays below the bge models' limit of 512, beyond which they silently ignore the rest.

Source: developers.cloudflare.com/workers-ai/models/bge-base-en-v1.5
"""
SIZE, OVERLAP = 320, 40
"""Tokens of a passage, and of what it repeats of the one before, at most."""
MIN_SIZE = 16
"""Tokens of a passage."""
MAX_LEVEL = 6
"""Level of the smallest heading, and of text before the first heading."""
ITEM_START = re.compile(rf"^(?={ITEM.pattern})", re.MULTILINE)
INTRODUCTION_ENDS = (":", "：")


@dataclass(frozen=True)
class Chunk:
    number: int
    """From 0, in the order of the document."""
    text: str
    """Markdown."""
    heading: str
    """Path of the headings above, such as `Install › Linux`; empty if there are none."""


Path = Sequence[tuple[int, str]]
"""Level and title of a heading and of those above, outermost first."""


@dataclass
class Section:
    path: Path
    headings: str = ""
    """Markdown of its heading, after the headings directly before it that have no text of their own."""
    body: list[Block] = field(default_factory=list[Block])

    count: int = 0
    """Tokens of its text; if they exceed a passage, any number above that. They are counted block by block: counting a
    growing text anew each time takes a thousand times as long."""

    @property
    def level(self) -> int:
        return self.path[-1][0] if self.path else MAX_LEVEL

    def text(self) -> str:
        return self.headings + "".join(f"{block.text}\n\n" for block in self.body)


def chunks(markdown: str, size: int = SIZE, overlap: int = OVERLAP) -> Iterator[Chunk]:
    """Yield the passages of a document.

    size: maximum tokens of a passage, estimated by text_pieces, without its path of headings.
    overlap: maximum tokens of the last sentences, items or lines of a passage that the next one of the same section
        repeats.
    Raises ValueError for a size below 16, or an overlap that is not below half of the size.
    """
    if size < MIN_SIZE or not 0 <= overlap < size / 2:
        raise ValueError(f"size must be at least {MIN_SIZE}, and overlap less than half of it")
    return _chunks(_sections(markdown, size, ()), 0, size, overlap)


class SegmentChunks:
    """The passages of a segment of a document. Each is made on demand, in some milliseconds at most."""

    def __init__(self, markdown: str, path: Path, first: int) -> None:
        """path: headings above the segment. first: number of its first passage."""
        self.path = path
        """Headings at the end of the segment, once all passages are made."""
        self._markdown = markdown
        self._first = first

    def __iter__(self) -> Iterator[Chunk]:
        return _chunks(self._sections(), self._first, SIZE, OVERLAP)

    def _sections(self) -> Iterator[Section]:
        for section in _sections(self._markdown, SIZE, self.path):
            self.path = section.path
            yield section


def _chunks(sections: Iterator[Section], first: int, size: int, overlap: int) -> Iterator[Chunk]:
    passages = (
        (_heading(section.path), text)
        for section in _merge_small(sections, size)
        for text in _fill(_pieces(section, size), size, overlap)
    )
    return (Chunk(number, text, heading) for number, (heading, text) in enumerate(passages, first))


# ---- sections --------------------------------------------------------------------------------------------------------


def _sections(markdown: str, size: int, path: Path) -> Iterator[Section]:
    """Yield the sections in order; a heading without text is part of the next section.

    path: headings above the first one.
    """
    section = Section(path)
    for block in blocks(markdown):
        count = tokens_up_to(block.text, size)
        if not block.level:
            section.body.append(block)
            section.count += count
            continue
        above = [each for each in section.path if each[0] < block.level]
        headings, total = f"{section.headings}{block.text}\n\n", section.count + count
        if section.body or total > size:
            yield section
            headings, total = f"{block.text}\n\n", count
        section = Section([*above, (block.level, block.title)], headings, count=total)
    yield section


def _merge_small(sections: Iterator[Section], size: int) -> Iterator[Section]:
    """Yield the sections; a section and those below it become one as long as they fit into one passage."""
    kept = next(sections)
    for section in sections:
        if kept.level < section.level and kept.count + section.count <= size:
            kept.body += [Block(section.headings.rstrip()), *section.body]
            kept.count += section.count
        else:
            yield kept
            kept = section
    yield kept


def _heading(path: Sequence[tuple[int, str]]) -> str:
    """Return the joined titles; if not all fit, the innermost ones."""
    shown: list[str] = []
    room = MAX_HEADING_TOKENS
    for _, title in reversed(path):
        count = tokens(title)
        if count > room and not shown:
            title, count = next(parts(title, room)).strip(), room
        room -= count + 1
        if room < -1:
            break
        shown.append(title)
    return HEADING_SEPARATOR.join(title for title in reversed(shown) if title)


# ---- a section in passages -------------------------------------------------------------------------------------------


def _fill(pieces: Iterator[str], size: int, overlap: int) -> Iterator[str]:
    """Yield passages of as many pieces as fit; each repeats the last pieces of the one before that fit `overlap`."""
    kept: list[tuple[str, int]] = []
    """Pieces of the current passage, and their tokens."""
    used = 0
    for piece in pieces:
        count = tokens(piece)
        if used + count > size:
            yield _joined(kept)
            start, used = len(kept), 0
            while start > 1 and used + kept[start - 1][1] <= min(overlap, size - count):
                start -= 1
                used += kept[start][1]
            kept = kept[start:]
        kept.append((piece, count))
        used += count
    if used:
        yield _joined(kept)


def _joined(pieces: Sequence[tuple[str, int]]) -> str:
    return "".join(piece for piece, _ in pieces).strip("\n").rstrip()


def _pieces(section: Section, size: int) -> Iterator[str]:
    """Yield the section whole if it fits, else pieces of up to `size` tokens; joined they are the section's text.

    Headings, and a line that introduces a list, code or a table, are in one piece with the text after them.
    """
    if section.count <= size:
        yield section.text()
        return
    lead = section.headings
    count = tokens_up_to(lead, size)
    for block in section.body:
        room = size - count
        if room < size / 2:
            yield from parts(lead, size)
            lead, count, room = "", 0, size
        pieces = _line_parts(block, room) if block.has_lines else _text_parts(f"{block.text}\n\n", room)
        if block.text.endswith(INTRODUCTION_ENDS):
            *pieces, following = pieces
        else:
            following = ""
        for piece in pieces:
            yield lead + piece
            lead, count = "", 0
        lead += following
        count += tokens_up_to(following, size)
    if lead:
        yield from parts(lead, size)


def _text_parts(text: str, limit: int) -> Iterator[str]:
    """Yield the text whole if it has up to `limit` tokens, else the largest that fit of items, sentences, parts."""
    if tokens_up_to(text, limit) <= limit:
        yield text
        return
    starts = [0, *(item.start() for item in ITEM_START.finditer(text) if item.start()), len(text)]
    for item in (text[start:end] for start, end in pairwise(starts)):
        if len(starts) > 2 and tokens_up_to(item, limit) <= limit:
            yield item
        else:
            for sentence in sentences(item):
                yield from parts(sentence, limit)


def _line_parts(block: Block, limit: int) -> Iterator[str]:
    """Yield code or a table whole if it has up to `limit` tokens, else parts of whole lines with fences or header."""
    if tokens_up_to(block.text, limit) <= limit:
        yield f"{block.text}\n\n"
        return
    lines, head, foot = block.text.split("\n"), block.head, block.foot
    around = tokens("\n".join([*lines[:head], foot]))
    if around > limit / 2:
        head, foot, around = 0, "", 0
    room = limit - around
    part: list[str] = []
    used = 0
    for line in (each for whole in lines[head:] for each in parts(whole, room)):
        count = tokens(line)
        if used + count > room:
            yield "\n".join([*lines[:head], *part, *([foot] if foot else []), "\n"])
            part, used = [], 0
        part.append(line)
        used += count
    yield "\n".join([*lines[:head], *part, "\n"])
