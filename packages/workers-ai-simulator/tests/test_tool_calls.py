"""Which tools are called, and when the calls end: with requests like those of stock agents and of stock clients."""

import json
from typing import Any

import pytest

from workers_ai_simulator.catalogue import MODELS, Model
from workers_ai_simulator.text_generation.generation import generate

GLM = MODELS["@cf/zai-org/glm-4.7-flash"]
LLAMA = MODELS["@cf/meta/llama-3.3-70b-instruct-fp8-fast"]
BOTH = pytest.mark.parametrize("model", [LLAMA, GLM], ids=["native", "openai"])

TEXT, NUMBER = {"type": "string"}, {"type": "number"}
Calls = list[tuple[str, Any]]


def tool(name: str, properties: dict[str, Any], about: str = "") -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


WEATHER = tool("get_weather", {"city": TEXT}, "Get the weather for a city.")
FORECAST = tool("get_forecast", {"city": TEXT, "days": {"type": "integer"}}, "The forecast for a city.")
ADD = tool("add", {"a": NUMBER, "b": NUMBER}, "Add two numbers.")
MULTIPLY = tool("multiply", {"a": NUMBER, "b": NUMBER}, "Multiply two numbers.")
CALCULATOR = tool("calculator", {"expression": TEXT}, "Evaluate an expression.")
USER = tool("get_user", {"id": {"type": "integer"}}, "Fetch a user by id.")
REPORT = {"city": TEXT, "degrees": NUMBER}
FINAL_RESULT = tool("final_result", REPORT, "The final response which ends this conversation")


def answer(model: Model, messages: list[dict[str, Any]], **inputs: Any) -> dict[str, Any]:
    """The assistant's message, in OpenAI's shape."""
    return generate(model, {"messages": messages, **inputs}).answer("openai")["choices"][0]["message"]


def calls_in(message: dict[str, Any]) -> Calls:
    functions = [call["function"] for call in message.get("tool_calls", [])]
    return [(each["name"], json.loads(each["arguments"])) for each in functions]


def rounds(model: Model, request: str, tools: list[dict[str, Any]], result: str, **inputs: Any) -> list[Calls]:
    """The calls of each answer, every one of which the client answers with the result, until the model writes text."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": request}]
    made: list[Calls] = []
    for _ in range(20):
        message = answer(model, messages, tools=tools, **inputs)
        if not message.get("tool_calls"):
            assert message["content"]
            return made
        made.append(calls_in(message))
        calls = message["tool_calls"]
        messages += [{**message, "content": ""}]
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": result} for call in calls]
    raise AssertionError(f"the calls do not end: {made}")


def first_calls(request: str, *tools: dict[str, Any], **inputs: Any) -> Calls:
    return calls_in(answer(GLM, [{"role": "user", "content": request}], tools=list(tools), **inputs))


# ---- the end of the calls ------------------------------------------------------------------------------------------


@BOTH
def test_a_required_tool_is_not_called_again_once_it_is_answered(model: Model) -> None:
    assert rounds(model, "Weather in Oslo?", [WEATHER], "4 degrees", tool_choice="required") == [
        [("get_weather", {"city": "Oslo"})]
    ]


@BOTH
@pytest.mark.parametrize("parallel", [True, False])
def test_pydantic_ai_s_final_result_follows_the_results_of_the_other_tools(model: Model, parallel: bool) -> None:
    made = rounds(
        model, "Weather in Oslo?", [WEATHER, FINAL_RESULT], '{"degrees": 4}', tool_choice="required",
        parallel_tool_calls=parallel,
    )  # fmt: skip
    assert made == [[("get_weather", {"city": "Oslo"})], [("final_result", {"city": "Oslo", "degrees": 4})]]


def test_the_typed_result_is_called_at_once_if_no_other_tool_fits() -> None:
    assert first_calls("Oslo has 4 degrees", ADD, FINAL_RESULT, tool_choice="required") == [
        ("final_result", {"city": "Oslo", "degrees": 4})
    ]


def test_one_of_several_typed_results_is_called() -> None:
    about = "Success: The final response which ends this conversation"
    results = [tool("final_result_WeatherReport", REPORT, about), tool("final_result_Failure", {"reason": TEXT}, about)]
    made = rounds(GLM, "Weather report for Oslo", [WEATHER, *results], "4 degrees", tool_choice="required")
    assert [[name for name, _ in calls] for calls in made] == [["get_weather"], ["final_result_WeatherReport"]]


def test_a_typed_result_that_is_refused_is_called_again_but_not_for_ever() -> None:
    error = "1 validation error: degrees must be above 100. Fix the errors and try again."
    made = rounds(GLM, "Oslo has 4 degrees", [FINAL_RESULT], error, tool_choice="required")
    assert [[name for name, _ in calls] for calls in made] == [["final_result"]] * 3


def test_langgraph_s_typed_response_has_the_name_of_a_class_and_comes_last() -> None:
    tools = [WEATHER, ADD, tool("WeatherReport", REPORT, "A report on the weather.")]
    made = rounds(GLM, "What's the weather in Oslo?", tools, "4 degrees", tool_choice="required")
    assert made == [[("get_weather", {"city": "Oslo"})], [("WeatherReport", {"city": "Oslo", "degrees": 4})]]


def test_langgraph_forces_the_typed_response_after_the_results() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    messages = [
        {"role": "user", "content": "What's the weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": '{"degrees": 4}'},
        {"role": "assistant", "content": "It is cold."},
    ]
    report = tool("WeatherReport", REPORT)
    forced = {"type": "function", "function": {"name": "WeatherReport"}}
    message = answer(GLM, messages, tools=[report], tool_choice=forced, parallel_tool_calls=False)
    assert calls_in(message) == [("WeatherReport", {"city": "Oslo", "degrees": 4})]
    mode = {"type": "json_schema", "json_schema": {"name": "report", "schema": report["function"]["parameters"]}}
    assert json.loads(answer(GLM, messages, response_format=mode)["content"]) == {"city": "Oslo", "degrees": 4}


def test_smolagents_writes_calls_and_results_into_plain_messages() -> None:
    final = tool("final_answer", {"answer": TEXT}, "Provides a final answer to the given problem.")
    calling = [{"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}]
    messages = [
        {"role": "system", "content": "You are an expert assistant who can solve any task using tool calls."},
        {"role": "user", "content": [{"type": "text", "text": "New task:\nWeather in Oslo?"}]},
    ]
    inputs: dict[str, Any] = {"tools": [WEATHER, final], "tool_choice": "required", "stop": ["Observation:"]}
    assert calls_in(answer(GLM, messages, **inputs)) == [("get_weather", {"city": "Oslo"})]
    messages += [
        {"role": "assistant", "content": [{"type": "text", "text": f"Calling tools:\n{calling}"}]},
        {"role": "user", "content": [{"type": "text", "text": "Observation:\n4 degrees"}]},
    ]
    assert calls_in(answer(GLM, messages, **inputs)) == [("final_answer", {"answer": "Simulated answer: 4 degrees"})]


def test_results_without_their_calls_count_as_well() -> None:
    messages = [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "tool", "tool_call_id": "unknown", "content": "4 degrees"},
    ]
    assert answer(GLM, messages, tools=[WEATHER], tool_choice="required").get("tool_calls") is None


def test_a_later_request_begins_anew() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    messages = [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "4 degrees"},
        {"role": "assistant", "content": "4 degrees"},
        {"role": "user", "content": "Weather in Rome?"},
    ]
    message = answer(GLM, messages, tools=[WEATHER], tool_choice="required")
    assert calls_in(message) == [("get_weather", {"city": "Rome"})]


def test_every_tool_is_called_once_if_none_fits_and_one_is_required() -> None:
    made = rounds(GLM, "Tell me a joke", [WEATHER, ADD], "done", tool_choice="required")
    assert [[name for name, _ in calls] for calls in made] == [["get_weather"], ["add"]]


def test_instructor_gets_the_forced_tool_again_after_its_validation_error() -> None:
    forced = {"type": "function", "function": {"name": "Person"}}
    person = tool("Person", {"name": TEXT, "age": {"type": "integer"}})
    call = {"id": "a", "type": "function", "function": {"name": "Person", "arguments": "{}"}}
    error = "Validation Error found:\n2 validation errors for Person\nRecall the function correctly, fix the errors"
    messages = [
        {"role": "user", "content": "Extract: Jason is 25 years old"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "name": "Person", "content": error},
    ]
    message = answer(GLM, messages, tools=[person], tool_choice=forced)
    assert calls_in(message) == [("Person", {"name": "Jason", "age": 25})]


def test_ids_of_calls_differ_between_the_answers_to_one_request() -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Weather in Paris and Oslo?"}]
    inputs: dict[str, Any] = {"tools": [WEATHER], "parallel_tool_calls": False}
    first = answer(GLM, messages, **inputs)
    [call] = first["tool_calls"]
    messages += [first, {"role": "tool", "tool_call_id": call["id"], "content": "4"}]
    assert answer(GLM, messages, **inputs)["tool_calls"][0]["id"] != call["id"]


# ---- several calls at once -----------------------------------------------------------------------------------------

EACH = "2 + 3 and 10 + 20, use the tool for each"


@BOTH
@pytest.mark.parametrize("inputs", [{}, {"tool_choice": "required"}])
def test_each_of_several_sums_is_a_call(model: Model, inputs: dict[str, Any]) -> None:
    made = rounds(model, EACH, [ADD], "done", **inputs)
    assert made == [[("add", {"a": 2, "b": 3}), ("add", {"a": 10, "b": 20})]]


def test_calls_that_may_not_be_parallel_follow_each_other() -> None:
    made = rounds(GLM, EACH, [ADD], "done", parallel_tool_calls=False)
    assert made == [[("add", {"a": 2, "b": 3})], [("add", {"a": 10, "b": 20})]]


@pytest.mark.parametrize(
    ("request_text", "tools", "calls"),
    [
        ("Add 2 and 3, then multiply 4 by 5", [ADD, MULTIPLY], [("add", 2, 3), ("multiply", 4, 5)]),
        ("Add 2 and 3, 4 and 5, and 6 and 7", [ADD], [("add", 2, 3), ("add", 4, 5), ("add", 6, 7)]),
        ("1. 2 + 3\n2. 10 + 20", [ADD], [("add", 2, 3), ("add", 10, 20)]),
        ("What's 2 plus 3? And 10 plus 20?", [ADD, MULTIPLY], [("add", 2, 3), ("add", 10, 20)]),
        (EACH, [tool("op", {"x": NUMBER, "y": NUMBER})], [("op", 2, 3), ("op", 10, 20)]),
        ("Add 17 and -4.5", [ADD], [("add", 17, -4.5)]),
        ("Calculate 2 + 3 and 10 * 20", [CALCULATOR], [("calculator", "2 + 3"), ("calculator", "10 * 20")]),
        ("Get users 7, 8 and 9", [USER], [("get_user", 7), ("get_user", 8), ("get_user", 9)]),
        (
            "The weather:\n- Paris\n- Rome\n- Oslo",
            [WEATHER],
            [("get_weather", "Paris"), ("get_weather", "Rome"), ("get_weather", "Oslo")],
        ),
        (
            "Forecast for 3 days in Paris and for 5 days in Rome",
            [FORECAST],
            [("get_forecast", "Paris", 3), ("get_forecast", "Rome", 5)],
        ),
        ("Forecast for Oslo? My name is Ada. I stay 3 days", [FORECAST], [("get_forecast", "Oslo", 3)]),
    ],
)
def test_calls_for_each_value_or_pair_of_a_request(
    request_text: str, tools: list[dict[str, Any]], calls: list[tuple[Any, ...]]
) -> None:
    made = first_calls(request_text, *tools)
    assert [(name, *arguments.values()) for name, arguments in made] == calls


@pytest.mark.parametrize(
    "content", ["1" * 20_000, "1 + " * 5_000, "and " * 5_000, "(" * 20_000, "1. " * 7_000, " " * 500_000]
)
def test_a_long_request_is_searched_in_time(content: str) -> None:
    messages = [{"role": "user", "content": f"Calculate 2 + 3 and 10 + 20 {content}!"}]
    assert answer(GLM, messages, tools=[ADD, CALCULATOR], tool_choice="required")["tool_calls"]
