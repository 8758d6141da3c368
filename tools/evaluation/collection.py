"""`scripts/eval --data DIR`: how well the Worker finds the judged documents of a collection in BEIR's layout.

The Worker's own code runs on CPython, with an SQLite database in memory, the simulator's embeddings and reranker, and
an exact vector search; no server is started, and two runs give the same figures. BM25 over stems is beside it.
With `--url` a running server with its models is measured instead.
"""

import asyncio
import json
import math
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import httpx

from aiworker.context import Resources
from aiworker.rag.chunk import chunks
from aiworker.rag.passage import without_title
from aiworker.rag.relevance import MIN_KNOWN_SHARE, known_share
from aiworker.rag.retrieve import MAX_RERANKED, Search, retrieve
from tools import ROOT
from tools.evaluation import beir, chunkers, run
from tools.evaluation.beir import Collection
from tools.evaluation.bm25 import BM25
from workers_ai_simulator.embeddings.minilm import WeightsError
from workers_ai_simulator.embeddings.vectors import Kind

ALMANAC = ROOT / "tools/evaluation/almanac"
RECORDED = "recorded.json"
"""Name of the file in a collection's folder that has the figures not to fall below."""
WHOLE = run.WHOLE
BASELINE = "BM25 with stems"
SEVERAL = "hybrid + rerank, 3 queries"
"""Search with the queries of variants.json, or of the server's model, beside the question."""
QUERIES = 3
STAGES = {**run.STAGES, SEVERAL: run.STAGES[WHOLE]}
DEPTH = 10
"""Documents of a ranking that are measured."""
MAX_PASSAGES = 50
"""Passages of a search, the best of which make the ranking of documents."""
LOST = (0.01, 0.02, 0.03, 0.05)
"""Shares of the answerable questions that a floor may refuse."""
TOLERANCE = 0.005
"""Allowed fall of a figure: half a question in a hundred. The figures themselves have no noise."""

Ranking = Sequence[str]
"""Ids of documents, the best first, each once."""
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Result:
    documents: int
    passages: int
    queries: int
    """Queries with a relevant document."""
    searches: dict[str, dict[str, float]]
    """Name of a search → measure → mean of the queries."""
    kinds: dict[str, dict[str, float]]
    """Kind of query → name of a search → nDCG@10."""
    refused: dict[str, float]
    """Kind of query, or `answerable` → share for which POST /rag finds nothing."""
    floors: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    """For each of LOST, the highest floor that refuses no more: `RAG_MIN_COSINE`, and kind of query → share refused."""


def main(options: Namespace) -> int:
    """Measure and print; return 1 if the collection cannot be read, or if figures fell below the recorded ones."""
    folder = Path(options.data)
    try:
        collection = beir.load(folder, options.split)
        distractors = read_markdown(Path(options.distractors)) if options.distractors else {}
        measured = measure_at(options.url, collection, distractors, keep=options.keep) if options.url else None
        result = asyncio.run(measured or measure(collection, distractors, kind=options.embeddings))
    except (beir.InvalidCollection, run.CannotEvaluate, WeightsError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result.__dict__, indent=2, ensure_ascii=False) if options.json else report(result))
    # a deployment's figures say nothing about those of the simulated models
    split = f"{options.split} at {options.url}" if options.url else options.split
    if options.embeddings != "mixed":
        split += f" by {options.embeddings}"
    if options.record:
        record(result, folder, split)
        return 0
    worse = fallen(result, recorded(folder, split))
    if worse:
        print("\nWorse than recorded:\n  " + "\n  ".join(worse), file=sys.stderr)
    return 1 if worse else 0


async def measure(
    collection: Collection,
    distractors: Mapping[str, beir.Document],
    stages: Iterable[str] = STAGES,
    kind: Kind = "mixed",
) -> Result:
    """Index the documents and search for all queries.

    distractors: documents that are indexed beside the collection's and are relevant to no query. stages: names in
    STAGES. kind: of the vectors.
    """
    documents = _all(collection, distractors)
    cuts = cut(documents)
    resources = await chunkers.indexed(cuts, {name: each.title or name for name, each in documents.items()}, kind)
    if not any(each.variants for each in collection.queries.values()):
        stages = [each for each in stages if each != SEVERAL]
    return await _measured(collection, documents, cuts, _Local(resources), stages)


async def measure_at(
    url: str,
    collection: Collection,
    distractors: Mapping[str, beir.Document],
    stages: Iterable[str] = STAGES,
    *,
    keep: bool = False,
) -> Result:
    """Measure a running server: its tenant run.TENANT holds the documents meanwhile, and no others.

    keep: leave them there. Raises run.CannotEvaluate.
    """
    documents = _all(collection, distractors)
    ids = {f"d{number}": name for number, name in enumerate(documents)}
    texts = {document_id: documents[name].text for document_id, name in ids.items()}
    titles = {document_id: documents[name].title or name for document_id, name in ids.items()}
    async with httpx.AsyncClient(base_url=url.rstrip("/"), timeout=120) as client:
        api = run.Api(client)
        await api.health()
        try:
            await run.ingest(api, texts, titles)
            return await _measured(collection, documents, cut(documents), _Remote(api, ids), stages)
        finally:
            if not keep:
                await run.clear(api)


def _all(collection: Collection, distractors: Mapping[str, beir.Document]) -> dict[str, beir.Document]:
    return {**{f"distractor {name}": each for name, each in distractors.items()}, **collection.documents}


def cut(documents: Mapping[str, beir.Document]) -> dict[str, list[chunkers.Cut]]:
    return {name: [(each.heading, each.text) for each in chunks(document.text)] for name, document in documents.items()}


async def _measured(
    collection: Collection,
    documents: Mapping[str, beir.Document],
    cuts: Mapping[str, Sequence[chunkers.Cut]],
    searcher: "_Searcher",
    stages: Iterable[str],
) -> Result:
    answerable = {name: query for name, query in collection.queries.items() if collection.relevant[name]}
    rankings: dict[str, dict[str, Ranking]] = {BASELINE: _baseline(documents, cuts, answerable)}
    for stage in stages:
        rankings[stage] = await _for_each(answerable, partial(searcher.rank, stage))
    kinds = [kind for kind in dict.fromkeys(each.kind for each in answerable.values()) if kind]
    return Result(
        documents=len(documents),
        passages=sum(map(len, cuts.values())),
        queries=len(answerable),
        searches={name: figures(ranking, collection.relevant) for name, ranking in rankings.items()},
        kinds={
            kind: {
                name: figures({q: r for q, r in ranking.items() if answerable[q].kind == kind}, collection.relevant)[
                    "nDCG@10"
                ]
                for name, ranking in rankings.items()
            }
            for kind in kinds
        },
        refused=_shares(collection, await _for_each(collection.queries, searcher.finds_nothing)),
        floors=floors(collection, await _for_each(collection.queries, searcher.nearness)),
    )


# ---- rankings --------------------------------------------------------------------------------------------------------


def _baseline(
    documents: Mapping[str, beir.Document],
    cuts: Mapping[str, Sequence[chunkers.Cut]],
    queries: Mapping[str, beir.Query],
) -> dict[str, Ranking]:
    """Rank by BM25 over the same passages, each with title and headings, the title once."""
    index = BM25(
        {
            json.dumps([name, number]): "\n".join((documents[name].title, *without_title(documents[name].title, *cut)))
            for name, passages in cuts.items()
            for number, cut in enumerate(passages)
        }
    )
    return {
        name: _unique(json.loads(each)[0] for each in index.rank(query.text, MAX_PASSAGES))
        for name, query in queries.items()
    }


class _Searcher(Protocol):
    async def rank(self, stage: str, query: beir.Query) -> Ranking:
        """Return the documents that these stages find."""
        ...

    async def finds_nothing(self, query: beir.Query) -> bool:
        """Tell whether POST /rag finds nothing."""
        ...

    async def nearness(self, query: beir.Query) -> "Nearness":
        """Return the nearness of the passages that the reranker would read."""
        ...


class Nearness(NamedTuple):
    """Values by which `RAG_MIN_COSINE` judges a question."""

    cosine: float
    """Cosine of the nearest passage; -1 for none."""
    known_share: float
    """Share of the question's words in the passage that has the most of them."""

    def is_refused(self, floor: float) -> bool:
        return -1 < self.cosine < floor and self.known_share < MIN_KNOWN_SHARE


class _Local:
    """The Worker's retrieval in this process."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def rank(self, stage: str, query: beir.Query) -> Ranking:
        used = STAGES[stage]
        search = Search(
            query.text, run.TENANT, MAX_PASSAGES,
            vector_search=used["vector"], fulltext_search=used["text"], rerank=used["rerank"],
            variants=query.variants if stage == SEVERAL else (),
        )  # fmt: skip
        return _unique(each.document_id for each in await retrieve(self._resources, search))

    async def finds_nothing(self, query: beir.Query) -> bool:
        return not await retrieve(self._resources, Search(query.text, run.TENANT, 1, needs_relevance=True))

    async def nearness(self, query: beir.Query) -> Nearness:
        search = Search(query.text, run.TENANT, MAX_RERANKED, rerank=False, join_neighbours=False)
        passages = await retrieve(self._resources, search)
        cosine = max((each.scores.get("vector", -1.0) for each in passages), default=-1.0)
        return Nearness(cosine, known_share(query.text, [f"{each.path}\n{each.body}" for each in passages]))


class _Remote:
    """A running server."""

    def __init__(self, api: run.Api, names: Mapping[str, str]) -> None:
        """names: id that a document has there → its id in the collection."""
        self._api, self._names = api, names

    async def rank(self, stage: str, query: beir.Query) -> Ranking:
        queries = QUERIES if stage == SEVERAL else 1
        passages = await self._api.search(query.text, STAGES[stage], MAX_PASSAGES, queries)
        return _unique(self._names[each["document"]] for each in passages)

    async def finds_nothing(self, query: beir.Query) -> bool:
        return not (await self._api.answer([{"role": "user", "content": query.text}]))["sources"]

    async def nearness(self, query: beir.Query) -> Nearness:
        passages = await self._api.search(query.text, STAGES["hybrid"], MAX_RERANKED)
        cosine = max((each["scores"].get("vector", -1.0) for each in passages), default=-1.0)
        texts = [f"{each['title']}\n{each['heading']}\n{each['text']}" for each in passages]
        return Nearness(cosine, known_share(query.text, texts))


async def _for_each(
    queries: Mapping[str, beir.Query], work: Callable[[beir.Query], Awaitable[Outcome]]
) -> dict[str, Outcome]:
    outcomes = await asyncio.gather(*map(work, queries.values()))
    return dict(zip(queries, outcomes, strict=True))


def _unique(names: Iterable[str]) -> Ranking:
    return list(dict.fromkeys(names))[:DEPTH]


def _shares(collection: Collection, is_refused: Mapping[str, bool]) -> dict[str, float]:
    """Return kind of query, or `answerable` → share that is refused."""
    outcomes: dict[str, list[bool]] = {}
    for name, query in collection.queries.items():
        kind = "answerable" if collection.relevant[name] else query.kind or "unanswerable"
        outcomes.setdefault(kind, []).append(is_refused[name])
    return {kind: sum(each) / len(each) for kind, each in outcomes.items()}


def floors(collection: Collection, nearness: Mapping[str, Nearness]) -> list[dict[str, float]]:
    """Return, for each of LOST, the highest floor in hundredths that refuses no more of the answerable queries."""
    rows = [
        {
            "RAG_MIN_COSINE": floor,
            **_shares(collection, {name: each.is_refused(floor) for name, each in nearness.items()}),
        }
        for floor in (hundredths / 100 for hundredths in range(-100, 101))
    ]
    return [
        max((row for row in rows if row.get("answerable", 0) <= lost), key=itemgetter("RAG_MIN_COSINE"))
        for lost in LOST
    ]


# ---- measures --------------------------------------------------------------------------------------------------------


def figures(rankings: Mapping[str, Ranking], relevant: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """Return recall@5, recall@10, MRR and nDCG@10, each the mean of the queries."""
    rows = [_figures(ranking, relevant[name]) for name, ranking in rankings.items()]
    return {measure: sum(each[measure] for each in rows) / len(rows) for measure in rows[0]} if rows else {}


def _figures(ranking: Ranking, relevant: Mapping[str, int]) -> dict[str, float]:
    ideal = _gain(sorted(relevant.values(), reverse=True)[:DEPTH])
    return {
        "recall@5": sum(each in relevant for each in ranking[:5]) / len(relevant),
        "recall@10": sum(each in relevant for each in ranking[:DEPTH]) / len(relevant),
        "MRR": next((1 / rank for rank, each in enumerate(ranking, 1) if each in relevant), 0.0),
        "nDCG@10": _gain([relevant.get(each, 0) for each in ranking[:DEPTH]]) / ideal,
    }


def _gain(grades: Iterable[int]) -> float:
    return sum(grade / math.log2(1 + rank) for rank, grade in enumerate(grades, 1))


# ---- recorded figures ------------------------------------------------------------------------------------------------


Figures = Mapping[str, Mapping[str, float]]
"""Name of a search → measure → value."""


def record(result: Result, folder: Path, split: str) -> None:
    """Write the figures into the collection's folder, beside those of its other splits."""
    file = folder / RECORDED
    kept: dict[str, Figures] = json.loads(file.read_text()) if file.is_file() else {}
    rounded = {
        name: {measure: round(value, 4) for measure, value in measures.items()}
        for name, measures in result.searches.items()
    }
    file.write_text(json.dumps({**kept, split: rounded}, indent=2) + "\n")


def recorded(folder: Path, split: str) -> Figures:
    """Return the recorded figures of a split; none if there are none."""
    file = folder / RECORDED
    return json.loads(file.read_text()).get(split, {}) if file.is_file() else {}


def fallen(result: Result, bounds: Figures) -> list[str]:
    """Return a line for each figure that is worse than recorded, by more than TOLERANCE."""
    return [
        f"{measure} of {name} is {result.searches[name][measure]:.3f}, recorded is {value:.3f}"
        for name, measures in bounds.items()
        for measure, value in measures.items()
        if name in result.searches and result.searches[name][measure] < value - TOLERANCE
    ]


# ---- files and tables ------------------------------------------------------------------------------------------------


def read_markdown(folder: Path) -> dict[str, beir.Document]:
    """Read the Markdown files of a folder; the title is the first heading, else the file's name."""
    files = sorted(folder.glob("*.md"))
    if not files:
        raise beir.InvalidCollection(f"{folder} has no Markdown files.")
    texts = {file.stem: file.read_text() for file in files}
    return {
        name: beir.Document(text[2:].partition("\n")[0] if text.startswith("# ") else name, text)
        for name, text in texts.items()
    }


def report(result: Result) -> str:
    """Return the tables, in Markdown."""
    measures = list(next(iter(result.searches.values())))
    parts = [
        f"{result.documents} documents, {result.passages} passages, {result.queries} questions with an answer",
        run.table(
            ["Search", *measures],
            [[name, *(f"{each[measure]:.3f}" for measure in measures)] for name, each in result.searches.items()],
        ),
    ]
    if result.kinds:
        rows = [[kind, *(f"{value:.3f}" for value in each.values())] for kind, each in result.kinds.items()]
        parts.append(run.table(["nDCG@10 by kind", *result.searches], rows))
    rows = [[kind, f"{share:.0%}"] for kind, share in result.refused.items()]
    parts.append(run.table(["Nothing found by POST /rag", "Share"], rows))
    if result.floors:
        rows = [
            [f"{floor:.2f}", *(f"{share:.0%}" for share in shares)]
            for floor, *shares in (each.values() for each in result.floors)
        ]
        parts.append(
            run.table([f"{name} refused" if name in result.refused else name for name in result.floors[0]], rows)
        )
    return "\n\n".join(parts)
