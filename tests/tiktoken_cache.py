"""What tiktoken downloads at its first use, put where it looks for it: clients that make tokens work offline."""

import base64
import hashlib
import zlib
from pathlib import Path

from aiworker.models.cl100k_table import COUNT, TABLE

ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
FIRST_SPECIAL = 100_256


def fill(folder: Path) -> dict[str, str]:
    """Returns the environment variables with which tiktoken looks there.

    It checks the file against OpenAI's hash, and so it checks the Worker's table, from which this file is made.
    """
    lines = [b"%s %d\n" % (base64.b64encode(token), number) for number, token in enumerate(tokens()[:FIRST_SPECIAL])]
    (folder / hashlib.sha1(ADDRESS.encode()).hexdigest()).write_bytes(b"".join(lines))
    return {"TIKTOKEN_CACHE_DIR": str(folder)}


def tokens() -> list[bytes]:
    """By their ids; empty where there is none."""
    unpacked = zlib.decompress(base64.b64decode(TABLE))
    found: list[bytes] = []
    begin = COUNT
    for length in unpacked[:COUNT]:
        found.append(unpacked[begin : begin + length])
        begin += length
    return found
