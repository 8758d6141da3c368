"""Routes of copies of D1 databases: time travel, the import and the export of SQL files."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api import d1_import, miniflare
from tests.deploy.cloudflare_api.d1 import D1, DATABASE
from tests.deploy.cloudflare_api.envelope import ApiError, Document, answer, json_object


class D1Copies:
    def __init__(self, d1: D1, data: Path) -> None:
        self._d1 = d1
        self._data = data

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{DATABASE}/import", self._import, methods=["POST"]),
            Route(f"{DATABASE}/export", self._export, methods=["POST"]),
            Route(f"{DATABASE}/time_travel/bookmark", self._bookmark),
            Route(f"{DATABASE}/time_travel/restore", self._restore, methods=["POST"]),
            # what the real API keeps in a bucket of its own, under signed addresses
            Route("/uploads/{name}", self._keep, methods=["PUT"]),
            Route("/uploads/{name}", self._kept, methods=["GET"]),
        ]

    async def _bookmark(self, request: Request) -> Response:
        """The present state only: earlier ones are known by the bookmarks that were asked for then."""
        if "timestamp" in request.query_params:
            raise ApiError(400, 7500, "not simulated: a bookmark by its timestamp")
        return answer({"bookmark": self._marked(self._d1.file(request))})

    async def _restore(self, request: Request) -> Response:
        file, bookmark = self._d1.file(request), request.query_params.get("bookmark", "")
        copy = self._bookmarks / f"{Path(bookmark).name}.sqlite"
        if not copy.exists():
            raise ApiError(400, 7500, f"The bookmark {bookmark} is not valid.")  # a guess
        previous = self._marked(file)
        with closing(sqlite3.connect(copy)) as source, miniflare.opened(file) as target:
            source.backup(target)
        return answer({"bookmark": bookmark, "previous_bookmark": previous, "message": "Restored."})

    def _marked(self, file: Path) -> str:
        """Copy the database, and return the bookmark of the copy: the same for the same content."""
        self._bookmarks.mkdir(exist_ok=True)
        draft = self._bookmarks / "draft.sqlite"
        with miniflare.opened(file) as source, closing(sqlite3.connect(draft)) as target:
            source.backup(target)
        digest = hashlib.sha256(draft.read_bytes()).hexdigest()
        bookmark = f"00000001-00000000-00000000-{digest[:32]}"
        shutil.move(draft, self._bookmarks / f"{bookmark}.sqlite")
        return bookmark

    @property
    def _bookmarks(self) -> Path:
        return self._data / "bookmarks"

    async def _export(self, request: Request) -> Response:
        file = self._d1.file(request)
        with miniflare.opened(file) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'").fetchone():
                # a limit of D1; the words are those of wrangler's local export
                raise ApiError(400, 7500, "D1 Export error: cannot export databases with Virtual Tables (fts5)")
            text = "PRAGMA defer_foreign_keys=TRUE;\n" + "\n".join(connection.iterdump()) + "\n"
        name = f"{file.stem[:16]}.sql"
        d1_import.keep(self._data, name, text.encode())
        result = {"filename": name, "signed_url": f"{request.base_url}uploads/{name}"}
        status: Document = {"success": True, "type": "export", "status": "complete", "at_bookmark": self._marked(file)}
        status |= {"messages": list[str](), "result": result}
        return answer(status)

    async def _import(self, request: Request) -> Response:
        body = await json_object(request)
        return answer(d1_import.step(self._data, self._d1.file(request), body, str(request.base_url)))

    async def _keep(self, request: Request) -> Response:
        return d1_import.keep(self._data, request.path_params["name"], await request.body())

    async def _kept(self, request: Request) -> Response:
        return PlainTextResponse(d1_import.file(self._data, request.path_params["name"]).read_bytes())
