"""Retrieval of passages: vector search and full-text search, fused, then reranked."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from aiworker.bindings import Inputs
from aiworker.context import Resources
from aiworker.models import catalogue
from aiworker.models.catalogue import Model
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.ranking import ranking
from aiworker.rag import filters, store
from aiworker.rag.document_fields import safe_reader_url
from aiworker.rag.fusion import fuse, fuse_ranks
from aiworker.rag.passage import Passage, page_of, range_of
from aiworker.rag.query_text import MAX_RERANKED_TOKENS, fitting
from aiworker.rag.search_text import query_terms, query_terms_as_written
from aiworker.rag.selection import is_relevant, join_neighbours, limit_per_document

SEARCH_RESULTS = 50
"""Passages that each search returns."""
MAX_VECTOR_RESULTS = 100
"""Passages that Vectorize is asked for with a filter, since the database may refuse some; Vectorize's maximum."""
MAX_RERANKED = 25
"""Passages that the reranker reads. It reads each with the question, so its time grows with their number."""
MAX_SEARCHES = 3
"""Searches for one question, if documents are replaced meanwhile."""
MAX_TERMS = 32
"""Words and codes of a question that full-text search looks for: the rarest."""
MAX_COUNTED_TERMS = 400
"""Words of a question among which the rarest are chosen: the longest, and of equally long ones the last, since a
question follows what it is about."""
QUERY_PREFIX = {
    "@cf/baai/bge-small-en-v1.5": "Represent this sentence for searching relevant passages: ",
    "@cf/baai/bge-base-en-v1.5": "Represent this sentence for searching relevant passages: ",
    "@cf/baai/bge-large-en-v1.5": "Represent this sentence for searching relevant passages: ",
    "@cf/google/embeddinggemma-300m": "task: search result | query: ",
    "@cf/qwen/qwen3-embedding-0.6b": (
        "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
    ),
}
"""Model → the text that its model card puts before a query."""


@dataclass(frozen=True)
class Search:
    query: str
    tenant: str
    top_k: int
    min_score: float | None = None
    """Minimum score by the last stage: the reranker (0 to 1), else the cosine (-1 to 1)."""
    filter: Mapping[str, Any] = field(default_factory=dict[str, Any])
    vector_search: bool = True
    fulltext_search: bool = True
    rerank: bool = True
    per_document: int | None = None
    """Maximum number of passages of one document."""
    join_neighbours: bool = True
    """Make one passage of those that follow each other in a document."""
    needs_relevance: bool = False
    """Return nothing if the reranker finds no passage relevant, by the floor that the catalogue has for it."""


async def retrieve(resources: Resources, search: Search) -> list[Passage]:
    """Return the most relevant passages, the best first, at most `top_k`.

    Their `scores` have the stages that found them: vector (cosine), text (BM25), fusion, rerank. `score` is the last.
    The order follows the fused searches and the reranker alike.
    """
    scores, rows = await _search(resources, search)
    passages = [
        passage_of(
            rows[vector_id], {name: each[vector_id] for name, each in scores.items() if vector_id in each}, score
        )
        for vector_id, score in fuse(scores["vector"], scores["text"]).items()
    ]
    if search.rerank and passages:
        model = catalogue.MODELS[resources.settings.models["RERANK_MODEL"]]
        passages = await _rerank(resources, model, search.query, passages[:MAX_RERANKED])
        if search.needs_relevance and not is_relevant(passages, model.relevance_floor):
            return []
    passages = [each for each in passages if _has_min_score(each, search)]
    passages = limit_per_document(passages, search.per_document)
    return join_neighbours(passages, search.top_k) if search.join_neighbours else passages[: search.top_k]


async def _search(resources: Resources, search: Search) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Return the stages vector and text, each vector id → score with the best first, and the rows of these passages.

    The rows are read after both searches, in one statement: all passages of a document are of one version. If a
    document was replaced in between, so that the passages found are no longer there, it is searched for again.
    """
    condition = filters.condition(search.filter, first=3)
    cosines, text_scores, rows = dict[str, float](), dict[str, float](), dict[str, Any]()
    for _ in range(MAX_SEARCHES):
        cosines, text_scores = await asyncio.gather(
            _vector_search(resources, search), _fulltext_search(resources, search)
        )
        matches = list(dict.fromkeys([*text_scores, *cosines]))
        rows = await store.passages(resources.database, search.tenant, matches, condition) if matches else {}
        if not await _is_outdated(resources, cosines, text_scores, rows):
            break
    # others belong to a version that is not published, or no longer, or to a document that only Vectorize lets through
    cosines, text_scores = (
        {vector_id: score for vector_id, score in each.items() if vector_id in rows} for each in (cosines, text_scores)
    )
    return {"vector": dict(islice(cosines.items(), SEARCH_RESULTS)), "text": text_scores}, rows


async def _is_outdated(
    resources: Resources, cosines: Mapping[str, float], text_scores: Mapping[str, float], rows: Mapping[str, Any]
) -> bool:
    """Tell whether a document was replaced after it was found, and nothing of its new version was found."""
    if text_scores.keys() - rows.keys():  # they were live
        return True
    # vectors are written before their version is live, and stay a while after it has been replaced
    missing = cosines.keys() - rows.keys()
    replaced = await store.replaced_documents(resources.database, missing) if missing else set[str]()
    return bool(replaced - {row["document_id"] for row in rows.values()})


async def _vector_search(resources: Resources, search: Search) -> dict[str, float]:
    """Return vector id → cosine, the nearest first."""
    if not search.vector_search:
        return {}
    model = catalogue.MODELS[resources.settings.models["EMBED_MODEL"]]
    text = QUERY_PREFIX.get(model.id, "") + fitting(search.query)
    response = await ModelCall(resources, [Candidate(model, Inputs({"text": [text]}))]).run()
    # the vector goes from one binding to the other as a JavaScript array
    vectors = await response.raw.value("data")
    count = MAX_VECTOR_RESULTS if search.filter else SEARCH_RESULTS
    return await resources.vectors.query(vectors, count, search.tenant, filters.vector_filter(search.filter))


async def _fulltext_search(resources: Resources, search: Search) -> dict[str, float]:
    """Return vector id → score by BM25, the best first."""
    terms = query_terms(search.query) if search.fulltext_search else []
    if not terms:
        return {}
    if len(terms) > MAX_TERMS:
        candidates = sorted(terms, key=len)[-MAX_COUNTED_TERMS:]
        terms = await store.rarest_terms(resources.database, search.tenant, candidates, MAX_TERMS)
    as_written = query_terms_as_written(search.query)[:MAX_TERMS]
    condition = filters.condition(search.filter, first=6)
    return await store.fulltext_search(resources.database, search.tenant, terms, as_written, condition, SEARCH_RESULTS)


async def _rerank(resources: Resources, model: Model, query: str, passages: list[Passage]) -> list[Passage]:
    """Return the passages in the order in which the searches and the reranker together have them.

    The reranker's order is not taken for itself: on average it may be worse than that of the searches.
    """
    contexts = [{"text": f"{each.path}\n{each.body}"} for each in passages]
    response = await ModelCall(
        resources, [Candidate(model, Inputs({"query": fitting(query, MAX_RERANKED_TOKENS), "contexts": contexts}))]
    ).run()
    ranks = await ranking(response, len(passages))
    reranked = [_with_rerank_score(passages[int(each["id"])], float(each["score"])) for each in ranks]
    by_id = {each.chunk_id: each for each in [*passages, *reranked]}
    return [
        by_id[chunk_id] for chunk_id in fuse_ranks([[each.chunk_id for each in rank] for rank in (passages, reranked)])
    ]


def _with_rerank_score(passage: Passage, score: float) -> Passage:
    return replace(passage, score=score, scores={**passage.scores, "rerank": score})


def passage_of(row: Mapping[str, Any], scores: dict[str, float], fusion: float) -> Passage:
    return Passage(
        chunk_id=row["vector_id"],
        document_id=row["document_id"],
        title=row["title"],
        url=safe_reader_url(row["url"]),
        heading=row["heading"],
        page=page_of(row["media_type"], row["heading"]),
        range=range_of(row),
        text=row["text"],
        score=fusion,
        scores={**scores, "fusion": fusion},
    )


def _has_min_score(passage: Passage, search: Search) -> bool:
    if search.min_score is None:
        return True
    last_stage = "rerank" if search.rerank else "vector"
    return passage.scores.get(last_stage, float("-inf")) >= search.min_score
