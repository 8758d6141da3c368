"""`GET /health`."""

from pydantic import BaseModel

from aiworker import __version__
from aiworker.context import Context
from aiworker.http.body import Reply
from aiworker.http.messages import Response, json_response
from aiworker.routing import Returns, route


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
    """Versions of Python and Pyodide, and the id of the deployed version."""
    bindings: dict[str, bool]
    """Every binding of wrangler.jsonc, and whether this Worker has it."""
    simulated: list[str]
    """Bindings behind which a simulator runs."""
    access: str
    isolate: Isolate


@route("GET", "/health", scope="open", rate="read", tag="About", returns=Returns(Health, "The state of the Worker."))
async def health(context: Context) -> Response:
    """Report whether the Worker is up.

    Versions, which bindings are present, and which of them are simulated.
    """
    bindings = dict(context.bindings)
    return json_response(
        {
            "status": "ok" if all(bindings.values()) else "degraded",
            "version": __version__,
            "platform": dict(context.versions),
            "bindings": bindings,
            "simulated": list(context.settings.simulated),
            "access": context.settings.policy.mode,
            "isolate": {**context.isolate(), "open_circuits": context.breaker.open_circuits},
        }
    )
