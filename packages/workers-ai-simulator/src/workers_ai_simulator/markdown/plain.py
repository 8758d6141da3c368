"""Markdown as plain text, for the option `output.format: "text"`."""

import re

REPLACEMENTS = (
    (re.compile(r"^---\n(.*?)\n---$", re.MULTILINE | re.DOTALL), r"\1"),
    (re.compile(r"^```.*\n?", re.MULTILINE), ""),
    (re.compile(r"^\|(?: *:?-+:? *\|)+\n?", re.MULTILINE), ""),
    (re.compile(r"^\| ?(.*?) ?\|$", re.MULTILINE), r"\1"),
    (re.compile(r"(?<!\\) \| ", re.MULTILINE), "\t"),
    (re.compile(r"^ {0,3}(?:#{1,6}|>) +", re.MULTILINE), ""),
    (re.compile(r"^( *)[*+-] +", re.MULTILINE), r"\1"),
    (re.compile(r"!?(?<!\\)\[([^\[\]\n]*)\]\([^)\n]{0,2000}\)"), r"\1"),
    (re.compile(r"(?<!\\)(\*\*|`)([^*`\n]+)\1"), r"\2"),
    (re.compile(r"(?<![\\\w*])\*([^*\n]+)\*(?![\w*])"), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!|<>~&-])"), r"\1"),
)
"""Pattern and replacement, in order: front matter, fences, tables, headings, lists, links, emphasis, escapes."""


def without_markdown(markdown: str) -> str:
    """The text without the markup."""
    for pattern, replacement in REPLACEMENTS:
        markdown = pattern.sub(replacement, markdown)
    return markdown.strip()
