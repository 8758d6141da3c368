"""Fields that are sent with their documented default: the request is the same as without them."""

import json
import re
from typing import Any

import pytest

from aiworker.models import catalogue
from aiworker.routes.image_schema import ImageRequest
from aiworker.routes.speech_schema import SpeakRequest, TranscribeRequest
from tests.unit.stand_ins import FakeAnswer, answered, body_text, post, streamed

Json = dict[str, Any]

NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
OPENAI = "@cf/openai/gpt-oss-20b"
FUNCTION: Json = {"name": "tide", "parameters": {"type": "object", "properties": {}}}
TOOLS: Json = {"tools": [{"type": "function", "function": FUNCTION}]}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
NOTHING: Json = {"skip_cache": False, "cache_ttl": None, "cache_key": None, "metadata": None}
"""Options of the gateway that ask for nothing; without a gateway, all others are refused."""
JSON_MODE = '"type": "json_schema"'
SAMPLING = ("temperature", "top_p", "top_k", "seed", "repetition_penalty", "frequency_penalty", "presence_penalty")


def alone(defaults: list[Any]) -> list[tuple[Json, Json]]:
    """Return the fields as cases in which the request has nothing but what it needs."""
    return [({}, each) for each in defaults]


def nulls(*names: str) -> list[Json]:
    return [{name: None} for name in names]


def seeing(**detail: Any) -> Json:
    image = {"type": "image_url", "image_url": {"url": PIXEL, **detail}}
    return {"messages": [{"role": "user", "content": [image]}], "model": "@cf/meta/llama-4-scout-17b-16e-instruct"}


MESSAGE: Json = {"role": "user", "content": "Hello"}
ASSISTANT: Json = {"role": "assistant", "content": "Hi"}
STRICT: Json = {"tools": [{"type": "function", "function": {**FUNCTION, "strict": False, "description": None}}]}
NO_PARAMETERS: Json = {"tools": [{"type": "function", "function": {"name": "tide"}}]}
NULL_PARAMETERS: Json = {"tools": [{"type": "function", "function": {"name": "tide", "parameters": None}}]}
SCHEMA: Json = {"name": "answer", "schema": {"type": "object"}}


def by_schema(**fields: Any) -> Json:
    return {"response_format": {"type": "json_schema", "json_schema": {**SCHEMA, **fields}}}


CHAT: list[tuple[Json, Json]] = [
    *alone([
        *nulls("model", "prompt", "tools", "functions", "tool_choice", "worker_tools", "response_format",
               "conversation",
               "gateway", "max_tokens", *SAMPLING),
        {"raw": False}, {"tool_choice": "auto"}, {"tool_choice": "none"},
        {"response_format": {"type": "text"}}, {"response_format": {"type": "text", "json_schema": None}},
        {"gateway": {}}, {"gateway": NOTHING}, {"gateway": {"metadata": {}}},
        {"messages": [{**MESSAGE, "name": None, "tool_calls": None, "tool_call_id": None}]},
    ]),
    (TOOLS, {"tool_choice": "auto"}), (TOOLS, {"response_format": {"type": "text"}}), (TOOLS, STRICT),
    (NO_PARAMETERS, NULL_PARAMETERS), (seeing(), seeing(detail="auto")), (seeing(), seeing(detail=None)),
    ({"worker_tools": True}, {"response_format": {"type": "text"}}),
    ({"functions": [FUNCTION]}, {"functions": [{**FUNCTION, "strict": False}], "tool_choice": "auto"}),
]  # fmt: skip

V1_COMMON: list[Any] = [
    *nulls("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "max_tokens", "stop",
           "stream_options",
           "n", "user", "top_k", "repetition_penalty", "gateway"),
    {"n": 1}, {"stop": []}, {"gateway": {}}, {"gateway": NOTHING}, {"stream_options": {"include_usage": False}},
    {"stream_options": {"include_usage": None, "include_obfuscation": True}}, {"stream_options": {}},
]  # fmt: skip

V1_CHAT: list[tuple[Json, Json]] = [
    *alone([
        *V1_COMMON,
        *nulls("max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call",
               "response_format", "reasoning_effort", "logit_bias", "logprobs", "top_logprobs", "modalities", "audio",
               "web_search_options", "metadata", "moderation", "prediction", "prompt_cache_key", "safety_identifier",
               "service_tier", "store", "verbosity"),
        {"response_format": {"type": "text"}}, {"tool_choice": "none"}, {"tool_choice": "auto"},
        {"function_call": "none"},
        {"function_call": "auto"}, {"parallel_tool_calls": True}, {"parallel_tool_calls": False}, {"logprobs": False},
        {"top_logprobs": 0}, {"logit_bias": {}}, {"modalities": ["text"]}, {"store": False}, {"service_tier": "auto"},
        {"verbosity": "medium"}, {"metadata": {}}, {"prediction": None},
        {"messages": [{**MESSAGE, "name": None, "tool_calls": [], "function_call": None, "audio": None,
        "refusal": None}]},
    ]),
    (TOOLS, {"tool_choice": "auto"}), (TOOLS, {"parallel_tool_calls": True}), (TOOLS, STRICT),
    (NO_PARAMETERS, NULL_PARAMETERS), (seeing(), seeing(detail="auto")), (by_schema(), by_schema(strict=False)),
    (by_schema(), by_schema(strict=None, description=None)),
    ({"functions": [FUNCTION]}, {"function_call": "auto"}),
    ({"messages": [MESSAGE, ASSISTANT, MESSAGE]},
     {"messages": [MESSAGE, {**ASSISTANT, "tool_calls": None, "audio": None, "annotations": []}, MESSAGE]}),
]  # fmt: skip

V1_COMPLETIONS = alone(
    [
        *V1_COMMON, *nulls("best_of", "echo", "logit_bias", "logprobs", "suffix"), {"raw": False}, {"best_of": 1},
        {"echo": False}, {"logit_bias": {}}, {"suffix": ""},
    ]
)  # fmt: skip

FLAT: Json = {"type": "function", **FUNCTION}


def by_format(**fields: Any) -> Json:
    return {"text": {"format": {"type": "json_schema", **SCHEMA, **fields}}}


V1_RESPONSES: list[tuple[Json, Json]] = [
    *alone([
        *nulls("instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "max_output_tokens",
               "temperature", "top_p", "metadata", "gateway", "background", "conversation", "previous_response_id",
               "prompt", "max_tool_calls", "top_logprobs", "context_management", "include", "store", "stream_options",
               "truncation", "user", "service_tier"),
        {"tools": []}, {"tool_choice": "auto"}, {"tool_choice": "none"}, {"parallel_tool_calls": True}, {"text": {}},
        {"text": {"format": {"type": "text"}}}, {"text": {"format": {"type": "text"}, "verbosity": "medium"}},
        {"text": {"format": None}}, {"reasoning": {}}, {"reasoning": {"effort": None, "summary": None}},
        {"metadata": {}},
        {"background": False}, {"top_logprobs": 0}, {"include": []}, {"truncation": "disabled"}, {"gateway": {}},
        {"service_tier": "auto"}, {"gateway": NOTHING}, {"stream_options": {"include_obfuscation": True}},
        {"input": [{"type": "message", "role": "user", "content": "Hello"}]},
    ]),
    ({"tools": [FLAT]}, {"tool_choice": "auto"}), ({"tools": [FLAT]}, {"parallel_tool_calls": True}),
    ({"tools": [FLAT]}, {"tools": [{**FLAT, "strict": False, "description": None}]}),
    (by_format(), by_format(strict=False)), (by_format(), by_format(strict=None, description=None)),
]  # fmt: skip

TEXT_ROUTES: dict[str, tuple[Json, list[tuple[Json, Json]]]] = {
    "/chat": ({"messages": [MESSAGE]}, CHAT),
    "/v1/chat/completions": ({"messages": [MESSAGE]}, V1_CHAT),
    "/v1/completions": ({"prompt": "Hello"}, V1_COMPLETIONS),
    "/v1/responses": ({"input": "Hello"}, V1_RESPONSES),
}
CASES = [(path, *case) for path, (_, cases) in TEXT_ROUTES.items() for case in cases]


async def outcome(path: str, body: Json) -> tuple[int, list[tuple[str, Any, Any]], str]:
    """Return the status, the model calls, and the body without what differs from answer to answer."""
    frames = [{"response": word} for word in ("One", " two", " three", " four")]
    is_stream = body.get("stream", path == "/chat") and JSON_MODE not in json.dumps(body)
    answer = streamed(*frames) if is_stream else answered({"response": "One two three four"})
    response, ai = await post(path, body, answer)
    text = re.sub(r"(req_|chatcmpl-|cmpl-|(resp|msg|rs|fc)_)[0-9a-f]+", "", await body_text(response))
    calls = [(model, fields, options) for model, fields, options, _ in ai.calls]
    return response.status, calls, re.sub(r'"created(_at)?": ?\d+', "", text)


@pytest.mark.parametrize("model", [NATIVE, OPENAI])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("path", "base", "defaults"), CASES, ids=[f"{each[0]} {each[2]}"[:80] for each in CASES])
async def test_a_default_changes_nothing(path: str, base: Json, defaults: Json, model: str, stream: bool) -> None:
    body = {"model": model, **TEXT_ROUTES[path][0], "stream": stream, **base}
    status, calls, text = await outcome(path, {**body, **defaults, "model": body["model"]})
    expected = await outcome(path, body)
    assert (status, calls) == expected[:2]
    assert status == 200
    if path == "/v1/responses":  # which repeats some of the request's fields
        assert text.count("event: ") == expected[2].count("event: ")
    else:
        assert text == expected[2]
    if stream and JSON_MODE not in json.dumps(body):
        assert text.count("data: ") > 4


# ---- other routes ------------------------------------------------------------------------------------------------

OTHERS: list[tuple[str, Json, list[Json]]] = [
    ("/extract", {"text": "Ada", "schema": {"type": "object"}, "model": NATIVE},
     [*nulls("instructions", "messages", "gateway", "max_tokens", *SAMPLING), {"gateway": {}}, {"gateway": NOTHING}]),
    ("/embed", {"text": "a"}, [*nulls("model", "pooling", "gateway"), {"gateway": {}}, {"gateway": NOTHING}]),
    ("/rerank", {"query": "a", "contexts": ["b"]}, [*nulls("top_k", "model", "gateway"), {"gateway": NOTHING}]),
    ("/translate", {"text": "a", "target_lang": "fr"},
     [*nulls("model", "gateway"), {"source_lang": "en"}, {"gateway": NOTHING}]),
    ("/classify", {"text": "a"}, [*nulls("model", "gateway"), {"gateway": NOTHING}]),
    ("/summarize", {"text": "a"}, [*nulls("model", "gateway"), {"max_length": 256}, {"gateway": NOTHING}]),
    ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"},
     [*nulls("encoding_format", "dimensions", "user", "gateway"), {"encoding_format": "float"}, {"gateway": NOTHING}]),
    ("/v1/images/generations", {"prompt": "a fox"},
     [*nulls("model", "size", "response_format", "n", "stream", "partial_images", "background", "negative_prompt",
            "steps",
             "guidance", "seed", "gateway", "quality", "style", "output_format", "moderation"),
      {"n": 1}, {"size": "auto"}, {"size": "1024x1024"}, {"response_format": "b64_json"}, {"stream": False},
      {"partial_images": 0}, {"background": "auto"}, {"quality": "auto"}, {"output_format": "png"},
      {"gateway": NOTHING}]),
    ("/v1/audio/speech", {"model": "tts-1", "input": "Hello", "voice": "alloy"},
     [*nulls("speed", "stream_format", "instructions", "gateway"), {"speed": 1}, {"speed": 1.0},
            {"stream_format": "audio"},
      {"response_format": "mp3"}, {"instructions": ""}, {"gateway": NOTHING}]),
]  # fmt: skip
OTHER_CASES = [(path, body, each) for path, body, cases in OTHERS for each in cases]


@pytest.mark.parametrize(
    ("path", "body", "defaults"), OTHER_CASES, ids=[f"{each[0]} {each[2]}"[:80] for each in OTHER_CASES]
)
async def test_a_default_changes_no_call_of_a_model(path: str, body: Json, defaults: Json) -> None:
    answer = FakeAnswer(200, '{"response": {}}', content_type="application/json")
    with_defaults, ai = await post(path, {**body, **defaults}, answer)
    without, expected = await post(path, body, answer)
    assert [each[:3] for each in ai.calls] == [each[:3] for each in expected.calls]
    assert ai.calls
    assert with_defaults.status == without.status


SCHNELL, KLEIN = "@cf/black-forest-labs/flux-1-schnell", "@cf/black-forest-labs/flux-2-klein-4b"


@pytest.mark.parametrize(
    ("model", "defaults"),
    [
        (SCHNELL, {"width": 1024, "height": 1024}), (SCHNELL, {"store": False, "gateway": NOTHING, "image": None}),
        (KLEIN, {"steps": 4}), (KLEIN, {"gateway": NOTHING}), (KLEIN, {"seed": None, "negative_prompt": None}),
    ],
)  # fmt: skip
def test_an_image_s_default_is_no_parameter(model: str, defaults: Json) -> None:
    row = catalogue.MODELS[model]
    body, plain = ImageRequest(prompt="a fox", **defaults), ImageRequest(prompt="a fox")
    body.check(row)
    assert body.inputs(row, {}) == plain.inputs(row, {})


def test_a_recording_s_default_is_no_parameter() -> None:
    whisper = catalogue.MODELS["@cf/openai/whisper"]
    defaults: Json = {"task": "transcribe", "vad_filter": False, "diarize": False, "mode": "general", "vtt": False}
    assert TranscribeRequest(**defaults).inputs(whisper, ()) == {}


def test_a_voice_s_default_is_no_parameter() -> None:
    melotts = catalogue.MODELS["@cf/myshell-ai/melotts"]
    assert SpeakRequest(text="Hello", encoding="mp3", voice=None).inputs(melotts) == {"prompt": "Hello"}
