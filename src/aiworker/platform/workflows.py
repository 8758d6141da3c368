"""The workflow that ingests and indexes documents and runs jobs: the binding `INGESTIONS`."""

from collections.abc import Mapping
from typing import Any

from pyodide.ffi import JsException

from aiworker.errors import ApiError, release
from aiworker.platform.javascript import error_message, js_errors_suppressed, js_object

ENDED = ("complete", "errored", "terminated")
"""States of an instance that no longer runs."""


class IngestionWorkflow:
    """aiworker.bindings.Ingestions over a Workflow."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def start(self, version_id: str, *, is_embedded: bool = False) -> None:
        await self._start(version_id, {"version": version_id, "embedded": is_embedded})

    async def wake(self, version_id: str) -> None:
        await self._wake(version_id, {"version": version_id})

    async def wake_reindex(self, normalization: int) -> None:
        # this id is not that of a version: the Worker's first releases would take it for a deleted version
        await self._wake(f"reindex-{normalization}", {"reindex": normalization})

    async def start_job(self, job_id: str, instance: int) -> None:
        await self._start(f"{job_id}-{instance}", {"job": job_id, "instance": instance})

    async def wake_job(self, job_id: str, instance: int) -> None:
        await self._wake(f"{job_id}-{instance}", {"job": job_id, "instance": instance})

    async def _start(self, instance_id: str, params: Mapping[str, Any]) -> None:
        try:
            await self._binding.create(js_object({"id": instance_id, "params": params}))
        except JsException as error:
            message = error_message(error)
            if "already_exists" not in message:
                raise ApiError("upstream_error", f"The workflow could not be started: {message}") from error

    async def _wake(self, instance_id: str, params: Mapping[str, Any]) -> None:
        try:
            instance = await self._binding.get(instance_id)
        except JsException as error:  # a crash has prevented its start
            release(error)
            await self._start(instance_id, params)
            return
        with js_errors_suppressed():  # it may end just now
            if (await instance.status()).status in ENDED:  # even the step that records a failure has failed
                await instance.restart()
                return
            # the local engine has no alarm: an event of any type resumes the instance. Finished steps are not repeated
            await instance.sendEvent(js_object({"type": "wake", "payload": {}}))
