"""The file that tiktoken downloads at its first use, written where it looks, so that clients make tokens offline."""

import base64
import hashlib
import zlib
from pathlib import Path

from aiworker.models.cl100k import COUNT, FILE
from tools import ROOT

ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
FIRST_SPECIAL = 100_256


def fill(folder: Path) -> dict[str, str]:
    """Write the file, and return the environment variables with which tiktoken finds it.

    tiktoken checks the file against OpenAI's hash, and so checks the Worker's table, from which the file is made.
    """
    lines = [b"%s %d\n" % (base64.b64encode(token), number) for number, token in enumerate(tokens()[:FIRST_SPECIAL])]
    (folder / hashlib.sha1(ADDRESS.encode()).hexdigest()).write_bytes(b"".join(lines))
    return {"TIKTOKEN_CACHE_DIR": str(folder)}


def tokens() -> list[bytes]:
    """Return the tokens by their ids; empty for an id without one."""
    table = zlib.decompress((ROOT / "public" / FILE.lstrip("/")).read_bytes())
    tokens: list[bytes] = []
    offset = COUNT
    for length in table[:COUNT]:
        tokens.append(table[offset : offset + length])
        offset += length
    return tokens
