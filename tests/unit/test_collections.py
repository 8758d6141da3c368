"""scripts/eval --data: collections in BEIR's layout, BM25, and the figures of the almanac."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tools import ROOT
from tools.evaluation import beir, collection, run
from tools.evaluation.bm25 import BM25

DOCUMENTS = (
    {"_id": "d1", "title": "Ferry", "text": "It sails at eight."},
    {"_id": "d2", "text": "Dogs travel free."},
    {"_id": 3, "title": None, "text": "The museum is closed."},
)
QUERIES = (
    {"_id": "q1", "text": "When does the ferry sail?"},
    {"_id": "q2", "text": "Are dogs free?", "metadata": {"kind": "plain"}},
    {"_id": "q3", "text": "Who is the king?", "metadata": {"kind": "off_topic", "split": "test"}},
    {"_id": "q4", "text": "Not judged here"},
)
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\n"


def write(folder: Path, qrels: str = QRELS, corpus: str = "", queries: str = "") -> Path:
    (folder / "qrels").mkdir()
    (folder / "corpus.jsonl").write_text(corpus or "\n".join(map(json.dumps, DOCUMENTS)) + "\n\n")
    (folder / "queries.jsonl").write_text(queries or "\n".join(map(json.dumps, QUERIES)))
    (folder / "qrels/test.tsv").write_text(qrels)
    return folder


def test_a_collection_is_read(tmp_path: Path) -> None:
    loaded = beir.load(write(tmp_path), "test")
    assert loaded.documents == {
        "d1": beir.Document("Ferry", "It sails at eight."),
        "d2": beir.Document("", "Dogs travel free."),
        "3": beir.Document("", "The museum is closed."),
    }
    assert loaded.relevant == {"q1": {"d1": 2}, "q2": {"d2": 1}, "q3": {}}
    assert [each.kind for each in loaded.queries.values()] == ["", "plain", "off_topic"]
    assert beir.splits(tmp_path) == ["test"]


@pytest.mark.parametrize(
    "qrels", ["q1\td1\t1\n", "q1 0 d1 1\n", "q1\t0\td1\t1\n", "\ufeffquery-id\tcorpus-id\tscore\nq1\td1\t1"]
)
def test_judgements_have_three_columns_or_trec_s_four(tmp_path: Path, qrels: str) -> None:
    assert beir.load(write(tmp_path, qrels), "test").relevant["q1"] == {"d1": 1}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"qrels": "q1\tnowhere\t1\n"}, "no document 'nowhere'"),
        ({"qrels": "q1\td1\t1\nq2\td1\n"}, r"test\.tsv, line 2: expected"),
        ({"qrels": "q1\td1\t1\nq2\td1\thigh\n"}, r"test\.tsv, line 2: expected"),
        ({"qrels": "other\td1\t1\n", "queries": '{"_id": "q9", "text": "?"}'}, "no query that"),
        ({"corpus": '{"_id": "d1"}'}, r"corpus\.jsonl, line 1: text must be"),
        ({"corpus": '{"text": "d1"}'}, r"corpus\.jsonl, line 1: _id must be"),
        ({"corpus": "[]"}, r"corpus\.jsonl, line 1: it is no JSON object"),
        ({"queries": '\n{"_id": "q1", '}, r"queries\.jsonl, line 2: "),
    ],
)
def test_a_collection_that_cannot_be_read_names_the_line(tmp_path: Path, parts: dict[str, str], message: str) -> None:
    with pytest.raises(beir.InvalidCollection, match=message):
        beir.load(write(tmp_path, **parts), "test")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(beir.InvalidCollection, match=r"dev\.tsv cannot be read"):
        beir.load(write(tmp_path), "dev")


def test_bm25_compares_stems_and_prefers_rare_words() -> None:
    index = BM25({"a": "The ferry sails daily.", "b": "Sailing the ferry and the ferry.", "c": "Daily bread"})
    assert index.rank("sailing", 5) == ["a", "b"]
    assert index.rank("bread ferry", 1) == ["c"]
    assert index.rank("the of", 5) == index.rank("", 5) == []
    assert BM25({}).rank("ferry", 5) == []


def test_figures_are_means_of_graded_rankings() -> None:
    figures = collection.figures({"a": ["x", "y"], "b": []}, {"a": {"y": 2, "z": 1}, "b": {"x": 1}})
    assert figures["recall@5"] == pytest.approx(0.25)
    assert figures["MRR"] == pytest.approx(0.25)
    assert figures["nDCG@10"] == pytest.approx(0.5 * (2 * 0.63093) / (2 + 0.63093), abs=1e-4)


def test_a_figure_that_falls_is_named(tmp_path: Path) -> None:
    result = collection.Result(1, 1, 1, {"hybrid": {"MRR": 0.7}}, {}, {})
    collection.record(result, tmp_path, "test")
    collection.record(result, tmp_path, "dev")
    assert collection.fallen(result, collection.recorded(tmp_path, "test")) == []
    worse = collection.Result(1, 1, 1, {"hybrid": {"MRR": 0.6}}, {}, {})
    assert collection.fallen(worse, collection.recorded(tmp_path, "dev")) == [
        "MRR of hybrid is 0.600, recorded is 0.700"
    ]
    assert collection.recorded(tmp_path, "other") == collection.recorded(tmp_path / "none", "test") == {}


class FakeApi:
    """A server whose searches find the documents that have a word of the question."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {"of somebody": "A dog."}
        self.added: list[str] = []
        self.queries: set[int] = set()

    async def health(self) -> dict[str, Any]:
        return {}

    async def listed(self) -> list[dict[str, Any]]:
        return [{"id": each, "state": "indexed", "chunks": 1} for each in self.documents]

    async def add(self, document_id: str, text: str, title: str | None) -> None:
        self.documents[document_id] = f"{title} {text}"
        self.added.append(self.documents[document_id])

    async def delete(self, document_id: str) -> None:
        del self.documents[document_id]

    async def search(self, query: str, stages: object, depth: int, queries: int = 1) -> list[dict[str, Any]]:
        self.queries.add(queries)
        words = {word for word in query.lower().strip("?").split() if len(word) > 3}
        return [
            {"document": each, "title": "", "heading": "", "text": text, "scores": {"vector": 0.4}}
            for each, text in self.documents.items()
            if words & set(text.lower().split())
        ]

    async def answer(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        return {"sources": [1] if "king" not in messages[0]["content"] else []}


async def test_a_server_is_measured_as_the_code_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi()

    def made(client: object) -> FakeApi:
        return api

    monkeypatch.setattr(run, "Api", made)
    loaded = beir.load(write(tmp_path), "test")
    result = await collection.measure_at("http://localhost:1", loaded, {"page": beir.Document("Page", "A king.")})
    assert api.added == ["Page A king.", "Ferry It sails at eight.", "d2 Dogs travel free.", "3 The museum is closed."]
    assert result.searches[collection.WHOLE]["recall@5"] == 1.0
    assert (result.documents, result.queries, result.refused) == (4, 2, {"answerable": 0.0, "off_topic": 1.0})
    assert api.queries == {1, 3}
    assert api.documents == {}
    await collection.measure_at("http://localhost:1", loaded, {}, keep=True)
    assert len(api.documents) == 3


def test_the_floor_is_the_highest_that_refuses_few_answerable_questions(tmp_path: Path) -> None:
    loaded = beir.load(write(tmp_path), "test")
    near = {"q1": collection.Nearness(0.5, 0.2), "q2": collection.Nearness(0.1, 0.9)}
    rows = collection.floors(loaded, {**near, "q3": collection.Nearness(0.499, 0.7)})
    assert rows == [{"RAG_MIN_COSINE": 0.5, "answerable": 0.0, "off_topic": 1.0}] * len(collection.LOST)
    rows = collection.floors(loaded, {**near, "q3": collection.Nearness(-1.0, 0.0)})
    assert rows[0] == {"RAG_MIN_COSINE": 0.5, "answerable": 0.0, "off_topic": 0.0}


def test_other_wordings_are_read(tmp_path: Path) -> None:
    write(tmp_path).joinpath("variants.json").write_text('{"q1": ["sailing times", "departure"]}')
    queries = beir.load(tmp_path, "test").queries
    assert (queries["q1"].variants, queries["q2"].variants) == (("sailing times", "departure"), ())


# ---- the almanac -----------------------------------------------------------------------------------------------------


def test_the_almanac_has_both_halves_of_each_kind() -> None:
    kinds = {
        split: Counter(each.kind for each in beir.load(collection.ALMANAC, split).queries.values())
        for split in beir.splits(collection.ALMANAC)
    }
    assert set(kinds) == {"dev", "test", "fresh"}
    assert sum(kinds["dev"].values()) + sum(kinds["test"].values()) == 242
    for kind, count in kinds["dev"].items():
        assert abs(count - kinds["test"][kind]) <= 1, kind
    assert kinds["fresh"]["off_topic"] >= 60 <= sum(kinds["fresh"].values()) - kinds["fresh"]["off_topic"]


async def test_the_worker_finds_what_it_found_before_in_500_passages() -> None:
    loaded = beir.load(collection.ALMANAC, "test")
    distractors = collection.read_markdown(ROOT / "tools/evaluation/corpus")
    result = await collection.measure(loaded, distractors, stages=(collection.WHOLE,))
    assert result.passages >= 500
    assert collection.fallen(result, collection.recorded(collection.ALMANAC, "test")) == []
    whole, baseline = result.searches[collection.WHOLE], result.searches[collection.BASELINE]
    assert whole["nDCG@10"] >= 1.03 * baseline["nDCG@10"]
    assert result.refused["answerable"] <= 0.03
