"""Routes of Queues, as far as a deployment asks: the queues by name, and their consumers."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api.envelope import ApiError, Document, answer, json_object, page
from tests.deploy.cloudflare_api.identity import ACCOUNT
from tests.deploy.cloudflare_api.platform import Platform, new_id, now


class Queues:
    def __init__(self, platform: Platform) -> None:
        self._store = platform.store

    def routes(self) -> list[BaseRoute]:
        queue = f"{ACCOUNT}/queues/{{queue}}"
        return [
            Route(f"{ACCOUNT}/queues", self._list),
            Route(f"{ACCOUNT}/queues", self._create, methods=["POST"]),
            Route(queue, self._get),
            Route(queue, self._delete, methods=["DELETE"]),
            Route(f"{queue}/consumers", self._consumers),
            Route(f"{queue}/consumers", self._consume, methods=["POST"]),
            Route(f"{queue}/consumers/{{consumer}}", self._change_consumer, methods=["PUT", "DELETE"]),
        ]

    async def _list(self, request: Request) -> Response:
        queues = self._store.list("queue", request.path_params["account"])
        name = request.query_params.get("name")
        return page(request, [_shown(queue) for queue in queues if name in (None, queue["queue_name"])])

    async def _create(self, request: Request) -> Response:
        account, name = request.path_params["account"], str((await json_object(request))["queue_name"])
        if any(queue["queue_name"] == name for queue in self._store.list("queue", account)):
            message = f"Queue name '{name}' is already taken. Please use a different name and try again."
            raise ApiError(409, 11009, message)
        made: Document = {
            "queue_id": new_id().replace("-", ""),
            "queue_name": name,
            "created_on": now(),
            "consumers": [],
        }
        return answer(_shown(self._store.put(made, "queue", account, made["queue_id"])))

    async def _get(self, request: Request) -> Response:
        return answer(_shown(self._found(request)))

    async def _delete(self, request: Request) -> Response:
        self._store.delete("queue", request.path_params["account"], self._found(request)["queue_id"])
        return answer(None)

    async def _consumers(self, request: Request) -> Response:
        return answer(self._found(request)["consumers"])

    async def _consume(self, request: Request) -> Response:
        consumer = await json_object(request) | {"consumer_id": new_id().replace("-", "")}
        self._keep(request, [*self._found(request)["consumers"], consumer])
        return answer(consumer)

    async def _change_consumer(self, request: Request) -> Response:
        consumer = request.path_params["consumer"]
        others = [each for each in self._found(request)["consumers"] if each["consumer_id"] != consumer]
        if request.method == "DELETE":
            self._keep(request, others)
            return answer(None)
        changed = await json_object(request) | {"consumer_id": consumer}
        self._keep(request, [*others, changed])
        return answer(changed)

    def _keep(self, request: Request, consumers: list[Document]) -> None:
        queue: Document = self._found(request) | {"consumers": consumers}
        self._store.put(queue, "queue", request.path_params["account"], queue["queue_id"])

    def _found(self, request: Request) -> Document:
        queue = self._store.get("queue", request.path_params["account"], request.path_params["queue"])
        if queue is None:
            raise ApiError(404, 11000, "Queue not found.")  # code and sentence are guesses
        return queue


def _shown(queue: Document) -> Document:
    totals: Document = {"producers": [], "producers_total_count": 0, "consumers_total_count": len(queue["consumers"])}
    return queue | totals
