"""One ranking of passages from several: of both searches by their scores, with the reranker's by ranks."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

VECTOR_SHARE = 0.5
"""Share of vector search in the fused score; the rest is full-text search's.

docs/rag.md has the measurements. A weighted sum of scores keeps how far apart two passages are, which ranks lose.
Source: Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 42 (2023).
"""
RANK_CONSTANT = 60
"""Constant of reciprocal rank fusion: a passage's score is the sum of 1 / (60 + rank) over the rankings.

Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
Methods", SIGIR 2009.
"""


def fuse(cosines: Mapping[str, float], text_scores: Mapping[str, float]) -> dict[str, float]:
    """Return vector id → score of 0 to 1, the best first, from the scores of both searches.

    Cosines count from the lowest to the highest that was found, scores of BM25 from 0 to the highest. If one of the
    searches found nothing, the other's scores count alone.
    """
    vector_share = 1.0 if not text_scores else VECTOR_SHARE if cosines else 0.0
    vectors = _scaled(cosines, min(cosines.values(), default=0))
    texts = _scaled(text_scores, 0)
    scores = {
        vector_id: vector_share * vectors.get(vector_id, 0) + (1 - vector_share) * texts.get(vector_id, 0)
        for vector_id in dict.fromkeys([*texts, *vectors])
    }
    return _descending(scores)


def fuse_queries(rankings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return vector id → score of 0 to 1, the best first, from the fused scores of the queries of one question.

    The first query counts as much as all others together: they are guesses.
    """
    first, *others = rankings
    if not others:
        return dict(first)
    return _descending(
        {
            vector_id: first.get(vector_id, 0) / 2 + sum(each.get(vector_id, 0) for each in others) / (2 * len(others))
            for vector_id in dict.fromkeys(chain(*rankings))
        }
    )


def fuse_ranks(rankings: Iterable[Sequence[str]]) -> list[str]:
    """Return the ids of the rankings, the best first, by reciprocal rank fusion."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, each in enumerate(ranking, 1):
            scores[each] = scores.get(each, 0) + 1 / (RANK_CONSTANT + rank)
    return sorted(scores, key=lambda each: -scores[each])


def _descending(scores: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda each: -each[1]))


def _scaled(scores: Mapping[str, float], low: float) -> dict[str, float]:
    """Return the scores from 0 for `low` to 1 for the highest; 1 for all if they are the same."""
    span = max(scores.values(), default=0) - low
    return {each: (score - low) / span if span > 0 else 1.0 for each, score in scores.items()}
