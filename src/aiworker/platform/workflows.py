"""The workflow that ingests documents: the binding `INGESTIONS`, and the steps of an instance."""

import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pyodide.ffi import JsException

from aiworker.errors import ApiError
from aiworker.platform.javascript import js_object
from aiworker.rag import ingest

ENDED = ("complete", "errored", "terminated")
"""States of an instance that no longer runs."""

ORDINARY: Mapping[str, Any] = {
    "retries": {"limit": 6, "delay": "1 second", "backoff": "exponential"},
    "timeout": "10 minutes",
}
PATIENT: Mapping[str, Any] = {
    "retries": {"limit": 90, "delay": "2 seconds", "backoff": "constant"},
    "timeout": "1 minute",
}


class IngestionWorkflow:
    """aiworker.bindings.Ingestions over a Workflow."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def start(self, version_id: str) -> None:
        instance = js_object({"id": version_id, "params": {"version": version_id}})
        try:
            await self._binding.create(instance)
        except JsException as error:
            if "already_exists" not in str(error):
                raise ApiError("upstream_error", f"The workflow could not be started: {error}") from error

    async def wake(self, version_id: str) -> None:
        try:
            instance = await self._binding.get(version_id)
        except JsException:  # a crash came before it was started
            await self.start(version_id)
            return
        with contextlib.suppress(JsException):  # it ends at this moment
            if (await instance.status()).status in ENDED:  # its last step, which notes the failure, has failed too
                await instance.restart()
                return
            # the local engine has no alarm: an event, of whatever type, wakes it. Steps that are done stay done
            await instance.sendEvent(js_object({"type": "wake", "payload": {}}))


class WorkflowSteps:
    """aiworker.rag.ingest.Steps over the SDK's."""

    def __init__(self, step: Any) -> None:
        self._step = step

    async def do(self, name: str, work: Callable[[], Awaitable[Any]], *, patiently: bool = False) -> Any:
        # a failure that no retry can mend counts as done, so that it is not retried; every replay then repeats it.
        # Instances have stored its key, "hopeless", which must therefore stay
        async def attempt() -> str:
            try:
                return json.dumps({"result": await work()})
            except ingest.NonRetryableError as error:
                return json.dumps({"hopeless": str(error)})
            except ApiError as error:
                raise RuntimeError(error.message) from error

        done = json.loads(await self._step.do(name, config=PATIENT if patiently else ORDINARY)(attempt)())
        if "hopeless" in done:
            raise ingest.NonRetryableError(done["hopeless"])
        return done["result"]
