"""Relevance of texts to a query, in place of a cross-encoder's, by the vectors of the simulated embeddings.

The score has two equal parts: the cosine of both texts, and how close the nearest word of the text is to each word of
the query,
by its stem or by its meaning (as ColBERT compares texts).
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.embeddings.lexical import STOP_WORDS, lexical_vectors, stem, words
from workers_ai_simulator.embeddings.semantic import semantic_vectors
from workers_ai_simulator.embeddings.vectors import Kind, joined

DIMENSIONS = 4096
"""Dimensions of the lexical vectors: many, so that few words collide."""
CURVES: dict[Kind, tuple[float, float]] = {"mixed": (15.0, 0.58), "minilm": (15.0, 0.58), "lexical": (10.0, 0.4)}
"""Steepness and middle of the score over the similarity: the middle scores 0.5, equal texts 0.998. Lexical vectors of
unrelated texts score 0.02. With meaning, 0.01 is the score below which 3 of 100 questions have their best text. With
`minilm`, texts are reranked as with `mixed`: vectors of each word by that model would take too long."""


def scores(model: Model, query: str, contexts: list[str], kind: Kind) -> list[float]:
    """The relevance of each text, 0 to 1; equal texts have equal ones."""
    texts = [query, *contexts]
    vectors = lexical_vectors(texts, DIMENSIONS, model.id)
    if kind != "lexical":
        vectors = joined(semantic_vectors(texts), vectors)
    similarities: list[float] = (vectors[1:] @ vectors[0]).tolist()
    if kind != "lexical":
        similarities = [(each + _met(query, context)) / 2 for each, context in zip(similarities, contexts, strict=True)]
    steepness, middle = CURVES[kind]
    return [1 / (1 + math.exp(-steepness * (round(each, 6) - middle))) for each in similarities]


def _met(query: str, context: str) -> float:
    """The mean, over the query's words without stop words, of the similarity of the text's nearest word, 0 to 1."""
    sequence = dict.fromkeys(words(query))
    wanted = [word for word in sequence if word not in STOP_WORDS] or list(sequence)
    present = list(dict.fromkeys(words(context)))
    if not wanted or not present:
        return 0.0
    nearest = (_word_vectors(wanted) @ _word_vectors(present).T).max(axis=1).clip(0, 1).tolist()
    stems = {stem(word) for word in present}
    return sum(1.0 if stem(word) in stems else near for word, near in zip(wanted, nearest, strict=True)) / len(wanted)


def _word_vectors(sequence: list[str]) -> NDArray[np.float32]:
    return np.array([_word_vector(word) for word in sequence])


@lru_cache(maxsize=1 << 13)
def _word_vector(word: str) -> NDArray[np.float32]:
    return semantic_vectors([word])[0]
