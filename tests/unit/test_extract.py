"""POST /extract where the model answers what does not fit, which a real or simulated one in JSON mode seldom does."""

import json
from typing import Any

from aiworker import app
from aiworker.auth.access import Caller
from aiworker.context import Context
from aiworker.http.messages import Response
from aiworker.log import RequestLog
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeAnswer, FakeStreams, a_context, answered, posted

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
}
OPENAI = "@cf/openai/gpt-oss-20b"


def native(value: Any, tokens: int = 10) -> FakeAnswer:
    usage = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
    return answered({"response": value, "usage": usage})


def completion(text: str) -> FakeAnswer:
    return answered({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]})


async def extract(ai: FakeAi, body: dict[str, Any] | None = None, **variables: Any) -> Response:
    request = posted("/extract", {"text": "Ada is 36.", "schema": SCHEMA, **(body or {})})

    def context(settings: Settings, caller: Caller, log: RequestLog, **_: Any) -> Context:
        return a_context(request, settings, ai, caller, log)

    return await app.handle(
        request, FakeStreams(), lambda: Settings.read({**VARIABLES, **variables}), context, RequestLog(request.method)
    )


async def test_an_answer_that_does_not_fit_goes_back_with_all_that_is_wrong() -> None:
    ai = FakeAi(native({"name": 5, "age": -1}, tokens=10), native({"name": "Ada", "age": 36}, tokens=20))
    response = await extract(ai)
    assert response.status == 200
    assert json.loads(str(response.body)) == {
        "data": {"name": "Ada", "age": 36},
        "attempts": 2,
        "usage": {"prompt_tokens": 30, "completion_tokens": 2, "total_tokens": 32},
    }
    first, second = (call[1]["messages"] for call in ai.calls)
    assert second[: len(first)] == first
    reply, correction = second[len(first) :]
    assert reply == {"role": "assistant", "content": '{"name": 5, "age": -1}'}
    assert correction["role"] == "user"
    assert "- name must be string" in correction["content"]
    assert "- age must be at least 0" in correction["content"]


async def test_an_answer_that_never_fits_is_an_error_with_the_last_attempt() -> None:
    ai = FakeAi(native({"name": 5, "age": 1}), native({"name": "Ada", "age": "old"}))
    response = await extract(ai)
    assert response.status == 422
    error = json.loads(str(response.body))["error"]
    assert (error["type"], error["param"]) == ("unprocessable", "schema")
    assert "age must be integer" in error["message"]
    assert error["details"] == {
        "last_attempt": '{"name": "Ada", "age": "old"}',
        "faults": [{"path": "age", "message": "must be integer"}],
    }
    assert response.headers["x-model"] == "@cf/meta/llama-3.1-8b-instruct-fast"
    assert len(ai.calls) == 2


async def test_a_completion_that_is_not_json_is_refused() -> None:
    for text in ("Ada is 36.", "", '{"name": "Ada"', '{"name": "Ada", "age": NaN}', '{"name": "Ada", "age": 1e999}'):
        ai = FakeAi(completion(text))
        response = await extract(ai, {"model": OPENAI})
        assert response.status == 422, text
        error = json.loads(str(response.body))["error"]
        assert "the whole is not JSON" in error["message"]
        assert error["details"]["last_attempt"] == text
        assert len(ai.calls) == 2


async def test_json_in_a_fence_of_markdown_is_json() -> None:
    response = await extract(FakeAi(completion('```json\n{"name": "Ada", "age": 36}\n```')), {"model": OPENAI})
    assert json.loads(str(response.body))["data"] == {"name": "Ada", "age": 36}


async def test_an_empty_object_is_an_answer() -> None:
    response = await extract(FakeAi(native({})), {"schema": {"type": "object"}})
    assert json.loads(str(response.body))["data"] == {}


async def test_a_gateway_s_cache_key_is_only_for_the_first_attempt() -> None:
    ai = FakeAi(native({}), native({"name": "Ada", "age": 36}))
    await extract(ai, {"gateway": {"cache_key": "ada", "cache_ttl": 60}}, GATEWAY_ID="mine")
    first, second = (call[2]["gateway"] for call in ai.calls)
    assert first == {
        "id": "mine",
        "cacheKey": "default/*/ /extract @cf/meta/llama-3.1-8b-instruct-fast whole ada",
        "cacheTtl": 60,
    }
    assert second == {"id": "mine", "cacheTtl": 60, "cacheKey": second["cacheKey"]}
    assert second["cacheKey"].startswith("content default/*/ /extract ")


async def test_a_schema_that_takes_too_long_to_check_is_refused() -> None:
    endless = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    response = await extract(FakeAi(native({})), {"schema": endless})
    assert response.status == 400
    assert json.loads(str(response.body))["error"]["param"] == "schema"
