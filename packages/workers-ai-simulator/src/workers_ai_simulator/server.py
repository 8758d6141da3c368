"""The HTTP server: every API that is simulated, and what tests and people ask of the simulator itself."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from workers_ai_simulator import markdown
from workers_ai_simulator.api.binding import Binding
from workers_ai_simulator.api.rest import Authentication, Rest
from workers_ai_simulator.control import front_page
from workers_ai_simulator.control.admin import Admin
from workers_ai_simulator.errors import NotSimulated
from workers_ai_simulator.gateway import wire as gateway
from workers_ai_simulator.gateway.gateways import Gateways
from workers_ai_simulator.inference.real_models import NONE, RealModels
from workers_ai_simulator.inference.service import Inference
from workers_ai_simulator.traffic.traffic import Traffic
from workers_ai_simulator.vectorize import wire as vectorize
from workers_ai_simulator.vectorize.store import VectorStore


def application(
    vectors: VectorStore, gateways: Gateways, tokens_per_second: float = 0, real: RealModels = NONE
) -> Starlette:
    """The simulator over these stores, writing streams at this pace (0: as fast as it goes), with the real models."""
    traffic = Traffic(tokens_per_second)
    inference = Inference(traffic, gateways, real)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        await real.close()

    return Starlette(
        routes=[
            *Binding(inference, traffic).routes(),
            *Rest(inference, traffic).routes(),
            *Admin(traffic, gateways, real).routes(),
            *front_page.routes(),
            *vectorize.routes(vectors, traffic),
            *gateway.routes(gateways, inference, traffic),
            *markdown.routes(traffic),
        ],
        middleware=[Middleware(Authentication)],
        exception_handlers={404: _not_simulated, 405: _not_simulated},
        lifespan=lifespan,
    )


def _not_simulated(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return NotSimulated(f"{request.method} {request.url.path}").response()
