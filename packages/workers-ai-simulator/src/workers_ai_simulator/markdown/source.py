"""What a converter is given, and what it raises."""

import codecs
import re
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class SentFile:
    name: str
    mime_type: str
    """As declared by the sender: may be empty or wrong, may have parameters."""
    content: bytes


class Unconvertible(Exception):  # noqa: N818 - a statement about a file; it becomes the file's result
    """Why a file has no Markdown, in a sentence for the caller. The sentences are this simulator's own."""


def section(options: dict[str, Any], *path: str) -> dict[str, Any]:
    """The object at that path of the options; empty if there is none."""
    found: Any = options
    for name in path:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

DECLARED = re.compile(rb"""<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
PARAMETER = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)

MOST_BEFORE_DECLARATION = 1024
"""https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding"""

ENCODINGS = re.compile(
    r"utf-?8|us-ascii|latin-?1|iso-8859-\d+|windows-\d+|cp\d+|koi8-[ru]|macintosh|gbk|gb2312|gb18030|big5(-hkscs)?"
    r"|euc-(jp|kr)|shift[_-]jis|iso-2022-jp"
)
"""Names that are believed; Python knows others, and some that are no encodings of documents."""

AS_BROWSERS_READ_THEM: dict[str, str] = dict.fromkeys(("us-ascii", "latin1", "latin-1", "iso-8859-1"), "cp1252")
"""https://encoding.spec.whatwg.org/#names-and-labels"""


def decoded(file: SentFile) -> str:
    """The text of a file: by its byte order mark, its type's charset, its own declaration, else UTF-8.

    What is not valid in that encoding becomes U+FFFD.
    """
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if file.content.startswith(mark):
            return file.content[len(mark) :].decode(encoding, "replace")
    named = PARAMETER.search(file.mime_type)
    declared = DECLARED.search(file.content[:MOST_BEFORE_DECLARATION])
    label = (named[1] if named else declared[1].decode() if declared else "utf-8").lower()
    if not ENCODINGS.fullmatch(label):
        label = "utf-8"
    try:
        return file.content.decode(AS_BROWSERS_READ_THEM.get(label, label), "replace")
    except LookupError:  # such as windows-9999
        return file.content.decode("utf-8", "replace")
