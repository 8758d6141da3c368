"""Full-text search in a real SQLite: of documents that this version indexes, and of those that earlier ones have."""
# ruff: noqa: RUF001 - texts of many scripts

import json
import sqlite3
import unicodedata

import pytest

from aiworker.rag import ingest, passage_store, reindex, removal, store
from aiworker.rag.chunk import chunks
from aiworker.rag.retrieve import MAX_TERMS, Search, retrieve
from aiworker.rag.search_text import NORMALIZATION
from aiworker.rag.store import Version
from tests.unit.test_ingest import Machine, moments
from tools import ROOT

TEXTS = {
    "ferry": "码头每天早上七点开门，渡轮票价为十二元。",
    "kana": "フェリーの料金は大人千二百円です。",
    "hangul": "여객선은 서울에서 아침마다 출발합니다.",
    "thai": "เรือข้ามฟากออกจากท่าเรือทุกเช้า",
    "hindi": "नौका हर सुबह बंदरगाह से निकलती है।",
    "arabic": "تُغَادِرُ العَبَّارَةُ المِينَاءَ كُلَّ صَبَاحٍ",
    "hebrew": "המעבורת יוצאת מהנמל בכל בוקר",
    "russian": "Паром отходит от причала каждое утро, ёлка стоит.",
    "greek": "Το πλοίο φεύγει από το λιμάνι κάθε πρωί.",
    "german": unicodedata.normalize("NFD", "Der Überlandbus fährt über die Straße."),
    "code": "Call `readMeter()` as RFC-2119 says; MAX_FLOW_RATE bounds it.",
    "ligature": "The eﬃcient of\u00adfice hyphen-\nates its pam\u200bphlets.",
    "vietnamese": "Phà rời Đà Nẵng mỗi sáng.",
}
QUERIES = {
    "ferry": ("渡轮票价", "码头", "票", "渡輪票价每天", "渡轮 票价"),
    "kana": ("料金", "フェリー", "ﾌｪﾘｰ", "大人"),
    "hangul": ("서울", "여객선", unicodedata.normalize("NFD", "출발합니다")),
    "thai": ("ท่าเรือ", "ทุกเช้า"),
    "hindi": ("बंदरगाह", "नौका कहाँ"),
    "arabic": ("العبارة", "الميناء"),
    "hebrew": ("המעבורת", "בּוֹקֶר"),
    "russian": ("причала", "ЕЛКА"),
    "greek": ("ΛΙΜΑΝΙ", "πλοιο"),
    "german": ("Überlandbus", "ueberlandbus Uberlandbus", "strasse", "ÜBERLANDBUS"),
    "code": ("rfc2119", "RFC 2119", "read meter", "read_meter", "readmeter", "max-flow-rate", "maxFlowRate"),
    "ligature": ("efficient", "office", "hyphenates", "hyphen-ates", "pamphlets", "ｅｆｆｉｃｉｅｎｔ"),
    "vietnamese": ("da nang", "Đà Nẵng"),
}
FOUND_BEFORE = (("code", "RFC-2119"), ("german", "fährt"), ("greek", "λιμάνι"), ("russian", "причала"))
"""Queries that find their documents in the index of the version before as well."""


def add_as_version_0_1(database: sqlite3.Connection, document_id: str, text: str, title: str = "Title") -> None:
    """Store a published document with the statements of the first version of the Worker."""
    version_id = f"v{document_id}"
    database.execute(
        "INSERT INTO documents (tenant, id, live_version, created_at) VALUES ('default', ?, ?, '2026-01-01')",
        (document_id, version_id),
    )
    database.execute(
        "INSERT INTO versions (id, tenant, document_id, state, reason, title, url, metadata, media_type, size, "
        "fingerprint, chunks, created_at, updated_at) "
        "VALUES (?, 'default', ?, 'indexed', NULL, ?, NULL, '{}', 'text/markdown', 9, 'f', ?, '2026-01-01', '2026')",
        (version_id, document_id, title, len(passages(text))),
    )
    rows = json.dumps([[number, heading, body] for number, heading, body in passages(text)])
    database.execute(
        "INSERT OR REPLACE INTO chunks (version, number, scope, heading, text) "
        "SELECT ?, value ->> 0, ?, value ->> 1, value ->> 2 FROM json_each(?)",
        (version_id, passage_store.scope("default"), rows),
    )


def passages(text: str) -> list[tuple[int, str, str]]:
    return [(each.number, each.heading, each.text) for each in chunks(text)]


async def of_version_0_1(texts: dict[str, str]) -> Machine:
    """A state that the first version of the Worker has made, migrated to this one."""
    first, *later = sorted((ROOT / "migrations").glob("*.sql"))
    machine = Machine(migrations=[first])
    for document_id, text in texts.items():
        add_as_version_0_1(machine.database, document_id, text)
    for migration in later:
        machine.database.executescript(migration.read_text())
    return machine


async def of_this_version(texts: dict[str, str], title: str = "Title") -> Machine:
    machine = Machine()
    for document_id, text in texts.items():
        version = Version(
            f"v{document_id}", "default", document_id, "indexed", None, title, None, {}, "text/markdown",
            9, "f", len(passages(text)), "2026-01-01", "2026-01-01",
        )  # fmt: skip
        await store.add(machine.resources.database, version)
        await passage_store.put_chunks(machine.resources.database, version, passages(text))
        await store.publish(machine.resources.database, version, "2026-01-01")
    return machine


async def found(machine: Machine, query: str, tenant: str = "default") -> list[str]:
    """Documents that full-text search finds, the best first."""
    search = Search(query, tenant, 50, vector_search=False, rerank=False, join_neighbours=False)
    return [each.document_id for each in await retrieve(machine.resources, search)]


def outdated(machine: Machine) -> int:
    return machine.rows(f"SELECT count(*) FROM versions WHERE normalization < {NORMALIZATION}")[0]


# ---- documents of this version ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("document_id", TEXTS)
async def test_a_word_is_found_however_it_is_written(document_id: str) -> None:
    machine = await of_this_version(TEXTS)
    for query in QUERIES[document_id]:
        assert (await found(machine, query))[:1] == [document_id], query
    assert await found(machine, QUERIES[document_id][0], tenant="other") == []


async def test_a_title_is_found() -> None:
    machine = await of_this_version({"one": "Nothing about it."}, title="Überlandbus")
    assert await found(machine, "uberlandbus") == ["one"]


@pytest.mark.parametrize("telling", ["quokka", "ZX-4711", "渡轮"])
async def test_a_long_question_keeps_its_telling_words(telling: str) -> None:
    common = [f"documentation{number}" for number in range(MAX_TERMS + 30)]
    texts = {f"common{number}": " ".join(common) for number in range(3)} | {"telling": f"The {telling} alone."}
    machine = await of_this_version(texts)
    for question in ([telling, *common], [*common, telling], [*common[:20], telling, *common[20:]]):
        assert "telling" in await found(machine, " ".join(question))


async def test_a_text_shown_to_readers_stays_as_it_was() -> None:
    machine = await of_this_version(TEXTS)
    search = Search("efficient", "default", 1, vector_search=False, rerank=False)
    assert [each.text for each in await retrieve(machine.resources, search)] == [TEXTS["ligature"]]


async def test_a_deleted_document_leaves_no_words() -> None:
    machine = await of_this_version(TEXTS)
    for document_id in TEXTS:
        await removal.delete_document(machine.resources, "default", document_id)
    assert machine.rows("SELECT count(*) FROM passage_words") == [0]
    assert await found(machine, "efficient") == []


@pytest.mark.parametrize(
    "odd", ['"quotes" AND NOT OR', "NEAR(a b)", "col:umn *", "'; DROP TABLE chunks; --", "\x00", "^"]
)
async def test_no_query_is_a_syntax_error(odd: str) -> None:
    await found(await of_this_version({"one": "Text."}), odd)


# ---- documents of the first version ----------------------------------------------------------------------------------


async def test_documents_of_the_first_version_are_found_before_they_are_indexed_again() -> None:
    machine = await of_version_0_1(TEXTS)
    for document_id, query in FOUND_BEFORE:
        assert await found(machine, query) == [document_id]
    assert await found(machine, "RFC-2119", tenant="other") == []


async def test_passages_of_the_first_version_have_no_place_in_the_text() -> None:
    machine = await of_version_0_1({"old": "A penguin."})
    [passage] = await retrieve(machine.resources, Search("penguin", "default", 5, vector_search=False, rerank=False))
    assert (passage.range, passage.page) == (None, None)


async def test_documents_of_the_first_version_are_indexed_again() -> None:
    machine = await of_version_0_1(TEXTS)
    await ingest.resume(machine.resources)
    assert outdated(machine) == 0
    for document_id, queries in QUERIES.items():
        for query in queries:
            assert (await found(machine, query))[:1] == [document_id], query


async def test_a_search_meets_both_kinds_of_documents() -> None:
    machine = await of_version_0_1({"old": "A penguin."})
    new = Version(
        "vnew",
        "default",
        "new",
        "queued",
        None,
        "Title",
        None,
        {},
        "text/markdown",
        9,
        "f",
        1,
        "2026-01-02",
        "2026-01-02",
    )
    await store.add(machine.resources.database, new)
    await passage_store.put_chunks(machine.resources.database, new, passages("A penguin, too."))
    assert await found(machine, "penguins") == ["old"]
    await store.publish(machine.resources.database, new, "2026-01-02")
    assert sorted(await found(machine, "penguins")) == ["new", "old"]
    await ingest.resume(machine.resources)
    assert sorted(await found(machine, "penguins")) == ["new", "old"]


async def test_an_interrupted_reindex_is_resumed_and_nothing_is_lost_or_doubled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reindex, "PASSAGES_A_STEP", 3)
    monkeypatch.setattr(reindex, "PASSAGES_A_READ", 2)
    texts = {
        f"d{number}": "".join(f"# Part {part}\n\nThe penguin {part} of {number}.\n\n" for part in range(5))
        for number in range(3)
    }

    async def ready() -> Machine:
        return await of_version_0_1(texts)

    machines = await moments(lambda machine: ingest.resume(machine.resources), ready)
    assert len(machines) > 10
    for machine in machines:
        assert set(await found(machine, "penguin")) == set(texts)
        assert len(await found(machine, "penguin")) == sum(len(passages(text)) for text in texts.values())
        await ingest.resume(machine.resources)
        assert outdated(machine) == 0
        assert len(await found(machine, "penguin")) == machine.rows("SELECT count(*) FROM passage_words")[0]


async def test_a_document_deleted_during_the_reindex_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reindex, "PASSAGES_A_READ", 1)

    async def delete(machine: Machine) -> None:
        await removal.delete_document(machine.resources, "default", "one")

    async def ready() -> Machine:
        return await of_version_0_1({"one": "# A\n\nA penguin.\n\n# B\n\nAnother.", "two": "Words."})

    machines = await moments(lambda machine: ingest.resume(machine.resources), ready, delete)
    assert len(machines) > 5
    for machine in machines:
        assert machine.rows("SELECT count(*) FROM passage_words") == machine.rows("SELECT count(*) FROM chunks") == [1]


async def test_the_first_version_still_serves_the_migrated_database() -> None:
    """After a rollback, its statements store documents, and its search finds those of this version."""
    machine = await of_this_version({"new": "A penguin."})
    add_as_version_0_1(machine.database, "old", "Another penguin.")
    rows = machine.rows("SELECT count(*) FROM chunk_words WHERE chunk_words MATCH '{heading text} : penguin'")
    assert rows == [2]
    assert sorted(await found(machine, "penguin")) == ["new", "old"]


async def test_many_passages_are_indexed_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage_store, "BATCH_CHARACTERS", 100)
    text = "".join(f"# Part {part}\n\nThe penguin {part}.\n\n" for part in range(20))
    machine = await of_this_version({"one": text})
    assert (
        machine.rows("SELECT count(*) FROM passage_words")
        == machine.rows("SELECT count(*) FROM chunks")
        == [len(passages(text))]
    )
