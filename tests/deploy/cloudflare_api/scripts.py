"""Routes of Workers: upload, settings, subdomain, schedules, and deleting one."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api import bindings, uploads
from tests.deploy.cloudflare_api.envelope import ApiError, Document, answer, json_object, json_value
from tests.deploy.cloudflare_api.forward import Forward
from tests.deploy.cloudflare_api.identity import ACCOUNT
from tests.deploy.cloudflare_api.platform import Platform
from tests.deploy.cloudflare_api.worker_store import WorkerStore

SCRIPT = f"{ACCOUNT}/workers/scripts/{{name}}"


class Scripts:
    def __init__(self, platform: Platform, workers: WorkerStore, forward: Forward) -> None:
        self._platform = platform
        self._workers = workers
        self._forward = forward

    def routes(self) -> list[BaseRoute]:
        service = f"{ACCOUNT}/workers/services/{{name}}"
        return [
            Route(f"{ACCOUNT}/workers/scripts", self._list),
            Route(SCRIPT, self._upload, methods=["PUT"]),
            Route(SCRIPT, self._delete, methods=["DELETE"]),
            Route(service, self._service),
            Route(service, self._delete, methods=["DELETE"]),
            Route(f"{ACCOUNT}/workers/workers/{{name}}", self._worker),
            Route(f"{SCRIPT}/settings", self._settings),
            Route(f"{SCRIPT}/script-settings", self._script_settings, methods=["GET", "PATCH"]),
            Route(f"{SCRIPT}/subdomain", self._subdomain, methods=["GET", "POST", "DELETE"]),
            Route(f"{SCRIPT}/schedules", self._schedules, methods=["GET", "PUT"]),
            Route(f"{SCRIPT}/references", self._references),
            Route(f"{ACCOUNT}/workers/tails/by-consumer/{{name}}", self._nothing),
            # asked by `wrangler delete`: sites' namespaces and containers of the Worker
            Route(f"{ACCOUNT}/storage/kv/namespaces", self._nothing),
            Route(f"{ACCOUNT}/containers/applications", self._nothing),
            Route(f"{ACCOUNT}/workers/durable_objects/namespaces", self._namespaces),
        ]

    async def upload(self, request: Request, *, deploys: bool) -> Document:
        """Take an upload, and return the version it makes. Raises ApiError for what Cloudflare refuses."""
        account, name = _named(request)
        upload = await uploads.read(request)
        for each in upload.metadata.get("bindings", []):
            if each["type"] == "vectorize" and not await self._forward.has_index(account, each["index_name"]):
                message = f"Vectorize binding '{each['name']}' references index '{each['index_name']}'"
                raise ApiError(400, 10159, f"{message} which was not found.")
        return self._workers.upload(account, name, upload, deploys=deploys)

    async def _upload(self, request: Request) -> Response:
        version = await self.upload(request, deploys=True)
        account, name = _named(request)
        shown = self._shown(self._workers.script(account, name), version)
        # wrangler reads the version id from the field `deployment_id`
        return answer(shown | {"deployment_id": version["id"].replace("-", ""), "startup_time_ms": 1})

    async def _list(self, request: Request) -> Response:
        account = request.path_params["account"]
        scripts = self._workers.scripts(account)
        return answer([self._shown(each, self._workers.active(account, each["name"])) for each in scripts])

    def _shown(self, script: Document, version: Document) -> Document:
        return {
            "id": script["name"],
            "tag": script["tag"],
            "tags": script["tags"],
            "etag": version["etag"],
            "handlers": ["fetch"],
            "has_modules": True,
            "has_assets": version["assets"] is not None,
            "migration_tag": script["migration_tag"],
            "compatibility_date": version["compatibility_date"],
            "compatibility_flags": version["compatibility_flags"],
            "created_on": script["created_on"],
            "modified_on": script["modified_on"],
            "last_deployed_from": "wrangler",
            "usage_model": "standard",
        }

    async def _service(self, request: Request) -> Response:
        account, name = _named(request)
        script = self._workers.script(account, name)
        shown = self._shown(script, self._workers.active(account, name))
        environment = {"environment": "production", "script": shown, "created_on": script["created_on"]}
        return answer({"id": name, "default_environment": environment, "environments": [environment]})

    async def _delete(self, request: Request) -> Response:
        self._workers.delete(*_named(request))
        return answer(None)

    async def _worker(self, request: Request) -> Response:
        account, name = _named(request)
        script = self._workers.script(account, name)
        return answer({"id": script["tag"], "name": name, "tags": script["tags"], "subdomain": _subdomain(script)})

    async def _settings(self, request: Request) -> Response:
        account, name = _named(request)
        version = self._workers.active(account, name)
        script = self._workers.script(account, name)
        return answer(
            {
                "bindings": [bindings.shown(each) for each in version["bindings"]],
                "compatibility_date": version["compatibility_date"],
                "compatibility_flags": version["compatibility_flags"],
                "annotations": version["annotations"],
                "migration_tag": script["migration_tag"],
                "tags": script["tags"],
                "usage_model": "standard",
                "logpush": False,
                "tail_consumers": None,
            }
        )

    async def _script_settings(self, request: Request) -> Response:
        account, name = _named(request)
        script = self._workers.script(account, name)
        if request.method == "PATCH":
            changes: dict[str, Any] = {"settings": script.get("settings", {}) | await json_object(request)}
            if changes["settings"].get("tags") is not None:
                changes["tags"] = changes["settings"]["tags"]
            script = self._workers.change_script(account, name, changes)
        return answer({"logpush": False, "tail_consumers": None} | script.get("settings", {}))

    async def _subdomain(self, request: Request) -> Response:
        account, name = _named(request)
        script = self._workers.script(account, name)
        if request.method == "DELETE":
            off = {"enabled": False, "previews_enabled": False}
            script = self._workers.change_script(account, name, {"subdomain": off})
        if request.method == "POST":
            if account not in self._platform.settings.subdomains:
                raise ApiError(404, 10007, "You do not have a workers.dev subdomain.")
            body = await json_object(request)
            enabled = bool(body.get("enabled"))
            previews = bool(body.get("previews_enabled", enabled))
            script = self._workers.change_script(
                account, name, {"subdomain": {"enabled": enabled, "previews_enabled": previews}}
            )
        return answer(_subdomain(script))

    async def _schedules(self, request: Request) -> Response:
        account, name = _named(request)
        self._workers.script(account, name)
        if request.method == "PUT":
            self._platform.store.put({"schedules": await json_value(request)}, "schedules", account, name)
        return answer(self._platform.store.get("schedules", account, name) or {"schedules": []})

    async def _references(self, request: Request) -> Response:
        self._workers.script(*_named(request))
        return answer({"services": {"incoming": [], "outgoing": []}, "durable_objects": [], "dispatch_outbounds": []})

    async def _nothing(self, _: Request) -> Response:
        return answer([])

    async def _namespaces(self, request: Request) -> Response:
        """Durable Object namespaces of the account's scripts."""
        return answer(
            [
                {"id": f"{script['name']}_{name}", "class": name, "script": script["name"], "use_sqlite": is_sqlite}
                for script in self._workers.scripts(request.path_params["account"])
                for name, is_sqlite in script["classes"].items()
            ]
        )


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["account"], request.path_params["name"]


def _subdomain(script: Document) -> Document:
    return script.get("subdomain", {"enabled": False, "previews_enabled": False})
