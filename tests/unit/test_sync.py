"""Sources that are kept in step: a site that changes, fails and vanishes, and a machine that crashes.

The database is real; the site, the bucket, the index and the workflows are stand-ins.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from aiworker.bindings import WebResponse
from aiworker.errors import ApiError
from aiworker.rag import ingest, sync, sync_store
from aiworker.rag.sync_store import Source
from aiworker.settings import Settings
from tests.unit.test_ingest import File, Files, Machine, moments

SITEMAP = "https://example.com/sitemap.xml"
FILES = ("robots.txt", "sitemap.xml")
"""Files of the site that are no pages."""
MAX_OBJECT_BYTES = 5_000


class Content(File):
    """The content of a page or an object."""

    def __init__(self, text: str, name: str = "", media_type: str = "", charset: str = "") -> None:
        super().__init__(text)
        self.text, self.name, self.media_type, self.charset = text, name, media_type, charset

    def described(self, name: str, media_type: str, charset: str) -> "Content":
        return Content(self.text, name, media_type, charset)

    async def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


class Objects(Files):
    """The bucket, whose objects have etags and can be listed."""

    is_gone = False

    async def keys(self, prefix: str, limit: int) -> list[str]:
        if self.is_gone:
            raise ApiError("upstream_error", "The bucket could not answer.")
        return sorted(key for key in self._machine.files if key.startswith(prefix))[:limit]

    async def head(self, key: str) -> tuple[str, int] | None:
        text = self._machine.files.get(key)
        return None if text is None else (hashlib.sha256(text.encode()).hexdigest(), len(text))

    async def payload(self, key: str) -> Content | None:
        text = self._machine.files.get(key)
        assert text is None or len(text) <= MAX_OBJECT_BYTES
        return None if text is None else Content(text)


class FakeSite:
    """The pages of example.com: path → text, or a status."""

    def __init__(self, pages: Mapping[str, str | int]) -> None:
        self.pages = dict(pages)
        self.called: list[str] = []
        self.is_down = False

    async def get(self, url: str, headers: Mapping[str, str], limit: int, seconds: float) -> WebResponse:
        path = url.removeprefix("https://example.com")
        self.called.append(path)
        if self.is_down:
            raise ApiError("upstream_error", "The site cannot be reached: refused.")
        page = self.pages.get(path, 404)
        if path == "/sitemap.xml" and page == 404:
            listed = "".join(f"<loc>https://example.com{each}</loc>" for each in self.pages if each[1:] not in FILES)
            page = f"<urlset>{listed}</urlset>"
        if isinstance(page, int):
            return WebResponse(page, {}, None)
        etag = f'"{hashlib.sha256(page.encode()).hexdigest()}"'
        if headers.get("if-none-match") == etag:
            return WebResponse(304, {}, None)
        content: Any = Content(page)
        return WebResponse(200, {"content-type": "text/html; charset=utf-8", "etag": etag}, content)


class World:
    """A Worker, a site and a source of it."""

    def __init__(self, pages: Mapping[str, str | int], target: str = SITEMAP) -> None:
        self.machine = Machine()
        self.site = FakeSite(pages)
        web: Any = self.site
        self.bucket = Objects(self.machine)
        bucket: Any = self.bucket
        settings = Settings.read({"SIMULATED": "AI", "MAX_DOCUMENT_BYTES": str(MAX_OBJECT_BYTES)})
        self.resources = replace(self.machine.resources, settings=settings, web=web, bucket=bucket)
        self.target = target
        self.machine.resources = self.resources

    async def add(self, subject: str = "") -> None:
        kind: sync_store.Kind = "sitemap" if self.target == SITEMAP else "prefix"
        target = json.dumps([SITEMAP]) if kind == "sitemap" else self.target
        day = "2026-01-01T00:00:00.000000+00:00"
        source = Source("s", "default", kind, target, {}, 24, 0, "waiting", None, day, None, None, day, subject=subject)
        await sync_store.add(self.resources.database, source)

    async def run(self) -> Source:
        """Do a run as if its time had come."""
        self.machine.database.execute("UPDATE sync_sources SET next_at = '2026-01-01'")
        await sync.start_due(self.resources)
        source = await sync_store.find(self.resources.database, "default", "s")
        assert source
        return source

    async def take_up(self) -> None:
        """Go on with what was cut off, as the schedule does."""
        await ingest.resume(self.resources)
        await sync.restart_lost(self.resources, "2100-01-01")

    def documents(self) -> set[str]:
        """Titles of the documents that searches find."""
        return set(self.machine.rows("SELECT v.title FROM documents d JOIN versions v ON v.id = d.live_version"))

    async def failed(self) -> dict[str, str]:
        rows = await sync_store.pages(self.resources.database, "s", "failed", "", 100)
        return {row["location"].removeprefix("https://example.com"): row["reason"] for row in rows}


def page(title: str, text: str = "A text.") -> str:
    return f"<html><title>{title}</title><h1>{title}</h1><p>{text}</p></html>"


async def test_the_documents_of_a_source_are_those_of_the_user_who_added_it() -> None:
    world = World({"/a": page("A")})
    await world.add("anna")
    await world.run()
    assert world.machine.rows("SELECT subject FROM versions") == ["anna"]
    await world.add("bert")
    assert world.machine.rows("SELECT subject FROM sync_sources") == ["bert"]


async def test_new_changed_and_gone_pages_are_followed() -> None:
    world = World({"/a": page("A"), "/b": page("B"), "/c": page("C")})
    await world.add()
    assert (await world.run()).state == "current"
    assert world.documents() == {"A", "B", "C"}

    versions = world.machine.rows("SELECT id FROM versions ORDER BY id")
    await world.run()
    assert world.machine.rows("SELECT id FROM versions ORDER BY id") == versions

    world.site.pages |= {"/a": page("A", "Another text."), "/d": page("D"), "/b": 410}
    del world.site.pages["/c"]
    source = await world.run()
    assert world.documents() == {"A", "D"}
    assert len(world.machine.rows("SELECT id FROM versions")) == 2
    counted = await sync_store.counts(world.resources.database, ["s"])
    assert (source.state, counted) == ("current", {"s": {"indexed": 2}})


async def test_a_page_that_fails_keeps_its_document_and_has_a_reason() -> None:
    world = World({"/a": page("A"), "/b": page("B")})
    await world.add()
    await world.run()
    world.site.pages |= {"/a": 500, "/new": 503, "/robots.txt": "User-agent: *\nDisallow: /b"}
    assert (await world.run()).state == "current"
    assert world.documents() == {"A", "B"}
    failed = await world.failed()
    assert failed["/a"] == "The site answers with status 500."
    assert failed["/new"] == "The site answers with status 503."
    assert "robots.txt" in failed["/b"]
    world.site.pages |= {"/a": page("A"), "/new": page("New"), "/robots.txt": 404}
    await world.run()
    assert world.documents() >= {"A", "B", "New"}
    assert not {"/a", "/b", "/new"} & set(await world.failed())


async def test_a_site_that_is_down_loses_nothing() -> None:
    world = World({"/a": page("A")})
    await world.add()
    await world.run()
    world.site.is_down = True
    source = await world.run()
    assert (source.state, source.reason) == ("failed", "The site's robots.txt forbids it.")
    assert world.documents() == {"A"}
    world.site.is_down = False
    world.site.pages["/sitemap.xml"] = 500
    source = await world.run()
    assert source.reason == "The sitemap https://example.com/sitemap.xml is answered with status 500."
    assert world.documents() == {"A"}


async def test_pages_of_other_sites_are_not_fetched() -> None:
    listed = "<loc>https://example.com/a</loc><loc>https://example.org/b</loc><loc>http://127.0.0.1/c</loc>"
    world = World({"/a": page("A"), "/sitemap.xml": f"<urlset>{listed}</urlset>"})
    await world.add()
    await world.run()
    assert world.site.called == ["/robots.txt", "/sitemap.xml", "/a"]
    assert await world.failed() == {
        "https://example.org/b": "It is on another site.",
        "http://127.0.0.1/c": "http://127.0.0.1/c leads to a private network.",
    }


@pytest.mark.timeout(120)
async def test_a_run_that_is_cut_off_at_any_moment_is_finished() -> None:
    async def ready() -> Machine:
        world = World({"/a": page("A"), "/b": page("B"), "/c": page("C")})
        await world.add()
        await world.run()
        world.site.pages |= {"/a": page("A", "Another text."), "/d": page("D")}
        del world.site.pages["/c"]
        worlds[world.machine] = world
        return world.machine

    async def work(machine: Machine) -> None:
        await worlds[machine].run()

    worlds: dict[Machine, World] = {}
    machines = await moments(work, ready)
    assert len(machines) > 20
    for number, machine in enumerate(machines):
        world = worlds[machine]
        await world.take_up()
        await world.run()
        assert world.documents() == {"A", "B", "D"}, number
        assert len(machine.rows("SELECT id FROM versions WHERE state <> 'failed'")) == 3, number
        assert len({key.split("/")[3] for key in machine.files}) == 3, number


async def test_a_source_is_deleted_with_its_documents() -> None:
    world = World({"/a": page("A"), "/b": page("B")})
    await world.add()
    await world.run()
    source = await sync_store.find(world.resources.database, "default", "s")
    assert source
    await sync.delete_with_documents(world.resources, source)
    for table in ("sync_sources", "sync_pages", "documents", "versions"):
        assert world.machine.rows(f"SELECT count(*) FROM {table}") == [0]
    assert world.machine.files == {}


# ---- a prefix of the bucket ------------------------------------------------------------------------------------------


async def with_objects() -> World:
    """A world in which the objects below inbox/ are indexed."""
    world = World({}, target="inbox/")
    world.machine.files |= {"inbox/a.md": "A puffin.", "inbox/sub/b.md": "B", "inbox/c.md": "C", "outbox/d.md": "D"}
    await world.add()
    assert (await world.run()).state == "current"
    return world


async def test_new_changed_and_gone_objects_are_followed() -> None:
    world = await with_objects()
    assert world.documents() == {"a.md", "b.md", "c.md"}
    assert world.machine.rows("SELECT metadata ->> 'folder' FROM versions WHERE title = 'b.md'") == ["inbox/sub/"]

    versions = world.machine.rows("SELECT id FROM versions ORDER BY id")
    await world.run()
    assert world.machine.rows("SELECT id FROM versions ORDER BY id") == versions

    world.machine.files |= {"inbox/a.md": "A penguin.", "inbox/e.md": "E"}
    del world.machine.files["inbox/c.md"]
    source = await world.run()
    assert world.documents() == {"a.md", "b.md", "e.md"}
    changed = "SELECT c.text FROM chunks c JOIN documents d ON d.live_version = c.version WHERE d.id LIKE '%a.md%'"
    assert world.machine.rows(changed) == ["A penguin."]
    counted = await sync_store.counts(world.resources.database, ["s"])
    assert (source.state, counted) == ("current", {"s": {"indexed": 3}})
    assert world.machine.rows("SELECT count(*) FROM versions") == [3]


async def test_an_object_that_cannot_be_read_has_a_reason_and_keeps_its_document() -> None:
    world = await with_objects()
    world.machine.files |= {
        "inbox/a.md": "",
        "inbox/movie.mp4": "\0\0\0",
        "inbox/sub/b.md": "b" * (MAX_OBJECT_BYTES + 1),
    }
    assert (await world.run()).state == "current"
    assert world.documents() == {"a.md", "b.md", "c.md"}
    failed = await world.failed()
    assert set(failed) == {"inbox/a.md", "inbox/sub/b.md", "inbox/movie.mp4"}
    assert failed["inbox/sub/b.md"] == "The object has 5,001 bytes; at most 5,000 are indexed."
    assert "cannot be read" in failed["inbox/movie.mp4"]


async def test_a_bucket_that_vanishes_loses_nothing() -> None:
    world = await with_objects()
    world.bucket.is_gone = True
    assert (await world.run()).state == "running"
    assert world.machine.rows("SELECT reason FROM jobs WHERE state <> 'done'") == ["The bucket could not answer."]
    assert world.documents() == {"a.md", "b.md", "c.md"}
    world.bucket.is_gone = False
    del world.machine.files["inbox/c.md"]
    await world.take_up()
    assert world.documents() == {"a.md", "b.md"}
