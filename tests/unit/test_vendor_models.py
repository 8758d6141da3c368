"""Models of other vendors: names, prices, and each vendor's dialect, there and back."""

import json
from typing import Any

import pytest

from aiworker.bindings import Inputs
from aiworker.errors import ApiError
from aiworker.models import catalogue, estimate
from aiworker.models.completion import Completion, read_completion
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse, ResponseEpilogue, TranslatedStream
from aiworker.models.selection import find_model, text_models
from aiworker.models.vendors import anthropic, dialects, gemini
from aiworker.models.vendors.names import vendor_model, vendor_of
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeAnswer, FakeRequest, a_context, answered
from tests.unit.test_budget import budget_of, clock, store

__all__ = ["clock", "store"]

CLAUDE, GPT = "anthropic/claude-sonnet-5", "openai/gpt-5-mini"


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        (CLAUDE, "anthropic"),
        ("custom/a/b", "custom"),
        ("openai/", None),
        ("@cf/openai/gpt-oss-20b", None),
        ("gpt", None),
    ],
)
def test_a_name_begins_with_its_vendor(name: str, vendor: str | None) -> None:
    assert vendor_of(name) == vendor


def context(ai: FakeAi | None = None, **variables: Any) -> Any:
    return a_context(FakeRequest("POST", "/chat"), Settings.read({**VARIABLES, **variables}), ai or FakeAi())


def test_without_a_gateway_the_error_says_what_to_set() -> None:
    with pytest.raises(ApiError, match="set its variable GATEWAY_ID") as raised:
        find_model(context(), CLAUDE, "text-generation")
    assert (raised.value.type, raised.value.param) == ("not_configured", "model")


def test_variables_may_name_them() -> None:
    settings = Settings.read({"CHAT_MODEL": CLAUDE, "CHAT_FALLBACKS": f"{GPT} @cf/openai/gpt-oss-20b"})
    assert settings.resolve_alias("gpt-4o-mini") == CLAUDE
    assert settings.chat_fallbacks[0] == GPT
    with pytest.raises(ApiError, match="EMBED_MODEL"):
        Settings.read({"EMBED_MODEL": "openai/text-embedding-3-small"})


def test_a_fallback_of_another_vendor_needs_a_gateway() -> None:
    cases: list[tuple[dict[str, Any], list[str]]] = [({}, []), ({"GATEWAY_ID": "g"}, [CLAUDE])]
    for variables, expected in cases:
        models = text_models(context(CHAT_FALLBACKS=CLAUDE, **variables), None, lambda model: None)
        assert [model.id for model in models[1:]] == expected


# ---- prices --------------------------------------------------------------------------------------------------------


def test_a_price_is_in_dollars_or_neurons() -> None:
    prices = Settings.read({"MODEL_PRICES": f"{GPT}=$0.25/$2/$0.025 custom/mine=10/20.5"}).model_prices
    assert prices[GPT]["million_output_tokens"] == pytest.approx(2 * 1_000 / 0.011)
    assert prices["custom/mine"] == {"million_input_tokens": 10, "million_output_tokens": 20.5}
    model = vendor_model(GPT, prices[GPT])
    assert model
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 1_000_000}}
    assert catalogue.neurons(model, usage) == pytest.approx(0.025 * 1_000 / 0.011)


@pytest.mark.parametrize(
    "value",
    ["@cf/openai/gpt-oss-20b=1/2", f"{GPT}=1", f"{GPT}=1/2/3/4", f"{GPT}=free/1", f"{GPT}=-1/2", GPT, f"{GPT}=1/1e999"],
)
def test_a_value_that_is_no_price_is_refused(value: str) -> None:
    with pytest.raises(ApiError, match="MODEL_PRICES"):
        Settings.read({"MODEL_PRICES": value})


async def test_a_budget_refuses_what_it_cannot_count(store: Any) -> None:
    unpriced = context(FakeAi(answered({"choices": []})), GATEWAY_ID="g")
    object.__setattr__(unpriced, "request_budget", budget_of(store, daily=100))
    model = find_model(unpriced, GPT, "text-generation")
    call = ModelCall(unpriced, [Candidate(model, Inputs({"messages": [{"role": "user", "content": "Hi"}]}))])
    with pytest.raises(ApiError, match="add it to MODEL_PRICES") as raised:
        await call.run()
    assert raised.value.type == "not_configured"
    assert unpriced.ai.calls == []


def test_the_estimate_counts_the_owner_s_system_prompt() -> None:
    fields = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}
    plain, prompted = context(), context(SYSTEM_PROMPT="Be kind. " * 300)
    costs = [
        ModelCall(each, [Candidate(catalogue.MODELS["@cf/openai/gpt-oss-20b"], Inputs(fields))]).max_cost
        for each in (plain, prompted)
    ]
    assert costs[1] > costs[0] + 900 * 18_182 / 1e6
    model = vendor_model(GPT, {"million_input_tokens": 0, "million_output_tokens": 1_000_000})
    assert model
    assert estimate.neurons(model, Inputs({"messages": []})) == 4_096


# ---- requests ------------------------------------------------------------------------------------------------------

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CALLS = [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}]
HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "Look"}, IMAGE]},
    {"role": "assistant", "content": "", "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "c1", "content": "2"},
    {"role": "user", "content": "And now?"},
]
ADD: Any = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CHOSEN = {"type": "function", "function": {"name": "add"}}


def test_a_history_with_images_and_tools_in_anthropic_s_dialect() -> None:
    fields = {
        "messages": HISTORY,
        "tools": [ADD],
        "tool_choice": CHOSEN,
        "parallel_tool_calls": False,
        "temperature": 0,
    }
    inputs = anthropic.to_inputs(fields)
    assert [(each["role"], [block["type"] for block in each["content"]]) for each in inputs["messages"]] == [
        ("user", ["text", "image"]),
        ("assistant", ["tool_use"]),
        ("user", ["tool_result", "text"]),
    ]
    assert inputs["tool_choice"] == {"type": "tool", "name": "add", "disable_parallel_tool_use": True}
    assert (inputs["temperature"], inputs["max_tokens"]) == (0, anthropic.MAX_TOKENS)


def test_a_history_with_images_and_tools_in_gemini_s_dialect() -> None:
    inputs = gemini.to_inputs({"messages": HISTORY, "tools": [ADD], "tool_choice": "required", "stop": ["x"]})
    assert [each["role"] for each in inputs["contents"]] == ["user", "model", "user"]
    [call] = inputs["contents"][1]["parts"]
    assert call["functionCall"] == {"name": "add", "args": {"a": 1}}
    assert call["thoughtSignature"]
    assert inputs["contents"][2]["parts"][0]["functionResponse"] == {"name": "add", "response": {"result": "2"}}
    assert inputs["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert inputs["generationConfig"] == {"stopSequences": ["x"]}


def test_arguments_that_are_no_object_are_sent_as_an_empty_one() -> None:
    broken = [{"id": "c", "function": {"name": "f", "arguments": "[1"}}]
    [message] = anthropic.to_inputs({"messages": [{"role": "assistant", "content": "", "tool_calls": broken}]})[
        "messages"
    ]
    assert message["content"][0]["input"] == {}


# ---- answers -------------------------------------------------------------------------------------------------------


def events(*data: dict[str, Any]) -> bytes:
    return "".join(f"event: {each.get('type')}\ndata: {json.dumps(each)}\n\n" for each in data).encode()


def test_an_anthropic_stream_with_thinking_and_two_calls() -> None:
    completion = read_completion(
        events(
            {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "a", "name": "f"}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"x":'}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
            {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "b", "name": "f"}},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}},
            {"type": "message_stop"},
        )
    )
    assert [(call.id, call.arguments) for call in completion.tool_calls.values()] == [("a", '{"x":1}'), ("b", "{}")]
    assert (completion.reasoning, completion.has_reason) == ("Hm", True)
    assert completion.usage == {"prompt_tokens": 7, "completion_tokens": 3}


def test_an_anthropic_answer_counts_what_came_from_the_cache() -> None:
    completion = Completion()
    usage = {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 1}
    blocks = [{"type": "text", "text": "Hi"}, {"type": "later"}]
    completion.add({"type": "message", "content": blocks, "stop_reason": "max_tokens", "usage": usage})
    assert (completion.text, completion.usage["prompt_tokens"]) == ("Hi", 16)
    assert completion.usage["prompt_tokens_details"] == {"cached_tokens": 10}


def test_a_gemini_stream_with_thoughts_and_calls() -> None:
    def chunk(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"candidates": [{"content": {"parts": list(parts)}, **more}]}

    call = {"functionCall": {"name": "f", "args": {"x": 1}}}
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 2, "thoughtsTokenCount": 5}
    completion = read_completion(
        events(chunk({"text": "Hm", "thought": True}), chunk({"text": "Hi"}), chunk(call, call))
        + events({**chunk(finishReason="STOP"), "usageMetadata": usage})
    )
    assert (completion.text, completion.reasoning) == ("Hi", "Hm")
    assert [call.arguments for call in completion.tool_calls.values()] == ['{"x": 1}'] * 2
    assert completion.usage == {"prompt_tokens": 4, "completion_tokens": 7}


@pytest.mark.parametrize(
    "data",
    [
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {"candidates": [{"finishReason": "SAFETY"}]},
        {"type": "message", "content": [], "stop_reason": "refusal"},
    ],
)
def test_a_refusal_is_an_answer_without_a_text(data: dict[str, Any]) -> None:
    completion = Completion()
    completion.add(data)
    assert completion.is_answer
    assert completion.text == ""


@pytest.mark.parametrize(
    "data",
    [
        {"type": "message"}, {"type": 3}, {"candidates": []}, {"candidates": "x"}, {"candidates": [{"content": 1}]},
        {"type": "content_block_delta", "index": "0", "delta": {}}, {"type": "message_delta", "delta": []},
        {"candidates": [{"content": {"parts": [{"functionCall": 1}, {"text": 2}, 3]}}]},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}},
    ],
)  # fmt: skip
def test_an_odd_answer_is_none(data: dict[str, Any]) -> None:
    completion = Completion()
    completion.add(data)
    assert not completion.is_answer


async def test_a_vendor_s_own_error_is_read() -> None:
    words = {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens: too large"}}
    ai = FakeAi(FakeAnswer(400, json.dumps(words)))
    resources = context(ai, GATEWAY_ID="g")
    model = find_model(resources, CLAUDE, "text-generation")
    with pytest.raises(ApiError, match="max_tokens: too large") as raised:
        await ModelCall(resources, [Candidate(model, Inputs({"messages": HISTORY}))]).run()
    assert raised.value.type == "invalid_request"
    assert ai.calls[0][2]["gateway"]["id"] == "g"


def test_workers_ai_s_own_models_are_sent_what_they_were() -> None:
    fields = {"messages": HISTORY, "max_tokens": 3, "stream": True}
    assert dialects.to_inputs(catalogue.MODELS["@cf/openai/gpt-oss-20b"], fields) == fields


async def test_a_stream_is_translated_with_its_prefix_and_stored_at_its_end() -> None:
    stored: list[str] = []

    async def store(completion: Completion) -> None:
        stored.append(completion.text)

    model = vendor_model(CLAUDE, None)
    assert model
    for on_complete in (None, store):
        response = ModelResponse(model, FakeAnswer(200, "", content_type="text/event-stream"))
        stream = TranslatedStream(ResponseEpilogue(response, lambda error: f"!{error.type}", on_complete), "first\n\n")
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
        end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
        output = stream.transform(events(delta)) + stream.transform(events(end)) + await stream.finish()
        assert output.startswith(b"first\n\ndata: ")
        assert b'"content":"Hi"' in output
        assert output.endswith(b"data: [DONE]\n\n")
    assert stored == ["Hi"]
    broken = TranslatedStream(ResponseEpilogue(response, lambda error: f"!{error.type}"), "first\n\n")
    assert broken.fail("lost") == "first\n\n!upstream_error"
    cut = TranslatedStream(ResponseEpilogue(response, lambda error: f"!{error.type}"), "")
    assert (cut.transform(events(delta)) + await cut.finish()).endswith(b"!upstream_error")
