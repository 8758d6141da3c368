"""Documents cut into passages that say something by themselves.

A passage is of one section: it ends where a heading of the same level or a higher one comes, and keeps the path of
headings that it stands under. Within a section, paragraphs, lists, code and tables stay whole if they fit; if not, they
are cut between sentences, items, lines and rows. Every letter of the document is in some passage, headings and front
matter too, in the document's order; what is said twice is the overlap, a table's header and the fences of code.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from aiworker.rag.markdown_blocks import ITEM, Block, Kind, blocks
from aiworker.rag.text_pieces import Piece, parts, sentences, tokens, tokens_up_to

BETWEEN_HEADINGS = " › "
HEADING_TOKENS = 64
"""Of the path of headings: its upper parts are left out beyond. With 320 of the text, and some for a title, the bge
models' limit of 512 is kept, beyond which they cut off without a word.

Source: developers.cloudflare.com/workers-ai/models/bge-base-en-v1.5
"""
SMALLEST = 16
LOWEST = 6
"""Level of headings."""


@dataclass(frozen=True)
class Chunk:
    number: int
    """From 0, in the order of the document."""
    text: str
    """Markdown."""
    heading: str
    """The path of headings above, such as `Install › Linux`; empty where there are none."""


def chunks(markdown: str, size: int = 320, overlap: int = 40) -> Iterator[Chunk]:
    """The passages of a document, of up to `size` tokens by the estimate of text_pieces, their headings' path aside.

    overlap: at most so many tokens of whole sentences stand again at the start of the next passage of the same section.
    Raises ValueError for a size below 16, or an overlap that is not smaller than half of it.
    """
    if size < SMALLEST or not 0 <= overlap < size / 2:
        raise ValueError(f"size must be at least {SMALLEST}, and overlap less than half of it")
    return (Chunk(number, text, heading) for number, (text, heading) in enumerate(_passages(markdown, size, overlap)))


def _passages(markdown: str, size: int, overlap: int) -> Iterator[tuple[str, str]]:
    packer = _Packer(size, overlap)
    take = {
        Kind.HEADING: packer.heading,
        Kind.PARAGRAPH: packer.prose,
        Kind.LIST: packer.prose,
        Kind.CODE: packer.lines,
        Kind.TABLE: packer.lines,
    }
    for block in blocks(markdown):
        take[block.kind](block)
        if packer.full:
            yield from packer.full
            packer.full.clear()
    packer.close()
    yield from packer.full


class _Packer:
    """Fills one passage after the other."""

    def __init__(self, size: int, overlap: int) -> None:
        self.full: list[tuple[str, str]] = []
        """Passages that are done, each with its path of headings."""
        self._size = size
        self._overlap = overlap
        self._path: list[tuple[int, str]] = []
        """Levels and titles of the headings above."""
        self._kept: list[Piece] = []
        """The pieces of the passage under work."""
        self._used = 0
        """Their tokens."""
        self._above: list[tuple[int, str]] = []
        """The path where the passage begins."""
        self._leads: list[Piece] = []
        """Headings, and lines that introduce a list: what shall not stand without the piece that comes next."""
        self._leading = 0
        """Their tokens."""

    # ---- what may come ---------------------------------------------------------------------------------------------

    def heading(self, block: Block) -> None:
        opened = self._above[-1][0] if self._above else LOWEST
        if self._kept and (block.level <= opened or self._used + self._leading >= self._size / 2):
            self._end_section()
        while self._path and self._path[-1][0] >= block.level:
            self._path.pop()
        self._path.append((block.level, block.title))
        self._lead(sentences(block.text, self._size))

    def prose(self, block: Block) -> None:
        """A paragraph or a list."""
        pieces = list(_items(block, self._size) if block.kind is Kind.LIST else sentences(block.text, self._size))
        count = sum(piece.tokens for piece in pieces)
        if block.kind is Kind.PARAGRAPH and block.text.rstrip().endswith((":", "：")):
            self._introduce(pieces, count)
            return
        if self._is_better_off_alone(count):
            self._end_passage(self._leading + count)
        for piece in pieces:
            self._add(piece)

    def lines(self, block: Block) -> None:
        """Code or a table."""
        count = tokens_up_to(block.text, self._size)
        fits = self._leading + count <= self._size
        if self._kept and self._used + self._leading + count > self._size:
            self._end_passage(self._leading + min(count, self._size))
        if fits:
            self._add(Piece(block.text, count))
            return
        # a lead that leaves too little room stands alone
        room = self._size - self._leading if self._leading <= self._size / 2 else self._size
        # of a fence without lines, the fence itself is left
        for text in [*_lines(block, room, self._size)] or [block.text]:
            self._add(Piece(text, tokens(text)))

    # ---- filling ---------------------------------------------------------------------------------------------------

    def _introduce(self, pieces: Sequence[Piece], count: int) -> None:
        """Keep what introduces the next block for it: the whole paragraph, or of a long one its last sentence."""
        last = 1 if count > self._size / 4 else len(pieces)
        for piece in pieces[:-last]:
            self._add(piece)
        self._lead(pieces[-last:])

    def _lead(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if self._leading + piece.tokens > self._size / 2:
                self._settle()
            self._leads.append(piece)
            self._leading += piece.tokens

    def _settle(self) -> None:
        """Keep the leads, whatever comes next."""
        if self._used + self._leading > self._size:
            self._end_passage(self._leading)
        if not self._used:
            self._above = list(self._path)
        self._kept += self._leads
        self._used += self._leading
        self._leads, self._leading = [], 0

    def _add(self, piece: Piece) -> None:
        if self._used + self._leading + piece.tokens > self._size:
            self._end_passage(self._leading + piece.tokens)
        if self._leading + piece.tokens > self._size:
            self._settle()
            self._end_passage(piece.tokens)
        self._settle()
        self._kept.append(piece)
        self._used += piece.tokens

    def _is_better_off_alone(self, count: int) -> bool:
        """Whether a block that would have to be cut fits into a passage of its own, and leaves behind no small one."""
        total = self._leading + count
        return self._used + total > self._size >= total and self._used >= self._size / 2

    # ---- ending ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        self._settle()
        self._end_section()

    def _end_section(self) -> None:
        self._end_passage(self._size)

    def _end_passage(self, needed: int) -> None:
        """Give the passage, and begin the next with an overlap that leaves room for so many tokens."""
        if not self._kept:
            return
        self.full.append((_joined(self._kept), _heading(self._above)))
        starts_section = bool(self._leads) and self._leads[0].text.startswith("#")
        again = [] if starts_section else _again(self._kept, min(self._overlap, self._size - needed))
        self._kept, self._used = again, sum(piece.tokens for piece in again)
        self._above = list(self._path)


def _again(pieces: Sequence[Piece], most: int) -> list[Piece]:
    """The last whole sentences, of up to so many tokens; never all."""
    start = len(pieces)
    while start > 1 and pieces[start - 1].is_sentence and pieces[start - 1].tokens <= most:
        start -= 1
        most -= pieces[start].tokens
    return list(pieces[start:])


def _joined(pieces: Sequence[Piece]) -> str:
    first, *others = pieces
    return first.text.strip("\n") + "".join(piece.joint + piece.text for piece in others)


def _heading(path: Sequence[tuple[int, str]]) -> str:
    """The titles, from the innermost outwards as many as may be."""
    shown: list[str] = []
    room = HEADING_TOKENS
    for _, title in reversed(path):
        whole = tokens(title)
        if whole > room and not shown:
            title, whole = next(parts(title, room), ""), room
        room -= whole + 1
        if room < -1:
            break
        shown.append(title)
    return BETWEEN_HEADINGS.join(title for title in reversed(shown) if title)


# ---- blocks in pieces ----------------------------------------------------------------------------------------------


def _items(block: Block, most: int) -> Iterator[Piece]:
    """A list's items with what belongs to them; the sentences of one that is too long."""
    joint = "\n\n"
    for item in _grouped(block.lines):
        count = tokens(item)
        if count <= most:
            yield Piece(item, count, joint, is_sentence=True)
        else:
            yield from sentences(item, most, joint)
        joint = "\n"


def _grouped(lines: Sequence[str]) -> Iterator[str]:
    start = 0
    for at in range(1, len(lines)):
        if ITEM.match(lines[at]):
            yield "\n".join(lines[start:at])
            start = at
    yield "\n".join(lines[start:])


def _lines(block: Block, first: int, most: int) -> Iterator[str]:
    """Code or a table in parts of whole lines, each with its fences or header; `first` tokens at most in the first."""
    head, foot = "\n".join(block.lines[: block.head]), block.foot
    around = tokens(head) + tokens(foot)
    if around > first / 2:
        head, foot, around = "", "", 0
    body = block.lines[block.head if head else 0 :]
    room, part = first - around, list[str]()
    for line in body:
        count = tokens_up_to(line, most)
        if part and count > room:
            yield _wrapped(head, part, foot)
            room, part = most - around, []
        if count > room:
            *full, line = parts(line, room)
            for each in full:
                yield _wrapped(head, [each], foot)
            count, room = tokens(line), most - around
        part.append(line)
        room -= count
    if part:
        yield _wrapped(head, part, "")


def _wrapped(head: str, lines: Sequence[str], foot: str) -> str:
    return "\n".join([*([head] if head else []), *lines, *([foot] if foot else [])])
