"""Models through a gateway: its own HTTP endpoints, and the binding's universal run."""

import json
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.gateway.errors import (
    GatewayError,
    invalid,
    provider_not_simulated,
    unauthorized,
    unknown_provider,
)
from workers_ai_simulator.gateway.options import GatewayOptions, from_headers
from workers_ai_simulator.gateway.requests import json_body
from workers_ai_simulator.gateway.service import Gateways
from workers_ai_simulator.http import Handler, json_value, media_type
from workers_ai_simulator.inference.models import ModelCall, Result, RunModel
from workers_ai_simulator.inference.requests import inputs_for
from workers_ai_simulator.inference.responses import dialect_response, enveloped_response, rest_error, result_response
from workers_ai_simulator.text_generation.conversation import Dialect

WORKERS_AI = "workers-ai"
COMPAT = "compat"
"""Provider of a step whose model names the provider; Cloudflare's example has `chat/completion` as its endpoint."""
ROUTED = ("dynamic", "custom")
"""First parts of the names of routes and of aliases."""
OTHER_PROVIDERS = (
    "anthropic", "aws-bedrock", "azure-openai", "google-vertex-ai", "huggingface", "openai", "perplexity-ai",
    "replicate", "groq", "cohere", "google-ai-studio", "mistral", "grok", "openrouter", "deepseek", "cerebras",
    "cartesia", "elevenlabs", "adobe-firefly",
)  # fmt: skip
"""`AIGatewayProviders` of workers-types. There is no model behind them here: calls answer 501."""

CHAT_COMPLETIONS = "v1/chat/completions"
DIALECTS: dict[str, Dialect] = {CHAT_COMPLETIONS: "openai", "v1/responses": "responses"}
"""Endpoint of Workers AI → dialect of its body and its answer. Any other endpoint is a model's id."""

CONFIG_HEADERS = {
    "requestTimeout": "cf-aig-request-timeout",
    "maxAttempts": "cf-aig-max-attempts",
    "retryDelay": "cf-aig-retry-delay",
    "backoff": "cf-aig-backoff",
    "cacheTtl": "cf-aig-cache-ttl",
    "skipCache": "cf-aig-skip-cache",
}
"""Name in a step's `config` → the header with the same meaning."""


@dataclass(frozen=True)
class Step:
    """One request to one provider, of several that are tried in turn."""

    provider: str
    endpoint: str
    query: dict[str, Any]
    headers: dict[str, str]
    """Headers of this step alone, with names in lower case."""


class Endpoints:
    """HTTP handlers of the endpoints that run models. Each raises UpstreamError."""

    def __init__(self, gateways: Gateways, run_model: RunModel) -> None:
        self._gateways = gateways
        self._run_model = run_model

    def authenticated(self, handler: Handler) -> Handler:
        """The handler, behind a check for a token if the gateway requires one; any token will do."""

        async def guarded(request: Request) -> Response:
            gateway = self._gateways.store.find(request.path_params["gateway"])
            if gateway and gateway.settings["authentication"] and "cf-aig-authorization" not in request.headers:
                raise unauthorized()
            return await handler(request)

        return guarded

    async def universal(self, request: Request) -> Response:
        """Run the steps in the body in turn until one succeeds: `[{provider, endpoint, headers, query, config}]`."""
        steps = _steps(await request.body())
        for number, step in enumerate(steps[:-1]):
            try:
                return await self._run(request, step, number)
            except UpstreamError:
                continue  # its log has the reason; in this case, the caller asks for the next step
        return await self._run(request, steps[-1], len(steps) - 1)

    async def compat(self, request: Request) -> Response:
        """OpenAI's chat completions, with models named `provider/model`."""
        return await self._run(request, Step(COMPAT, CHAT_COMPLETIONS, await json_body(request), {}), 0)

    async def direct(self, request: Request) -> Response:
        """An endpoint of one provider."""
        provider, endpoint = request.path_params["provider"], request.path_params["endpoint"]
        if provider == WORKERS_AI:
            query = await inputs_for(_model_or_dialect(endpoint), request)
        else:
            query = await json_body(request)
        return await self._run(request, Step(provider, endpoint, query, {}), 0)

    async def _run(self, request: Request, step: Step, number: int) -> Response:
        step = _of_its_provider(step)
        headers = {**request.headers, **step.headers}
        options = from_headers(request.path_params["gateway"], headers)
        options |= {"provider": step.provider, "path": step.endpoint, "step": number, "surface": "endpoint"}
        if step.provider in ROUTED:
            inputs = {name: value for name, value in step.query.items() if name != "model"}
            model = f"{step.provider}/{step.query.get('model', '')}"
            call = ModelCall(model, inputs, {"gateway": {**options, "path": None}}, "openai", media_type(request))
            return dialect_response(await self._run_model(request, call))
        if step.provider != WORKERS_AI:
            return result_response(await self._run_elsewhere(options, step))
        endpoint = _model_or_dialect(step.endpoint)
        dialect = DIALECTS.get(endpoint)
        inputs = dict(step.query)
        model = str(inputs.pop("model", "")) if dialect else endpoint
        call = ModelCall(model, inputs, {"gateway": options}, dialect, media_type(request))
        result = await self._run_model(request, call)
        return dialect_response(result) if dialect else enveloped_response(result)

    async def _run_elsewhere(self, options: dict[str, Any], step: Step) -> Result:
        """Log the call of another provider, and refuse it."""

        async def attempt() -> Result:
            if step.provider in OTHER_PROVIDERS:
                raise provider_not_simulated(step.provider)
            raise unknown_provider()

        call = ModelCall(str(step.query.get("model", "")), step.query)
        return await self._gateways.run(GatewayOptions.from_json(options), call, attempt)


def refusing(handler: Handler) -> Handler:
    """The handler, with its UpstreamError as a response: a gateway's own as the binding has it, others in REST's."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except (GatewayError, NotSimulated) as error:
            return error.response()
        except UpstreamError as error:
            return rest_error(error)

    return guarded


def _of_its_provider(step: Step) -> Step:
    """The step, of the provider that its model names if its own is `compat`."""
    if step.provider != COMPAT:
        return step
    provider, _, model = str(step.query.get("model", "")).partition("/")
    return Step(provider, CHAT_COMPLETIONS, step.query | {"model": model}, step.headers)


def _model_or_dialect(endpoint: str) -> str:
    """A model's id, or a key of DIALECTS, from an endpoint of Workers AI."""
    return endpoint.strip("/").removeprefix("run/")


def _steps(body: bytes) -> list[Step]:
    try:
        value: Any = json_value(body)
    except ValueError:
        raise invalid("The body must be JSON") from None
    steps = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not steps:
        raise invalid("Expected at least one request")
    return [_step(each) for each in steps]


def _step(value: Any) -> Step:
    match value:
        case {"provider": str(provider), "endpoint": str(endpoint), "query": {**query}, **others}:
            headers: Any = others.get("headers") or {}
            config: Any = others.get("config") or {}
            if isinstance(headers, dict) and isinstance(config, dict):
                merged = _step_headers(cast("dict[str, Any]", headers), cast("dict[str, Any]", config))
                return Step(provider, endpoint, query, merged)
        case _:
            pass
    raise invalid("Expected requests with provider, endpoint, headers and query")


def _step_headers(headers: dict[str, Any], config: dict[str, Any]) -> dict[str, str]:
    """Headers of a step, with those that its config stands for."""
    of_config = {CONFIG_HEADERS[name]: value for name, value in config.items() if name in CONFIG_HEADERS}
    merged = {name.lower(): value for name, value in headers.items()} | of_config
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in merged.items()}
