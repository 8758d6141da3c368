"""Character encoding of text files."""

import codecs
import re

from workers_ai_simulator.markdown.models import InputFile

BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

DECLARED = re.compile(rb"""<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
PARAMETER = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)

MAX_BYTES_BEFORE_DECLARATION = 1024
"""https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding"""

ENCODINGS = re.compile(
    r"utf-?8|us-ascii|latin-?1|iso-8859-\d+|windows-\d+|cp\d+|koi8-[ru]|macintosh|gbk|gb2312|gb18030|big5(-hkscs)?"
    r"|euc-(jp|kr)|shift[_-]jis|iso-2022-jp"
)
"""Names of encodings that are accepted. Python knows others, some of which are no encodings of documents."""

ENCODING_OF_LABEL: dict[str, str] = dict.fromkeys(("us-ascii", "latin1", "latin-1", "iso-8859-1"), "cp1252")
"""Label → encoding that browsers read it as: https://encoding.spec.whatwg.org/#names-and-labels"""


def decoded(file: InputFile) -> str:
    """Text of a file. The encoding is its byte order mark's, its type's charset, its own declaration's, else UTF-8.

    Bytes that are not valid in the encoding become U+FFFD.
    """
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if file.content.startswith(mark):
            return file.content[len(mark) :].decode(encoding, "replace")
    parameter = PARAMETER.search(file.mime_type)
    declared = DECLARED.search(file.content[:MAX_BYTES_BEFORE_DECLARATION])
    label = (parameter[1] if parameter else declared[1].decode() if declared else "utf-8").lower()
    if not ENCODINGS.fullmatch(label):
        label = "utf-8"
    try:
        return file.content.decode(ENCODING_OF_LABEL.get(label, label), "replace")
    except LookupError:  # such as windows-9999
        return file.content.decode("utf-8", "replace")
