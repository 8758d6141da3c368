"""The file robots.txt of a site, read as RFC 9309 says: the longest rule that matches a path decides."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

PRODUCT = "aiworker"
"""Name by which rules address this Worker; it is the start of its header `User-Agent`."""
MAX_BYTES = 512_000
"""Bytes of a robots.txt that are read; RFC 9309, section 2.5, has crawlers read at least 500 KiB."""
MAX_RULES = 2_000
Rule = tuple[Literal["allow", "disallow"], str]
"""Kind of a rule, and the beginning of the paths to which it applies."""
COMMENT = re.compile(r"#.*")


@dataclass(frozen=True)
class Robots:
    """The rules of one site for this Worker."""

    rules: Sequence[Rule] = ()

    @classmethod
    def parse(cls, text: str) -> "Robots":
        """Read a robots.txt: the groups that name PRODUCT, or without one those for `*`. Unknown lines are ignored."""
        named: list[Rule] = []
        others: list[Rule] = []
        is_named = False
        agents: list[str] = []
        are_complete = False
        for field, value in _lines(text):
            if field == "user-agent":
                agents = [value.lower()] if are_complete else [*agents, value.lower()]
                are_complete = False
                is_named = is_named or value.lower() == PRODUCT
            elif field in ("allow", "disallow"):
                are_complete = True
                kind: Literal["allow", "disallow"] = "allow" if field == "allow" else "disallow"
                if value and PRODUCT in agents:
                    named.append((kind, value))
                if value and "*" in agents:
                    others.append((kind, value))
        return cls((named if is_named else others)[:MAX_RULES])

    def allows(self, url: str) -> bool:
        """Tell whether the address may be fetched. Of two rules of the same length, the allowing one wins."""
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        matched = [(len(pattern), kind == "allow") for kind, pattern in self.rules if _matches(pattern, path)]
        return max(matched, default=(0, True))[1]


EVERYTHING = Robots()
"""The rules of a site without a robots.txt."""
NOTHING = Robots((("disallow", "/"),))
"""The rules of a site whose robots.txt cannot be read for now."""


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        field, colon, value = COMMENT.sub("", line).partition(":")
        if colon:
            yield field.strip().lower(), value.strip()


def _matches(pattern: str, path: str) -> bool:
    """Tell whether a rule matches the start of a path: `*` is any text, `$` at the end of a rule is the path's end."""
    pattern, path = quote(pattern, safe="/%*$?&=:;,+!@~()'"), quote(path, safe="/%*$?&=:;,+!@~()'")
    is_whole = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    position = len(first)
    if is_whole and rest and not path.endswith(rest[-1]):
        return False
    for part in rest:
        match = path.find(part, position)
        if match < 0:
            return False
        position = match + len(part)
    return not is_whole or bool(rest) or position == len(path)
