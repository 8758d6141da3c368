"""The workflow that ingests documents: the binding `INGESTIONS`."""

import contextlib
from typing import Any

from pyodide.ffi import JsException

from aiworker.errors import ApiError
from aiworker.platform.javascript import error_message, js_object

ENDED = ("complete", "errored", "terminated")
"""States of an instance that no longer runs."""


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
                raise ApiError(
                    "upstream_error", f"The workflow could not be started: {error_message(error)}"
                ) from error

    async def wake(self, version_id: str) -> None:
        try:
            instance = await self._binding.get(version_id)
        except JsException:  # a crash has prevented its start
            await self.start(version_id)
            return
        with contextlib.suppress(JsException):  # it may end at this moment
            if (await instance.status()).status in ENDED:  # even the step that records a failure has failed
                await instance.restart()
                return
            # the local engine has no alarm: an event of any type resumes the instance. Finished steps are not repeated
            await instance.sendEvent(js_object({"type": "wake", "payload": {}}))
