"""Blocks of Markdown by markdown-it-py, for comparison with the Worker's own block parser."""

from collections.abc import Iterator

from markdown_it import MarkdownIt

from aiworker.rag.markdown_blocks import Block

PARSER = MarkdownIt("commonmark").enable("table").disable("inline")


def blocks(markdown: str) -> Iterator[Block]:
    """The outermost blocks as they stand in the text; what lies between them (definitions of links) is text."""
    lines = markdown.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    tokens = PARSER.parse(markdown)
    done = 0
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.level or not token.map or token.nesting < 0:
            continue
        start, end = token.map
        yield from _text(lines[done:start])
        text, done = "\n".join(lines[start:end]).rstrip("\n"), end
        if token.type == "heading_open" and following:
            yield Block(text, int(token.tag[1]), following.content)
        elif token.type == "table_open":
            yield Block(text, has_lines=True, head=2)
        elif token.type == "fence":
            yield Block(text, has_lines=True, head=1, foot=token.markup)
        else:
            yield Block(text, has_lines=token.type == "code_block")
    yield from _text(lines[done:])


def _text(lines: list[str]) -> Iterator[Block]:
    if text := "\n".join(lines).strip("\n"):
        yield Block(text)
