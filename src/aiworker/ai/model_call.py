"""Calling a model: one way for every route."""

import json
import time
from typing import Any

from aiworker.ai.catalogue import Model
from aiworker.context import Ai, UpstreamResponse
from aiworker.errors import UPSTREAM_CODES, UPSTREAM_STATUSES, ApiError
from aiworker.http import Response

# the Response itself, whatever its status: its body need not pass through Python
OPTIONS = json.dumps({"returnRawResponse": True})

HANDED_ON = {"cf-ai-req-id": "x-ai-request-id", "cf-aig-log-id": "x-gateway-log-id"}
"""Headers of the model's answer that are this request's own → their names here."""

SENTENCES = {
    "rate_limited": "Workers AI refuses more requests for now",
    "upstream_error": "Workers AI could not answer",
}
"""What the client is told before the upstream's own words, where those alone would not say who speaks."""


async def run(ai: Ai, model: Model, inputs: dict[str, Any]) -> Response:
    """Call the model and hand on its answer, a stream or JSON, as it comes.

    Raises ApiError as UPSTREAM_CODES and UPSTREAM_STATUSES have it if the model refuses.
    """
    began = time.monotonic()
    answer = await ai.run(model.id, json.dumps(inputs, ensure_ascii=False), OPTIONS)
    facts = {
        "x-model": model.id,
        "server-timing": f"model;dur={(time.monotonic() - began) * 1000:.0f}",
        **_handed_on(answer),
    }
    if not 200 <= answer.status < 300:
        raise await _refusal(answer, facts)
    content_type = answer.header("content-type") or "application/octet-stream"
    return Response(answer.body, 200, {"content-type": content_type, "cache-control": "no-store", **facts})


def _handed_on(answer: UpstreamResponse) -> dict[str, str]:
    found = {ours: answer.header(theirs) for theirs, ours in HANDED_ON.items()}
    return {name: value for name, value in found.items() if value is not None}


async def _refusal(answer: UpstreamResponse, facts: dict[str, str]) -> ApiError:
    code, description = _upstream_words(await answer.text())
    codes, key = (UPSTREAM_CODES, code) if code else (UPSTREAM_STATUSES, answer.status)
    kind = codes.get(key, "upstream_error")
    sentence = SENTENCES.get(kind)
    words = description or f"HTTP status {answer.status}"
    wait = answer.header("retry-after") or ""
    return ApiError(
        kind,
        f"{sentence}: {words}" if sentence else words,
        upstream_code=code,
        retry_after=int(wait) if wait.isdecimal() else None,
        headers=facts,
    )


def _upstream_words(body: str) -> tuple[int | None, str]:
    """The internal code and the description of an error, from either shape in which Workers AI sends them."""
    try:
        data = json.loads(body)
    except ValueError:
        return None, body.strip()[:500]
    match data:
        case {"internalCode": int(code), "description": str(description)}:
            return code, description
        case {"errors": [{"code": int(code), "message": str(message)}, *_]}:
            return code, message
        case _:
            return None, body.strip()[:500]
