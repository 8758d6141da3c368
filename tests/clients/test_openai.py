"""`openai` for Python cannot tell the Worker from the original: text, tools and structured output."""

import json
import re
from typing import Any

import openai as sdk
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib.responses_tool_runner import RegisteredFunction, ResponsesToolRunner
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from tests.clients.conftest import NATIVE, OPENAI
from tests.conftest import Simulator

DEFAULT = "@cf/google/gemma-4-26b-a4b-it"
HELLO: list[Any] = [{"role": "user", "content": "What is a Wörker? 👋🏽"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
TOOL: Any = {"type": "function", "function": WEATHER}
RESPONSES_TOOL: Any = {"type": "function", **WEATHER}
PARIS: list[Any] = [{"role": "user", "content": 'What is the weather in "Paris"?'}]
BOTH: list[Any] = [{"role": "user", "content": 'What is the weather in "Paris" and "Rome"?'}]
# 8 by 8 pixels of red
RED = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC"


class Person(BaseModel):
    name: str
    age: int


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def sent(simulator: Simulator) -> dict[str, Any]:
    """Inputs of the last model call."""
    return simulator.requests(operation="run")[-1]["inputs"]


# ---- chat completions --------------------------------------------------------------------------------------------


def test_a_completion(openai: OpenAI, model: str) -> None:
    answer = openai.chat.completions.create(model=model, messages=HELLO)
    ChatCompletion.model_validate(answer.model_dump(), strict=True)
    [choice] = answer.choices
    assert choice.message.role == "assistant"
    assert "What is a Wörker? 👋🏽" in (choice.message.content or "")
    assert choice.finish_reason == "stop"
    assert answer.model == model
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 20


def test_a_stream_says_the_same_as_the_whole(openai: OpenAI, model: str) -> None:
    whole = openai.chat.completions.create(model=model, messages=HELLO).choices[0].message.content
    options: Any = {"include_usage": True}
    chunks = list(openai.chat.completions.create(model=model, messages=HELLO, stream=True, stream_options=options))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.model_dump(), strict=True)
    assert text_of(chunks) == whole
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {(chunk.id, chunk.created, chunk.model) for chunk in chunks} == {(chunks[0].id, chunks[0].created, model)}
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens > 20


async def test_the_asynchronous_client(async_openai: AsyncOpenAI, model: str) -> None:
    whole = await async_openai.chat.completions.create(model=model, messages=HELLO)
    stream = await async_openai.chat.completions.create(model=model, messages=HELLO, stream=True)
    assert text_of([chunk async for chunk in stream]) == whole.choices[0].message.content


def test_an_alias_is_the_configured_model_and_the_answer_says_which(openai: OpenAI) -> None:
    assert openai.chat.completions.create(model="gpt-4o-mini", messages=HELLO).model == DEFAULT


def test_a_stop_sequence_ends_the_answer(openai: OpenAI, model: str) -> None:
    whole = openai.chat.completions.create(model=model, messages=HELLO).choices[0].message.content or ""
    stop = whole[40:46]
    answer = openai.chat.completions.create(model=model, messages=HELLO, stop=["never said", stop])
    assert answer.choices[0].message.content == whole[: whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop"
    chunks = list(openai.chat.completions.create(model=model, messages=HELLO, stop=stop, stream=True))
    assert text_of(chunks) == whole[: whole.index(stop)]


def test_an_answer_that_is_cut_at_its_limit_says_so(openai: OpenAI, model: str) -> None:
    for limit in ("max_tokens", "max_completion_tokens"):
        options: Any = {limit: 30}
        create: Any = openai.chat.completions.create
        answer: ChatCompletion = create(model=model, messages=HELLO, **options)
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage
        assert answer.usage.completion_tokens == 30
        chunks = list(openai.chat.completions.create(model=model, messages=HELLO, stream=True, **options))
        assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == "length"


def test_without_a_limit_no_narrow_one_of_the_model_cuts_the_answer(openai: OpenAI, simulator: Simulator) -> None:
    openai.chat.completions.create(model=NATIVE, messages=HELLO)
    assert sent(simulator)["max_tokens"] == 4096
    openai.chat.completions.create(model="@cf/zai-org/glm-4.7-flash", messages=HELLO)
    assert "max_tokens" not in sent(simulator)


@pytest.mark.parametrize(("seed", "expected"), [(7, 7), (0, 1), (-1, 9_999_999_999), (10**12, None)])
def test_any_whole_number_is_a_seed(openai: OpenAI, simulator: Simulator, seed: int, expected: int | None) -> None:
    openai.chat.completions.create(model=NATIVE, messages=HELLO, seed=seed)
    forwarded = sent(simulator)["seed"]
    assert forwarded == expected if expected else 1 <= forwarded <= 9_999_999_999


def test_a_reasoning_model_returns_its_reasoning(openai: OpenAI) -> None:
    message: Any = (
        openai.chat.completions.create(model=OPENAI, messages=HELLO, reasoning_effort="low").choices[0].message
    )
    assert "Simulated reasoning" in message.reasoning_content
    again: list[Any] = [*HELLO, message, {"role": "user", "content": "And again?"}]
    assert openai.chat.completions.create(model=OPENAI, messages=again).choices[0].message.content


def test_messages_of_every_kind_reach_the_model(openai: OpenAI, simulator: Simulator) -> None:
    call: Any = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages: list[Any] = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": None, "refusal": "I would rather not."},
        {"role": "user", "content": "Why?", "name": "Ann"},
    ]
    openai.chat.completions.create(model=NATIVE, messages=messages)
    assert sent(simulator)["messages"] == [
        {"role": "system", "content": "Be brief.\nBe kind."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": "I would rather not."},
        {"role": "user", "content": "Why?", "name": "Ann"},
    ]


def test_an_image_is_seen(openai: OpenAI) -> None:
    content = [
        {"type": "text", "text": "What is on it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RED}", "detail": "low"}},
    ]
    messages: list[Any] = [{"role": "user", "content": content}]
    answer = openai.chat.completions.create(model="@cf/meta/llama-4-scout-17b-16e-instruct", messages=messages)
    assert re.search(r"\b8\D{1,3}8\b", answer.choices[0].message.content or "")


def test_parameters_of_openai_alone_are_accepted_and_ignored(openai: OpenAI, simulator: Simulator) -> None:
    ignored: Any = {
        "store": True, "user": "u", "metadata": {"a": "b"}, "service_tier": "auto", "prompt_cache_key": "k",
        "safety_identifier": "s", "verbosity": "low", "n": 1, "modalities": ["text"], "logprobs": False,
        "logit_bias": {}, "reasoning_effort": "high",
    }  # fmt: skip
    openai.chat.completions.create(model=NATIVE, messages=HELLO, **ignored)
    assert set(sent(simulator)) <= {"messages", "stream", "max_tokens"}


# ---- tools -------------------------------------------------------------------------------------------------------


def test_a_tool_is_called_and_its_result_used(openai: OpenAI, model: str) -> None:
    first = openai.chat.completions.create(model=model, messages=PARIS, tools=[TOOL])
    assert first.choices[0].finish_reason == "tool_calls"
    message = first.choices[0].message
    assert message.content is None
    assert message.tool_calls
    [call] = message.tool_calls
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "23 degrees"}
    messages: list[Any] = [*PARIS, message, result]
    answer = openai.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    assert "23 degrees" in (answer.choices[0].message.content or "")


def test_parallel_calls_stream_in_pieces_that_belong_together(openai: OpenAI, model: str) -> None:
    with openai.chat.completions.stream(model=model, messages=BOTH, tools=[TOOL]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        message = stream.get_final_completion().choices[0].message
    assert [json.loads(event.arguments)["city"] for event in done] == ["Paris", "Rome"]
    assert message.tool_calls
    assert [call.function.name for call in message.tool_calls] == ["get_weather", "get_weather"]
    assert len({call.id for call in message.tool_calls}) == 2


def test_parallel_calls_can_be_turned_off(openai: OpenAI, model: str) -> None:
    answer = openai.chat.completions.create(model=model, messages=BOTH, tools=[TOOL], parallel_tool_calls=False)
    assert answer.choices[0].message.tool_calls
    assert len(answer.choices[0].message.tool_calls) == 1


def test_ids_of_calls_differ_from_one_answer_to_the_next(openai: OpenAI) -> None:
    calls = [
        openai.chat.completions.create(model=NATIVE, messages=PARIS, tools=[TOOL]).choices[0].message.tool_calls or []
        for _ in range(2)
    ]
    assert calls[0][0].id != calls[1][0].id


@pytest.mark.parametrize(
    ("choice", "calls"),
    [("none", False), ("required", True), ({"type": "function", "function": {"name": "get_weather"}}, True)],
)
def test_tool_choice_is_kept_to(openai: OpenAI, model: str, choice: Any, calls: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "Hello there, weather"}]
    answer = openai.chat.completions.create(model=model, messages=messages, tools=[TOOL], tool_choice=choice)
    assert bool(answer.choices[0].message.tool_calls) is calls


def test_the_older_functions_answer_in_their_own_form(openai: OpenAI, model: str) -> None:
    function = {name: value for name, value in WEATHER.items() if name != "strict"}
    options: Any = {"model": model, "messages": PARIS, "functions": [function], "function_call": "auto"}
    create: Any = openai.chat.completions.create
    answer: ChatCompletion = create(**options)
    assert answer.choices[0].finish_reason == "function_call"
    called = answer.choices[0].message.function_call
    assert called
    assert json.loads(called.arguments) == {"city": "Paris"}
    chunks: list[ChatCompletionChunk] = list(openai.chat.completions.create(**options, stream=True))
    pieces = [chunk.choices[0].delta.function_call for chunk in chunks if chunk.choices]
    assert "".join(piece.arguments or "" for piece in pieces if piece) == called.arguments
    spoken = {"role": "assistant", "content": None, "function_call": called.model_dump()}
    result = {"role": "function", "name": "get_weather", "content": "23 degrees"}
    again: ChatCompletion = create(**options | {"messages": [*PARIS, spoken, result]})
    assert "23 degrees" in (again.choices[0].message.content or "")


# ---- structured output -------------------------------------------------------------------------------------------


def test_parse_gives_an_instance(openai: OpenAI, model: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "Ann is 30 years old."}]
    answer = openai.chat.completions.parse(model=model, messages=messages, response_format=Person)
    assert answer.choices[0].message.parsed == Person(name="Ann", age=30)
    with openai.chat.completions.stream(model=model, messages=messages, response_format=Person) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Person(name="Ann", age=30)


def test_json_mode_answers_json(openai: OpenAI, model: str) -> None:
    answer = openai.chat.completions.create(model=model, messages=HELLO, response_format={"type": "json_object"})
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


def test_a_native_model_gets_the_bare_schema(openai: OpenAI, simulator: Simulator) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    response_format: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    openai.chat.completions.create(model=NATIVE, messages=HELLO, response_format=response_format)
    assert sent(simulator)["response_format"] == {"type": "json_schema", "json_schema": schema}
    openai.chat.completions.create(model=OPENAI, messages=HELLO, response_format=response_format)
    assert sent(simulator)["response_format"]["json_schema"]["name"] == "place"


# ---- completions -------------------------------------------------------------------------------------------------


def test_the_older_completions(openai: OpenAI, model: str) -> None:
    answer = openai.completions.create(model=model, prompt="Say hello")
    assert "Say hello" in answer.choices[0].text
    assert answer.usage
    chunks = list(openai.completions.create(model=model, prompt=["Say hello"], stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == answer.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "stop"


# ---- responses ---------------------------------------------------------------------------------------------------


def test_a_response(openai: OpenAI, model: str) -> None:
    answer = openai.responses.create(model=model, input="Hi there", instructions="Be brief", metadata={"a": "b"})
    assert "Be brief" in answer.output_text
    assert (answer.status, answer.metadata, answer.instructions) == ("completed", {"a": "b"}, "Be brief")
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_a_response_s_events_add_up(openai: OpenAI, model: str) -> None:
    with openai.responses.stream(model=model, input="Hi there") as stream:
        events = list(stream)
        final = stream.get_final_response()
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == final.output_text != ""
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert [event.sequence_number for event in events] == sorted(event.sequence_number for event in events)


async def test_a_response_to_the_asynchronous_client(async_openai: AsyncOpenAI, model: str) -> None:
    stream = await async_openai.responses.create(model=model, input="Hi there", stream=True)
    assert [event.type async for event in stream][-1] == "response.completed"


def test_a_response_that_is_cut_is_incomplete(openai: OpenAI, model: str) -> None:
    answer = openai.responses.create(model=model, input="Hi there", max_output_tokens=5)
    assert answer.status == "incomplete"
    assert answer.incomplete_details
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_a_response_parses(openai: OpenAI, model: str) -> None:
    text = "Ann is 30 years old."
    assert openai.responses.parse(model=model, input=text, text_format=Person).output_parsed == Person(
        name="Ann", age=30
    )


@pytest.mark.parametrize("stream", [False, True])
def test_the_client_s_own_tool_runner(openai: OpenAI, model: str, stream: bool) -> None:
    def weather(arguments: dict[str, object]) -> str:
        return f"sunny in {arguments['city']}"

    runner = ResponsesToolRunner(functions=[RegisteredFunction(RESPONSES_TOOL, weather)])
    question: Any = {"model": model, "input": PARIS[0]["content"]}
    assert "sunny in Paris" in runner.run(openai, question, stream=stream).output_text


def test_an_answer_s_output_is_accepted_as_input(openai: OpenAI, model: str) -> None:
    first = openai.responses.create(model=model, input=BOTH, tools=[RESPONSES_TOOL])
    calls = [item for item in first.output if item.type == "function_call"]
    assert len(calls) == 2
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "cold"} for call in calls]
    conversation: Any = [*BOTH, *first.output, *results]
    second = openai.responses.create(model=model, input=conversation, tools=[RESPONSES_TOOL])
    assert second.output_text.count("cold") == 2


# ---- bad input ---------------------------------------------------------------------------------------------------

BAD_CHAT: list[tuple[dict[str, Any], str | None]] = [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user"}]}, "messages.0.content"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
        "messages.0.content.0.file.file.file_data",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]},
        "messages",
    ),
    ({"temperature": 3}, "temperature"),
    ({"top_p": 1.5}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 5, "max_completion_tokens": 5}, None),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ({"stop": ""}, "stop"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"tools": []}, "tools"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type"),
    ({"tool_choice": "required"}, None),
    ({"response_format": {"type": "json_schema"}}, "response_format"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.json_schema.schema"),
    ({"model": "text-embedding-3-small"}, "model"),
]


@pytest.mark.parametrize(("change", "param"), BAD_CHAT, ids=[json.dumps(change)[:60] for change, _ in BAD_CHAT])
def test_bad_input_is_a_bad_request_that_names_the_field(
    openai: OpenAI, change: dict[str, Any], param: str | None
) -> None:
    options: dict[str, Any] = {"model": NATIVE, "messages": HELLO, **change}
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.chat.completions.create(**options)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert openai.chat.completions.create(model=NATIVE, messages=HELLO).choices


BAD_RESPONSES: list[tuple[dict[str, Any], str | None]] = [
    ({"input": []}, "input"),
    ({"input": [{"type": "computer_call"}]}, "input.0"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        "input.0.content.0.input_file.file_data",
    ),
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"background": True}, "background"),
    ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"tool_choice": "required"}, None),
]


@pytest.mark.parametrize(("change", "param"), BAD_RESPONSES, ids=[json.dumps(each)[:60] for each, _ in BAD_RESPONSES])
def test_a_bad_request_for_a_response_names_the_field(
    openai: OpenAI, change: dict[str, Any], param: str | None
) -> None:
    options: dict[str, Any] = {"model": NATIVE, "input": "Hi", **change}
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.responses.create(**options)
    assert caught.value.param == param


NO_PROMPTS: list[tuple[Any, str]] = [
    ("", "prompt"),
    ([], "prompt"),
    ([""], "prompt"),
    (["a", "b"], "prompt"),
    ([[1, 2], [3]], "prompt"),
    ([[]], "prompt"),
    ([1, -1], "prompt.1"),
    ([[1, 100_256]], "prompt.1"),
    ([1, "a"], "prompt.1"),
    ([1.5], "prompt.0"),
    ([58_040] * 40_000, "prompt"),  # 128 spaces each: more letters than a prompt may have
    ([58_040] * 1_025, "prompt"),
]


@pytest.mark.parametrize(("prompt", "param"), NO_PROMPTS)
def test_prompts_that_are_not_one_text_are_refused(openai: OpenAI, prompt: Any, param: str) -> None:
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.completions.create(model=NATIVE, prompt=prompt)
    assert caught.value.param == param


@pytest.mark.parametrize("prompt", [[9906, 1917], [[9906, 1917]], ["Hello world"]])
def test_a_prompt_may_be_tokens_of_cl100k_base(openai: OpenAI, simulator: Simulator, prompt: Any) -> None:
    response = openai.completions.with_raw_response.create(model=NATIVE, prompt=prompt)
    assert simulator.request(response.headers["x-ai-request-id"])["inputs"]["prompt"] == "Hello world"
