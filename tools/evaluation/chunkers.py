"""`scripts/eval --chunkers`: ways of cutting documents into passages, compared on the labelled questions.

Embedding, both searches, fusion and reranking are the Worker's own code on CPython. D1 is an SQLite database in memory,
Workers AI the simulator's functions, Vectorize an exact search. Nothing is random.
"""

import asyncio
import inspect
import itertools
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

from aiworker.bindings import Inputs, VectorRecord
from aiworker.context import Resources
from aiworker.models import catalogue
from aiworker.rag import chunk, ingest, markdown_blocks, passage_store, retrieve, store, text_pieces
from aiworker.rag.store import Version
from aiworker.settings import Settings
from tools import ROOT
from tools.evaluation import markdown_it_blocks, recursive_splitter, run
from tools.evaluation.run import Evidence, Question
from workers_ai_simulator.catalogue import find
from workers_ai_simulator.embeddings import answers
from workers_ai_simulator.embeddings.vectors import SIMULATED, Kind

Cut = tuple[str, str]
"""The path of headings and the text of a passage."""
LONG_WORDS = 700
"""Number of words from which a document counts as long: its sections, or its text without sections, exceed a
passage."""
RUNS = 20
"""Number of times that the corpus is cut to measure the CPU time."""
SIZE = 320
"""Tokens of a passage, at most."""
READ_TOKENS = 500
"""Tokens of text in which evidence is looked for, so that larger passages have no advantage."""


@dataclass(frozen=True)
class Chunker:
    cut: Callable[[str], Iterable[Cut]]
    modules: tuple[ModuleType, ...]
    """Modules that make up the chunker; their lines are counted."""


def of_worker(markdown: str) -> Iterator[Cut]:
    return ((each.heading, each.text) for each in chunk.chunks(markdown))


def of_markdown_it(markdown: str) -> Iterator[Cut]:
    with mock.patch.object(chunk, "blocks", markdown_it_blocks.blocks):
        yield from of_worker(markdown)


CHUNKERS = {
    "aiworker": Chunker(of_worker, (chunk, markdown_blocks, text_pieces)),
    "recursive": Chunker(recursive_splitter.split, (recursive_splitter, text_pieces)),
    "recursive + blocks": Chunker(recursive_splitter.split_with_blocks, (recursive_splitter, text_pieces)),
    "markdown-it-py": Chunker(of_markdown_it, (chunk, markdown_it_blocks, text_pieces)),
}


# ---- the Worker's bindings, in memory --------------------------------------------------------------------------------


class Response:
    """The part of a model's answer that retrieval reads."""

    status = 200

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    def header(self, _name: str) -> None:
        return None

    async def text(self) -> str:
        return json.dumps(self._answer)

    async def value(self, name: str) -> Any:
        return self._answer[name]


class Models:
    """Embeddings and reranking of the simulator."""

    def __init__(self, kind: Kind = "mixed") -> None:
        self._kind: Kind = kind

    async def run(self, model: str, inputs: Inputs, *_: Any) -> Response:
        fields = dict(inputs.fields)
        if "contexts" in fields:
            return Response(answers.rerank(find(model), fields, self._kind))
        return Response(answers.embed(find(model), fields, SIMULATED[self._kind]))


class Vectors:
    """An index of one namespace."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._rows: list[list[float]] = []

    async def upsert(self, rows: list[list[float]], records: Sequence[VectorRecord]) -> None:
        self._ids += [each.id for each in records]
        self._rows += rows

    async def query(self, rows: list[list[float]], row: int, count: int, *_: Any) -> dict[str, float]:
        cosines = np.array(self._rows, np.float32) @ np.array(rows[row], np.float32)
        best = np.argsort(-cosines, kind="stable")[:count]
        return {self._ids[each]: float(cosines[each]) for each in best}


class Database:
    """The project's tables in SQLite."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        for migration in sorted((ROOT / "migrations").glob("*.sql")):
            self._connection.executescript(migration.read_text())

    async def rows(self, query: str, *values: str | float | None) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(query, values)]

    async def run(self, *statements: tuple[str | float | None, ...]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for query, *values in statements:
            rows = [dict(row) for row in self._connection.execute(str(query), values)]
        return rows


async def indexed(cuts: Mapping[str, Sequence[Cut]], titles: Mapping[str, str], kind: Kind = "mixed") -> Resources:
    """A Worker that has the documents' passages indexed.

    cuts: id of the document → its passages. titles: id of the document → its title; the id if it has none. kind: of the
    vectors.
    """
    bindings: dict[str, Any] = {"ai": Models(kind), "database": Database(), "vectors": Vectors()}
    resources = Resources(settings=Settings.read({"SIMULATED": "AI"}), **bindings)
    database = bindings["database"]
    step = catalogue.MODELS[resources.settings.models["EMBED_MODEL"]].texts_a_call
    for number, (document, passages) in enumerate(cuts.items()):
        version = Version(
            id=f"v{number:03}", tenant=run.TENANT, document_id=document, state="queued", reason=None,
            title=titles.get(document, document), url=None, metadata={}, media_type="text/markdown", size=0,
            fingerprint=document, chunks=len(passages), created_at="2031", updated_at="2031",
        )  # fmt: skip
        await store.add(database, version)
        await passage_store.put_chunks(database, version, [(at, *each) for at, each in enumerate(passages)])
        for start in range(0, len(passages), step):
            await ingest.embed(resources, version, start, len(passages))
        await store.publish(database, version, "2031")
    return resources


# ---- measures --------------------------------------------------------------------------------------------------------

CODE = re.compile(r"^(```+|~~~+).*?^\1$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(?:^\|.*\n?)+", re.MULTILINE)


async def searched(resources: Resources, question: str, stages: Mapping[str, bool]) -> list[dict[str, str]]:
    search = retrieve.Search(
        question, run.TENANT, run.DEPTH,
        vector_search=stages["vector"], fulltext_search=stages["text"], rerank=stages["rerank"],
    )  # fmt: skip
    matches = await retrieve.retrieve(resources, search)
    return [{"document": each.document_id, "heading": each.heading, "text": each.text} for each in matches]


def has_context(passage: Mapping[str, Any], evidence: Evidence) -> bool:
    """Whether a passage has the evidence, and the words without which a reader cannot tell what it is about."""
    return run.holds(passage, evidence) and all(
        run.even(each) in run.even(f"{passage['heading']}\n{passage['text']}") for each in evidence.context
    )


def share(values: Iterable[bool]) -> float:
    kept = list(values)
    return sum(kept) / len(kept) if kept else 0.0


def quality(
    texts: Mapping[str, str], passages: Sequence[Mapping[str, str]], questions: Sequence[Question]
) -> dict[str, float]:
    """Shares of the evidence, code blocks and table rows that the cuts leave whole, whatever a search finds."""
    evidence = [each for question in questions for each in question.evidence]
    by_document: dict[str, list[Mapping[str, str]]] = {}
    for each in passages:
        by_document.setdefault(each["document"], []).append(each)

    def together(document: str, *parts: str) -> bool:
        wanted = [run.even(part) for part in parts]
        return any(all(part in run.even(each["text"]) for part in wanted) for each in by_document[document])

    code = [(name, match[0]) for name, text in texts.items() for match in CODE.finditer(text)]
    tables = [(name, match[0].splitlines()) for name, text in texts.items() for match in TABLE.finditer(text)]
    return {
        "evidence whole": share(any(run.holds(each, one) for each in by_document[one.document]) for one in evidence),
        "evidence with its context": share(
            any(has_context(each, one) for each in by_document[one.document]) for one in evidence if one.context
        ),
        "code that fits, unbroken": share(
            together(name, block) for name, block in code if text_pieces.tokens(block) <= SIZE
        ),
        "table rows with their header": share(
            together(name, lines[0], line) for name, lines in tables for line in lines[2:]
        ),
    }


def source_lines(modules: Iterable[ModuleType]) -> int:
    return sum(len(inspect.getsource(each).splitlines()) for each in modules)


def cpu_seconds(chunker: Chunker, texts: Iterable[str]) -> float:
    began = time.process_time()
    for _ in range(RUNS):
        for text in texts:
            list(chunker.cut(text))
    return (time.process_time() - began) / RUNS


def read(passages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first passages, of up to READ_TOKENS together; one at least."""
    sums = list(itertools.accumulate(text_pieces.tokens(each["text"]) for each in passages))
    return [each for each, used in zip(passages, sums, strict=True) if used <= max(READ_TOKENS, sums[0])]


@dataclass(frozen=True)
class Measured:
    lines: int
    passages: int
    mean_tokens: float
    seconds: float
    """CPU time for the whole corpus."""
    quality: dict[str, float]
    rankings: dict[str, dict[str, list[dict[str, str]]]]
    """Name in run.STAGES → id of the question → passages, the best first."""

    def ranking(self, stage: str, questions: Sequence[Question]) -> str:
        figures = run.figures(questions, self.rankings[stage])
        return f"{figures['recall@5']:.3f} / {figures['nDCG@10']:.3f}"

    def recall_read(self, questions: Sequence[Question]) -> str:
        """Recall of the default search in the same amount of text."""
        gained = [(run.gains(each.evidence, read(self.rankings[run.WHOLE][each.id])), each) for each in questions]
        return f"{sum(run.recall(gains, len(each.evidence), run.DEPTH) for gains, each in gained) / len(gained):.3f}"


async def measure(chunker: Chunker, texts: Mapping[str, str], questions: Sequence[Question]) -> Measured:
    cuts = {name: list(chunker.cut(text)) for name, text in texts.items()}
    passages = [
        {"document": name, "heading": heading, "text": text} for name, cut in cuts.items() for heading, text in cut
    ]
    titles = {name: text[2 : text.index("\n")] for name, text in texts.items() if text.startswith("# ")}
    resources = await indexed(cuts, titles)
    return Measured(
        lines=source_lines(chunker.modules),
        passages=len(passages),
        mean_tokens=sum(text_pieces.tokens(each["text"]) for each in passages) / len(passages),
        seconds=cpu_seconds(chunker, texts.values()),
        quality=quality(texts, passages, questions),
        rankings={
            stage: {each.id: await searched(resources, each.question, stages) for each in questions}
            for stage, stages in run.STAGES.items()
        },
    )


# ---- report ----------------------------------------------------------------------------------------------------------


def groups(texts: Mapping[str, str], questions: Sequence[Question]) -> dict[str, list[Question]]:
    """The questions by group: those about short documents, about long ones, and the latter by kind."""

    def is_long(question: Question) -> bool:
        return any(len(texts[each.document].split()) >= LONG_WORDS for each in question.evidence)

    long = [each for each in questions if is_long(each)]
    return {
        "short documents": [each for each in questions if not is_long(each)],
        "long documents": long,
        **{kind: [each for each in long if each.kind == kind] for kind in dict.fromkeys(each.kind for each in long)},
    }


def report(texts: Mapping[str, str], questions: Sequence[Question], measured: Mapping[str, Measured]) -> str:
    """The tables, in Markdown."""
    every = list(measured.values())
    by_group = groups(texts, questions)
    cutting = [
        ["lines of code", *(str(each.lines) for each in every)],
        ["passages", *(str(each.passages) for each in every)],
        ["tokens a passage, mean", *(f"{each.mean_tokens:.0f}" for each in every)],
        ["CPU time, relative", *(f"{each.seconds / every[0].seconds:.2f}" for each in every)],
        *([name, *(f"{each.quality[name]:.3f}" for each in every)] for name in every[0].quality),
    ]
    ranking = [
        *(
            [f"all ({len(questions)}), {stage}", *(each.ranking(stage, questions) for each in every)]
            for stage in run.STAGES
        ),
        *(
            [f"{name} ({len(group)})", *(each.ranking(run.WHOLE, group) for each in every)]
            for name, group in by_group.items()
        ),
    ]
    equal = [
        [name, *(each.recall_read(group) for each in every)]
        for name, group in {"all": questions, **dict(list(by_group.items())[:2])}.items()
    ]
    return "\n\n".join(
        [
            f"{len(texts)} documents, {len(questions)} questions; below the first four, the search is {run.WHOLE}",
            run.table(["Cutting", *measured], cutting),
            run.table(["recall@5 / nDCG@10", *measured], ranking),
            run.table([f"recall in the first {READ_TOKENS} tokens", *measured], equal),
        ]
    )


def compare() -> int:
    """Print the tables."""
    texts = run.documents()
    questions = [each for each in run.questions() if each.is_searched]
    print(
        report(
            texts, questions, {name: asyncio.run(measure(each, texts, questions)) for name, each in CHUNKERS.items()}
        )
    )
    return 0
