"""Error messages of other programs, without what reveals this program's internals: tracebacks, stacks, paths."""

import re

MAX_CHARACTERS = 500
"""Characters of a message that are kept."""
TRACEBACK = "Traceback (most recent call last)"
UNKNOWN_CAUSE = "an internal error"
"""Replaces a message of which no part may be shown."""

FRAME = re.compile(r"(?:at\s.+[:(<].*|File \".*|\^+|~+)?$")
"""A line of a stack, as JavaScript and Python have them, or an empty one, without the spaces around it."""
RAISED_HERE = re.compile(r"^(?:\w+Error: )*RuntimeError: (?P<message>.+)", re.MULTILINE)
"""The end of a traceback, as the platform reports it, with a message that this Worker raised for clients to read."""
PATH = re.compile(
    r"""(?<![\w:/.@+~-])(?:file://|[A-Za-z]:(?=[\\/]))?
    (?:[\\/][\w.@+~-]+)*
    [\\/](?:(?:home|tmp|work|usr|lib|lib64|session|Users|var|opt|root|app|etc|mnt|srv|proc|private)[\\/][\w.@+~\\/-]*
         |[\w.@+~-]+\.(?:py|pyc|[cm]?js|ts|json|jsonc|so|wasm|whl|sqlite|cc|c\+\+|h|rs)\b)
    (?::\d+)*""",
    re.VERBOSE,
)
"""A path of the machine: below one of the usual folders, or of a file with code or data. Routes are not matched.

It begins behind no character that a path's name may have: a long name is looked at once, not from each of its parts."""


def public_message(text: str) -> str:
    """Return an error message that clients may see: one line of at most 500 characters."""
    if TRACEBACK in text:
        before, _, frames = text.partition(TRACEBACK)
        raised = RAISED_HERE.findall(frames)
        text = raised[-1] if raised else before.rpartition("\n")[0]
    lines = (line for line in map(str.strip, text.splitlines()) if not FRAME.match(line))
    shown = PATH.sub("…", " ".join(lines)).strip()
    return shown[:MAX_CHARACTERS] or UNKNOWN_CAUSE
