"""Prepares Markdown that the chunker would misread: code, and the pages of PDFs."""

import re

from aiworker.rag.passage import HEADING_SEPARATOR

FENCE = re.compile(r"^[ \t]*(`{3,})", re.MULTILINE)
PAGE = re.compile(r"^### Page (\d+)[ \t]*$", re.MULTILINE)
"""Heading of a page, as toMarkdown has it.

Source: developers.cloudflare.com/workers-ai/features/markdown-conversion/usage/binding
"""
HEADING = re.compile(r"^(?=#{1,5} )", re.MULTILINE)
BEFORE_PAGES = re.compile(r"^(?:# .*|## (?:Metadata|Contents)|- [\w:.-]+=.*)$", re.MULTILINE)
"""Lines that toMarkdown writes before the pages, which tell nothing about their content."""


def fenced(code: str, language: str) -> str:
    """Return code as a block of Markdown, in which nothing is a heading or a list."""
    marks = "`" * (1 + max((len(fence) for fence in FENCE.findall(code)), default=2))
    return f"{marks}{language}\n{code}\n{marks}"


def with_page_headings(markdown: str, name: str, *, is_first: bool, is_last: bool) -> str:
    """Return a segment of a PDF's Markdown with a heading over each page of the file's name and the page's number.

    Headings within pages are below it. The file's metadata and empty pages are left out.
    is_first, is_last: the segment is the first or the last one of the file.
    """
    before, *pages = PAGE.split(markdown)
    if not pages and is_first and is_last:
        return markdown
    name = " ".join(name.split())
    before = BEFORE_PAGES.sub("", before) if is_first else HEADING.sub("#", before)
    parts = [before.strip()]
    texts = pages[1::2]
    for at, (number, text) in enumerate(zip(pages[::2], texts, strict=True)):
        # the text of the last page may be in the next segment
        if text.strip() or (at == len(texts) - 1 and not is_last):
            parts.append(f"# {name}{HEADING_SEPARATOR}Page {number}\n\n{HEADING.sub('#', text.strip())}")
    return "\n\n".join(filter(None, parts))
