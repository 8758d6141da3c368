"""Routes of Vectorize and Workers AI: passed on to the project's simulator, which has them already."""

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api.identity import ACCOUNT

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
NOT_PASSED_ON = {"host", "content-length", "connection", "transfer-encoding"}


class Forward:
    def __init__(self, simulator: str) -> None:
        self._client = httpx.AsyncClient(base_url=f"http://{simulator}", timeout=120)

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{ACCOUNT}/{service}/{{rest:path}}", self._pass_on, methods=METHODS)
            for service in ("vectorize", "ai")
        ]

    async def has_index(self, account: str, name: str) -> bool:
        """Whether the Vectorize index exists."""
        path = f"/client/v4/accounts/{account}/vectorize/v2/indexes/{name}"
        return (await self._client.get(path, headers={"authorization": "Bearer stand-in"})).is_success

    async def _pass_on(self, request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in NOT_PASSED_ON}
        url = httpx.URL(request.url.path, query=request.url.query.encode())
        response = await self._client.request(request.method, url, headers=headers, content=await request.body())
        kept = {name: value for name, value in response.headers.items() if name not in NOT_PASSED_ON}
        kept.pop("content-encoding", None)  # httpx has undone it
        return Response(response.content, response.status_code, kept)

    async def close(self) -> None:
        await self._client.aclose()
