"""Vectors of meaning: wordllama's vectors of word pieces, averaged. English, mostly.

The package wordllama brings the weights of `l2_supercat` (256 dimensions, MIT). Only its two data files are read: its
own loader looks for the tokenizer in another folder, and in the network when it is not there.
"""

import importlib.util
import json
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # imported at the first text: the simulator starts without it
    from tokenizers import Tokenizer

WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
DIMENSIONS = 256
"""Dimensions of a vector. The first 128 or 64 of them are vectors by themselves: the weights are trained for that."""

_loading = threading.Lock()


class _Model(NamedTuple):
    tokenizer: "Tokenizer"
    pieces: NDArray[np.float16]
    """The vector of each word piece, a row each, read from the file as they are needed."""


def piece_vectors(texts: list[str]) -> list[NDArray[np.float32]]:
    """The vectors of the word pieces of each text, a row each, in order."""
    model = _load()
    # JSON texts may contain unpaired surrogates, which tokenizers refuse
    readable = [each.encode(errors="replace").decode() for each in texts]
    encodings = model.tokenizer.encode_batch_fast(readable, add_special_tokens=False)  # without offsets
    return [model.pieces[np.array(each.ids, np.intp)].astype(np.float32) for each in encodings]


def semantic_vectors(texts: list[str], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """One row of unit length for each text: the first `dimensions` of the mean of its word pieces; zeros for none."""
    means = [
        pieces[:, :dimensions].mean(axis=0) if len(pieces) else np.zeros(dimensions) for pieces in piece_vectors(texts)
    ]
    rows = np.array(means, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _load() -> _Model:
    with _loading:  # two calls at once read the files only once
        return _read()


@cache
def _read() -> _Model:
    from tokenizers import Tokenizer

    spec = importlib.util.find_spec("wordllama")  # without importing it
    [folder] = (spec and spec.submodule_search_locations) or []
    return _Model(Tokenizer.from_file(str(Path(folder, TOKENIZER))), _weights(Path(folder, WEIGHTS)))


def _weights(file: Path) -> NDArray[np.float16]:
    """The one tensor of a safetensors file: the size of a JSON header, the header, and the numbers, little-endian."""
    with file.open("rb") as content:
        size = int.from_bytes(content.read(8), "little")
        [tensor] = [each for name, each in json.loads(content.read(size)).items() if name != "__metadata__"]
    assert tensor["dtype"] == "F16", f"{file.name} has numbers of type {tensor['dtype']}"
    offset = 8 + size + tensor["data_offsets"][0]
    return np.memmap(file, np.float16, "r", offset, tuple(tensor["shape"]))
