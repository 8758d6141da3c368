"""Several search queries for one question: what a model is asked for, and what is searched for."""

from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.models import catalogue
from aiworker.rag.fusion import fuse_queries
from aiworker.rag.retrieve import Matches, Search, retrieve
from aiworker.rag.search_queries import MAX_QUERY_CHARACTERS, read_queries, search_queries
from aiworker.routes.rag_schema import SearchRequest
from aiworker.settings import Settings
from tests.unit.stand_ins import FakeAi, FakeRequest, a_context, answered, post
from tests.unit.test_reindex import of_this_version, of_version_0_1

QUESTION = "When does the boat leave?"
HISTORY = [{"role": "user", "content": "Is there a boat?"}, {"role": "assistant", "content": "Yes."}]
MODELS = [catalogue.MODELS["@cf/meta/llama-3.3-70b-instruct-fp8-fast"]]


async def queries_of(answer: str | ApiError, count: int, **options: Any) -> tuple[list[str], FakeAi]:
    ai = FakeAi(answer if isinstance(answer, ApiError) else answered({"response": answer}))
    context = a_context(FakeRequest("POST", "/"), Settings.read({"AUTH_MODE": "public", "MODEL_ATTEMPTS": 1}), ai)
    return await search_queries(context, MODELS, QUESTION, count=count, **options), ai


async def test_a_first_question_is_searched_for_as_it_is() -> None:
    queries, ai = await queries_of("", 1)
    assert (queries, ai.calls) == ([QUESTION], [])


async def test_a_model_makes_other_queries_beside_a_first_question() -> None:
    queries, ai = await queries_of('["ferry departure times", "timetable\\nof the ship"]', 3)
    assert queries == [QUESTION, "ferry departure times", "timetable of the ship"]
    [(_, inputs, _, _)] = ai.calls
    assert "3 search queries" in inputs["messages"][0]["content"]
    assert QUESTION in inputs["messages"][1]["content"]
    assert inputs["max_tokens"] == 300


async def test_a_model_makes_all_queries_of_a_question_that_follows_others() -> None:
    assert (await queries_of("ferry departure", 1, history=HISTORY))[0] == ["ferry departure"]
    answer = 'Here they are: ["ferry departure", "Ferry  DEPARTURE", "boat timetable", "a fourth"]'
    assert (await queries_of(answer, 2, history=HISTORY))[0] == ["ferry departure", "boat timetable"]


@pytest.mark.parametrize(
    "answer",
    ["", "I cannot.", "[", "[]", "[1, null, {}]", '{"queries": 3}', '["  "]', f'["{QUESTION}"]', "[" * 5_000],
)
async def test_an_unusable_answer_leaves_the_question(answer: str) -> None:
    for count in (2, 3):
        assert (await queries_of(answer, count))[0] == [QUESTION]
        assert (await queries_of(answer, count, history=HISTORY))[0] in ([QUESTION], [QUESTION])


async def test_a_long_query_is_cut() -> None:
    queries, _ = await queries_of(f'["{"a" * 5_000}"]', 2)
    assert len(queries[1]) == MAX_QUERY_CHARACTERS


async def test_a_model_that_fails_fails_the_request() -> None:
    with pytest.raises(ApiError):
        await queries_of(ApiError("upstream_error", "overloaded"), 3)


def test_queries_are_read_from_an_object_or_a_fence() -> None:
    assert read_queries('```json\n{"queries": ["a", "b"]}\n```') == ["a", "b"]


# ---- searching -------------------------------------------------------------------------------------------------------

TEXTS = {"ferry": "The ferry sails at eight.", "bus": "The bus departs at nine.", "cat": "A cat sleeps."}


async def found(machine: Any, query: str, *variants: str) -> list[str]:
    search = Search(query, "default", 9, vector_search=False, rerank=False, variants=variants)
    return [each.document_id for each in await retrieve(machine.resources, search)]


async def test_all_queries_are_searched_for_in_one_statement() -> None:
    machine = await of_this_version(TEXTS)
    assert await found(machine, "boat") == []
    before = machine.calls
    assert await found(machine, "boat", "ferry", "cat sleeps") == ["ferry", "cat"]
    assert machine.calls - before == 2, "one statement searches, one reads the passages"
    assert await found(machine, "bus", "ferry", "???") == ["bus", "ferry"]
    assert await found(await of_version_0_1(TEXTS), "boat", "ferry", "sleeps") == ["ferry", "cat"]


def test_the_question_counts_as_much_as_all_others_together() -> None:
    question, first, second = {"a": 1.0, "b": 0.2}, {"c": 1.0, "a": 0.4}, {"c": 1.0, "b": 0.4}
    assert fuse_queries([question]) == question
    fused = fuse_queries([question, first, second])
    assert list(fused) == ["a", "c", "b"]
    assert fused == pytest.approx({"a": 0.6, "c": 0.5, "b": 0.2})


def test_a_passage_has_its_highest_score() -> None:
    matches = Matches([{"a": -0.5, "b": 0.1}, {"a": 0.3}], [{}, {"a": 2.0}])
    assert matches.scores("a") == {"vector": 0.3, "text": 2.0}
    assert matches.scores("b") == {"vector": 0.1}


async def test_the_queries_of_a_request_are_those_it_asks_for_or_the_worker_s(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    async def note(context: Any, models: Any, question: str, *rest: Any, count: int = 0) -> list[str]:
        counts.append(count or rest[1])
        raise ApiError("unavailable", "Enough is known.")

    monkeypatch.setattr("aiworker.routes.rag.search_queries", note)
    several: list[dict[str, Any]] = [{}, {"RAG_QUERIES": "3"}]
    for variables in several:
        for fields in ({}, {"queries": 2}):
            response, _ = await post("/rag", {"query": QUESTION, **fields}, answered({}), **variables)
            assert response.status == 503
    assert counts == [1, 2, 3, 2]
    await post("/rag/search", {"query": QUESTION, "queries": 2}, answered({}), RAG_QUERIES="3")
    assert counts[4:] == [2]


# ---- options ---------------------------------------------------------------------------------------------------------


def test_a_folder_is_a_filter() -> None:
    body = SearchRequest.model_validate({"query": "a", "folder": "/manual//guides/", "filter": {"year": 2026}})
    assert body.conditions() == {"year": 2026, "folder": {"$gte": "manual/guides/", "$lt": "manual/guides0"}}
    assert SearchRequest.model_validate({"query": "a", "folder": "/"}).conditions() == {}


@pytest.mark.parametrize("fields", [{"folder": "a", "filter": {"folder": "b/"}}, {"queries": 4}, {"queries": 0}])
def test_options_that_contradict_or_exceed_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"folder|queries"):
        SearchRequest.model_validate({"query": "a", **fields})
