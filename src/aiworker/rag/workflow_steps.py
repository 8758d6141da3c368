"""The steps of a Workflow's instance, over the step object of the workers SDK."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiworker.errors import ApiError
from aiworker.rag.steps import NonRetryableError, StepError

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

MARKED = "‹‹%s››"  # noqa: RUF001
"""A message for readers within the error of a step, around which the platform puts a traceback."""
MESSAGE = re.compile(MARKED % "(.*?)", re.DOTALL)


class WorkflowSteps:
    """aiworker.rag.steps.Steps over the SDK's. Results are stored as JSON text."""

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
                raise RuntimeError(MARKED % error.message) from error

        run = self._step.do(name, config=PATIENT if patiently else ORDINARY)(attempt)
        try:
            outcome = json.loads(await run())
        except Exception as error:
            message = MESSAGE.search(str(error))
            # for any other exception, the platform's log has the traceback
            raise StepError(message[1] if message else f"The step “{name}” failed.") from error
        if "hopeless" in outcome:
            raise NonRetryableError(outcome["hopeless"])
        return outcome["result"]
