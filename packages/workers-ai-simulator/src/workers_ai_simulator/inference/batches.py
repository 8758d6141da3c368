"""Asynchronous batches: requests queued together, whose answers are fetched by the batch's request id.

After https://developers.cloudflare.com/workers-ai/features/batch-api/. The moment at which a batch is done is invented:
the first poll answers that it is running, the second has its results, so that a program has to poll here as well.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.inference.models import Answer, ModelCall
from workers_ai_simulator.inference.store import Batch, BatchStore
from workers_ai_simulator.text import tokens
from workers_ai_simulator.validation import invalid, list_input, mismatch

Run = Callable[[dict[str, Any]], Awaitable[Answer | AsyncIterator[str]]]
"""Answers the inputs of one request, or raises UpstreamError."""


def is_batch(call: ModelCall) -> bool:
    """Whether the call queues a batch, or polls one."""
    return bool(call.options.get("queueRequest")) or "request_id" in call.inputs


async def answer(store: BatchStore, model: Model, inputs: dict[str, Any], run: Run) -> dict[str, Any]:
    """Queue the batch `{requests: […]}`, or answer the poll `{request_id}`.

    `{status: "queued" | "running", request_id, model}`, and once it is done `{responses: [{id, success, result,
    external_reference}], usage}`. A request that fails has an `error` in place of the `result`: no recording shows how
    upstream words it.

    Raises UpstreamError 8007 (recorded; its status is a guess) if the model has no queue, 5006 for other inputs, an
    unknown `request_id` (invented) among them.
    """
    if "request_id" in inputs:
        return await _poll(store, model, inputs["request_id"], run)
    if "batch" not in model.abilities:
        raise UpstreamError(400, 8007, "This model does not support request queuing")
    request_id = store.add(Batch(model.id, _requests(inputs)))
    return {"status": "queued", "request_id": request_id, "model": model.id}


async def _poll(store: BatchStore, model: Model, request_id: object, run: Run) -> dict[str, Any]:
    batch = store.find(str(request_id))
    if batch is None or batch.model != model.id:
        raise invalid(f"{model.id} has no batch with the request_id {request_id}")
    if not batch.polled:
        batch.polled = True
        return {"status": "running", "request_id": request_id, "model": model.id}
    usage = Counter[str](prompt_tokens=0, completion_tokens=0, total_tokens=0)
    responses = [await _response(number, each, run, usage) for number, each in enumerate(batch.requests)]
    return {"responses": responses, "usage": usage}


async def _response(number: int, request: dict[str, Any], run: Run, usage: Counter[str]) -> dict[str, Any]:
    """Answer one request of a batch, and add its tokens to the batch's usage."""
    inputs = {name: value for name, value in request.items() if name not in ("external_reference", "stream")}
    reference = request.get("external_reference")
    try:
        result = await run(inputs)
    except UpstreamError as error:
        return {"id": number, "error": str(error), "success": False, "external_reference": reference}
    usage.update(_usage(inputs, result))
    return {"id": number, "result": result, "success": True, "external_reference": reference}


def _usage(inputs: dict[str, Any], result: object) -> dict[str, int]:
    """Tokens that the answer reports; for an answer that reports none, such as embeddings, the tokens of the inputs."""
    reported: Any = cast("dict[str, Any]", result).get("usage") if isinstance(result, dict) else None
    if not isinstance(reported, dict):
        count = sum(len(tokens(each)) for each in _texts(inputs))
        return {"prompt_tokens": count, "total_tokens": count}
    names = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}  # as the Responses dialect has them
    return {names.get(name, name): count for name, count in cast("dict[str, int]", reported).items()}


def _texts(value: object) -> list[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return _texts(list(cast("dict[str, object]", value).values()))
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [text for each in items for text in _texts(each)]


def _requests(inputs: dict[str, Any]) -> list[dict[str, Any]]:
    requests = list_input(inputs, "requests")
    for number, each in enumerate(requests):
        if not isinstance(each, dict):
            raise mismatch(f"/requests/{number}", each, "object")
    return requests
