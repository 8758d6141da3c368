"""Routes of R2: buckets, and the objects that the Worker on the edge has stored in them."""

import re
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api import miniflare
from tests.deploy.cloudflare_api.envelope import ApiError, Document, answer, json_object
from tests.deploy.cloudflare_api.identity import ACCOUNT
from tests.deploy.cloudflare_api.platform import Platform, now

NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
BUCKET = f"{ACCOUNT}/r2/buckets/{{bucket}}"


class R2:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._store = platform.store

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{ACCOUNT}/r2/buckets", self._list),
            Route(f"{ACCOUNT}/r2/buckets", self._create, methods=["POST"]),
            Route(BUCKET, self._get),
            Route(BUCKET, self._delete, methods=["DELETE"]),
            Route(f"{BUCKET}/objects", self._objects),
            Route(f"{BUCKET}/objects/{{key:path}}", self._delete_object, methods=["DELETE"]),
        ]

    async def _list(self, request: Request) -> Response:
        self._check_entitled()
        wanted = request.query_params.get("name_contains", "")
        buckets = self._store.list("bucket", request.path_params["account"])
        return answer({"buckets": [bucket for bucket in buckets if wanted in bucket["name"]]})

    async def _create(self, request: Request) -> Response:
        self._check_entitled()
        account, body = request.path_params["account"], await json_object(request)
        name = str(body.get("name", ""))
        if not NAME.fullmatch(name):
            raise ApiError(400, 10005, "The specified bucket name is not valid.")
        if self._store.get("bucket", account, name):
            # Cloudflare's documentation of R2 has 10073 for it, recorded answers of this API have 10004
            raise ApiError(409, 10004, "The bucket you tried to create already exists, and you own it.")
        bucket: Document = {"name": name, "creation_date": now(), "location": "WEUR", "jurisdiction": "default"}
        bucket["storage_class"] = body.get("storageClass", "Standard")
        return answer(self._store.put(bucket, "bucket", account, name))

    async def _get(self, request: Request) -> Response:
        return answer(self._bucket(request))

    async def _delete(self, request: Request) -> Response:
        bucket = self._bucket(request)
        with self._stored(bucket["name"]) as stored:
            if stored and stored.execute("SELECT 1 FROM _mf_objects").fetchone():
                raise ApiError(409, 10008, "The bucket you tried to delete is not empty.")
        self._store.delete("bucket", request.path_params["account"], bucket["name"])
        return answer({})

    async def _objects(self, request: Request) -> Response:
        bucket, query = self._bucket(request)["name"], request.query_params
        size, prefix = int(query.get("per_page", "20")), query.get("prefix", "")
        select = "SELECT key, size, etag, uploaded FROM _mf_objects WHERE key > ? AND substr(key, 1, ?) = ?"
        with self._stored(bucket) as stored:
            values = (query.get("cursor", ""), len(prefix), prefix, size + 1)
            rows = stored.execute(f"{select} ORDER BY key LIMIT ?", values).fetchall() if stored else []
        is_truncated, shown = len(rows) > size, [_shown(*row) for row in rows[:size]]
        info: Document = {"per_page": size, "is_truncated": is_truncated, "delimited": []}
        return answer(shown, info=info | ({"cursor": shown[-1]["key"]} if is_truncated else {}))

    async def _delete_object(self, request: Request) -> Response:
        """Deletes the row by which the Worker's binding finds the object; its blob goes with the folder of the test."""
        bucket, key = self._bucket(request)["name"], request.path_params["key"]
        with self._stored(bucket) as stored:
            deleted = stored.execute("DELETE FROM _mf_objects WHERE key = ?", (key,)).rowcount if stored else 0
        if not deleted:
            raise ApiError(404, 10007, "The specified key does not exist.")
        return answer({"key": key})

    @contextmanager
    def _stored(self, bucket: str) -> Generator[sqlite3.Connection | None]:
        """The bucket's objects; None while a Worker has never opened it."""
        file = miniflare.object_file(self._platform.state, "r2", "R2BucketObject", bucket)
        if not file.exists():
            yield None
            return
        with miniflare.opened(file) as connection:
            has_objects = connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_mf_objects'").fetchone()
            yield connection if has_objects else None

    def _bucket(self, request: Request) -> Document:
        self._check_entitled()
        bucket = self._store.get("bucket", request.path_params["account"], request.path_params["bucket"])
        if bucket is None:
            raise ApiError(404, 10006, "The specified bucket does not exist.")
        return bucket

    def _check_entitled(self) -> None:
        if not self._platform.settings.r2_enabled:
            raise ApiError(403, 10042, "Please enable R2 through the Cloudflare Dashboard.")


def _shown(key: str, size: int, etag: str, uploaded: int) -> Document:
    date = datetime.fromtimestamp(uploaded / 1000, UTC).isoformat()
    return {"key": key, "size": size, "etag": etag, "last_modified": date, "storage_class": "Standard"}
