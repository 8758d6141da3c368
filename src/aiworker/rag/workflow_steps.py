"""The steps of a Workflow's instance, over the step object of the workers SDK."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiworker.errors import ApiError
from aiworker.rag.ingest import NonRetryableError

ORDINARY: Mapping[str, Any] = {
    "retries": {"limit": 6, "delay": "1 second", "backoff": "exponential"},
    "timeout": "10 minutes",
}
"""Configuration of a step whose work may fail for a moment."""
PATIENT: Mapping[str, Any] = {
    "retries": {"limit": 90, "delay": "2 seconds", "backoff": "constant"},
    "timeout": "1 minute",
}
"""Configuration of a step that waits for another system."""


class WorkflowSteps:
    """aiworker.rag.ingest.Steps over the SDK's. Results are stored as JSON text."""

    def __init__(self, step: Any) -> None:
        """step: the SDK's WorkflowStep."""
        self._step = step

    async def do(self, name: str, work: Callable[[], Awaitable[Any]], *, patiently: bool = False) -> Any:
        # a failure that no retry can mend is stored as a result, so that it is not retried, and is raised in each
        # replay. Its key, "hopeless", is in the stored state of running instances, and must therefore stay
        async def attempt() -> str:
            try:
                return json.dumps({"result": await work()})
            except NonRetryableError as error:
                return json.dumps({"hopeless": str(error)})
            except ApiError as error:
                raise RuntimeError(error.message) from error

        outcome = json.loads(await self._step.do(name, config=PATIENT if patiently else ORDINARY)(attempt)())
        if "hopeless" in outcome:
            raise NonRetryableError(outcome["hopeless"])
        return outcome["result"]
