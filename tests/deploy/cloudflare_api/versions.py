"""Routes of a Worker's versions, deployments and secrets."""

from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api import bindings
from tests.deploy.cloudflare_api.envelope import ApiError, Document, answer, json_object, paged
from tests.deploy.cloudflare_api.identity import ACCOUNT, USER
from tests.deploy.cloudflare_api.scripts import SCRIPT, Scripts
from tests.deploy.cloudflare_api.worker_store import WorkerStore

VERSIONS_A_PAGE = 10
"""`wrangler versions list` says that it lists the ten most recent ones, and asks for one page."""


class Versions:
    def __init__(self, workers: WorkerStore, scripts: Scripts) -> None:
        self._workers = workers
        self._scripts = scripts

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{SCRIPT}/versions", self._list),
            Route(f"{SCRIPT}/versions", self._upload, methods=["POST"]),
            Route(f"{SCRIPT}/versions/{{version}}", self._get),
            Route(f"{SCRIPT}/deployments", self._deployments),
            Route(f"{SCRIPT}/deployments", self._deploy, methods=["POST"]),
            Route(f"{SCRIPT}/secrets", self._secrets),
            Route(f"{SCRIPT}/secrets", self._put_secret, methods=["PUT"]),
            Route(f"{SCRIPT}/secrets/{{secret}}", self._secret, methods=["GET", "DELETE"]),
            Route(f"{SCRIPT}/secrets-bulk", self._change_secrets, methods=["PATCH"]),
            # of `wrangler versions secret`: a version that is not deployed yet
            Route(f"{ACCOUNT}/workers/workers/{{name}}/versions/latest", self._patch_latest, methods=["PATCH"]),
        ]

    async def _list(self, request: Request) -> Response:
        versions = self._workers.versions(*_named(request))
        shown, info = paged(request, versions, default=VERSIONS_A_PAGE)
        return answer({"items": [_shown(version) for version in shown]}, info=info)

    async def _get(self, request: Request) -> Response:
        return answer(_shown(self._workers.version(*_named(request), request.path_params["version"])))

    async def _upload(self, request: Request) -> Response:
        self._workers.script(*_named(request))
        version = await self._scripts.upload(request, deploys=False)
        return answer(_shown(version) | {"startup_time_ms": 1})

    async def _deployments(self, request: Request) -> Response:
        return answer({"deployments": self._workers.deployments(*_named(request))})

    async def _deploy(self, request: Request) -> Response:
        body = await json_object(request)
        traffic = {part["version_id"]: part["percentage"] for part in body.get("versions", [])}
        if sum(traffic.values()) != 100:
            raise ApiError(400, 10021, "The percentages of a deployment must add up to 100.")  # a guess
        force = request.query_params.get("force") == "true"
        annotations: Document = body.get("annotations") or {}
        return answer(self._workers.deploy(*_named(request), traffic, annotations, force=force))

    async def _secrets(self, request: Request) -> Response:
        version = self._workers.versions(*_named(request))[0]
        return answer([bindings.shown(each) for each in version["bindings"] if each["type"] == bindings.SECRET])

    async def _put_secret(self, request: Request) -> Response:
        body = await json_object(request)
        self._workers.change_secrets(*_named(request), {body["name"]: body["text"]})
        return answer({"name": body["name"], "type": bindings.SECRET})

    async def _secret(self, request: Request) -> Response:
        secret = request.path_params["secret"]
        held = bindings.secrets(self._workers.versions(*_named(request))[0]["bindings"])
        if secret not in held:
            raise ApiError(404, 10056, f"Binding '{secret}' not found.")
        if request.method == "GET":
            return answer({"name": secret, "type": bindings.SECRET})
        self._workers.change_secrets(*_named(request), {secret: None})
        return answer(None)

    async def _change_secrets(self, request: Request) -> Response:
        sent = cast("dict[str, Document | None]", (await json_object(request)).get("secrets", {}))
        values = {name: secret["text"] if secret else None for name, secret in sent.items()}
        self._workers.change_secrets(*_named(request), values)
        return await self._secrets(request)

    async def _patch_latest(self, request: Request) -> Response:
        body = await json_object(request)
        values = {name: each["text"] if each else None for name, each in body.get("env", {}).items()}
        annotations = {name: value for name, value in body.get("annotations", {}).items() if value}
        return answer(_shown(self._workers.with_secrets(*_named(request), values, annotations)))


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["account"], request.path_params["name"]


def _shown(version: Document) -> Document:
    return {
        "id": version["id"],
        "number": version["number"],
        "metadata": {
            "created_on": version["created_on"],
            "modified_on": version["created_on"],
            "source": "wrangler",
            "author_id": USER["id"],
            "author_email": USER["email"],
        },
        "annotations": version["annotations"],
        "resources": {
            "bindings": [bindings.shown(each) for each in version["bindings"]],
            "script": {"etag": version["etag"], "handlers": ["fetch"], "last_deployed_from": "wrangler"},
            "script_runtime": {
                "compatibility_date": version["compatibility_date"],
                "compatibility_flags": version["compatibility_flags"],
                "usage_model": "standard",
            },
        },
    }
