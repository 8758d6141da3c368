"""The vectors of simulated embeddings, by one of three kinds: half by meaning and half by words; by words alone; or
those of another, small model.

They are not the vectors of the models that they stand in for. Each model, and each pooling of a model, has a space
of its own: as upstream, their vectors cannot be mixed.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.embeddings.lexical import lexical_vectors, without_instruction
from workers_ai_simulator.embeddings.minilm import minilm_vectors
from workers_ai_simulator.embeddings.semantic import DIMENSIONS, semantic_vectors

Vectors = NDArray[np.float32]
ComputeVectors = Callable[[Model, list[str], str], Vectors]
"""Computes the vectors of a model for texts, with a pooling: one row of unit length for each text."""
Kind = Literal["mixed", "lexical", "minilm"]
"""Kind of simulated vectors."""
SEMANTIC_SHARE = 0.5
"""Share of the meaning in the cosine of two texts."""


def lexical(model: Model, texts: list[str], pooling: str) -> Vectors:
    """Vectors of the texts' words alone."""
    return lexical_vectors(texts, _dimensions(model), _space(model, pooling))


def mixed(model: Model, texts: list[str], pooling: str) -> Vectors:
    """Vectors of which one part is the texts' meaning and the other their words.

    The cosine of two texts is the mean of wordllama's and of the lexical one. Codes, and scripts other than the Latin,
    are found by their words. A third of the dimensions is for the meaning, of those that wordllama has.
    """
    dimensions, space = _dimensions(model), _space(model, pooling)
    meaning_dimensions = DIMENSIONS if dimensions >= 3 * DIMENSIONS else DIMENSIONS // 2
    meaning = semantic_vectors([without_instruction(each) or each for each in texts], meaning_dimensions)
    words = lexical_vectors(texts, dimensions - meaning_dimensions, space)
    return joined(meaning * _signs(meaning_dimensions, space), words)


def minilm(model: Model, texts: list[str], pooling: str) -> Vectors:
    """Vectors of all-MiniLM-L6-v2, with zeros in the further dimensions. Raises WeightsError without its weights."""
    rows = minilm_vectors([without_instruction(each) or each for each in texts])
    padded = np.pad(rows, ((0, 0), (0, _dimensions(model) - rows.shape[1])))
    return padded * _signs(_dimensions(model), _space(model, pooling))


SIMULATED: dict[Kind, ComputeVectors] = {"mixed": mixed, "lexical": lexical, "minilm": minilm}


def joined(meaning: Vectors, words: Vectors) -> Vectors:
    """One row for each text, of unit length, of which each part has its share."""
    rows = np.hstack([meaning * np.sqrt(SEMANTIC_SHARE), words * np.sqrt(1 - SEMANTIC_SHARE)])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=32)
def _signs(dimensions: int, space: str) -> Vectors:
    """A sign for each dimension. Vectors of one space keep their cosines; those of different spaces become
    unrelated."""
    return np.random.default_rng(crc32(space.encode())).choice(np.array([-1, 1], np.float32), dimensions)


def _dimensions(model: Model) -> int:
    assert model.dimensions, f"models.json has no dimensions for {model.id}"
    return model.dimensions


def _space(model: Model, pooling: str) -> str:
    return f"{model.id} {pooling}"
