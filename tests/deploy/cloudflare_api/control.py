"""`/_control`: requests of a test to the stand-in itself, without credentials. It listens on this machine only."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api.envelope import json_object
from tests.deploy.cloudflare_api.faults import Fault, Faults
from tests.deploy.cloudflare_api.journal import Journal
from tests.deploy.cloudflare_api.platform import Platform
from tests.deploy.cloudflare_api.settings import Settings
from tests.deploy.cloudflare_api.worker_store import WorkerStore

ROOT = "/_control"


class Control:
    def __init__(self, platform: Platform, journal: Journal, faults: Faults, workers: WorkerStore) -> None:
        self._platform = platform
        self._journal = journal
        self._faults = faults
        self._workers = workers

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{ROOT}/journal", self._show_journal, methods=["GET", "DELETE"]),
            Route(f"{ROOT}/settings", self._change_settings, methods=["GET", "PATCH"]),
            Route(f"{ROOT}/faults", self._change_faults, methods=["GET", "POST", "DELETE"]),
            Route(f"{ROOT}/edge", self._show_edge),
        ]

    async def _show_journal(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._journal.clear()
        return JSONResponse({"requests": self._journal.requests, "unknown": self._journal.unknown})

    async def _change_settings(self, request: Request) -> Response:
        if request.method == "PATCH":
            kept = self._platform.settings.model_dump(mode="json")
            self._platform.change_settings(Settings.model_validate(kept | await json_object(request)))
            self._serve_chosen()
        return JSONResponse(self._platform.settings.model_dump(mode="json"))

    def _serve_chosen(self) -> None:
        """Make the edge serve the script that the settings name."""
        chosen = self._platform.settings.edge_script
        for account in self._platform.settings.accounts:
            if chosen in {script["name"] for script in self._workers.scripts(account.id)}:
                self._platform.edge.activate(account.id, str(chosen))

    async def _change_faults(self, request: Request) -> Response:
        if request.method == "POST":
            self._faults.add(Fault(**await json_object(request)))
        if request.method == "DELETE":
            self._faults.clear()
        shown = [{"method": each.method, "path": each.path, "seen": each.seen} for each in self._faults.ordered]
        return JSONResponse(shown)

    async def _show_edge(self, _: Request) -> Response:
        return JSONResponse(self._platform.edge.describe())
