"""Error of toMarkdown: it concerns one file, whose result it becomes, never the whole call."""


class UnconvertibleError(Exception):
    """A file that has no Markdown; the message tells the caller why, in a sentence of this simulator's own."""
