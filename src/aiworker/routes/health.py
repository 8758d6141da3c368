"""`GET /health`."""

import time
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from aiworker import __version__
from aiworker.auth import access
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply
from aiworker.http.messages import Response, json_response
from aiworker.routing import Returns, route
from aiworker.settings import RagEngine

DEPLOYMENT = "deployment"
"""Key of the deployed version's id among the versions, which scripts/deploy waits for."""


class Isolate(BaseModel):
    """The isolate that answers; a Worker has several at a time."""

    requests: int
    """Requests since the isolate started."""
    open_streams: int
    """Response bodies being written."""
    objects: int
    """Number of objects tracked by the garbage collector, sampled at most every ten seconds. A steady rise means a
    leak."""
    memory_bytes: int
    """Size of WebAssembly's memory, which never shrinks."""
    open_circuits: list[str]
    """Models that are not called for a while because they keep failing."""


class Health(Reply):
    status: str
    """`ok`, or `degraded` if a binding is missing."""
    version: str
    platform: dict[str, str]
    """The id of the deployed version; for `admin` callers the versions of Python and Pyodide, too."""
    bindings: dict[str, bool]
    """Every binding that this Worker needs or has, and whether it has it."""
    simulated: list[str]
    """Bindings behind which a simulator runs."""
    real_models: dict[str, str] | None = None
    """Tasks that a real model of this machine answers behind the simulator → the model, such as `llama3.2 by Ollama`.
    Missing if there are none."""
    access: str
    """Callers that are answered: those with `keys`, the `public`, or, without any key, none: `closed`."""
    simulator: str | None = None
    """Address of the simulator's page, if there is one; for `admin` callers only."""
    isolate: Isolate | None = None
    """Memory and counters; missing for all callers but those with the scope `admin`."""


UNNEEDED: Mapping[RagEngine, frozenset[str]] = {
    "own": frozenset(("AI_SEARCH",)),
    "ai-search": frozenset(("VECTORIZE",)),
}
"""Engine of /rag → the bindings that only the other one uses."""


@route("GET", "/health", scope="open", rate="read", tag="About", returns=Returns(Health, "The state of the Worker."))
async def health(context: Context) -> Response:
    """Report whether the Worker is up.

    Its version, which bindings are present, and which of them are simulated. `admin` callers also get the versions of
    the platform and the memory and counters of the isolate that answers.
    """
    unneeded = UNNEEDED[context.settings.rag_engine]
    bindings = {name: is_there for name, is_there in context.bindings.items() if is_there or name not in unneeded}
    health: dict[str, Any] = {
        "status": "ok" if all(bindings.values()) else "degraded",
        "version": __version__,
        "platform": {name: version for name, version in context.versions.items() if name == DEPLOYMENT},
        "bindings": bindings,
        "simulated": list(context.settings.simulated),
        "access": context.settings.policy.mode,
    }
    if real_models := _real_models(context):
        health["real_models"] = real_models
    if _is_admin(context):
        health["platform"] = dict(context.versions)
        health["simulator"] = context.settings.simulator_url
        health["isolate"] = {**context.isolate(), "open_circuits": context.breaker.open_circuits}
    response = json_response(health)
    response.headers["cache-control"] = "no-store"
    return response


def _real_models(context: Context) -> dict[str, str]:
    settings = context.settings
    models = {"text-generation": settings.real_chat_model, "embeddings": settings.real_embed_model}
    return {task: model for task, model in models.items() if model}


def _is_admin(context: Context) -> bool:
    """Tell whether the caller has the scope `admin`. A wrong key is no error here: the route is open to everybody."""
    try:
        access.identify(context.request, context.settings.policy, access.ADMIN, time.time())
    except ApiError:
        return False
    return True
