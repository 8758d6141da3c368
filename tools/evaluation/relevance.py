"""`scripts/eval --relevance`: how well the simulator's scores tell off-topic questions from answerable ones.

For each question of the almanac, the scores of the passages that the reranker would read are examined. A score serves
as a floor if
nearly all off-topic questions are below the value that 3 of 100 answerable ones are below.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aiworker.rag.retrieve import MAX_RERANKED, Search, retrieve
from tools import ROOT
from tools.evaluation import beir, chunkers, collection, run
from workers_ai_simulator.catalogue import find
from workers_ai_simulator.embeddings import reranking
from workers_ai_simulator.embeddings.lexical import STOP_WORDS, lexical_vectors, stem, words
from workers_ai_simulator.embeddings.semantic import piece_vectors, semantic_vectors

Floats = NDArray[Any]
RERANKER = find("@cf/baai/bge-reranker-base")
LOST = 0.03
"""Share of the answerable questions that a floor may refuse."""
FAR, NEAR, MAX_NEAR = 0.1, 0.6, 0.8
"""Cosine of words with different meanings, and with the same meaning; weight of the latter, where an equal stem has
1."""
FAR_IN_COLLECTION = 0.2
"""Cosine of a word to the nearest of all words of a collection, if that has none of its meaning."""


@dataclass(frozen=True)
class Vocabulary:
    """Words of a collection."""

    documents: int
    counts: Mapping[str, int]
    """Stem → number of documents that have it."""
    vectors: Floats
    """Vectors of its words, a row each."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        counts = Counter(chain.from_iterable({stem(word) for word in words(text)} for text in texts))
        present = sorted({word for text in texts for word in words(text)})
        return cls(len(texts), counts, semantic_vectors(present))

    def rarity(self, word: str) -> float:
        return math.log((self.documents + 1) / (self.counts.get(stem(word), 0) + 0.5))


@dataclass(frozen=True)
class Question:
    text: str
    is_answerable: bool
    passages: list[str]
    vocabulary: Vocabulary


def compare() -> int:
    """Print the area under the ROC curve of each score, and the share of off-topic questions that a floor refuses."""
    questions = asyncio.run(_questions())
    values = {
        split: np.array([[score(each) for score in SCORES.values()] for each in questions[split]])
        for split in questions
    }
    weigh = _regression(values["dev"], [each.is_answerable for each in questions["dev"]])
    columns = {split: np.column_stack([values[split], weigh(values[split])]) for split in questions}
    rows = [
        [name, *(cell for split in questions for cell in _cells(columns[split][:, number], questions[split]))]
        for number, name in enumerate([*SCORES, "all, weighed by a regression on dev"])
    ]
    head = [cell for split in questions for cell in (f"{split}: AUC", f"refused at {LOST:.0%}")]
    print(run.table(["Highest score of a passage", *head], rows))
    return 0


async def _questions() -> dict[str, list[Question]]:
    """Return the answerable and the off-topic questions of both splits, each with its passages."""
    collections = {split: beir.load(collection.ALMANAC, split) for split in ("dev", "test")}
    documents = {**collections["dev"].documents, **collection.read_markdown(ROOT / "tools/evaluation/corpus")}
    cuts = collection.cut(documents)
    resources = await chunkers.indexed(cuts, {name: each.title or name for name, each in documents.items()})
    vocabulary = Vocabulary.of([f"{each.title or name}\n{each.text}" for name, each in documents.items()])
    questions: dict[str, list[Question]] = {}
    for split, loaded in collections.items():
        questions[split] = []
        for name, query in loaded.queries.items():
            if loaded.relevant[name] or query.kind == "off_topic":
                search = Search(query.text, run.TENANT, MAX_RERANKED, rerank=False, join_neighbours=False)
                passages = [f"{each.path}\n{each.body}" for each in await retrieve(resources, search)]
                questions[split].append(Question(query.text, bool(loaded.relevant[name]), passages, vocabulary))
    return questions


# ---- scores ----------------------------------------------------------------------------------------------------------


def _meaning(question: Question) -> float:
    vectors = semantic_vectors([question.text, *question.passages])
    return float((vectors[1:] @ vectors[0]).max())


def _words(question: Question) -> float:
    vectors = lexical_vectors([question.text, *question.passages], reranking.DIMENSIONS, RERANKER.id)
    return float((vectors[1:] @ vectors[0]).max())


def _met(question: Question, *, in_one: bool, near: float) -> float:
    """Return the share of the question's words that passages have by stem or, up to `near`, by meaning, weighted by
    rarity.

    The vectors of common word pieces are short, so that rare words weigh more. in_one: by one passage, else
    by all together.
    """
    wanted = _content_words(question)
    weights = np.array([np.linalg.norm(piece_vectors([word])[0], axis=1).sum() for word in wanted])
    vectors = np.array([_vector(word) for word in wanted])
    best = 0.0
    for passage in question.passages if in_one else ["\n".join(question.passages)]:
        present = list(dict.fromkeys(words(passage)))
        stems = {stem(word) for word in present}
        cosines = (vectors @ np.array([_vector(word) for word in present]).T).max(axis=1)
        nearness = near * ((cosines - FAR) / (NEAR - FAR)).clip(0, 1)
        met = np.where([stem(word) in stems for word in wanted], 1.0, nearness)
        best = max(best, float(weights @ met / weights.sum()))
    return best


def _known(question: Question, *, near: bool) -> float:
    """Return the share of the question's words that any document has, weighted by their rarity in the collection.

    near: words whose meaning is near to one of the collection's count in part.
    """
    vocabulary, wanted = question.vocabulary, _content_words(question)
    weights = np.array([vocabulary.rarity(word) for word in wanted])
    is_known = np.array([stem(word) in vocabulary.counts for word in wanted])
    nearness = np.zeros(len(wanted))
    if near:
        cosines = (np.array([_vector(word) for word in wanted]) @ vocabulary.vectors.T).max(axis=1)
        nearness = ((cosines - FAR_IN_COLLECTION) / (NEAR - FAR)).clip(0, 1)
    return float(weights @ np.where(is_known, 1.0, nearness) / weights.sum())


def _content_words(question: Question) -> list[str]:
    return [word for word in dict.fromkeys(words(question.text)) if word not in STOP_WORDS] or words(question.text)


@lru_cache(maxsize=1 << 15)
def _vector(word: str) -> Floats:
    return semantic_vectors([word])[0]


SCORES: dict[str, Callable[[Question], float]] = {
    "reranker": lambda question: max(reranking.scores(RERANKER, question.text, question.passages, "mixed")),
    "cosine of meaning": _meaning,
    "cosine of words": _words,
    "words met by stem": lambda question: _met(question, in_one=True, near=0.0),
    "words met by stem or meaning": lambda question: _met(question, in_one=True, near=MAX_NEAR),
    "words in any passage": lambda question: _met(question, in_one=False, near=0.0),
    "words in the collection, by rarity": lambda question: _known(question, near=False),
    "the same, or near in meaning": lambda question: _known(question, near=True),
}


# ---- separation ------------------------------------------------------------------------------------------------------


def _cells(scores: Floats, questions: Sequence[Question]) -> list[str]:
    is_answerable = np.array([each.is_answerable for each in questions])
    answerable, others = np.sort(scores[is_answerable]), scores[~is_answerable]
    area = (answerable[:, None] > others).mean() + (answerable[:, None] == others).mean() / 2
    return [f"{area:.3f}", f"{(others < answerable[int(LOST * len(answerable))]).mean():.0%}"]


def _regression(values: Floats, outcomes: Sequence[bool]) -> Callable[[Floats], Floats]:
    """Return the score of a logistic regression in which both outcomes weigh the same; Newton's method, ridge of 1."""
    mean: Floats = values.mean(axis=0)
    deviation: Floats = values.std(axis=0)

    def scaled(some: Floats) -> Floats:
        return np.column_stack([(some - mean) / deviation, np.ones(len(some))])

    rows = scaled(values)
    wanted: Floats = np.array(outcomes, float)
    share = sum(outcomes) / len(outcomes)
    balance: Floats = np.where(wanted == 1, 0.5 / share, 0.5 / (1 - share))
    columns = len(SCORES) + 1
    weights: Floats = np.zeros(columns)
    for _ in range(50):
        chance: Floats = 1 / (1 + np.exp(-rows @ weights))
        slope: Floats = rows.T @ (balance * (chance - wanted)) + weights
        curve: Floats = (rows.T * (balance * chance * (1 - chance))) @ rows + np.eye(columns)
        step: Floats = np.linalg.solve(curve, slope)
        weights = weights - step

    def weigh(some: Floats) -> Floats:
        return scaled(some) @ weights

    return weigh
