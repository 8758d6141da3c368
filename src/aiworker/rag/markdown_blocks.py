"""Splits Markdown into headings, code, tables and text, by those rules of CommonMark and of GitHub's tables that matter
for cutting.

Paragraphs, lists, quotes, HTML and front matter are text, and so is a document without any Markdown.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_SPACES = 80
"""Longer runs of spaces are shortened to this number: otherwise a passage of few words could have any length."""
WIDE_GAP = re.compile(rf"(?<![^\S\n])[^\S\n]{{{MAX_SPACES + 1},}}")
EMPTY_LINES = re.compile(r"\n\s*\n")

HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(?=[^ \t])")
UNDERLINE = re.compile(r" {0,3}(?:={3,}|-{3,})[ \t]*$")
"""The line below a heading. CommonMark accepts one sign; here it needs three: `--` below a name starts a signature."""
FENCE = re.compile(r"[ \t]*(?P<marks>`{3,}(?=[^`]*$)|~{3,})")
RULE = re.compile(r"(?=[^-]*-)(?=[^|]*\|)[-:| \t]+$")
"""The line below a table's header: its marks only, a hyphen and a `|` among them.

One repetition: two that take the same marks would try each place between them, for minutes in a line of 32 KB."""
BLOCK_MARK = re.compile(r"[#`~|]")
"""Characters of which one is in any line that begins a heading, code or a table: most lines have none."""
ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]+\S")
CLOSING_MARKS = re.compile(r"(?:^|[ \t])#+[ \t]*$")
LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
MAX_TITLE_CHARACTERS = 1000
"""Characters of a heading that are read for its title."""


class Block(NamedTuple):
    text: str
    level: int = 0
    """1 to 6 for a heading, 0 for anything else."""
    title: str = ""
    """Text of a heading without marks, links and emphasis."""
    has_lines: bool = False
    """True for code and tables, which are cut between lines only."""
    head: int = 0
    """Number of lines that every part needs at its start: a table's header and rule, a fence."""
    foot: str = ""
    """Line that every part needs at its end: the closing fence."""


def blocks(markdown: str) -> Iterator[Block]:
    """Yield the blocks in order. Long runs of spaces are shortened, and several empty lines become one."""
    text = markdown.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    lines = EMPTY_LINES.sub("\n\n", WIDE_GAP.sub(" " * MAX_SPACES, text)).split("\n")
    at = 0
    while at < len(lines):
        if not lines[at] or lines[at].isspace():
            at += 1
            continue
        block, at = _heading(lines, at) or _code(lines, at) or _table(lines, at) or _text(lines, at)
        yield block


def _heading(lines: list[str], at: int) -> tuple[Block, int] | None:
    """Return the heading that begins at a line, and the number of the line after it; None if there is none."""
    line = lines[at]
    if marks := HEADING.match(line):
        title = CLOSING_MARKS.sub("", line[marks.end() :][:MAX_TITLE_CHARACTERS])
        return Block(line, len(marks[1]), _plain(title)), at + 1
    if at + 1 < len(lines) and UNDERLINE.match(lines[at + 1]) and not _starts_block(lines, at):
        level = 1 if "=" in lines[at + 1] else 2
        return Block(f"{line}\n{lines[at + 1]}", level, _plain(line[:MAX_TITLE_CHARACTERS])), at + 2
    return None


def _plain(title: str) -> str:
    return LINK.sub(r"\1", title).replace("**", "").replace("`", "").strip()


def _code(lines: list[str], at: int) -> tuple[Block, int] | None:
    """Return code from its fence to the closing fence, or to the end of the text; None if no fence is here."""
    fence = FENCE.match(lines[at])
    if not fence:
        return None
    marks, end = fence["marks"], at + 1
    while end < len(lines) and not (lines[end].strip().startswith(marks) and not lines[end].strip().strip(marks[0])):
        end += 1
    end = min(end + 1, len(lines))
    return Block("\n".join(lines[at:end]), has_lines=True, head=1, foot=marks), end


def _table(lines: list[str], at: int) -> tuple[Block, int] | None:
    if not _is_table(lines, at):
        return None
    end = at + 1
    while end < len(lines) and "|" in lines[end]:
        end += 1
    has_header = at + 1 < end and RULE.match(lines[at + 1])
    return Block("\n".join(lines[at:end]), has_lines=True, head=2 if has_header else 0), end


def _is_table(lines: list[str], at: int) -> bool:
    """Return True if a table begins here: with a line of cells above a rule, or, without a header, with a `|`."""
    if lines[at].lstrip().startswith("|"):
        return True
    return "|" in lines[at] and at + 1 < len(lines) and bool(RULE.match(lines[at + 1]))


def _text(lines: list[str], at: int) -> tuple[Block, int]:
    """Return the lines up to an empty one or another block, as text."""
    end = at + 1
    while end < len(lines) and lines[end].strip():
        if BLOCK_MARK.search(lines[end]) and (
            HEADING.match(lines[end]) or FENCE.match(lines[end]) or _is_table(lines, end)
        ):
            break
        end += 1
    return Block("\n".join(lines[at:end])), end


def _starts_block(lines: list[str], at: int) -> bool:
    return bool(ITEM.match(lines[at]) or FENCE.match(lines[at])) or _is_table(lines, at)
