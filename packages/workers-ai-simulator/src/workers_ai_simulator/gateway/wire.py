"""Models through a gateway: its own HTTP endpoints under `/v1/{account}/{gateway}`, and the binding's universal run."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.api.binding import written
from workers_ai_simulator.api.bodies import json_value
from workers_ai_simulator.api.rest import in_envelope, inputs_for, refused
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.gateway import rest
from workers_ai_simulator.gateway.errors import GatewayError, invalid, unauthorized, unknown_provider
from workers_ai_simulator.gateway.gateways import Gateways
from workers_ai_simulator.gateway.options import GatewayOptions, from_headers
from workers_ai_simulator.inference.calls import Dialect, ModelCall, Result
from workers_ai_simulator.inference.service import Inference
from workers_ai_simulator.traffic.traffic import Traffic

WORKERS_AI = "workers-ai"
OTHER_PROVIDERS = (
    "anthropic", "aws-bedrock", "azure-openai", "google-vertex-ai", "huggingface", "openai", "perplexity-ai",
    "replicate", "groq", "cohere", "google-ai-studio", "mistral", "grok", "openrouter", "deepseek", "cerebras",
    "cartesia", "elevenlabs", "adobe-firefly",
)  # fmt: skip
"""`AIGatewayProviders` of workers-types: there is no model behind them here, and each call says so."""

DIALECTS: dict[str, Dialect] = {"v1/chat/completions": "openai", "v1/responses": "responses"}
"""Endpoint of Workers AI → the dialect of its body and its answer. Any other is a model's id."""

CONFIG_HEADERS = {
    "requestTimeout": "cf-aig-request-timeout",
    "maxAttempts": "cf-aig-max-attempts",
    "retryDelay": "cf-aig-retry-delay",
    "backoff": "cf-aig-backoff",
    "cacheTtl": "cf-aig-cache-ttl",
    "skipCache": "cf-aig-skip-cache",
}
"""Name in a step's `config` → the header that says the same."""

GATEWAY = "/v1/{account}/{gateway}"

Call = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Step:
    """One request to one provider, of several that are tried in turn."""

    provider: str
    endpoint: str
    query: dict[str, Any]
    headers: dict[str, str]
    """Names in lower case."""


def routes(gateways: Gateways, inference: Inference, traffic: Traffic) -> list[BaseRoute]:
    """All of AI Gateway: for the binding, the REST API and the gateways' own endpoints."""
    endpoints = Endpoints(gateways, inference)

    def posted(path: str, answer: Call) -> Route:
        return Route(path, _refusing(answer), methods=["POST"])

    return [
        *rest.routes(gateways, traffic),
        posted("/ai-gateway/universal/run/{gateway}", endpoints.universal),
        posted(GATEWAY, endpoints.authenticated(endpoints.universal)),
        posted(f"{GATEWAY}/compat/chat/completions", endpoints.authenticated(endpoints.compat)),
        posted(f"{GATEWAY}/{{provider}}/{{endpoint:path}}", endpoints.authenticated(endpoints.direct)),
    ]


class Endpoints:
    def __init__(self, gateways: Gateways, inference: Inference) -> None:
        self._gateways = gateways
        self._inference = inference

    def authenticated(self, answer: Call) -> Call:
        """Refuse calls without a token if the gateway wants one; which token does not matter here."""

        async def guarded(request: Request) -> Response:
            gateway = self._gateways.settings.find(request.path_params["gateway"])
            if gateway and gateway.settings["authentication"] and "cf-aig-authorization" not in request.headers:
                raise unauthorized()
            return await answer(request)

        return guarded

    async def universal(self, request: Request) -> Response:
        """Steps as JSON, tried in turn until one is answered: `[{provider, endpoint, headers, query, config}]`."""
        steps = _steps(await request.body())
        for number, step in enumerate(steps[:-1]):
            try:
                return await self._answer(request, step, number)
            except UpstreamError:
                continue  # its log says why; the next step is what the caller wants in this case
        return await self._answer(request, steps[-1], len(steps) - 1)

    async def compat(self, request: Request) -> Response:
        """OpenAI's chat completions, with models named `provider/model`."""
        query = await rest.sent_object(request)
        provider, _, model = str(query.get("model", "")).partition("/")
        step = Step(provider, "v1/chat/completions", query | {"model": model}, {})
        return await self._answer(request, step, 0)

    async def direct(self, request: Request) -> Response:
        """An endpoint of one provider."""
        provider, endpoint = request.path_params["provider"], request.path_params["endpoint"]
        if provider == WORKERS_AI:
            query = await inputs_for(_model_or_dialect(endpoint), request)
        else:
            query = await rest.sent_object(request)
        return await self._answer(request, Step(provider, endpoint, query, {}), 0)

    async def _answer(self, request: Request, step: Step, number: int) -> Response:
        headers = {**request.headers, **step.headers}
        of_step = {"provider": step.provider, "path": step.endpoint, "step": number}
        options = from_headers(request.path_params["gateway"], headers) | of_step
        if step.provider != WORKERS_AI:
            return written(await self._elsewhere(options, step))
        endpoint = _model_or_dialect(step.endpoint)
        dialect = DIALECTS.get(endpoint)
        inputs = dict(step.query)
        model = str(inputs.pop("model", "")) if dialect else endpoint
        result = await self._inference.run(request, ModelCall(model, inputs, {"gateway": options}, dialect))
        return written(result) if dialect else in_envelope(result)

    async def _elsewhere(self, options: dict[str, Any], step: Step) -> Result:
        """Log that another provider was asked for, and refuse."""

        async def attempt() -> Result:
            if step.provider in OTHER_PROVIDERS:
                raise NotSimulated(f"The provider {step.provider}")
            raise unknown_provider()

        call = ModelCall(str(step.query.get("model", "")), step.query)
        return await self._gateways.run(GatewayOptions.from_json(options), call, attempt)


def _refusing(answer: Call) -> Call:
    async def handler(request: Request) -> Response:
        try:
            return await answer(request)
        except (GatewayError, NotSimulated) as error:
            return error.response()
        except UpstreamError as error:
            return refused(error)

    return handler


def _model_or_dialect(endpoint: str) -> str:
    """A model's id, or a key of DIALECTS, of an endpoint of Workers AI."""
    return endpoint.strip("/").removeprefix("run/")


def _steps(body: bytes) -> list[Step]:
    try:
        sent: Any = json_value(body)
    except ValueError:
        raise invalid("The body must be JSON") from None
    steps = cast("list[Any]", sent) if isinstance(sent, list) else [sent]
    if not steps:
        raise invalid("Expected at least one request")
    return [_step(each) for each in steps]


def _step(sent: Any) -> Step:
    match sent:
        case {"provider": str(provider), "endpoint": str(endpoint), "query": {**query}, **others}:
            headers: Any = others.get("headers") or {}
            config: Any = others.get("config") or {}
            if isinstance(headers, dict) and isinstance(config, dict):
                named = _step_headers(cast("dict[str, Any]", headers), cast("dict[str, Any]", config))
                return Step(provider, endpoint, query, named)
        case _:
            pass
    raise invalid("Expected requests with provider, endpoint, headers and query")


def _step_headers(headers: dict[str, Any], config: dict[str, Any]) -> dict[str, str]:
    named = {CONFIG_HEADERS[name]: value for name, value in config.items() if name in CONFIG_HEADERS}
    given = {name.lower(): value for name, value in headers.items()} | named
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
