"""`GET /health`: is it up, which versions, what is it bound to."""

from aiworker import __version__
from aiworker.context import Context
from aiworker.http.messages import Response, json_response


async def health(context: Context) -> Response:
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
