"""Markdown as its blocks: headings, paragraphs, lists, code and tables, line by line.

So much of CommonMark and GitHub's tables as cutting needs. What is not recognised, such as HTML and quotes, is a
paragraph, so plain text is Markdown too. Nothing is left out but spaces: runs of them are cut to `WIDEST_GAP`, several
empty lines to one.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

WIDEST_GAP = 80
"""Spaces in one place: without a limit a passage of few words could be of any length."""
FRONT_MATTER_LINES = 60
"""In which it must end, or else the text began with a rule."""

WIDE_GAP = re.compile(rf"(?<![^\S\n])[^\S\n]{{{WIDEST_GAP + 1},}}")
EMPTY_LINES = re.compile(r"\n\s*\n")
HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(?=[^ \t])")
UNDERLINE = re.compile(r" {0,3}(?:={3,}|-{3,})[ \t]*$")
"""Three at least, though CommonMark takes one: in plain text `--` is none."""
FENCE = re.compile(r"[ \t]*(?P<marks>`{3,}(?=[^`]*$)|~{3,})")
ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]+\S")
PROPERTY = re.compile(r"[\w-]+:")
SPECIAL = re.compile(r"[ \t]*(?:[#`~|*+•\-]|\d{1,9}[.)])")
"""How a line begins that may be anything but a paragraph's."""
INDENTED = (" ", "\t")
LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
MAX_TITLE_LENGTH = 1000
"""Characters of a heading that are looked at."""


class Kind(Enum):
    HEADING = auto()
    PARAGRAPH = auto()
    LIST = auto()
    CODE = auto()
    TABLE = auto()


class Block(NamedTuple):
    kind: Kind
    lines: list[str]
    level: int = 0
    """Of a heading, 1 to 6."""
    head: int = 0
    """Lines at the start that every part of the block begins with: a table's header, a fence."""
    foot: str = ""
    """What every part but the last ends with."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def title(self) -> str:
        """A heading without its marks, links and emphasis."""
        line = self.lines[0][:MAX_TITLE_LENGTH].strip()
        if len(self.lines) == 1:
            line = _without_closing(line.lstrip("#"))
        return (LINK.sub(r"\1", line) if "[" in line else line).replace("**", "").replace("`", "").strip()


def blocks(markdown: str) -> Iterator[Block]:
    text = markdown.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    text = EMPTY_LINES.sub("\n\n", WIDE_GAP.sub(" " * WIDEST_GAP, text))
    lines = text.split("\n")
    at = _front_matter(lines)
    if at:
        yield Block(Kind.PARAGRAPH, lines[:at])
    while at < len(lines):
        if not lines[at] or lines[at].isspace():
            at += 1
            continue
        block, at = _block(lines, at)
        yield block


def _front_matter(lines: list[str]) -> int:
    """How many lines of properties, between rules, the text begins with."""
    if lines[0].rstrip() != "---" or len(lines) < 2 or not PROPERTY.match(lines[1]):
        return 0
    for at in range(2, min(len(lines), FRONT_MATTER_LINES)):
        if lines[at].rstrip() == "---":
            return at + 1
    return 0


def _block(lines: list[str], at: int) -> tuple[Block, int]:
    """The block that begins at a line, and the line behind it."""
    line = lines[at]
    if heading := HEADING.match(line):
        return Block(Kind.HEADING, [line], level=len(heading[1])), at + 1
    if FENCE.match(line):
        return _code(lines, at)
    if _is_table(lines, at):
        return _table(lines, at)
    if ITEM.match(line):
        return _list(lines, at)
    return _paragraph(lines, at)


def _code(lines: list[str], at: int) -> tuple[Block, int]:
    """To the fence that closes it, or the end of the text."""
    fence = FENCE.match(lines[at])
    marks = fence["marks"] if fence else ""
    for end in range(at + 1, len(lines)):
        line = lines[end].strip()
        if line.startswith(marks) and not line.strip(marks[0]):
            return Block(Kind.CODE, lines[at : end + 1], head=1, foot=marks), end + 1
    return Block(Kind.CODE, lines[at:], head=1, foot=marks), len(lines)


def _is_table(lines: list[str], at: int) -> bool:
    """A line of cells above a rule, or, from tables without a header, one that begins as a row does."""
    return lines[at].lstrip().startswith("|") or ("|" in lines[at] and at + 1 < len(lines) and _is_rule(lines[at + 1]))


def _is_rule(line: str) -> bool:
    return "|" in line and "-" in line and not line.strip("|-: \t")


def _table(lines: list[str], at: int) -> tuple[Block, int]:
    end = at + 1
    while end < len(lines) and "|" in lines[end]:
        end += 1
    has_header = at + 1 < end and _is_rule(lines[at + 1])
    return Block(Kind.TABLE, lines[at:end], head=2 if has_header else 0), end


def _list(lines: list[str], at: int) -> tuple[Block, int]:
    """Its items, nested ones and what belongs to them, also behind an empty line if that is indented."""
    end = at + 1
    while end < len(lines):
        line = lines[end]
        if not line or line.isspace():
            if end + 1 == len(lines) or not (lines[end + 1].startswith(INDENTED) or ITEM.match(lines[end + 1])):
                break
        elif SPECIAL.match(line) and not ITEM.match(line) and _interrupts(lines, end):
            break
        end += 1
    return Block(Kind.LIST, lines[at:end]), end


def _paragraph(lines: list[str], at: int) -> tuple[Block, int]:
    end = at + 1
    while end < len(lines) and (line := lines[end]) and not line.isspace():
        if end == at + 1 and UNDERLINE.match(line):
            level = 1 if "=" in line else 2
            return Block(Kind.HEADING, lines[at : end + 1], level=level), end + 1
        if (SPECIAL.match(line) or "|" in line) and _interrupts(lines, end):
            break
        end += 1
    return Block(Kind.PARAGRAPH, lines[at:end]), end


def _interrupts(lines: list[str], at: int) -> bool:
    """Whether a line ends the paragraph or the list's item before it without an empty line between."""
    line = lines[at]
    return bool(HEADING.match(line) or FENCE.match(line) or ITEM.match(line)) or _is_table(lines, at)


def _without_closing(title: str) -> str:
    opened = title.strip()
    closed = opened.rstrip("#")
    return closed.rstrip() if not closed or closed[-1] in " \t" else opened
