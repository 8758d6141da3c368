"""HTTP routes of Workers AI: the paths that the `Ai` class calls, and those of the REST API."""

from starlette.routing import BaseRoute, Route

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.http import ACCOUNT
from workers_ai_simulator.inference.binding import Binding
from workers_ai_simulator.inference.models import RunModel
from workers_ai_simulator.inference.responses import rest_error
from workers_ai_simulator.inference.rest import Rest
from workers_ai_simulator.traffic.traffic import Traffic


def routes(run_model: RunModel, traffic: Traffic) -> list[BaseRoute]:
    """The routes; `run_model` answers the model calls."""
    binding, rest = Binding(run_model), Rest(run_model)
    return [
        Route("/run", binding.run, methods=["POST"]),
        Route("/run", binding.websocket, methods=["GET"]),
        Route("/ai-gateway/run", binding.run, methods=["POST"]),
        Route("/ai-api/models/search", traffic.observed("AI", "models", binding.models, UpstreamError.response)),
        Route(f"{ACCOUNT}/ai/run", rest.run_named, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/run/{{model:path}}", rest.run, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/models/search", traffic.observed("AI", "models", rest.models, rest_error)),
        Route(f"{ACCOUNT}/ai/v1/chat/completions", rest.chat_completions, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/v1/responses", rest.responses, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/v1/embeddings", rest.embeddings, methods=["POST"]),
    ]
