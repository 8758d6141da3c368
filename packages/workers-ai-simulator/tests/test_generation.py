"""Answers of text-generation models: from a context, with tools, in JSON mode, about images; in each dialect."""

import base64
import io
import json
import os
import time
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workers_ai_simulator.catalogue import MODELS, Model, find
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.text_generation.generation import GeneratedCall, Generation, generate
from workers_ai_simulator.text_generation.schema_check import UnsatisfiableError
from workers_ai_simulator.text_generation.schema_instance import instance

LLAMA = MODELS["@cf/meta/llama-3.3-70b-instruct-fp8-fast"]
SCOUT = MODELS["@cf/meta/llama-4-scout-17b-16e-instruct"]
PLAIN = MODELS["@cf/meta/llama-3.1-8b-instruct-fast"]
NO_JSON = MODELS["@cf/mistral/mistral-7b-instruct-v0.2-lora"]
LLAMA_VISION = MODELS["@cf/meta/llama-3.2-11b-vision-instruct"]
MISTRAL = MODELS["@cf/mistralai/mistral-small-3.1-24b-instruct"]
R1 = MODELS["@cf/deepseek-ai/deepseek-r1-distill-qwen-32b"]
GLM = MODELS["@cf/zai-org/glm-4.7-flash"]
KIMI = MODELS["@cf/moonshotai/kimi-k2.6"]
KIMI_CODE = MODELS["@cf/moonshotai/kimi-k2.7-code"]
GPT_OSS = MODELS["@cf/openai/gpt-oss-20b"]
MAX_WINDOW = MODELS["@cf/deepseek-ai/deepseek-v4-flash-0731"]

BOTH = pytest.mark.parametrize("model", [LLAMA, GLM], ids=["native", "openai"])


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def system(content: str) -> dict[str, Any]:
    return {"role": "system", "content": content}


def reply_text(model: Model, *messages: dict[str, Any], **inputs: Any) -> Any:
    """Text of the answer, where the dialect has it; an object for native JSON mode."""
    answer = generate(model, {"messages": list(messages), **inputs}).answer()
    return answer["response"] if "response" in answer else answer["choices"][0]["message"]["content"]


def called(model: Model, *messages: dict[str, Any], **inputs: Any) -> list[tuple[str, Any]]:
    """Names and arguments of the tools that the answer calls."""
    answer = generate(model, {"messages": list(messages), **inputs}).answer()
    if "choices" in answer:
        calls = answer["choices"][0]["message"].get("tool_calls", [])
        return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    calls = [call.get("function", call) for call in answer.get("tool_calls", [])]
    return [(call["name"], call["arguments"]) for call in calls]


def frames(generation: Generation, *dialect: Any) -> list[dict[str, Any]]:
    written = list(generation.frames(*dialect))
    assert written.pop() == "data: [DONE]\n\n"
    return [json.loads(frame.removeprefix("data: ")) for frame in written]


def refused(call: Callable[[], object]) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        call()
    return caught.value


# ---- from a context ------------------------------------------------------------------------------------------------

PASSAGES = """[1] The Eiffel Tower is 330 metres tall. It was finished in 1889.
[2] The cat sleeps for sixteen hours a day. Its whiskers are as wide as its body.
[7] Mount Everest is the highest mountain, e.g. of Asia. Climbers need oxygen."""


@BOTH
@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("How tall is the Eiffel Tower?", "The Eiffel Tower is 330 metres tall. [1]"),
        ("How long does a cat sleep?", "The cat sleeps for sixteen hours a day. [2]"),
        ("Which mountain is the highest?", "Mount Everest is the highest mountain, e.g. of Asia. [7]"),
        ("Do climbers need anything?", "Climbers need oxygen. [7]"),
    ],
)
def test_a_question_is_answered_with_the_sentence_that_answers_it_and_its_passage(
    model: Model, question: str, sentence: str
) -> None:
    from_system = reply_text(model, system(f"Answer from the context only.\n\nContext:\n{PASSAGES}"), user(question))
    from_user = reply_text(model, user(f"Use the passages.\n\nContext:\n{PASSAGES}\n\nQuestion: {question}\nAnswer:"))
    assert from_system == from_user == f"This is a simulated answer in place of {model.id}. {sentence}"


@pytest.mark.parametrize(
    "context",
    [
        "<passage id=1>Refunds take ten days.</passage>\n<passage id=2>Shipping is free.</passage>",
        '<document index="1"><title>Money</title>Refunds take ten days.</document>\n<document index="2">Hi.</document>',
        "Source 1: Refunds take ten days.\nSource 2: Shipping is free.",
        "Context: [1] Refunds take ten days. [2] Shipping is free.",
    ],
)
def test_passages_are_numbered_in_several_ways(context: str) -> None:
    assert reply_text(LLAMA, user(f"{context}\n\nHow long do refunds take?")).endswith(". Refunds take ten days. [1]")


def test_a_plain_text_is_a_context_too_and_has_no_numbers() -> None:
    text = "Bees dance. The queen bee lays two thousand\neggs a day. Honey keeps for years."
    answer = "This is a simulated answer in place of @cf/meta/llama-3.3-70b-instruct-fp8-fast. "
    expected = answer + "The queen bee lays two thousand eggs a day."
    assert reply_text(LLAMA, user(f"{text}\n\nHow many eggs does the queen lay?")) == expected
    assert reply_text(LLAMA, system(f"You are helpful. {text}"), user("How many eggs does the queen lay?")) == expected


@BOTH
def test_a_question_beyond_the_context_is_not_answered(model: Model) -> None:
    answer = reply_text(model, system(f"Context:\n{PASSAGES}"), user("Who painted Guernica?"))
    assert answer.endswith("I find no answer to that in the context.")


def test_an_earlier_question_does_not_answer_a_later_one() -> None:
    context = system(f"Context:\n{PASSAGES}")
    turns = [user("How tall is the Eiffel Tower?"), {"role": "assistant", "content": "330 m."}]
    assert reply_text(LLAMA, context, *turns, user("Who painted Guernica?")).endswith(
        "I find no answer to that in the context."
    )


@BOTH
def test_earlier_messages_are_part_of_the_context(model: Model) -> None:
    history = [user("My name is Ada. I live in Oslo."), {"role": "assistant", "content": "Hello! What is your name?"}]
    assert reply_text(model, *history, user("What is my name?")).endswith(f"{model.id}. My name is Ada.")
    assert "Ada" not in reply_text(model, user("What is my name?"))


def test_a_pronoun_refers_to_the_previous_question() -> None:
    context = system("Context:\n[1] Lake Como is 410 metres deep.\n[2] Lake Garda is 346 metres deep.")
    history = [user("Where is Lake Garda?"), {"role": "assistant", "content": "In Italy."}]
    assert reply_text(LLAMA, context, *history, user("How deep is it?")).endswith("Lake Garda is 346 metres deep. [2]")


def test_a_summary_is_the_first_sentence_of_each_passage() -> None:
    answer = reply_text(LLAMA, user(f"Summarize this text:\n\n{PASSAGES}"))
    assert "330 metres tall. [1] The cat sleeps" in answer
    assert "Climbers" not in answer


TALK = [user("How tall is the Eiffel Tower?"), {"role": "assistant", "content": "330 m."}]
REWRITE = "Rewrite the last question as one standalone search query."


@pytest.mark.parametrize(
    "messages",
    [
        [system(REWRITE), *TALK, user("And when was it built?")],
        [*TALK, user("And when was it built?"), {"role": "assistant", "content": "…"}, user(REWRITE)],
        [user(f"{REWRITE} Reply with it only.\n\nUser: How tall is the Eiffel Tower?\nUser: And when was it built?")],
    ],
)
def test_a_rewritten_question_is_a_query_and_nothing_else(messages: list[dict[str, Any]]) -> None:
    assert reply_text(LLAMA, *messages) == "tall Eiffel Tower built"


def test_a_question_that_stands_alone_is_rewritten_without_the_others() -> None:
    assert reply_text(LLAMA, system(REWRITE), *TALK, user("Where do penguins live?")) == "penguins live"


def test_the_template_of_a_raw_prompt_is_not_part_of_the_question() -> None:
    llama = "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nMy name is Ada.<|eot_id|>"
    question = "<|start_header_id|>user<|end_header_id|>\n\nWhat is my name?<|eot_id|>"
    turn = "<|start_header_id|>assistant<|end_header_id|>"
    answer = generate(LLAMA, {"prompt": llama + question + turn, "raw": True}).text
    assert answer.endswith("My name is Ada.")
    assert "“Hello”" in generate(LLAMA, {"prompt": "<s>[INST] Hello [/INST]", "raw": True}).text


@pytest.mark.parametrize(
    "text",
    [
        "Context:\n" + "The tower is tall and the lake is deep in number. " * 20_000,
        "é" * 1_000_000,
        " " * 1_000_000,
        "<document " * 100_000,
        "rewrite " * 125_000,
        "[1] " * 250_000,
    ],
    ids=["sentences", "one word", "spaces", "tags", "requests", "marks"],
)
def test_a_megabyte_is_read_in_time(text: str) -> None:
    tools = [tool("get_weather", {"city": {"type": "string"}})]
    for more in ({}, {"tools": tools, "response_format": {"type": "json_object"}}):
        started = time.process_time()
        generate(MAX_WINDOW, {"messages": [user(text + "\n\nHow deep is it?")], **more})
        assert time.process_time() - started < 4  # 2 on a machine that has nothing else to do


# ---- tools ---------------------------------------------------------------------------------------------------------


def tool(name: str, properties: dict[str, Any], required: list[str] | None = None, about: str = "") -> dict[str, Any]:
    needed = list(properties) if required is None else required
    schema = {"type": "object", "properties": properties, "required": needed}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


TEXT, NUMBER = {"type": "string"}, {"type": "number"}
WEATHER = tool(
    "get_weather",
    {"city": TEXT, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}, "days": {"type": "integer"}},
    ["city"],
    "Get the current weather for a city",
)
ADD = tool("add", {"a": NUMBER, "b": NUMBER}, about="Add two numbers")
FLIGHT = tool("book_flight", {"from": TEXT, "to": TEXT, "date": {"type": "string", "format": "date"}}, ["from", "to"])
MAIL = tool("send_email", {"to": {"type": "string", "format": "email"}, "urgent": {"type": "boolean"}}, ["to"])
SEARCH = tool("search_documents", {"query": TEXT}, about="Search the documents")
ORDER = tool(
    "order_pizza",
    {
        "count": {"type": "integer", "minimum": 1},
        "size": {"$ref": "#/$defs/size"},
        "address": {
            "type": "object",
            "properties": {"city": TEXT, "number": {"type": "integer"}},
            "required": ["city"],
        },
    },
)
ORDER["function"]["parameters"]["$defs"] = {"size": {"enum": ["small", "large"]}}
TOOLS = [WEATHER, ADD, FLIGHT, MAIL, SEARCH, ORDER]


@BOTH
@pytest.mark.parametrize(
    ("message", "calls"),
    [
        ("What is the weather in Paris?", [("get_weather", {"city": "Paris"})]),
        ("weather in paris, in celsius please", [("get_weather", {"city": "paris", "unit": "celsius"})]),
        ("Weather in New York for 3 days", [("get_weather", {"city": "New York", "days": 3})]),
        ("Weather in Paris and in Oslo?", [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]),
        ("Add 17 and -4.5", [("add", {"a": 17, "b": -4.5})]),
        (
            "Book a flight from Rome to Oslo on 3 May 2027",
            [("book_flight", {"from": "Rome", "to": "Oslo", "date": "2027-05-03"})],
        ),
        ("Send an urgent email to ada@example.org", [("send_email", {"to": "ada@example.org", "urgent": True})]),
        ("Search documents about bees", [("search_documents", {"query": "Search documents about bees"})]),
        (
            "Order 2 large pizzas to Oslo",
            [("order_pizza", {"count": 2, "size": "large", "address": {"city": "Oslo"}})],
        ),
        ("Tell me a joke", []),
    ],
)
def test_a_tool_is_called_with_values_of_the_message(model: Model, message: str, calls: list[Any]) -> None:
    assert called(model, user(message), tools=TOOLS) == calls


def test_tools_are_taken_flat_and_as_functions() -> None:
    flat = [WEATHER["function"]]
    expected = [("get_weather", {"city": "Oslo"})]
    assert called(LLAMA, user("Weather in Oslo?"), tools=flat) == expected
    assert called(GLM, user("Weather in Oslo?"), functions=flat) == expected
    assert called(LLAMA, user("Weather in Oslo?"), functions=[{"name": "get_weather", "code": "return 1"}]) == []


def test_the_tool_choice_is_obeyed() -> None:
    forced = {"type": "function", "function": {"name": "add"}}
    assert [name for name, _ in called(GLM, user("Weather in Oslo?"), tools=TOOLS, tool_choice=forced)] == ["add"]
    assert called(GLM, user("Weather in Oslo?"), tools=TOOLS, tool_choice="none") == []
    assert len(called(GLM, user("Tell me a joke"), tools=TOOLS, tool_choice="required")) == 1
    one = called(GLM, user("Weather in Paris and in Oslo?"), tools=TOOLS, parallel_tool_calls=False)
    assert one == [("get_weather", {"city": "Paris"})]


def test_two_tools_that_a_message_names_are_both_called() -> None:
    clock = tool("get_time", {"city": TEXT}, about="The time in a city")
    question = user("What are the weather and the time in Oslo?")
    both = [("get_weather", {"city": "Oslo"}), ("get_time", {"city": "Oslo"})]
    assert called(LLAMA, question, tools=[WEATHER, clock]) == both
    assert called(LLAMA, question, tools=[WEATHER, clock], parallel_tool_calls=False) == both[:1]


def test_a_model_without_tools_answers_a_text() -> None:
    assert called(PLAIN, user("Weather in Oslo?"), tools=TOOLS) == []
    assert "Weather in Oslo?" in reply_text(PLAIN, user("Weather in Oslo?"), tools=TOOLS)


def test_tool_calls_have_the_shape_of_the_dialect() -> None:
    inputs = {"messages": [user("Weather in Oslo?")], "tools": TOOLS}
    native, nested = generate(LLAMA, inputs).answer(), generate(SCOUT, inputs).answer()
    assert native["response"] is None
    assert native["tool_calls"] == [{"name": "get_weather", "arguments": {"city": "Oslo"}}]
    assert nested["tool_calls"][0]["function"] == native["tool_calls"][0]
    choice = generate(GLM, inputs).answer()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    call = choice["message"]["tool_calls"][0]
    assert call["type"] == "function"
    assert call["id"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}


@pytest.mark.parametrize("model", [MISTRAL, LLAMA, GLM], ids=["native", "both", "openai"])
def test_a_stream_of_tool_calls_makes_the_whole_answer(model: Model) -> None:
    generation = generate(model, {"messages": [user("Weather in Paris and in Oslo?")], "tools": TOOLS})
    sent = frames(generation)
    deltas = [frame["choices"][0]["delta"] if "choices" in frame else frame for frame in sent]
    parts = [part for delta in deltas for part in delta.get("tool_calls", [])]
    made: dict[int, list[str]] = {}
    for part in parts:
        if part.get("id"):
            made[part["index"]] = [part["id"], part["function"]["name"], ""]
        made[part["index"]][2] += part["function"]["arguments"] or ""
    assert [tuple(each) for each in made.values()] == [
        (each.id, each.name, each.arguments) for each in generation.calls
    ]
    assert len(parts) > 2 * len(made)
    assert len({each[0] for each in made.values()}) == 2
    assert sent[-1]["usage"] == generation.usage
    if model == MISTRAL:
        closing = [part for part in parts if part["function"].get("name", "") is None]
        assert [(part["id"], part["function"]["arguments"]) for part in closing] == [(None, None)] * 2
    else:
        assert sent[-1]["choices"][0]["finish_reason"] == "tool_calls"


@BOTH
def test_the_result_of_a_tool_is_in_the_answer(model: Model) -> None:
    call = {"id": "call1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    calling = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "call1", "content": '{"degrees": 4}'}
    answer = reply_text(model, user("Weather in Oslo?"), calling, result, tools=TOOLS)
    assert answer.endswith('The tool get_weather answered: {"degrees": 4}')
    named = {"role": "tool", "name": "thermometer", "tool_call_id": "x", "content": "4"}
    assert reply_text(model, user("Hi"), named).endswith("The tool thermometer answered: 4")


# ---- JSON mode -----------------------------------------------------------------------------------------------------

PERSON = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "birth_year": {"type": "integer"},
        "email": {"type": "string", "format": "email"},
        "phone": {"type": ["string", "null"]},
        "nickname": TEXT,
    },
    "required": ["name", "birth_year", "email", "phone"],
}
ADA = "Extract: Ada Lovelace, born 1815, ada@example.org"
AS_ADA = {"name": "Ada Lovelace", "birth_year": 1815, "email": "ada@example.org", "phone": None}


def test_native_json_mode_answers_an_object_that_the_message_fills() -> None:
    json_mode = {"type": "json_schema", "json_schema": PERSON}
    assert generate(LLAMA, {"prompt": ADA, "response_format": json_mode}).answer()["response"] == AS_ADA
    assert generate(SCOUT, {"prompt": ADA, "guided_json": PERSON}).answer()["response"] == AS_ADA


@pytest.mark.parametrize("schema", [PERSON, {"name": "person", "schema": PERSON, "strict": True}])
def test_openai_s_json_mode_answers_text_and_takes_the_schema_in_its_envelope(schema: dict[str, Any]) -> None:
    json_mode = {"type": "json_schema", "json_schema": schema}
    assert json.loads(reply_text(GLM, user(ADA), response_format=json_mode)) == AS_ADA
    generation = generate(GLM, {"prompt": ADA, "response_format": json_mode})
    text = "".join(frame["choices"][0]["delta"].get("content", "") for frame in frames(generation))
    assert json.loads(text) == AS_ADA


def test_the_native_dialect_does_not_open_the_envelope() -> None:
    json_mode = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    assert "birth_year" not in generate(LLAMA, {"prompt": ADA, "response_format": json_mode}).answer()["response"]


@BOTH
def test_any_object_says_that_it_is_simulated(model: Model) -> None:
    answer = reply_text(model, user("Hello"), response_format={"type": "json_object"})
    value = json.loads(answer) if isinstance(answer, str) else answer
    assert "simulated" in value["answer"]


@pytest.mark.parametrize(
    ("model", "schema", "more", "code", "words"),
    [
        (LLAMA, PERSON, {"stream": True}, 5023, "JSON Schema mode is not supported with stream mode"),
        (LLAMA, {"type": "string", "minLength": 5, "maxLength": 2}, {}, 5024, "JSON Mode couldn't be met"),
        (GLM, {"type": "object", "required": ["a"], "additionalProperties": False}, {}, 5024, "couldn't be met"),
        (GLM, {"$ref": "#/$defs/gone"}, {}, 5024, "couldn't be met"),
        (GLM, {"allOf": [{"$ref": "#"}]}, {}, 5024, "couldn't be met"),
        (GLM, {"type": "string", "pattern": "(?=never)x"}, {}, 5024, "couldn't be met"),
        (GLM, {"type": "array", "minItems": 10_000_000}, {}, 5024, "couldn't be met"),
        (GLM, {"type": "string", "pattern": "a{99999999}"}, {}, 5024, "couldn't be met"),
        (LLAMA, PERSON, {"max_tokens": 3}, 5024, "couldn't be met"),
        (NO_JSON, PERSON, {}, 5025, "This model doesn't support JSON Schema."),
        (LLAMA, "person", {}, 5006, "'string' not in 'object'"),
        (LLAMA, None, {}, 5006, "are 'json_schema'"),
    ],
)
def test_json_mode_that_fails(model: Model, schema: Any, more: Any, code: int, words: str) -> None:
    inputs = {"prompt": ADA, "response_format": {"type": "json_schema", "json_schema": schema}, **more}
    error = refused(lambda: generate(model, inputs))
    assert (error.status, error.code) == (400, code)
    assert words in error.description


LEAVES = st.one_of(
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": st.integers(0, 9)}),
    st.fixed_dictionaries({"type": st.just("string"), "maxLength": st.integers(0, 9)}),
    st.sampled_from(["date", "email", "uuid", "ipv4", "uri"]).map(lambda name: {"type": "string", "format": name}),
    st.sampled_from(["^[A-Z]{2}-\\d+$", "^(a|bc)*d?$", "^[^x]{3,}$", "\\.com$", "^\\w+@\\w+$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={"minimum": st.integers(-50, 50), "multipleOf": st.integers(1, 7)},
    ),
    st.fixed_dictionaries({"type": st.just("number"), "exclusiveMaximum": st.integers(-50, 50)}),
    st.fixed_dictionaries({"type": st.just("integer"), "minimum": st.integers(-9, 0), "maximum": st.integers(0, 9)}),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({"type": ["string", "null"]}),
    st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none()), min_size=1, max_size=4).map(
        lambda values: {"enum": values}
    ),
    st.one_of(st.text(max_size=5), st.integers(), st.booleans()).map(lambda value: {"const": value}),
    st.just({"$ref": "#/$defs/node"}),
    st.just({}),
)
KEYS = st.sampled_from(["name", "city", "year", "email", "count", "tags", "is_open", "from", "query", "x"])


def objects_with(properties: dict[str, Any]) -> st.SearchStrategy[Any]:
    required: st.SearchStrategy[Any] = st.lists(st.sampled_from([*properties, "x"]), unique=True)
    parts: dict[str, st.SearchStrategy[Any]] = {
        "type": st.just("object"),
        "properties": st.just(properties),
        "required": required if properties else st.just([]),
    }
    more: dict[str, st.SearchStrategy[Any]] = {
        "additionalProperties": st.just({"type": "integer"}),
        "minProperties": st.integers(0, 3),
    }
    return st.fixed_dictionaries(parts, optional=more)


def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    objects = st.dictionaries(KEYS, inner, max_size=4).flatmap(objects_with)
    arrays = st.fixed_dictionaries(
        {"type": st.just("array"), "items": inner},
        optional={"minItems": st.integers(0, 3), "maxItems": st.integers(3, 5)},
    )
    unique = st.fixed_dictionaries(
        {
            "type": st.just("array"),
            "uniqueItems": st.just(True),
            "minItems": st.integers(0, 4),
            "items": st.sampled_from([TEXT, {"type": "integer"}, {"type": "string", "format": "uuid"}]),
        }
    )
    any_of = st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    return st.one_of(objects, arrays, unique, any_of)


NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"],
}
MESSAGES = st.sampled_from(["", "Ada Lovelace, born 1815", "tags: red; city is Oslo, not open", "5 and 7, a@b.org “x”"])


@settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "50")), deadline=None)
@given(st.recursive(LEAVES, grown, max_leaves=8), MESSAGES)
def test_an_instance_always_fits_its_schema(schema: dict[str, Any], message: str) -> None:
    whole = {**schema, "$defs": {"node": NODE}}
    value = instance(whole, message)
    jsonschema.validate(value, whole, cls=jsonschema.Draft202012Validator, format_checker=jsonschema.FormatChecker())
    assert instance(whole, message) == value


@pytest.mark.parametrize(
    ("schema", "message", "value"),
    [
        ({"oneOf": [{"type": "integer", "minimum": 5}, {"type": "integer", "maximum": 9}]}, "12", 12),
        ({"allOf": [{"type": "number", "minimum": 3}, {"maximum": 3}]}, "", 3),
        ({"allOf": [{"properties": {"a": TEXT}}, {"required": ["a"]}], "type": "object"}, "", {"a": "simulated"}),
        ({"type": "string", "not": {"const": "simulated"}, "enum": ["simulated", "b"]}, "", "b"),
        ({"if": {"type": "integer"}, "then": {"minimum": 10}, "type": "integer"}, "", 10),
        (
            {"type": "array", "prefixItems": [TEXT, {"type": "integer"}], "items": False, "minItems": 2},
            "4",
            ["simulated", 4],
        ),
        (
            {"type": "object", "properties": {"cities": {"type": "array", "items": TEXT}}},
            "Oslo and Rome",
            {"cities": ["Oslo", "Rome"]},
        ),
        ({"type": "object", "properties": {"a": {"default": 5, "type": "integer"}}, "required": ["a"]}, "", {"a": 5}),
        ({"type": "array", "items": {"type": "integer"}, "contains": {"const": 5}}, "5", [5]),
    ],
)
def test_schemas_are_combined(schema: dict[str, Any], message: str, value: Any) -> None:
    jsonschema.validate(value, schema)
    assert instance(schema, message) == value


@pytest.mark.parametrize(
    "schema", [False, {"type": "odd"}, {"enum": []}, {"minimum": "a", "type": "integer"}, {"anyOf": []}]
)
def test_an_unsatisfiable_schema_is_an_error(schema: Any) -> None:
    with pytest.raises(UnsatisfiableError):
        instance(schema, "Hello 5")


def test_references_to_other_documents_are_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("a document was fetched")

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    for schema in ({"$ref": "https://example.org/schema"}, {"not": {"$ref": "https://example.org/schema"}}):
        with pytest.raises(UnsatisfiableError):
            instance(schema, "Hello 5")


# ---- images --------------------------------------------------------------------------------------------------------


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (64, 32), "#e02020").save(content, "PNG")
    return content.getvalue()


URI = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"


def image_message(url: str) -> dict[str, Any]:
    return user([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}])


@pytest.mark.parametrize("model", [SCOUT, LLAMA_VISION, KIMI, KIMI_CODE], ids=lambda model: model.id)
def test_an_image_is_described(model: Model) -> None:
    assert "PNG image of 64x32 pixels, mostly red" in reply_text(model, image_message(URI))


@pytest.mark.parametrize("image", [list(picture()), base64.b64encode(picture()).decode(), URI])
def test_llama_vision_takes_its_image_as_an_input_of_its_own(image: Any) -> None:
    for inputs in ({"prompt": "What is this?"}, {"messages": [user("What is this?")]}):
        assert "64x32" in generate(LLAMA_VISION, {**inputs, "image": image}).text


@pytest.mark.parametrize(
    ("model", "message", "code", "words"),
    [
        (KIMI, image_message("data:image/png;base64,aGVsbG8="), 3030, "Invalid image"),
        (KIMI, image_message("data:image/png;base64,*"), 5004, "Invalid base64"),
        (SCOUT, image_message("https://example.org/cat.png"), 5006, "HTTP URL is not accepted"),
        (GLM, image_message(URI), 5006, "not a multimodal model"),
        (PLAIN, image_message(URI), 5006, "Type mismatch of '/messages/0/content', 'array' not in 'string'"),
        (
            KIMI,
            user([{"type": "image_url", "image_url": {}}]),
            5006,
            "Type mismatch of '/messages/0/content/0/image_url/url'",
        ),
        (KIMI, user([{"type": "video"}]), 5006, "enum video not in text"),
        (KIMI, user([5]), 5006, "Type mismatch of '/messages/0/content/0', 'number' not in 'object'"),
    ],
)
def test_an_image_that_is_refused(model: Model, message: dict[str, Any], code: int, words: str) -> None:
    error = refused(lambda: generate(model, {"messages": [message]}))
    assert error.code == code
    assert words in error.description


def test_parts_of_text_are_one_text() -> None:
    parts = user([{"type": "text", "text": "My name is Ada."}, {"type": "text", "text": "What is my name?"}])
    assert reply_text(LLAMA, parts).endswith("My name is Ada.")


# ---- reasoning and the Responses form ------------------------------------------------------------------------------


def test_reasoning_is_separate_from_the_answer_and_counts() -> None:
    generation = generate(GLM, {"prompt": "Hello"})
    message = generation.answer()["choices"][0]["message"]
    assert message["reasoning_content"].startswith("Simulated reasoning")
    deltas = [frame["choices"][0]["delta"] for frame in frames(generation)]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message["reasoning_content"]
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    assert generation.usage["completion_tokens"] == len(deltas) - 1
    cut = generate(GLM, {"prompt": "Hello", "max_tokens": 3})
    assert (cut.usage["completion_tokens"], cut.pieces, cut.finish_reason) == (3, [], "length")


def test_reasoning_can_be_turned_off_where_the_model_lets() -> None:
    off: dict[str, Any] = {"prompt": "Hello", "chat_template_kwargs": {"enable_thinking": False}}
    assert "reasoning_content" not in generate(GLM, off).answer()["choices"][0]["message"]
    assert "reasoning_content" in generate(GPT_OSS, off).answer()["choices"][0]["message"]


def test_native_reasoning_is_part_of_the_answer() -> None:
    assert generate(R1, {"prompt": "Hello"}).answer()["response"].startswith("<think>\nSimulated reasoning")


def test_gpt_oss_answers_input_in_the_responses_form() -> None:
    inputs = {"input": [user("My name is Ada."), user("What is my name?")], "instructions": "Be kind."}
    answer = generate(GPT_OSS, inputs).answer()
    assert (answer["object"], answer["status"]) == ("response", "completed")
    assert [item["type"] for item in answer["output"]] == ["reasoning", "message"]
    assert answer["output"][1]["content"][0]["text"].endswith("My name is Ada.")
    used = answer["usage"]
    assert used["input_tokens"] + used["output_tokens"] == used["total_tokens"] > 0
    assert "choices" in generate(GPT_OSS, {"messages": [user("Hello")]}).answer()


def test_a_response_calls_tools_and_takes_their_results() -> None:
    flat = [{"type": "function", **WEATHER["function"]}]
    item = generate(GPT_OSS, {"input": "Weather in Oslo?", "tools": flat}).answer()["output"][-1]
    assert (item["type"], item["name"], json.loads(item["arguments"])) == (
        "function_call",
        "get_weather",
        {"city": "Oslo"},
    )
    result = {"type": "function_call_output", "call_id": item["call_id"], "output": "4 degrees"}
    again = generate(GPT_OSS, {"input": [user("Weather in Oslo?"), item, result], "tools": flat})
    assert again.text.endswith("The tool get_weather answered: 4 degrees")


@pytest.mark.parametrize(
    "inputs",
    [{"input": "Hello"}, {"input": "Weather in Oslo?", "tools": TOOLS}, {"input": "Hi", "max_output_tokens": 20}],
)
def test_the_events_of_a_response_make_the_response(inputs: dict[str, Any]) -> None:
    generation = generate(GPT_OSS, inputs)
    events = [frame.split("\n") for frame in generation.frames()]
    data = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert [lines[0] for lines in events] == [f"event: {each['type']}" for each in data]
    assert [each["sequence_number"] for each in data] == list(range(len(data)))
    output = generation.answer()["output"]
    assert (
        data[-1]["response"]["output"]
        == output
        == [e["item"] for e in data if e["type"] == "response.output_item.done"]
    )
    text = "".join(each["delta"] for each in data if each["type"] == "response.output_text.delta")
    assert text == generation.text
    assert data[-1]["type"] == ("response.incomplete" if "max_output_tokens" in inputs else "response.completed")


# ---- any dialect, limits, and what is refused ----------------------------------------------------------------------


def test_an_answer_of_a_real_model_is_written_in_any_dialect() -> None:
    call = GeneratedCall("id1", "add", ['{"a":', " 1}"])
    generation = Generation(LLAMA, ["Hi", " there"], 5, "stop", reasoning=["Hm"], calls=[call])
    assert generation.answer("native")["tool_calls"] == [{"name": "add", "arguments": {"a": 1}}]
    message = generation.answer("openai")["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Hi there", "Hm")
    assert message["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    kinds = [item["type"] for item in generation.answer("responses")["output"]]
    assert kinds == ["reasoning", "message", "function_call"]
    assert "".join(frame.get("response", "") for frame in frames(generation, "native")) == "Hi there"
    assert generation.usage == {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}


@BOTH
def test_an_answer_stops_at_its_limit(model: Model) -> None:
    generation = generate(model, {"prompt": "Hello", "max_tokens": 7})
    assert generation.usage["completion_tokens"] == 7
    assert generation.finish_reason == "length"


def test_other_limits_and_stops_of_openai_s_dialect() -> None:
    assert generate(GLM, {"prompt": "Hello", "max_completion_tokens": 5}).usage["completion_tokens"] == 5
    assert reply_text(GLM, user("Hello"), stop=" simulated") == "This is a"
    assert reply_text(GLM, user("Hello"), stop=["zzz", " answer"]) == "This is a simulated"


def test_arguments_are_cut_at_the_limit_too() -> None:
    generation = generate(LLAMA, {"messages": [user("Weather in Oslo?")], "tools": TOOLS, "max_tokens": 4})
    assert generation.finish_reason == "length"
    assert generation.answer()["tool_calls"][0]["arguments"] == '{"city"'


@BOTH
def test_a_content_of_null_is_for_assistants_of_openai_s_dialect_only(model: Model) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    messages = [user("Hi"), {"role": "assistant", "content": None, "tool_calls": [call]}, user("Hello")]
    if model.dialect == "openai":
        assert "“Hello”" in reply_text(model, *messages)
    else:
        assert "'null' not in 'string'" in refused(lambda: reply_text(model, *messages)).description
    assert "'null' not in 'string'" in refused(lambda: reply_text(model, user(None))).description


NOT_TAKEN: list[tuple[Model, dict[str, Any], str]] = [
    (GLM, {"tools": "add"}, "Type mismatch of '/tools', 'string' not in 'array'"),
    (GLM, {"tools": ["add"]}, "Type mismatch of '/tools/0', 'string' not in 'object'"),
    (
        GLM,
        {"tools": [{"type": "function", "function": {}}]},
        "required properties at '/tools/0/function' are 'name'",
    ),
    (LLAMA, {"tools": [{"description": "x"}]}, "required properties at '/tools/0' are 'name'"),
    (GLM, {"tools": [{"name": "a", "parameters": 5}]}, "Type mismatch of '/tools/0/parameters'"),
    (
        GLM,
        {"tools": [{"name": "a", "parameters": {"properties": 5}}]},
        "Type mismatch of '/tools/0/parameters/properties'",
    ),
    (GLM, {"tool_choice": "required"}, "needs '/tools'"),
    (GLM, {"tools": TOOLS, "tool_choice": "sometimes"}, "enum sometimes not in none,auto,required"),
    (GLM, {"tools": TOOLS, "tool_choice": {"function": {"name": "no"}}}, "names no, which is not in '/tools'"),
    (GLM, {"tools": TOOLS, "tool_choice": {}}, "are 'name'"),
    (GLM, {"tool_choice": 5}, "Type mismatch of '/tool_choice'"),
    (GLM, {"response_format": "json"}, "Type mismatch of '/response_format'"),
    (GLM, {"response_format": {"type": "xml"}}, "enum xml not in text,json_object,json_schema"),
    (GLM, {"stream_options": True}, "Type mismatch of '/stream_options', 'boolean' not in 'object'"),
    (GLM, {"stop": 5}, "Type mismatch of '/stop'"),
    (GLM, {"max_completion_tokens": 0}, "'/max_completion_tokens' must be >= 1"),
    (GLM, {"max_tokens": 1.5}, "Type mismatch of '/max_tokens', 'number' not in 'integer'"),
    (LLAMA, {"stream": "yes"}, "Type mismatch of '/stream', 'string' not in 'boolean'"),
    (GLM, {"messages": [{"role": "tool", "content": "x"}]}, "are 'tool_call_id'"),
    (GLM, {"messages": [{"role": "robot", "content": "x"}]}, "enum robot not in system,developer"),
    (GLM, {"messages": [{"role": "assistant", "tool_calls": 5}]}, "Type mismatch of '/messages/0/tool_calls'"),
    (GLM, {"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "at '/messages/0/tool_calls/0' are 'name'"),
    (GPT_OSS, {"input": 5}, "Type mismatch of '/input'"),
    (GPT_OSS, {"input": []}, "'/input' must have at least 1 items"),
    (GPT_OSS, {"input": [{"role": "tool", "content": "x"}]}, "enum tool not in system,developer,user,assistant"),
]


@pytest.mark.parametrize(("model", "inputs", "words"), NOT_TAKEN)
def test_invalid_inputs_are_refused(model: Model, inputs: dict[str, Any], words: str) -> None:
    error = refused(lambda: generate(model, {**({} if "input" in inputs else {"prompt": "Hello"}), **inputs}))
    assert (error.status, error.code) == (400, 5006)
    assert words in error.description


def test_tools_and_history_count_as_prompt() -> None:
    alone = generate(LLAMA, {"prompt": "Hello"}).prompt_tokens
    assert generate(LLAMA, {"prompt": "Hello", "tools": TOOLS}).prompt_tokens > alone + 100
    assert generate(KIMI, {"messages": [image_message(URI)]}).prompt_tokens > 700


def test_a_retired_model_says_when_it_was_retired() -> None:
    error = refused(lambda: find("@cf/meta/llama-3.1-8b-instruct"))
    assert error.code == 5028
    assert error.description == "This model was deprecated on 2026-05-30. Please use an alternative model."
    assert find("@cf/moonshotai/kimi-k2.5").id == "@cf/moonshotai/kimi-k2.6"
