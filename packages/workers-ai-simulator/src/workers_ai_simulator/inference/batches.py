"""Asynchronous batches: requests that are queued together, and answered when they are asked for by the batch's id.

After https://developers.cloudflare.com/workers-ai/features/batch-api/. When a batch is done is made up: who asks for it
first finds it running, who asks again gets its answers, so that a program has to wait here as well.
"""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.inference.answers import Answer
from workers_ai_simulator.inference.calls import ModelCall
from workers_ai_simulator.models import Model
from workers_ai_simulator.text import tokens
from workers_ai_simulator.validation import invalid, mismatch, required

MOST_BATCHES = 1000
"""That are kept; upstream does not say how long it keeps them."""

Run = Callable[[dict[str, Any]], Awaitable[Answer | AsyncIterator[str]]]
"""Answers the inputs of one request, or raises UpstreamError."""


def is_meant(call: ModelCall) -> bool:
    """Whether the call queues a batch, or asks for one."""
    return bool(call.options.get("queueRequest")) or "request_id" in call.inputs


@dataclass
class Batch:
    model: str
    requests: list[dict[str, Any]]
    was_asked_for: bool = False


class Batches:
    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}

    async def answer(self, model: Model, inputs: dict[str, Any], run: Run) -> dict[str, Any]:
        """Queue `{requests: […]}`, or answer `{request_id}`.

        `{status: "queued" | "running", request_id, model}`, and once it is done `{responses: [{id, success, result,
        external_reference}], usage}`. A request that fails has an `error` in place of the `result`: how upstream words
        that was not found.

        Raises UpstreamError 8007 (recorded, the status is a guess) if the model has no queue, 5006 for other inputs;
        that an unknown `request_id` is one of them is made up.
        """
        if "request_id" in inputs:
            return await self._asked_for(model, inputs["request_id"], run)
        if "batch" not in model.abilities:
            raise UpstreamError(400, 8007, "This model does not support request queuing")
        request_id = str(uuid.uuid4())
        self._batches[request_id] = Batch(model.id, _requests(inputs))
        if len(self._batches) > MOST_BATCHES:
            del self._batches[next(iter(self._batches))]
        return {"status": "queued", "request_id": request_id, "model": model.id}

    async def _asked_for(self, model: Model, request_id: object, run: Run) -> dict[str, Any]:
        batch = self._batches.get(str(request_id))
        if batch is None or batch.model != model.id:
            raise UpstreamError(400, 5006, f"Error: {model.id} has no batch with the request_id {request_id}")
        if not batch.was_asked_for:
            batch.was_asked_for = True
            return {"status": "running", "request_id": request_id, "model": model.id}
        usage = Counter[str](prompt_tokens=0, completion_tokens=0, total_tokens=0)
        responses = [await _response(number, each, run, usage) for number, each in enumerate(batch.requests)]
        return {"responses": responses, "usage": usage}


async def _response(number: int, request: dict[str, Any], run: Run, usage: Counter[str]) -> dict[str, Any]:
    inputs = {name: value for name, value in request.items() if name not in ("external_reference", "stream")}
    reference = request.get("external_reference")
    try:
        result = await run(inputs)
    except UpstreamError as error:
        return {"id": number, "error": str(error), "success": False, "external_reference": reference}
    usage.update(_usage(inputs, result))
    return {"id": number, "result": result, "success": True, "external_reference": reference}


def _usage(inputs: dict[str, Any], result: object) -> dict[str, int]:
    """What the answer says of it; the tokens of the inputs where it says nothing, as embeddings do."""
    said: Any = cast("dict[str, Any]", result).get("usage") if isinstance(result, dict) else None
    if not isinstance(said, dict):
        count = sum(len(tokens(each)) for each in _texts(inputs))
        return {"prompt_tokens": count, "total_tokens": count}
    names = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}  # the Responses dialect's
    return {names.get(name, name): count for name, count in cast("dict[str, int]", said).items()}


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return _texts(list(cast("dict[str, object]", value).values()))
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [text for each in items for text in _texts(each)]


def _requests(inputs: dict[str, Any]) -> list[dict[str, Any]]:
    required(inputs, "requests")
    requests: Any = inputs["requests"]
    if not isinstance(requests, list):
        raise mismatch("/requests", requests, "array")
    if not requests:
        raise invalid("required properties at '/' are 'requests'")
    for number, each in enumerate(cast("list[Any]", requests)):
        if not isinstance(each, dict):
            raise mismatch(f"/requests/{number}", each, "object")
    return cast("list[dict[str, Any]]", requests)
