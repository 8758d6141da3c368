"""Searches while a document is replaced: each document is read in one version, and always in one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from aiworker.bindings import VectorRecord
from aiworker.errors import ApiError
from aiworker.rag import ingest, passage_store, store
from aiworker.rag.passage import Passage
from aiworker.rag.retrieve import MAX_RERANKED, SEARCH_RESULTS, Search, retrieve
from aiworker.settings import Settings
from tests.unit.stand_ins import FakeAi
from tests.unit.test_ingest import Embedded, Machine

OLD, NEW = "aaaa", "bbbb"
PASSAGES = 4
QUESTION = "What does the penguin do?"


class Interrupted:
    """A binding whose reads are counted; before the read of a number, something happens."""

    def __init__(self, read: Callable[..., Awaitable[Any]], before: Callable[[], Awaitable[None]]) -> None:
        self._read = read
        self._before = before

    async def rows(self, *values: Any) -> Any:
        await self._before()
        return await self._read(*values)

    query = run = rows


class Reader:
    """A search during which, before its `moment`-th read, something happens to the document."""

    def __init__(self, machine: Machine, moment: int, event: Callable[[Machine], Awaitable[object]]) -> None:
        self.reads = 0
        self._machine = machine
        self._moment = moment
        self._event = event

    async def search(self, search: Search) -> list[Passage]:
        resources = self._machine.resources

        async def run(*_: Any) -> Embedded:
            return Embedded(200, "")

        reads: dict[str, Any] = {
            "ai": Interrupted(run, self._count),
            "database": Interrupted(resources.database.rows, self._count),
            "vectors": Interrupted(self._nearest, self._count),
        }
        return await retrieve(replace(resources, **reads), search)

    async def _count(self) -> None:
        self.reads += 1
        if self.reads - 1 == self._moment:
            await self._event(self._machine)

    async def _nearest(self, *_: Any) -> dict[str, float]:
        return {vector_id: 1 - number / 100 for number, vector_id in enumerate(sorted(self._machine.vectors))}


async def version_of(machine: Machine, version_id: str) -> store.Version:
    version = await store.find(machine.resources.database, version_id)
    assert version
    return version


async def publish(machine: Machine) -> None:
    assert await ingest.publish(machine.resources, await version_of(machine, NEW))


async def publish_and_remove(machine: Machine) -> None:
    await publish(machine)
    assert await ingest.remove_earlier_versions(machine.resources, NEW)


async def delete(machine: Machine) -> None:
    assert await store.mark_deleted(machine.resources.database, "default", "doc")


async def with_a_version_to_publish() -> Machine:
    """The document's old version is live, and the new one is embedded."""
    machine = Machine()
    for version_id, created in ((OLD, "2026-01-01"), (NEW, "2026-01-02")):
        text = "".join(f"# Part {number}\n\nA penguin of {version_id}.\n\n" for number in range(PASSAGES))
        await machine.upload(version_id, text, created)
        version = await version_of(machine, version_id)
        text_file = await ingest.convert(machine.resources, version)
        position = await ingest.chunk(machine.resources, version, ingest.START, text_file)
        await ingest.embed(machine.resources, version, 0, position["count"])
        if version_id == OLD:
            await ingest.publish(machine.resources, version)
    return machine


async def all_moments(
    event: Callable[[Machine], Awaitable[object]], *, vector_search: bool = True, fulltext_search: bool = True
) -> list[list[str]]:
    """Return the ids of the matches if the event happens before the first read, the second …, and not at all."""
    matches: list[list[str]] = []
    while True:
        reader = Reader(await with_a_version_to_publish(), len(matches), event)
        search = Search(
            QUESTION,
            "default",
            50,
            vector_search=vector_search,
            fulltext_search=fulltext_search,
            rerank=False,
            join_neighbours=False,
        )
        passages = await reader.search(search)
        matches.append(sorted(passage.chunk_id for passage in passages))
        if reader.reads < len(matches):
            return matches


@pytest.mark.parametrize("event", [publish, publish_and_remove])
@pytest.mark.parametrize(("vector_search", "fulltext_search"), [(True, True), (True, False), (False, True)])
async def test_a_document_that_is_replaced_is_read_in_one_version(
    event: Callable[[Machine], Awaitable[object]], vector_search: bool, fulltext_search: bool
) -> None:
    matches = await all_moments(event, vector_search=vector_search, fulltext_search=fulltext_search)
    assert len(matches) > 2
    whole = {version: [f"{version}-{number}" for number in range(PASSAGES)] for version in (OLD, NEW)}
    assert all(passages in whole.values() for passages in matches), matches
    assert (matches[0], matches[-1]) == (whole[NEW], whole[OLD])


async def test_a_document_that_is_deleted_meanwhile_is_found_whole_or_not_at_all() -> None:
    matches = await all_moments(delete)
    assert {len(passages) for passages in matches} == {0, PASSAGES}
    assert (len(matches[0]), len(matches[-1])) == (0, PASSAGES)


# ---- what is read ----------------------------------------------------------------------------------------------------


class Shelf:
    """A machine with documents of one passage each, nearest in the order of their ids, and a reranker."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.texts: list[int] = []
        """Rows with their text, in each statement that reads passages."""

    @classmethod
    async def filled(cls, live: int, unpublished: int) -> "Shelf":
        """Vectors of versions that are not published are the nearest."""
        machine = Machine()
        for number in range(unpublished + live):
            version_id = f"v{number:03}"
            text = f"A penguin of {version_id}."
            version = store.Version(
                version_id, "default", version_id, "queued", None, "Title", None, {}, "text/markdown",
                len(text), text, 1, "2026-01-01", "2026-01-01",
            )  # fmt: skip
            await store.add(machine.resources.database, version)
            await passage_store.put_chunks(machine.resources.database, version, [(0, "", text)])
            machine.vectors[version.vector_id(0)] = VectorRecord(version.vector_id(0), "default", {})
            if number >= unpublished:
                await ingest.publish(machine.resources, version)
        return cls(machine)

    async def search(self, *, rerank: bool = True) -> list[Passage]:
        resources = self.machine.resources
        bindings: dict[str, Any] = {
            "ai": Interrupted(self._run, nothing),
            "database": Interrupted(self._rows, nothing),
            "vectors": Interrupted(self._nearest, nothing),
        }
        search = Search(QUESTION, "default", 50, fulltext_search=False, rerank=rerank, join_neighbours=False)
        return await retrieve(replace(resources, **bindings), search)

    async def _run(self, _: str, inputs: Any, *_more: Any) -> Embedded:
        contexts = inputs.fields.get("contexts", [])
        return Embedded(200, json.dumps({"response": [{"id": n, "score": 0.5} for n in range(len(contexts))]}))

    async def _rows(self, *values: Any) -> Any:
        rows = await self.machine.resources.database.rows(*values)
        if rows and "text" in rows[0]:
            self.texts.append(sum(row["text"] is not None for row in rows))
        return rows

    async def _nearest(self, *_: Any) -> dict[str, float]:
        return {vector_id: 1 - number / 100 for number, vector_id in enumerate(sorted(self.machine.vectors))}


async def nothing() -> None:
    pass


async def test_only_passages_that_are_reranked_are_read_with_their_text() -> None:
    shelf = await Shelf.filled(live=MAX_RERANKED + 10, unpublished=0)
    passages = await shelf.search()
    assert [each.document_id for each in passages] == [f"v{number:03}" for number in range(MAX_RERANKED)]
    assert all(each.text == f"A penguin of {each.document_id}." for each in passages)
    assert shelf.texts == [MAX_RERANKED]


async def test_without_a_reranker_all_matches_have_their_text() -> None:
    shelf = await Shelf.filled(live=MAX_RERANKED + 10, unpublished=0)
    passages = await shelf.search(rerank=False)
    assert len(passages) == MAX_RERANKED + 10
    assert all(each.text == f"A penguin of {each.document_id}." for each in passages)


@pytest.mark.parametrize("unpublished", [1, 5, MAX_RERANKED, MAX_RERANKED + 5])
async def test_the_next_best_take_the_places_of_passages_that_are_not_published(unpublished: int) -> None:
    shelf = await Shelf.filled(live=SEARCH_RESULTS - unpublished - 1, unpublished=unpublished)
    passages = await shelf.search()
    expected = [f"v{number:03}" for number in range(unpublished, SEARCH_RESULTS - 1)][:MAX_RERANKED]
    assert [each.document_id for each in passages] == expected
    assert all(each.text == f"A penguin of {each.document_id}." for each in passages)


# ---- off-topic questions ---------------------------------------------------------------------------------------------


class Far:
    """An index in which every passage is far from every question."""

    async def query(self, *_: Any) -> dict[str, float]:
        return {f"{OLD}-{number}": 0.2 for number in range(PASSAGES)}


@pytest.mark.parametrize(
    ("question", "floor", "needs_relevance", "is_found"),
    [
        ("Who painted the Mona Lisa?", "0.3", True, False),
        ("Who painted the Mona Lisa?", "0.3", False, True),
        ("Who painted the Mona Lisa?", "0.2", True, True),
        ("Who painted the Mona Lisa?", "", True, True),
        (QUESTION, "0.3", True, True),
    ],
)
async def test_an_off_topic_question_reaches_no_reranker(
    question: str, floor: str, needs_relevance: bool, is_found: bool
) -> None:
    machine = await with_a_version_to_publish()
    ai = FakeAi(Embedded(200, '{"response": [{"id": 0, "score": 0.9}]}'))
    bindings: dict[str, Any] = {"ai": ai, "vectors": Far()}
    settings = Settings.read({"SIMULATED": "AI", "RAG_MIN_COSINE": floor})
    search = Search(question, "default", 5, needs_relevance=needs_relevance)
    passages = await retrieve(replace(machine.resources, settings=settings, **bindings), search)
    assert bool(passages) is is_found
    assert len(ai.models) == 1 + is_found


async def test_a_search_that_fails_ends_the_other_one() -> None:
    machine = await with_a_version_to_publish()
    database = Slow()

    async def fail(*_: Any) -> None:
        await database.is_read.wait()
        raise ApiError("upstream_error", "Vectorize could not answer.")

    bindings: dict[str, Any] = {"vectors": Interrupted(fail, nothing), "database": database}
    with pytest.raises(ApiError, match="Vectorize could not answer") as caught:
        await retrieve(replace(machine.resources, **bindings), Search(QUESTION, "default", 5))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert caught.value.__context__ is None


class Slow:
    """A database that does not answer before the search ends."""

    def __init__(self) -> None:
        self.is_read = asyncio.Event()

    async def rows(self, *_: Any) -> list[Any]:
        self.is_read.set()
        await asyncio.sleep(60)
        return []
