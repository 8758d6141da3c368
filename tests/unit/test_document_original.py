"""The file of a document that is replaced while it is read."""

from dataclasses import replace

import pytest

from aiworker.bindings import StoredObject
from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle
from aiworker.rag import store
from aiworker.routes.document_original import read_original
from aiworker.routes.documents_schema import TenantQuery
from aiworker.settings import Settings
from tests.unit.stand_ins import FakeRequest, a_context
from tests.unit.test_ingest import Machine

OLD, NEW = "2026-01-01", "2026-01-02"


class Files:
    """The bucket: the file of version `a` is removed, and version `b` published, as `a` is read."""

    def __init__(self, machine: Machine, *, has_new: bool) -> None:
        self._machine = machine
        self._has_new = has_new

    async def get(self, key: str, request: object) -> StoredObject | None:
        database = self._machine.resources.database
        if "/a/" in key:
            version = await store.find(database, "b")
            assert version
            assert await store.publish(database, version, NEW)
            return None
        return StoredObject(JsHandle("new"), 200, {"content-type": "text/plain"}) if self._has_new else None


async def read(*, has_new: bool) -> object:
    machine = Machine()
    for version_id, created in (("a", OLD), ("b", NEW)):
        await machine.upload(version_id, "text", created)
    version = await store.find(machine.resources.database, "a")
    assert version
    assert await store.publish(machine.resources.database, version, OLD)
    context = replace(
        a_context(FakeRequest("GET", "/"), Settings.read({"AUTH_MODE": "public"}), None),
        database=machine.resources.database,
        bucket=Files(machine, has_new=has_new),  # pyright: ignore[reportArgumentType] - as much of it as is used
    )
    return (await read_original(context, "doc", TenantQuery())).body


async def test_a_file_that_is_replaced_meanwhile_is_read_anew() -> None:
    assert await read(has_new=True) == "new"


async def test_a_file_that_has_vanished_is_not_found() -> None:
    with pytest.raises(ApiError) as caught:
        await read(has_new=False)
    assert caught.value.type == "not_found"
