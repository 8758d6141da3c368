"""Retrieval of passages: vector search and full-text search, fused, then reranked."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Any

from aiworker.bindings import Inputs
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.models import catalogue
from aiworker.models.catalogue import Model
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.ranking import ranking
from aiworker.rag import filters, passage_store
from aiworker.rag.document_fields import safe_reader_url
from aiworker.rag.fusion import fuse, fuse_queries, fuse_ranks
from aiworker.rag.passage import Passage, page_of, range_of, text_with_path
from aiworker.rag.passage_store import Terms
from aiworker.rag.query_text import MAX_RERANKED_TOKENS, fitting
from aiworker.rag.relevance import is_off_topic, is_relevant
from aiworker.rag.search_text import query_terms, query_terms_as_written
from aiworker.rag.selection import join_neighbours, limit_per_document

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
    """Join passages that follow each other in a document into one."""
    variants: Sequence[str] = ()
    """Other wordings of the query that are searched for, too; the reranker reads the query alone."""
    needs_relevance: bool = False
    """Return nothing if the question is off topic by RAG_MIN_COSINE, or if the reranker finds no passage relevant, by
    the floor that the catalogue has for it."""

    @property
    def queries(self) -> tuple[str, ...]:
        return (self.query, *self.variants)


Scores = dict[str, float]
"""Vector id → score, the best first."""


async def retrieve(resources: Resources, search: Search) -> list[Passage]:
    """Return the most relevant passages, the best first, at most `top_k`.

    Their `scores` have the stages that found them: vector (cosine), text (BM25), fusion, rerank. `score` is the last.
    The order follows the fused searches and the reranker alike.
    """
    matches = await _search(resources, search)
    ids = list(islice(matches.fused, _shown(search)))
    floor = resources.settings.rag_min_cosine if search.needs_relevance else None
    if floor is not None and is_off_topic(search.query, list(map(matches.passage, ids[:MAX_RERANKED])), floor):
        return []
    if search.rerank and ids:
        model = catalogue.MODELS[resources.settings.models["RERANK_MODEL"]]
        matches.reranked = await _rerank(resources, model, search.query, [matches.rows[each] for each in ids])
        if search.needs_relevance and not is_relevant(list(map(matches.passage, ids)), model.relevance_floor):
            return []
        # the reranker's order is not used alone: on average it may be worse than that of the searches
        ids = fuse_ranks([ids, list(matches.reranked)])
    # passages are made one by one, since most of those that were reranked are not returned
    good_enough = (each for each in map(matches.passage, ids) if _has_min_score(each, search))
    passages = limit_per_document(good_enough, search.per_document)
    return join_neighbours(passages, search.top_k) if search.join_neighbours else list(islice(passages, search.top_k))


def _shown(search: Search) -> int | None:
    """Return the number of the searches' best passages from which the result may come; None for all."""
    return MAX_RERANKED if search.rerank else None


class Matches:
    """Matches of both searches: cosines and scores by BM25, each of every query, with rows of the database."""

    def __init__(self, cosines: Sequence[Scores], texts: Sequence[Scores]) -> None:
        self._cosines, self._texts = cosines, texts
        self._vectors = [dict(islice(each.items(), SEARCH_RESULTS)) for each in cosines]
        self.fused = fuse_queries([fuse(*each) for each in zip(self._vectors, texts, strict=True)])
        """Vector id → fused score, the best first."""
        self.ids = list(dict.fromkeys(chain(self.fused, *cosines)))
        """Ids of all matches, the best first."""
        self.rows: Mapping[str, Any] = {}
        """Vector id → row of passage_store.passages."""
        self.reranked: Scores = {}
        """Vector id → score of the reranker, once that has answered."""

    @property
    def cosines(self) -> set[str]:
        """Ids that vector search has found."""
        return set(chain(*self._cosines))

    @property
    def texts(self) -> set[str]:
        """Ids that full-text search has found."""
        return set(chain(*self._texts))

    def scores(self, vector_id: str) -> dict[str, float]:
        """Return the highest scores of a match by each search that has found it."""
        highest: dict[str, float] = {}
        for name, by_query in (("vector", self._vectors), ("text", self._texts)):
            if scores := [each[vector_id] for each in by_query if vector_id in each]:
                highest[name] = max(scores)
        return highest

    def passage(self, vector_id: str) -> Passage:
        """Return a match as a passage. Its row must have the columns that readers see."""
        score = self.fused[vector_id]
        scores = {**self.scores(vector_id), "fusion": score}
        if vector_id in self.reranked:
            score = scores["rerank"] = self.reranked[vector_id]
        return passage_of(self.rows[vector_id], scores, score)

    def with_rows(self, rows: Mapping[str, Any]) -> "Matches":
        """Return those matches that have rows.

        The others belong to a version that is not (or no longer) published, or to a document that passes Vectorize's
        filter but not the database's.
        """
        live = copy(self)
        if len(rows) < len(self.ids):
            live = Matches(_kept(self._cosines, rows), _kept(self._texts, rows))
        live.rows = rows
        return live


def _kept(scores: Sequence[Scores], rows: Mapping[str, Any]) -> list[Scores]:
    """Return the scores of passages that have rows."""
    return [{vector_id: score for vector_id, score in each.items() if vector_id in rows} for each in scores]


async def _search(resources: Resources, search: Search) -> Matches:
    """Return the live matches of both searches, with the rows of those that are shown.

    The rows are read after both searches, in one statement: all passages of a document are of one version. If a
    document was replaced in between, so that the passages found are no longer there, it is searched for again.
    """
    condition = filters.condition(search.filter, passage_store.FIRST_CONDITION)
    read = partial(passage_store.passages, resources.database, search.tenant, condition=condition)
    attempts = 0
    while True:
        attempts += 1
        matches = await _matches(resources, search, condition)
        best = list(islice(matches.fused, _shown(search)))
        matches.rows = await read(best)
        if len(matches.rows) == len(best):  # the matches after them are not shown
            return matches
        # some of the best are not live: others take their place
        live = matches.with_rows(await read(matches.ids))
        if attempts == MAX_SEARCHES or not await _is_outdated(resources, matches, live.rows):
            return live


async def _matches(resources: Resources, search: Search, condition: tuple[str, list[Any]]) -> Matches:
    """Return the matches of both searches, which run at once."""
    # a single task, because each takes a turn of JavaScript's event loop. asyncio.gather would make one for the call of
    # the model, too, and a task that fails keeps its frames, which only garbage collection frees
    texts = asyncio.ensure_future(_fulltext_search(resources, search, condition))
    try:
        return Matches(await _vector_search(resources, search), await texts)
    finally:
        texts.cancel()
        with contextlib.suppress(asyncio.CancelledError, ApiError):
            await texts
        del texts  # it keeps its exception, whose traceback refers to this frame


async def _is_outdated(resources: Resources, matches: Matches, rows: Mapping[str, Any]) -> bool:
    """Tell whether a document was replaced after it was found, and nothing of its new version was found."""
    if len(rows) == len(matches.ids):
        return False
    if matches.texts - rows.keys():  # they were live
        return True
    # vectors are written before their version is live, and stay for a while after it has been replaced
    replaced = await passage_store.replaced_documents(resources.database, matches.cosines - rows.keys())
    return bool(replaced - {row["document_id"] for row in rows.values()})


async def _vector_search(resources: Resources, search: Search) -> list[Scores]:
    """Return the cosines of each query."""
    if not search.vector_search:
        return [{} for _ in search.queries]
    model = catalogue.MODELS[resources.settings.models["EMBED_MODEL"]]
    texts = [QUERY_PREFIX.get(model.id, "") + fitting(each) for each in search.queries]
    response = await ModelCall(resources, [Candidate(model, Inputs({"text": texts}))]).run()
    # the vectors go from one binding to the other as a JavaScript array
    vectors = await response.raw.value("data")
    count = MAX_VECTOR_RESULTS if search.filter else SEARCH_RESULTS
    condition = filters.vector_filter(search.filter)
    queries = [resources.vectors.query(vectors, row, count, search.tenant, condition) for row in range(len(texts))]
    # the most common: without a task, which takes a turn of JavaScript's event loop
    return [await queries[0]] if len(queries) == 1 else await asyncio.gather(*queries)


async def _fulltext_search(resources: Resources, search: Search, condition: tuple[str, list[Any]]) -> list[Scores]:
    """Return the scores by BM25 of each query."""
    if not search.fulltext_search:
        return [{} for _ in search.queries]
    terms = [await _terms(resources, search.tenant, each) for each in search.queries]
    return await passage_store.fulltext_search(resources.database, search.tenant, terms, condition, SEARCH_RESULTS)


async def _terms(resources: Resources, tenant: str, query: str) -> Terms:
    terms = query_terms(query)
    if len(terms) > MAX_TERMS:
        candidates = sorted(terms, key=len)[-MAX_COUNTED_TERMS:]
        terms = await passage_store.rarest_terms(resources.database, tenant, candidates, MAX_TERMS)
    return Terms(terms, query_terms_as_written(query)[:MAX_TERMS])


async def _rerank(resources: Resources, model: Model, query: str, rows: Sequence[Mapping[str, Any]]) -> Scores:
    """Return the reranker's scores of passages, given as rows of the database."""
    contexts = [{"text": text_with_path(each["title"], each["heading"], each["text"])} for each in rows]
    response = await ModelCall(
        resources, [Candidate(model, Inputs({"query": fitting(query, MAX_RERANKED_TOKENS), "contexts": contexts}))]
    ).run()
    ranks = await ranking(response, len(rows))
    return {rows[int(each["id"])]["vector_id"]: float(each["score"]) for each in ranks}


def passage_of(row: Mapping[str, Any], scores: Mapping[str, float], score: float) -> Passage:
    """Return the passage of a row. scores: by stage. score: by the last one."""
    return Passage(
        chunk_id=row["vector_id"],
        document_id=row["document_id"],
        title=row["title"],
        url=safe_reader_url(row["url"]),
        heading=row["heading"],
        page=page_of(row["media_type"], row["heading"]),
        range=range_of(row),
        text=row["text"],
        score=score,
        scores=scores,
    )


def _has_min_score(passage: Passage, search: Search) -> bool:
    if search.min_score is None:
        return True
    last_stage = "rerank" if search.rerank else "vector"
    return passage.scores.get(last_stage, float("-inf")) >= search.min_score
