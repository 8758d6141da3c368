"""The engine over AI Search, with a real SQLite: tenants, versions, crashes, wrong answers."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from aiworker.bindings import SearchItem
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle, Payload
from aiworker.rag.ai_search import instances
from aiworker.rag.engine import engine_of
from aiworker.rag.retrieve import Search
from aiworker.rag.store import Version
from aiworker.settings import Settings
from tools import ROOT

VARIABLES = {"RAG_ENGINE": "ai-search", "RAG_PROPERTIES": "kind:string year:number"}


class Rows:
    """D1 over SQLite."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        [migration] = (ROOT / "migrations").glob("*_ai_search.sql")
        self.connection.executescript(migration.read_text())

    async def rows(self, query: str, *values: str | float | None) -> list[dict[str, Any]]:
        return [dict(row) for row in self.connection.execute(query, values)]

    async def run(self, *statements: tuple[str | float | None, ...]) -> list[dict[str, Any]]:
        self.connection.execute("BEGIN")
        rows: list[dict[str, Any]] = []
        for query, *values in statements:
            rows = [dict(row) for row in self.connection.execute(str(query), values)]
        self.connection.execute("COMMIT")
        return rows


class Instances:
    """AI Search that finds every chunk of an instance."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], str] = {}
        self.items: dict[tuple[str, str], SearchItem] = {}
        self.configs: dict[str, Mapping[str, Any]] = {}
        self.metadata: list[Mapping[str, str]] = []
        self.requests: list[Mapping[str, Any]] = []
        self.fails_after_upload = False

    async def create(self, instance: str, config: Mapping[str, Any]) -> bool:
        is_new = instance not in self.configs
        self.configs.setdefault(instance, config)
        return is_new

    async def config(self, instance: str) -> Mapping[str, Any]:
        return self.configs[instance]

    async def update(self, instance: str, config: Mapping[str, Any]) -> None:
        self.configs[instance] = {**self.configs[instance], **config}

    async def upload(self, instance: str, key: str, content: str | Payload, metadata: Mapping[str, str]) -> SearchItem:
        if instance not in self.configs:
            raise ApiError("not_found", "AI Search has no such instance or item.")
        assert isinstance(content, str)
        item = SearchItem(f"item-{len(self.files)}", "queued")
        self.files[instance, key], self.items[instance, key] = content, item
        self.metadata.append(metadata)
        if self.fails_after_upload:
            raise SystemExit
        return item

    async def item(self, instance: str, item_id: str) -> SearchItem | None:
        return next((each for (name, _), each in self.items.items() if (name, each.id) == (instance, item_id)), None)

    async def item_of(self, instance: str, key: str) -> SearchItem | None:
        return self.items.get((instance, key))

    async def delete(self, instance: str, item_id: str) -> None:
        for at in [at for at, each in self.items.items() if (at[0], each.id) == (instance, item_id)]:
            del self.items[at], self.files[at]

    async def download(self, instance: str, item_id: str) -> tuple[JsHandle, int]:
        raise NotImplementedError

    async def payload(self, instance: str, item_id: str, limit: int) -> Payload:
        raise NotImplementedError

    async def search(self, instance: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.requests.append(request)
        details = {"vector_score": 0.5, "vector_rank": 1}
        return [
            {"id": key, "score": 0.9, "text": text, "item": {"key": key}, "scoring_details": details}
            for (name, key), text in self.files.items()
            if name == instance
        ]

    def finish(self, status: str = "completed", error: str = "") -> None:
        """Let all items end in that state."""
        self.items = {at: replace(each, status=status, error=error, chunks=1) for at, each in self.items.items()}


@pytest.fixture
def searches() -> Instances:
    return Instances()


@pytest.fixture
def resources(searches: Instances, monkeypatch: pytest.MonkeyPatch) -> Resources:
    monkeypatch.setattr(instances, "_prepared", {})
    return Resources(settings=Settings.read(VARIABLES), database=Rows(), searches=searches)


def a_version(
    version_id: str, *, tenant: str = "default", text: str = "text", minute: int = 0, **fields: Any
) -> Version:
    created = f"2999-01-01T00:{minute:02}:00"
    return Version(
        version_id, tenant, "doc", "queued", None, "Title", None, fields.get("metadata", {}), "text/markdown",
        len(text), text, 0, created, created,
    )  # fmt: skip


async def found(resources: Resources, tenant: str = "default", **options: Any) -> list[str]:
    return [each.text for each in await engine_of(resources).search(Search("a", tenant, 5, **options))]


async def test_without_its_binding_every_call_says_what_to_add() -> None:
    with pytest.raises(ApiError) as caught:
        engine_of(Resources(settings=Settings.read(VARIABLES)))
    assert (caught.value.type, "ai_search_namespaces" in caught.value.message) == ("not_configured", True)


@pytest.mark.parametrize(
    "properties",
    ["a:string b:string c:string d:string e:string f:string", "folder:string", "Kind:string kind:string"],
)
def test_properties_that_ai_search_cannot_have_are_refused(properties: str) -> None:
    with pytest.raises(ApiError, match="RAG_ENGINE"):
        Settings.read({"RAG_ENGINE": "ai-search", "RAG_PROPERTIES": properties})
    assert Settings.read({"RAG_PROPERTIES": properties}).rag_engine == "own"


def test_no_two_tenants_have_the_same_instance() -> None:
    tenants = ["acme", "Acme", "a.b", "a-b", "a--b", "x" * 30, "x" * 31, "x" * 64, "h-a", "t-a", "-", "a-"]
    names = [instances.name(each) for each in tenants]
    assert len(set(names)) == len(tenants)
    assert all(len(each) <= 32 and instances.PLAIN.fullmatch(each) for each in names)
    assert names[0] == "t-acme"


async def test_a_document_is_found_once_it_is_indexed(resources: Resources, searches: Instances) -> None:
    engine = engine_of(resources)
    await engine.add(a_version("v1", metadata={"kind": "book", "year": 1999, "more": "x"}), "text")
    assert await found(resources) == []
    assert searches.requests == []
    searches.finish()
    assert await found(resources) == ["text"]
    version, is_searchable = await engine.find("default", "doc") or (None, False)
    assert (version and version.state, version and version.chunks, is_searchable) == ("indexed", 1, True)
    assert searches.metadata == [{"kind": "book", "year": "1999"}]
    assert {each["field_name"] for each in searches.configs["t-default"]["custom_metadata"]} == {"kind", "year"}


async def test_another_tenant_finds_nothing_even_in_a_wrong_answer(resources: Resources, searches: Instances) -> None:
    engine = engine_of(resources)
    await engine.add(a_version("v1", text="mine"), "mine")
    await engine.add(a_version("v2", tenant="other", text="theirs"), "theirs")
    searches.finish()
    assert (await found(resources), await found(resources, "other")) == (["mine"], ["theirs"])
    # AI Search returns a chunk of another instance
    searches.files["t-other", "doc/v1.md"] = "mine"
    assert await found(resources, "other") == ["theirs"]


async def test_the_version_before_is_found_until_the_new_one_is_indexed(
    resources: Resources, searches: Instances
) -> None:
    engine = engine_of(resources)
    await engine.add(a_version("v1", text="old"), "old")
    searches.finish()
    assert await found(resources) == ["old"]
    await engine.add(a_version("v2", text="new", minute=1), "new")
    assert await found(resources) == ["old"]
    assert [each.state for each in await engine.page("default", "", 10)] == ["queued"]
    searches.finish()
    assert await found(resources) == ["new"]
    assert list(searches.files.values()) == ["new"]


async def test_a_version_that_is_overtaken_is_removed(resources: Resources, searches: Instances) -> None:
    engine = engine_of(resources)
    await engine.add(a_version("v1", text="old"), "old")
    await engine.add(a_version("v2", text="new", minute=1), "new")
    searches.finish()
    assert await found(resources) == ["new"]
    await found(resources)
    assert list(searches.files.values()) == ["new"]


async def test_the_same_content_again_changes_nothing_and_after_a_failure_is_another_try(
    resources: Resources, searches: Instances
) -> None:
    engine = engine_of(resources)
    await engine.add(a_version("v1"), "text")
    assert (await engine.add(a_version("v2", minute=1), "text")).id == "v1"
    searches.finish("error", "file_content_empty")
    version, is_searchable = await engine.find("default", "doc") or (None, True)
    assert version
    assert (version.state, version.reason, is_searchable) == ("failed", "The document has no text.", False)
    assert (await engine.add(a_version("v3", minute=2), "text")).id == "v3"


async def test_an_upload_that_was_interrupted_is_found_by_its_key(resources: Resources, searches: Instances) -> None:
    engine = engine_of(resources)
    searches.fails_after_upload = True
    with pytest.raises(SystemExit):
        await engine.add(a_version("v1"), "text")
    searches.finish()
    assert await found(resources) == ["text"]


async def test_an_upload_that_was_interrupted_before_is_repeated(resources: Resources, searches: Instances) -> None:
    engine = engine_of(resources)
    await engine.add(a_version("v1"), "text")
    await resources.database.run(("UPDATE ai_search_items SET item = ''",))
    searches.files.clear()
    searches.items.clear()
    assert (await engine.add(a_version("v2", minute=1), "text")).id == "v1"
    searches.finish()
    assert await found(resources) == ["text"]


async def test_an_upload_that_never_arrived_fails_in_the_end(resources: Resources, searches: Instances) -> None:
    engine = engine_of(resources)
    await engine.add(a_version("v1"), "text")
    database = resources.database
    await database.run(("UPDATE ai_search_items SET item = ''",))
    searches.items.clear()
    # it may still be on its way
    version, _ = await engine.find("default", "doc") or (None, False)
    assert version
    assert version.state == "queued"
    await database.run(("UPDATE ai_search_items SET created_at = '2000-01-01'",))
    version, _ = await engine.find("default", "doc") or (None, False)
    assert version
    assert (version.state, "send the document again" in str(version.reason)) == ("failed", True)


async def test_a_deletion_that_was_interrupted_is_finished_by_the_next_call(
    resources: Resources, searches: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(resources)
    await engine.add(a_version("v1"), "text")
    searches.finish()
    await found(resources)

    async def fail(instance: str, item_id: str) -> None:
        raise ApiError("upstream_error", "AI Search could not answer")

    with monkeypatch.context() as patched:
        patched.setattr(searches, "delete", fail)
        with pytest.raises(ApiError):
            await engine.delete("default", "doc")
    assert await engine.find("default", "doc") is None
    assert await found(resources) == []
    assert searches.files == {}
    assert await engine.delete("default", "doc") is False


async def test_a_filter_is_decided_by_the_database(resources: Resources, searches: Instances) -> None:
    engine = engine_of(resources)
    await engine.add(a_version("v1", metadata={"kind": "book"}), "text")
    searches.finish()
    assert await found(resources, filter={"kind": "film"}) == []
    assert await found(resources, filter={"kind": "book"}) == ["text"]
    assert searches.requests[-1]["ai_search_options"]["retrieval"]["filters"] == {"kind": {"$eq": "book"}}
    assert await found(resources, min_score=0.4, rerank=False) == ["text"]
    assert await found(resources, min_score=0.6, rerank=False) == []


async def test_other_properties_change_the_instance(resources: Resources, searches: Instances) -> None:
    await engine_of(resources).add(a_version("v1"), "text")
    changed = replace(resources, settings=Settings.read({**VARIABLES, "RAG_PROPERTIES": "color:string"}))
    await engine_of(changed).add(a_version("v2", text="other", minute=1), "other")
    fields = searches.configs["t-default"]["custom_metadata"]
    assert json.dumps(fields) == '[{"field_name": "color", "data_type": "text"}]'


async def test_an_instance_that_somebody_deleted_is_made_again(resources: Resources, searches: Instances) -> None:
    await engine_of(resources).add(a_version("v1"), "text")
    searches.configs.clear()
    await engine_of(resources).add(a_version("v2", text="other", minute=1), "other")
    assert list(searches.configs) == ["t-default"]
