"""A recursive splitter, for comparison with the Worker's chunker: sections, paragraphs, lines, sentences, words.

It works like the short splitters of many projects: text is split at the coarsest separator whose parts fit, and small
parts are joined again up to the size. It knows headings and fences of Markdown; lists, tables and code are text, unless
`split_with_blocks` first takes code and tables out, to cut them at lines and to repeat their fences or header.
"""

import re
from collections.abc import Iterator

from aiworker.rag.text_pieces import parts, tokens, tokens_up_to

SEPARATORS = [re.compile(each) for each in (r"\n\s*\n", r"\n", r"(?<=[.!?。！？])\s+|(?<=[。！？])", r"\s+")]
HEADING = re.compile(r"(#{1,6})\s+(.+)")
FENCE = re.compile(r"\s*(```|~~~)")


BLOCK = re.compile(
    r"(?P<fence>^(?P<marks>```+|~~~+).*\n)(?s:.*?)^(?P=marks)\n|(?P<head>(?:^\|.*\n){2})(?:^\|.*\n)*", re.MULTILINE
)
"""Code in fences, a table."""


def split(markdown: str, size: int = 320, overlap: int = 40, *, blocks: bool = False) -> Iterator[tuple[str, str]]:
    """The path of headings and the text of each passage, of up to `size` tokens."""
    path: list[tuple[int, str]] = []
    small: tuple[str, str, int] | None = None
    """A section that is not full yet: its headings, its text, its level."""
    for level, title, text in _sections(markdown):
        if small and small[2] < level and tokens_up_to(small[1] + text, size) <= size:
            small = (small[0], small[1] + text, small[2])
            continue
        if small:
            yield from _passages(small[0], small[1], size, overlap, blocks)
        while level and path and path[-1][0] >= level:
            path.pop()
        if level:
            path.append((level, title))
        small = (" › ".join(each for _, each in path), text, level)
    if small:
        yield from _passages(small[0], small[1], size, overlap, blocks)


def _sections(markdown: str) -> Iterator[tuple[int, str, str]]:
    """Level and title of each heading, 0 and "" before the first, with all that comes before the next one."""
    level, title, lines, fenced = 0, "", list[str](), False
    for line in markdown.splitlines(keepends=True):
        fenced ^= bool(FENCE.match(line))
        heading = None if fenced else HEADING.match(line)
        if heading and (level or lines):
            yield level, title, "".join(lines)
        if heading:
            level, title, lines = len(heading[1]), heading[2].strip(" #\n"), []
        lines.append(line)
    yield level, title, "".join(lines)


def _passages(heading: str, text: str, size: int, overlap: int, blocks: bool) -> Iterator[tuple[str, str]]:
    kept: list[tuple[str, int]] = []
    used = 0
    for part in _blocks(text, size) if blocks else _split(text, size, 0):
        count = tokens(part)
        if kept and used + count > size:
            yield heading, "".join(each for each, _ in kept).strip()
            while kept and (used > overlap or used + count > size):
                used -= kept.pop(0)[1]
        kept.append((part, count))
        used += count
    if rest := "".join(each for each, _ in kept).strip():
        yield heading, rest


def _blocks(text: str, size: int) -> Iterator[str]:
    start = 0
    for block in BLOCK.finditer(text):
        if tokens_up_to(text[start : block.end()], size) > size:
            yield from _split(text[start : block.start()], size, 0)
            yield from _lines(block[0], block["fence"] or block["head"], block["marks"] or "", size)
            start = block.end()
    yield from _split(text[start:], size, 0)


def _lines(block: str, head: str, foot: str, size: int) -> Iterator[str]:
    if tokens_up_to(block, size) <= size:
        yield block
        return
    part, around = "", tokens(head + foot)
    for line in block.removeprefix(head).removesuffix(f"{foot}\n").splitlines(keepends=True):
        if part and tokens(part + line) + around > size:
            yield f"{head}{part}{foot}\n"
            part = ""
        part += line
    yield f"{head}{part}{foot}\n"


def split_with_blocks(markdown: str) -> Iterator[tuple[str, str]]:
    return split(markdown, blocks=True)


def _split(text: str, size: int, depth: int) -> Iterator[str]:
    """Parts that fit, each with the separator behind it."""
    if tokens_up_to(text, size) <= size:
        yield text
    elif depth == len(SEPARATORS):
        yield from parts(text, size)
    else:
        start = 0
        for match in SEPARATORS[depth].finditer(text):
            yield from _split(text[start : match.end()], size, depth + 1)
            start = match.end()
        yield from _split(text[start:], size, depth + 1)
