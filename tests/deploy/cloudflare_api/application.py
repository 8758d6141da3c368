"""The application: all routes behind the journal, the faults and the gate."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.deploy.cloudflare_api.assets import Assets
from tests.deploy.cloudflare_api.control import Control
from tests.deploy.cloudflare_api.d1 import D1
from tests.deploy.cloudflare_api.d1_copies import D1Copies
from tests.deploy.cloudflare_api.edge import Active
from tests.deploy.cloudflare_api.envelope import ApiError, refused
from tests.deploy.cloudflare_api.faults import Failing, Faults
from tests.deploy.cloudflare_api.forward import Forward
from tests.deploy.cloudflare_api.gate import Gate
from tests.deploy.cloudflare_api.identity import Identity
from tests.deploy.cloudflare_api.journal import Journal, Recording
from tests.deploy.cloudflare_api.platform import Platform
from tests.deploy.cloudflare_api.queues import Queues
from tests.deploy.cloudflare_api.r2 import R2
from tests.deploy.cloudflare_api.scripts import Scripts
from tests.deploy.cloudflare_api.versions import Versions
from tests.deploy.cloudflare_api.worker_store import WorkerStore
from tests.deploy.cloudflare_api.workflows import Workflows


def application(platform: Platform) -> Starlette:
    journal, faults, forward = Journal(), Faults(), Forward(platform.simulator)
    assets = Assets(platform)
    workers = WorkerStore(platform, assets)
    scripts = Scripts(platform, workers, forward)
    d1 = D1(platform)

    def find_active(account: str, name: str) -> Active | None:
        chosen = platform.settings.edge_script or name
        script = platform.store.get("script", account, chosen)
        return Active(script, workers.active(account, chosen)) if script else None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        _serve_last(platform)
        edge = asyncio.create_task(platform.edge.run(find_active))
        yield
        edge.cancel()
        with suppress(asyncio.CancelledError):
            await edge
        await forward.close()
        platform.store.close()

    async def not_simulated(request: Request, _: Exception) -> Response:
        call = f"{request.method} {request.url.path}"
        journal.unknown.append(call)
        return ApiError(501, 7003, f"not simulated: {call}").response()

    return Starlette(
        routes=[
            *Control(platform, journal, faults, workers).routes(),
            *Identity(platform).routes(),
            *assets.routes(),
            *scripts.routes(),
            *Versions(workers, scripts).routes(),
            *Workflows(platform, workers).routes(),
            *Queues(platform).routes(),
            *R2(platform).routes(),
            *d1.routes(),
            *D1Copies(d1, platform.data).routes(),
            Route("/client/v4/graphql", _no_analytics, methods=["POST"]),
            *forward.routes(),
        ],
        middleware=[
            Middleware(Recording, journal=journal),
            Middleware(Failing, faults=faults),
            Middleware(Gate, platform=platform),
        ],
        exception_handlers={ApiError: refused, HTTPException: not_simulated, ClientDisconnect: _unheard},
        lifespan=lifespan,
    )


async def _unheard(_: Request, __: Exception) -> Response:
    """Answer a client that disconnected before its whole request had arrived."""
    return Response(status_code=499)


async def _no_analytics(_: Request) -> Response:
    """Answer for the Analytics API, which has no figures of any resource yet."""
    return JSONResponse({"data": {"viewer": {"accounts": []}}, "errors": None})


def _serve_last(platform: Platform) -> None:
    """Serve what the edge served before a restart: the script that was activated last."""
    deployments = [
        (platform.store.list("deployment", account.id, script["name"])[-1]["created_on"], account.id, script["name"])
        for account in platform.settings.accounts
        for script in platform.store.list("script", account.id)
    ]
    if deployments:
        _, account, name = max(deployments)
        platform.edge.activate(account, name)
