"""Links of Markdown files: the files and headings that they lead to, and a check that these exist."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from posixpath import join, normpath

from markdown_it import MarkdownIt

from tools import ROOT

LINK = re.compile(r"(?P<text>!?\[(?:[^\[\]]|\[[^\[\]]*\])*\])\((?P<target>[^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)")
FENCE = re.compile(r"^(```+|~~~+).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
EXTERNAL = re.compile(r"[a-z]+:", re.IGNORECASE)
NO_SLUG = re.compile(r"[^\w\- ]")
"""Characters that GitHub leaves out of a heading's anchor."""


@dataclass(frozen=True)
class Link:
    """A link to a file or a heading of this repository."""

    path: str
    """The file or folder, from the repository's root."""
    anchor: str
    """Without `#`; empty for none."""


def links(source: str, text: str) -> Iterator[tuple[re.Match[str], Link]]:
    """Yield the matches of LINK that lead into this repository, and where they lead. source: path of the text."""
    code = [match.span() for pattern in (FENCE, CODE) for match in pattern.finditer(text)]
    for match in LINK.finditer(text):
        is_code = any(start <= match.start() and match.end() <= end for start, end in code)
        if not is_code and not EXTERNAL.match(match["target"]):
            yield match, resolved(source, match["target"])


def resolved(source: str, target: str) -> Link:
    path, _, anchor = target.partition("#")
    return Link(normpath(join(source, "..", path)) if path else source, anchor)


def problems(source: str) -> list[str]:
    """Return a line for each link of a Markdown file that leads nowhere. source: its path from the root."""
    lines: list[str] = []
    for match, link in links(source, (ROOT / source).read_text()):
        if not (ROOT / link.path).exists():
            lines.append(f"{source}: there is no {link.path} ({match[0]})")
        elif link.anchor and link.path.endswith(".md") and link.anchor not in anchors(ROOT / link.path):
            lines.append(f"{source}: {link.path} has no heading #{link.anchor} ({match[0]})")
    return lines


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings. Of equal headings, only the first counts: sites number the others."""
    tokens = MarkdownIt("commonmark").parse(page.read_text())
    headings = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "heading_open"]
    return frozenset(slug("".join(part.content for part in each.children or ())) for each in headings)


def slug(heading: str) -> str:
    """Return a heading's anchor, by GitHub's rule."""
    return NO_SLUG.sub("", heading.strip().lower()).replace(" ", "-")
