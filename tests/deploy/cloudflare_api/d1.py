"""Routes of D1: databases, and SQL on the very file that the Worker on the edge opens."""

from pathlib import Path
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api import miniflare, sql
from tests.deploy.cloudflare_api.envelope import ApiError, Document, answer, json_object, page
from tests.deploy.cloudflare_api.identity import ACCOUNT
from tests.deploy.cloudflare_api.platform import Platform, new_id, now

DATABASE = f"{ACCOUNT}/d1/database/{{database}}"


class D1:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._store = platform.store

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{ACCOUNT}/d1/database", self._list),
            Route(f"{ACCOUNT}/d1/database", self._create, methods=["POST"]),
            Route(DATABASE, self._get),
            Route(DATABASE, self._delete, methods=["DELETE"]),
            Route(f"{DATABASE}/query", self._query, methods=["POST"]),
            Route(f"{DATABASE}/raw", self._raw, methods=["POST"]),
        ]

    async def _list(self, request: Request) -> Response:
        """Names that contain `name`: a client has to compare for itself."""
        wanted = request.query_params.get("name", "")
        databases = self._store.list("database", request.path_params["account"])
        return page(request, [each for each in databases if wanted in each["name"]], default=100)

    async def _create(self, request: Request) -> Response:
        account, body = request.path_params["account"], await json_object(request)
        name, limit = str(body.get("name", "")), self._platform.settings.max_databases
        databases = self._store.list("database", account)
        if not name:
            raise ApiError(400, 7400, "name: required")  # a guess
        if any(each["name"] == name for each in databases):
            raise ApiError(400, 7502, f"Database with name '{name}' already exists")
        if len(databases) >= limit:
            raise ApiError(400, 7406, f"System limit reached: databases per account ({limit})")
        database = {"uuid": new_id(), "name": name, "version": "production", "created_at": now()}
        with miniflare.opened(self._file(database)):
            pass
        return answer(self._shown(self._store.put(database, "database", account, database["uuid"])))

    async def _get(self, request: Request) -> Response:
        return answer(self._shown(self._found(request)))

    async def _delete(self, request: Request) -> Response:
        database = self._found(request)
        self._store.delete("database", request.path_params["account"], database["uuid"])
        for file in self._file(database).parent.glob(f"{self._file(database).name}*"):
            file.unlink()
        return answer(None)

    async def _query(self, request: Request) -> Response:
        return answer(await self._run(request, is_raw=False))

    async def _raw(self, request: Request) -> Response:
        return answer(await self._run(request, is_raw=True))

    async def _run(self, request: Request, *, is_raw: bool) -> list[Document]:
        file, body = self.file(request), await json_object(request)
        statements: list[tuple[str, list[Any]]] = []
        for each in cast("list[Document]", body.get("batch", [body])):
            statements += sql.split(str(each.get("sql", "")), each.get("params") or [])
        return sql.run(file, statements, is_raw=is_raw)

    def file(self, request: Request) -> Path:
        """The file of the database that a request names. Raises ApiError 7404 if there is none."""
        return self._file(self._found(request))

    def _found(self, request: Request) -> Document:
        """By id or by name, as the real API takes both."""
        account, wanted = request.path_params["account"], request.path_params["database"]
        databases = self._store.list("database", account)
        database = next((each for each in databases if wanted in (each["uuid"], each["name"])), None)
        if database is None:
            raise ApiError(404, 7404, f"The database {wanted} could not be found")
        return database

    def _file(self, database: Document) -> Path:
        return miniflare.object_file(self._platform.state, "d1", "D1DatabaseObject", database["uuid"])

    def _shown(self, database: Document) -> Document:
        tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'"
        with miniflare.opened(self._file(database)) as connection:
            [count] = connection.execute(tables).fetchone()
        size = self._file(database).stat().st_size
        return database | {"num_tables": count, "file_size": size, "running_in_region": "WEUR"}
