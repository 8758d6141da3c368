"""Which passages answer a question: by meaning, by words, both fused, then read again by a reranker."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiworker.bindings import Inputs
from aiworker.context import Resources
from aiworker.models import catalogue
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.ranking import ranking
from aiworker.rag import filters, store
from aiworker.rag.passage import Passage

CANDIDATES = 50
"""Passages that each search gives; the most for which Vectorize has room beside data."""
RERANKED = 25
"""Passages that the reranker reads: it reads each with the question, so its time grows with them."""
FUSION = 60
"""Of reciprocal rank fusion: a passage's score is the sum of 1 / (60 + its rank) over the searches that have found it.

Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
Methods", SIGIR 2009.
"""
MAX_WORDS = 32
"""Of a question, that full text search looks for."""
TERM = re.compile(r"\w+(?:[-./:@]\w+)*")
COMMON_WORDS = (
    "a about am an and any are as at be been but by can could did do does for from had has have he her his how i if in "
    "into is it its me my of on or our she should so some than that the their them then there these they this those to "
    "us was we were what when where which who whom whose why will with would you your"
)
STOP_WORDS = frozenset(COMMON_WORDS.split())
"""English, as the stems of the index: each passage has some of them, so they bring up any passage, at a high price."""

QUERY_PREFIX = {
    "@cf/baai/bge-small-en-v1.5": "Represent this sentence for searching relevant passages: ",
    "@cf/baai/bge-base-en-v1.5": "Represent this sentence for searching relevant passages: ",
    "@cf/baai/bge-large-en-v1.5": "Represent this sentence for searching relevant passages: ",
    "@cf/google/embeddinggemma-300m": "task: search result | query: ",
    "@cf/qwen/qwen3-embedding-0.6b": (
        "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
    ),
}
"""What these models want before a query, by their model cards."""


@dataclass(frozen=True)
class Search:
    query: str
    tenant: str
    top_k: int
    min_score: float | None = None
    """Of what decides last: the reranker (0 to 1), else the cosine (-1 to 1)."""
    filter: Mapping[str, Any] = field(default_factory=dict[str, Any])
    by_meaning: bool = True
    by_words: bool = True
    rerank: bool = True


async def retrieve(resources: Resources, search: Search) -> list[Passage]:
    """The passages that fit best, the best first, at most `top_k`.

    `scores` tells what each stage has said: vector (cosine), text (BM25), fusion, rerank. `score` is the last of them.
    """
    by_meaning, by_words = await asyncio.gather(_by_meaning(resources, search), _by_words(resources, search))
    scores = {"vector": by_meaning, "text": {row["vector_id"]: row["score"] for row in by_words}}
    fused = _fused([list(found) for found in scores.values()])
    rows = {row["vector_id"]: row for row in by_words}
    missing = [vector_id for vector_id in fused if vector_id not in rows]
    if missing:
        rows |= await store.passages(resources.database, search.tenant, missing)
    found = [
        _passage(rows[vector_id], {name: each[vector_id] for name, each in scores.items() if vector_id in each}, fusion)
        for vector_id, fusion in fused.items()
        if vector_id in rows  # else it is of a version that is no longer, or not yet, to be seen
    ]
    if search.rerank and found:
        found = await _reranked(resources, search.query, found[:RERANKED])
    return [each for each in found if _is_good(each, search)][: search.top_k]


async def _by_meaning(resources: Resources, search: Search) -> dict[str, float]:
    """Vector id → cosine, the nearest first."""
    if not search.by_meaning:
        return {}
    model = catalogue.MODELS[resources.settings.models["EMBED_MODEL"]]
    text = QUERY_PREFIX.get(model.id, "") + search.query
    answer = await ModelCall(resources, [Candidate(model, Inputs({"text": [text]}))]).run()
    # the vector goes from one binding to the other as the JavaScript array that it is
    rows = await answer.raw.value("data")
    return await resources.vectors.query(rows, CANDIDATES, search.tenant, search.filter)


def _words(query: str) -> list[str]:
    """What to look for: words that say something, and before them codes such as `H-118` whole, as phrases."""
    terms = TERM.findall(query.lower())
    codes = [each for each in terms if not each.isalnum()]
    words = [word for each in terms for word in re.findall(r"\w+", each)]
    telling = [each for each in words if each not in STOP_WORDS]
    return list(dict.fromkeys([*codes, *(telling or words)]))[:MAX_WORDS]


async def _by_words(resources: Resources, search: Search) -> list[dict[str, Any]]:
    words = _words(search.query) if search.by_words else []
    if not words:
        return []
    condition = filters.condition(search.filter, first=4)
    return await store.search(resources.database, search.tenant, words, condition, CANDIDATES)


def _fused(rankings: Sequence[list[str]]) -> dict[str, float]:
    """Vector id → its score by reciprocal rank fusion, the best first."""
    scores: dict[str, float] = {}
    for found in rankings:
        for rank, vector_id in enumerate(found, 1):
            scores[vector_id] = scores.get(vector_id, 0) + 1 / (FUSION + rank)
    return dict(sorted(scores.items(), key=lambda each: -each[1]))


async def _reranked(resources: Resources, query: str, found: list[Passage]) -> list[Passage]:
    model = catalogue.MODELS[resources.settings.models["RERANK_MODEL"]]
    contexts = [{"text": f"{each.title}\n{each.heading}\n{each.text}"} for each in found]
    answer = await ModelCall(resources, [Candidate(model, Inputs({"query": query, "contexts": contexts}))]).run()
    ranked = await ranking(answer, len(found))
    return [_scored(found[int(each["id"])], float(each["score"])) for each in ranked]


def _scored(passage: Passage, score: float) -> Passage:
    return replace(passage, score=score, scores={**passage.scores, "rerank": score})


def _passage(row: Mapping[str, Any], scores: dict[str, float], fusion: float) -> Passage:
    return Passage(
        chunk_id=row["vector_id"],
        document_id=row["document_id"],
        title=row["title"],
        url=row["url"],
        heading=row["heading"],
        text=row["text"],
        score=fusion,
        scores={**scores, "fusion": fusion},
    )


def _is_good(passage: Passage, search: Search) -> bool:
    if search.min_score is None:
        return True
    decides = "rerank" if search.rerank else "vector"
    return passage.scores.get(decides, float("-inf")) >= search.min_score
