"""The steps of a Workflow, over a stand-in of the SDK's step that stores results as the platform does."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.rag.steps import NonRetryableError, StepError
from aiworker.rag.workflow_steps import ORDINARY, PATIENT, WorkflowSteps


class FakeStep:
    """The SDK's step: a step that has succeeded is not run again; exceptions are the platform's to retry."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}
        self.configurations: dict[str, Mapping[str, Any]] = {}

    def do(
        self, name: str, *, config: Mapping[str, Any]
    ) -> Callable[[Callable[[], Awaitable[str]]], Callable[[], Awaitable[str]]]:
        self.configurations[name] = config

        def decorate(attempt: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
            async def run() -> str:
                if name not in self.results:
                    self.results[name] = await attempt()
                return self.results[name]

            return run

        return decorate


class Work:
    """Work that counts how often it is done, and returns a value or raises an exception."""

    def __init__(self, outcome: Any) -> None:
        self.calls = 0
        self._outcome = outcome

    async def __call__(self) -> Any:
        self.calls += 1
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def do(step: FakeStep, work: Work, *, patiently: bool = False) -> Any:
    """Run the step "one" in a new instance of the workflow, as after a restart."""
    return asyncio.run(WorkflowSteps(step).do("one", work, patiently=patiently))


@pytest.mark.parametrize("result", ["text", 5, True, None, {"a": [1]}])
def test_a_step_returns_its_result_and_a_replay_the_stored_one(result: Any) -> None:
    step, work = FakeStep(), Work(result)
    assert do(step, work) == do(step, work) == result
    assert work.calls == 1


def test_a_failure_that_no_retry_can_mend_is_stored_and_raised_in_each_replay() -> None:
    step, work = FakeStep(), Work(NonRetryableError("It has no text."))
    for _ in range(2):
        with pytest.raises(NonRetryableError, match=r"^It has no text\.$"):
            do(step, work)
    assert work.calls == 1
    assert step.results == {"one": '{"hopeless": "It has no text."}'}  # instances of earlier versions have stored this


def test_other_failures_are_left_to_the_platform_which_retries() -> None:
    step, work = FakeStep(), Work(ApiError("upstream_error", "Workers AI could not answer."))
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"^Workers AI could not answer\.$"):
            do(step, work)
    assert work.calls == 2
    assert step.results == {}


class PlatformStep(FakeStep):
    """Reports a failure as the platform does: as text, with Python's traceback."""

    def do(
        self, name: str, *, config: Mapping[str, Any]
    ) -> Callable[[Callable[[], Awaitable[str]]], Callable[[], Awaitable[str]]]:
        decorate = super().do(name, config=config)

        def decorated(attempt: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
            async def run() -> str:
                try:
                    return await decorate(attempt)()
                except Exception as error:
                    frames = "".join(traceback.format_exception(error))
                    raise OSError(f"Error: PythonError: {frames}\n    at new_error (pyodide.asm.js:10:1)") from None

            return run

        return decorated


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (ApiError("upstream_error", "Vectorize could not answer: 40016"), "Vectorize could not answer: 40016"),
        (KeyError("_internal_name"), "The step “one” failed."),
    ],
)
def test_the_reason_of_a_failure_is_what_the_worker_says_of_it_and_nothing_else(
    failure: Exception, expected: str
) -> None:
    with pytest.raises(StepError) as caught:
        do(PlatformStep(), Work(failure))
    assert str(caught.value) == expected


def test_a_patient_step_has_more_retries() -> None:
    step = FakeStep()
    do(step, Work(1))
    assert step.configurations["one"] == ORDINARY
    do(step, Work(1), patiently=True)
    assert step.configurations["one"] == PATIENT
    assert PATIENT["retries"]["limit"] > ORDINARY["retries"]["limit"]
