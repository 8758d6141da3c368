"""HTTP routes of Workers AI: the paths that the `Ai` class calls, and those of the REST API."""

from starlette.routing import BaseRoute, Route, WebSocketRoute

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.http import ACCOUNT
from workers_ai_simulator.inference.binding import Binding
from workers_ai_simulator.inference.models import RunModel
from workers_ai_simulator.inference.responses import rest_error
from workers_ai_simulator.inference.rest import Rest
from workers_ai_simulator.inference.websocket import RealtimeModels
from workers_ai_simulator.traffic.traffic import Traffic


def websocket_routes(realtime: RealtimeModels) -> list[BaseRoute]:
    """The routes of models that are called by websocket."""
    return [
        WebSocketRoute("/run", realtime.bound),
        WebSocketRoute("/v1/{account}/{gateway}/workers-ai", realtime.at_gateway),
    ]


def routes(run_model: RunModel, traffic: Traffic) -> list[BaseRoute]:
    """The routes; `run_model` answers the model calls."""
    binding, rest = Binding(run_model), Rest(run_model)
    return [
        Route("/run", binding.run, methods=["POST"]),
        Route("/ai-gateway/run", binding.run, methods=["POST"]),
        Route("/ai-api/models/search", traffic.observed("AI", "models", binding.models, UpstreamError.response)),
        Route(f"{ACCOUNT}/ai/run", rest.run_named, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/run/{{model:path}}", rest.run, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/models/search", traffic.observed("AI", "models", rest.models, rest_error)),
        Route(f"{ACCOUNT}/ai/models/schema", traffic.observed("AI", "modelSchema", rest.model_schema, rest_error)),
        Route(f"{ACCOUNT}/ai/tasks/search", traffic.observed("AI", "tasks", rest.tasks, rest_error)),
        Route(f"{ACCOUNT}/ai/authors/search", traffic.observed("AI", "authors", rest.authors, rest_error)),
        Route(f"{ACCOUNT}/ai/v1/chat/completions", rest.chat_completions, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/v1/responses", rest.responses, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/v1/embeddings", rest.embeddings, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/v1/messages", rest.messages, methods=["POST"]),
        # Anthropic's SDK adds `/v1/messages` to its base URL, which ends with `/ai/v1` in Cloudflare's example
        Route(f"{ACCOUNT}/ai/v1/v1/messages", rest.messages, methods=["POST"]),
    ]
