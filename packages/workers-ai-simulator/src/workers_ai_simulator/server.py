"""The HTTP server: the routes of every simulated service, of the simulator's own API, and of its page."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from workers_ai_simulator.ai_search import autorag
from workers_ai_simulator.ai_search import routes as ai_search_routes
from workers_ai_simulator.ai_search.inspection import Inspection as AiSearchInspection
from workers_ai_simulator.ai_search.service import AiSearch
from workers_ai_simulator.catalogue import PAID_ACCOUNT, Account
from workers_ai_simulator.control import front_page
from workers_ai_simulator.control.admin import Admin
from workers_ai_simulator.control.calls import Calls
from workers_ai_simulator.errors import NotSimulated
from workers_ai_simulator.gateway import routes as gateway
from workers_ai_simulator.gateway.service import Gateways
from workers_ai_simulator.http import envelope, error_envelope
from workers_ai_simulator.inference import routes as inference
from workers_ai_simulator.inference.answers import ANSWERS
from workers_ai_simulator.inference.real_models import NO_REAL_MODELS, RealModels
from workers_ai_simulator.inference.service import Inference
from workers_ai_simulator.inference.websocket import RealtimeModels
from workers_ai_simulator.markdown import routes as markdown
from workers_ai_simulator.scripted import routes as scripted
from workers_ai_simulator.scripted.store import ScriptedAnswers
from workers_ai_simulator.tape.tape import Tape
from workers_ai_simulator.traffic.exchanges import Recording
from workers_ai_simulator.traffic.traffic import Traffic
from workers_ai_simulator.vectorize import routes as vectorize
from workers_ai_simulator.vectorize.inspection import Inspection as VectorizeInspection
from workers_ai_simulator.vectorize.store import VectorStore
from workers_ai_simulator.web_pages import WebPages
from workers_ai_simulator.web_search import routes as web_search

REST = "/client/v4/"
"""Beginning of the paths of Cloudflare's REST API."""
CREDENTIALS = {b"authorization", b"x-auth-key", b"x-api-key"}
"""Headers of Cloudflare's REST API that carry credentials; Anthropic's SDK sends the last."""


def application(
    vectors: VectorStore,
    gateways: Gateways,
    ai_search: AiSearch,
    tokens_per_second: float = 0,
    real: RealModels = NO_REAL_MODELS,
    hosts: Iterable[str] = (),
    account: Account = PAID_ACCOUNT,
    script: ScriptedAnswers | None = None,
    tape: Tape | None = None,
) -> Starlette:
    """The simulator over these stores.

    tokens_per_second: pace of streamed text; 0 for as fast as possible. real: models that are not simulated.
    hosts: names of this machine by which it is called, besides localhost and its addresses. account: the account, whose
    plan limits the models.
    script: scripted answers that are set at the start. tape: answers the models' calls in place of the simulation.
    """
    traffic = Traffic(tokens_per_second)
    script = script or ScriptedAnswers()
    run_model = gateways.through_gateways(Inference(traffic, script, real, account, tape).run)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        await real.close()
        if tape:
            await tape.close()
        await run_in_threadpool(vectors.close)

    return Starlette(
        routes=[
            *inference.routes(run_model, traffic),
            *inference.websocket_routes(RealtimeModels(traffic, script, gateways, account)),
            *Admin(traffic, gateways, real, tape).routes(),
            *Calls(traffic).routes(),
            *VectorizeInspection(vectors, (ANSWERS | real.answers)["embeddings"]).routes(),
            *AiSearchInspection(ai_search).routes(),
            *scripted.routes(script),
            *front_page.routes(),
            *vectorize.routes(vectors, traffic),
            *gateway.routes(gateways, run_model, traffic),
            *markdown.routes(traffic),
            *ai_search_routes.routes(ai_search, traffic),
            *autorag.routes(ai_search, traffic),
            *web_search.routes(gateways, traffic),
        ],
        middleware=[
            Middleware(WebPages, hosts=hosts),
            Middleware(Authentication),
            Middleware(Recording, exchanges=traffic.exchanges),
        ],
        exception_handlers={404: _not_simulated, 405: _not_simulated},
        lifespan=lifespan,
    )


class Authentication:
    """Middleware that refuses calls of the REST API without credentials; any credentials will do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope.get("headers", [])}
        if scope["type"] == "http" and scope["path"].startswith(REST) and not names & CREDENTIALS:
            await envelope(None, 401, [(10000, "Authentication error")])(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _not_simulated(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refusal = NotSimulated(f"{request.method} {request.url.path}")
    return error_envelope(refusal) if request.url.path.startswith(REST) else refusal.response()
