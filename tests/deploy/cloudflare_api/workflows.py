"""Routes of Workflows: their registration. Instances live in the Worker on the edge."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api.envelope import ApiError, Document, answer, json_object, page
from tests.deploy.cloudflare_api.identity import ACCOUNT
from tests.deploy.cloudflare_api.platform import Platform, new_id, now
from tests.deploy.cloudflare_api.worker_store import WorkerStore


class Workflows:
    def __init__(self, platform: Platform, workers: WorkerStore) -> None:
        self._store = platform.store
        self._workers = workers

    def routes(self) -> list[BaseRoute]:
        workflow = f"{ACCOUNT}/workflows/{{name}}"
        return [
            Route(f"{ACCOUNT}/workflows", self._list),
            Route(workflow, self._get),
            Route(workflow, self._put, methods=["PUT"]),
            Route(workflow, self._delete, methods=["DELETE"]),
            Route(f"{workflow}/instances", self._instances),
            Route(f"{workflow}/versions", self._versions),
        ]

    async def _list(self, request: Request) -> Response:
        return page(request, self._store.list("workflow", request.path_params["account"]))

    async def _get(self, request: Request) -> Response:
        return answer(self._found(request))

    async def _put(self, request: Request) -> Response:
        account, name = request.path_params["account"], request.path_params["name"]
        body = await json_object(request)
        self._workers.script(account, body["script_name"])
        kept = self._store.get("workflow", account, name) or {"id": new_id(), "name": name, "created_on": now()}
        changed: Document = {
            "script_name": body["script_name"],
            "class_name": body["class_name"],
            "modified_on": now(),
            "version_id": new_id(),
            "triggered_on": None,
            "instances": {},
        }
        return answer(self._store.put(kept | changed, "workflow", account, name))

    async def _delete(self, request: Request) -> Response:
        self._found(request)
        self._store.delete("workflow", request.path_params["account"], request.path_params["name"])
        return answer({"status": "ok", "success": True})

    async def _instances(self, request: Request) -> Response:
        """Always empty: instances run in the Worker on the edge, which this API does not look into."""
        self._found(request)
        return page(request, [])

    async def _versions(self, request: Request) -> Response:
        workflow = self._found(request)
        changed = workflow["modified_on"]
        version = {"id": workflow["version_id"], "workflow_id": workflow["id"], "class_name": workflow["class_name"]}
        return page(request, [version | {"created_on": changed, "modified_on": changed, "limits": {}}])

    def _found(self, request: Request) -> Document:
        workflow = self._store.get("workflow", request.path_params["account"], request.path_params["name"])
        if workflow is None:
            raise ApiError(404, 10200, "workflow.not_found")  # the code is wrangler's; the sentence is a guess
        return workflow
