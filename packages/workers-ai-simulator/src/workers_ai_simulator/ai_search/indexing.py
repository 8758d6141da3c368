"""From a file to the chunks of its text and their vectors."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from workers_ai_simulator.ai_search.errors import AiSearchError, UnindexableError
from workers_ai_simulator.ai_search.models import check_model
from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.markdown.formats import MIME_TYPES
from workers_ai_simulator.markdown.models import InputFile
from workers_ai_simulator.text import tokens

Floats = npt.NDArray[np.float32]
Answer = Callable[[Model, dict[str, Any]], Any]
"""Answers the inputs of a model of embeddings or of reranking."""
TEXTS_A_CALL = 32
"""Texts of one call: the maximum of qwen3-embedding."""
PLAIN_EXTENSIONS = (
    "bat bib bst c cfg cls conf cpp css csv cxx dart editorconfig el env eot gitignore go h hpp ini ipynb java js json "
    "jsonc kt latex log lua markdown md mdx php pl properties ps1 py r rb rs rst scala sgml sh sql sty swift tex toml "
    "ts tsx txt yaml yml"
)
PLAIN = frozenset(PLAIN_EXTENSIONS.split())
"""Extensions of files that are indexed as they are.

Source: developers.cloudflare.com/ai-search/configuration/data-source/#supported-file-types, which lists most of these.
"""


def check_type(key: str) -> None:
    """Check the type of a file by its extension. Raises AiSearchError 7060."""
    if _extension(key) in PLAIN:
        return
    from workers_ai_simulator.markdown.conversion import CONVERTERS  # slow: libraries that read files

    if MIME_TYPES.get(f".{_extension(key)}") not in CONVERTERS:
        raise AiSearchError("unsupported_file_type")


def text_of(key: str, content: bytes) -> str:
    """The text of a file, as Markdown where it is converted. Raises UnindexableError with the item's error."""
    if _extension(key) in PLAIN and _extension(key) != "csv":
        text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    else:
        from workers_ai_simulator.markdown.conversion import transform

        [result] = transform([InputFile(key.rpartition("/")[2], "", content)], {})
        if result["format"] == "error":
            raise UnindexableError("unable_to_convert_to_markdown")
        text = result["data"]
    if not text.strip():
        raise UnindexableError("file_content_empty")
    return text


def _extension(key: str) -> str:
    return key.rpartition(".")[2].lower() if "." in key.rpartition("/")[2] else ""


def cut(text: str, size: int, overlap: int) -> list[tuple[int, int, str]]:
    """Chunks of at most `size` tokens: index of the first byte, index after the last one, and text.

    They end after a paragraph, a line or a sentence if there is one in their second half. overlap: percent of a chunk's
    tokens that the next one begins with.
    """
    pieces = tokens(text)
    offsets = [0, *accumulate(len(each.encode()) for each in pieces)]
    chunks: list[tuple[int, int, str]] = []
    start = 0
    while start < len(pieces):
        end = start + size if start + size >= len(pieces) else _end(pieces, start, size)
        chunk = "".join(pieces[start:end])
        if chunk.strip():
            chunks.append((offsets[start], offsets[min(end, len(pieces))], chunk.strip()))
        if end >= len(pieces):
            break
        start = max(start + 1, end - size * overlap // 100)
    return chunks


def _end(pieces: Sequence[str], start: int, size: int) -> int:
    half = start + size // 2
    for ends in ("\n\n", "\n", (". ", "? ", "! ")):
        for end in range(start + size, half, -1):
            if "".join(pieces[max(start, end - 2) : end]).endswith(ends):
                return end
    return start + size


def vectors(embed: Answer, model_id: str, texts: Sequence[str]) -> Floats:
    """One row for each text, by the instance's embedding model."""
    model = check_model(model_id, "embeddings")
    rows: list[list[float]] = []
    for first in range(0, len(texts), TEXTS_A_CALL):
        inputs = {"text": list(texts[first : first + TEXTS_A_CALL]), "truncate_inputs": True}
        rows += embed(model, inputs)["data"]
    return np.array(rows, np.float32)
