"""Scripted answers: their shapes in every dialect, the calls that they are for, strict mode, and what is refused."""

import asyncio
import base64
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import openai
import pytest
from PIL import Image

from running_simulator import ENVIRONMENT, PACKAGE, SimulatorProcess
from workers_ai_simulator.client import AnswerParts, ScriptedCall, SimulatorClient, SimulatorError
from workers_ai_simulator.scripted.errors import AnswersError
from workers_ai_simulator.scripted.models import ScriptedAnswer, read
from workers_ai_simulator.scripted.prompt import prompt_of

NATIVE = "@cf/meta/llama-3.2-3b-instruct"
DUAL = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
OPENAI = "@cf/qwen/qwen3-30b-a3b-fp8"
GPT = "@cf/openai/gpt-oss-20b"
EMBEDDING = "@cf/baai/bge-base-en-v1.5"
GATEWAY = {"gateway": {"id": "scripted"}}
REST = "/client/v4/accounts/any/ai"
QUESTION = [{"role": "user", "content": "What is the weather in Oslo?"}]
WEATHER: ScriptedCall = {"name": "weather", "arguments": {"city": "Oslo"}}
CALLS = [{"id": "c1", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}, "type": "function"}]


PICTURE = io.BytesIO()
Image.new("RGB", (8, 8)).save(PICTURE, "PNG")


@pytest.fixture
def script(simulator_process: SimulatorProcess, http: httpx.Client) -> SimulatorClient:  # http clears the answers
    client = SimulatorClient(simulator_process.url)
    client.ignore_past_requests()
    return client


def post(http: httpx.Client, model: str, inputs: dict[str, Any], **options: Any) -> httpx.Response:
    headers = {"cf-consn-model-id": model}
    return http.post("/run", json={"inputs": inputs, "options": options}, headers=headers)


def run(http: httpx.Client, model: str, inputs: dict[str, Any], **options: Any) -> Any:
    response = post(http, model, inputs, **options)
    assert response.status_code == 200, response.text
    return response.json()


def frames(http: httpx.Client, model: str, inputs: dict[str, Any], **options: Any) -> list[Any]:
    """Data of the frames of a stream, without `[DONE]`."""
    text = post(http, model, {**inputs, "stream": True}, **options).text
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


# ---- shapes --------------------------------------------------------------------------------------------------------


def test_a_text_has_the_shape_of_every_dialect(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answer(text="It rains.", count=None, usage={"prompt_tokens": 7, "completion_tokens": 3})
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    messages: dict[str, Any] = {"messages": QUESTION}
    assert run(http, NATIVE, messages) == {"response": "It rains.", "usage": usage}
    completion = run(http, OPENAI, messages)
    assert completion["choices"][0]["message"]["content"] == "It rains."
    assert (completion["choices"][0]["finish_reason"], completion["usage"]) == ("stop", usage)
    response = http.post(f"{REST}/v1/responses", json={"model": GPT, "input": "Weather?"}).json()
    assert response["output"][-1]["content"][0]["text"] == "It rains."
    message = run(http, "anthropic/claude-sonnet-5", {**messages, "max_tokens": 9}, **GATEWAY)
    assert message["content"] == [{"type": "text", "text": "It rains."}]
    contents = {"contents": [{"role": "user", "parts": [{"text": "Weather?"}]}]}
    gemini = run(http, "google/gemini-3.1-pro", contents, **GATEWAY)
    assert gemini["candidates"][0]["content"]["parts"] == [{"text": "It rains."}]
    other = run(http, "openai/gpt-5-mini", messages, **GATEWAY)
    assert other["choices"][0]["message"]["content"] == "It rains."
    assert [each["prompt"] for each in script.requests(binding="AI")].count("Weather?") == 2


def test_a_stream_comes_in_the_pieces_of_the_script(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answer(stream=["It ", "rains", "."], count=None)
    messages: dict[str, Any] = {"messages": QUESTION}
    assert [each["response"] for each in frames(http, NATIVE, messages)] == ["It ", "rains", ".", ""]
    assert "".join(each["response"] for each in frames(http, DUAL, messages)) == "It rains."
    deltas = [each["choices"][0]["delta"] for each in frames(http, OPENAI, messages)]
    assert [each.get("content") for each in deltas] == ["It ", "rains", ".", None]
    claude = frames(http, "anthropic/claude-sonnet-5", {**messages, "max_tokens": 9}, **GATEWAY)
    assert [each["delta"]["text"] for each in claude if each["type"] == "content_block_delta"] == ["It ", "rains", "."]
    typed = http.post(f"{REST}/v1/responses", json={"model": GPT, "input": "a", "stream": True}).text
    assert typed.count("event: response.output_text.delta") == 3
    assert run(http, NATIVE, messages)["response"] == "It rains."


def test_tools_are_called_whatever_the_request_offers(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answer(tool_calls=[{**WEATHER, "id": "c1"}], count=None)
    messages: dict[str, Any] = {"messages": QUESTION}
    assert run(http, NATIVE, messages)["tool_calls"] == [WEATHER]
    choice = run(http, OPENAI, messages)["choices"][0]
    assert (choice["message"]["tool_calls"], choice["finish_reason"]) == (CALLS, "tool_calls")
    claude = run(http, "anthropic/claude-sonnet-5", {**messages, "max_tokens": 9}, **GATEWAY)
    assert claude["content"] == [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Oslo"}}]
    streamed = [each["tool_calls"][0]["function"] for each in frames(http, NATIVE, messages) if each.get("tool_calls")]
    assert "".join(each["arguments"] or "" for each in streamed if "arguments" in each) == '{"city": "Oslo"}'
    script.clear_answers()
    script.set_answer(text="Let me look.", tool_calls=[{"name": "weather", "arguments": '{"city": '}])
    message = run(http, OPENAI, messages)["choices"][0]["message"]
    assert message["content"] == "Let me look."
    assert message["tool_calls"][0]["function"]["arguments"] == '{"city": '


def test_json_is_an_object_where_the_native_dialect_has_one(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answer(json={"city": "Oslo"}, count=None)
    inputs: dict[str, Any] = {"prompt": "a", "response_format": {"type": "json_object"}}
    model = "@cf/meta/llama-3.1-8b-instruct-fast"
    assert run(http, model, inputs)["response"] == {"city": "Oslo"}
    assert run(http, model, {"prompt": "a"})["response"] == '{"city": "Oslo"}'
    assert run(http, OPENAI, {"messages": QUESTION})["choices"][0]["message"]["content"] == '{"city": "Oslo"}'
    script.clear_answers()
    script.set_answer(json=None)
    assert run(http, model, inputs)["response"] is None


def test_reasoning_and_a_finish_reason(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answer(text="Rain", reasoning="Clouds.", finish_reason="length", count=None)
    choice = run(http, OPENAI, {"messages": QUESTION})["choices"][0]
    assert (choice["message"]["reasoning_content"], choice["finish_reason"]) == ("Clouds.", "length")
    assert run(http, NATIVE, {"prompt": "a"})["response"] == "<think>\nClouds.\n</think>\n\nRain"


def test_a_scripted_text_is_never_cut(http: httpx.Client, script: SimulatorClient) -> None:
    long = " ".join(map(str, range(2000)))
    script.set_answer(text=long)
    assert run(http, NATIVE, {"prompt": "a", "max_tokens": 5})["response"] == long


@pytest.mark.parametrize(
    ("model", "inputs", "field"),
    [
        ("@cf/meta/m2m100-1.2b", {"text": "Hello", "target_lang": "fr"}, "translated_text"),
        ("@cf/llava-hf/llava-1.5-7b-hf", {"image": [*PICTURE.getvalue()], "prompt": "a"}, "description"),
    ],
)
def test_a_text_of_another_task(
    http: httpx.Client, script: SimulatorClient, model: str, inputs: dict[str, Any], field: str
) -> None:
    script.set_answer(text="Scripted.")
    assert run(http, model, inputs)[field] == "Scripted."


def test_a_transcript(http: httpx.Client, script: SimulatorClient) -> None:
    spoken = run(http, "@cf/myshell-ai/melotts", {"prompt": "The cat sleeps."})["audio"]
    script.set_answer(text="A dog barks.")
    transcript = run(http, "@cf/openai/whisper", {"audio": [*base64.b64decode(spoken)]})
    assert transcript["text"] == "A dog barks."
    assert [each["word"] for each in transcript["words"]] == ["A", "dog", "barks."]


def test_whole_answers_media_errors_and_frames_are_sent_as_they_are(
    http: httpx.Client, script: SimulatorClient
) -> None:
    script.set_answers(
        [
            {"answer": {"data": [[1, 2]], "shape": [1, 2]}, "model": EMBEDDING},
            {"media": {"base64": "aGk=", "content_type": "image/png"}},
            {"error": {"status": 429, "code": 3040, "description": "Busy."}},
            {"frames": [{"response": 5}, "data: {broken\n\n", ": comment\n\n"]},
        ]
    )
    assert run(http, EMBEDDING, {"text": "a"}) == {"data": [[1, 2]], "shape": [1, 2]}
    image = post(http, "@cf/lykon/dreamshaper-8-lcm", {"prompt": "a hill"})
    assert (image.content, image.headers["content-type"]) == (b"hi", "image/png")
    busy = post(http, NATIVE, {"prompt": "a"})
    assert (busy.status_code, busy.json()["internalCode"], busy.json()["description"]) == (429, 3040, "Busy.")
    odd = post(http, NATIVE, {"prompt": "a", "stream": True}).text
    assert odd == 'data: {"response": 5}\n\ndata: {broken\n\n: comment\n\n'
    assert [each["remaining"] for each in script.answers()] == [0, 0, 0, 0]


async def test_openai_s_own_client_reads_scripted_answers(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answers([{"tool_calls": [WEATHER]}, {"stream": ["It ", "rains."]}])
    async with openai.AsyncOpenAI(base_url=f"{script.url}{REST}/v1", api_key="any") as client:
        first = await client.chat.completions.create(model=OPENAI, messages=[{"role": "user", "content": "a"}])
        call = (first.choices[0].message.tool_calls or [])[0]
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"city": "Oslo"}
        stream = await client.chat.completions.create(
            model=OPENAI, messages=[{"role": "user", "content": "a"}], stream=True
        )
        texts = [chunk.choices[0].delta.content async for chunk in stream]
    assert texts[:2] == ["It ", "rains."]


# ---- which calls ---------------------------------------------------------------------------------------------------


def test_answers_are_given_in_order_then_by_rule_then_simulated(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answers(
        [
            {"text": "one"},
            {"text": "two", "count": 2},
            {"text": "rainy", "pattern": r"(?i)\bRAIN\b", "count": None},
            {"text": "of llama", "model": "@cf/meta/*", "prompt": "Oslo", "count": None},
        ]
    )
    texts = [run(http, NATIVE, {"prompt": each})["response"] for each in ("a", "a", "a", "rain?", "Oslo", "train")]
    assert texts[:5] == ["one", "two", "two", "rainy", "of llama"]
    assert "simulated" in texts[5]
    assert "simulated" in run(http, OPENAI, {"messages": QUESTION})["choices"][0]["message"]["content"]
    ids = [each["id"] for each in script.answers()]
    scripted = [each["scripted"] for each in script.requests(binding="AI")]
    assert scripted == [ids[0], ids[1], ids[1], ids[2], ids[3], None, None]
    assert [each["applied"] for each in script.answers()] == [1, 2, 1, 1]


def test_a_text_waits_for_a_model_that_writes(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answers([{"frames": ["data: [DONE]\n\n"]}, {"text": "chat"}])
    assert run(http, EMBEDDING, {"text": "a"})["shape"] == [1, 768]
    assert run(http, NATIVE, {"prompt": "a"})["response"] == "chat"
    assert post(http, NATIVE, {"prompt": "a", "stream": True}).text == "data: [DONE]\n\n"


def test_a_wrong_request_or_a_fault_uses_no_answer_up(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_fault(status=500)
    script.set_answer(text="after all")
    assert post(http, NATIVE, {"prompt": "a"}).status_code == 500
    assert script.answers()[0]["applied"] == 0
    assert post(http, NATIVE, {"prompt": "a", "temperature": 99}).json()["internalCode"] == 5006
    assert script.answers()[0]["applied"] == 0
    assert run(http, NATIVE, {"prompt": "a"})["response"] == "after all"


def test_a_gateway_s_cache_uses_no_answer_up(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answers([{"text": "first"}, {"text": "second"}])
    cached = {"gateway": {"id": "scripted", "cacheTtl": 60}}
    inputs = {"prompt": "cached by the gateway"}
    assert [run(http, NATIVE, inputs, **cached)["response"] for _ in range(2)] == ["first", "first"]
    assert run(http, NATIVE, inputs)["response"] == "second"


def test_the_requests_of_a_batch_have_an_answer_each(http: httpx.Client, script: SimulatorClient) -> None:
    script.set_answers([{"prompt": "b", "text": "of b"}, {"prompt": "a", "text": "of a"}])
    model = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
    queued = run(http, model, {"requests": [{"prompt": "a"}, {"prompt": "b"}]}, queueRequest=True)
    run(http, model, {"request_id": queued["request_id"]})
    answered = run(http, model, {"request_id": queued["request_id"]})
    assert [each["result"]["response"] for each in answered["responses"]] == ["of a", "of b"]


async def test_concurrent_calls_get_an_answer_each(script: SimulatorClient) -> None:
    script.set_answers([{"text": str(number)} for number in range(20)])
    async with httpx.AsyncClient(base_url=script.url, timeout=60) as client:
        body = {"inputs": {"prompt": "a"}, "options": {}}
        posts = [client.post("/run", json=body, headers={"cf-consn-model-id": NATIVE}) for _ in range(20)]
        answers = [each.json()["response"] for each in await asyncio.gather(*posts)]
    assert sorted(answers, key=int) == [str(number) for number in range(20)]


@pytest.mark.parametrize(
    ("inputs", "prompt"),
    [
        ({"prompt": "a"}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "tool_result"}]}]}, "a"),
        ({"input": "a"}, "a"),
        ({"input": [{"role": "user", "content": "a"}, {"type": "function_call", "role": "assistant"}]}, "a"),
        ({"contents": [{"parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]}, "a"),
        ({"text": ["a", "b"]}, "a\nb"),
        ({"query": "a", "contexts": [{"text": "b"}]}, "a"),
        ({"state": {"a": 1}}, ""),
        ({"messages": "none", "prompt": 5}, ""),
        ({"messages": [None, "a", {"content": None}, {"content": 5, "role": "user"}]}, ""),
        ({"audio": [1, 2]}, ""),
    ],
)
def test_the_prompt_of_a_call(inputs: dict[str, Any], prompt: str) -> None:
    assert prompt_of(inputs) == prompt


# ---- strict mode ---------------------------------------------------------------------------------------------------


def test_in_strict_mode_an_unexpected_call_is_refused_with_what_was_expected(
    http: httpx.Client, script: SimulatorClient
) -> None:
    script.set_strict()
    first, second = script.set_answers(
        [{"model": EMBEDDING, "simulated": True, "count": None}, {"prompt": "Oslo", "text": "Rain"}]
    )
    assert run(http, EMBEDDING, {"text": "a"})["shape"] == [1, 768]
    refused = post(http, NATIVE, {"prompt": "Bergen?"})
    assert (refused.status_code, refused.json()["internalCode"]) == (400, 600)
    assert refused.json()["description"] == (
        f"Unexpected call of {NATIVE} with the prompt “Bergen?”: no scripted answer applies to it (answer "
        f"{first} is for model '{EMBEDDING}'; answer {second} is for prompt 'Oslo')."
    )
    with pytest.raises(AssertionError, match=r"Unexpected call of .* “Bergen"):
        script.assert_answers_used()
    script.ignore_past_requests()
    with pytest.raises(AssertionError, match=r"Answers that no call got: .*Oslo"):
        script.assert_answers_used()
    assert run(http, NATIVE, {"prompt": "Oslo?"})["response"] == "Rain"
    script.assert_answers_used()
    script.clear_answers()
    assert "simulated" in run(http, NATIVE, {"prompt": "Oslo?"})["response"]


def test_assertions_say_what_was_asked_instead(http: httpx.Client, script: SimulatorClient) -> None:
    with pytest.raises(AssertionError, match=r"0 calls match \{'prompt': 'Oslo'\}. Calls made: none"):
        script.assert_asked(prompt="Oslo")
    run(http, NATIVE, {"prompt": "Weather in Bergen?"})
    with pytest.raises(AssertionError, match=r"0 calls match .*\n  @cf/meta/.*: 'Weather in Bergen\?'"):
        script.assert_asked(prompt="Oslo")
    [call] = script.assert_asked(model=NATIVE, pattern=r"in \w+\?$", times=1)
    assert call["inputs"] == {"prompt": "Weather in Bergen?"}
    assert script.assert_asked(model="@cf/meta/*", times=1) == [call]
    script.assert_asked(model="@cf/baai/*", times=0)
    script.assert_asked(prompt="Oslo", times=0)
    with pytest.raises(AssertionError, match="1 calls match"):
        script.assert_asked(prompt="Bergen", times=2)


# ---- what is refused -----------------------------------------------------------------------------------------------


NO_ANSWERS: list[tuple[Any, str]] = [
    (5, "5 is not of type 'object'"),
    ([{"text": "a"}, "b"], "1: 'b' is not of type 'object'"),
    ({}, "this one has none"),
    ({"text": "a", "json": 1}, "this one has text and json"),
    ({"text": "a", "error": {"status": 500}}, "this one has error and text"),
    ({"json": 1, "tool_calls": [{"name": "a"}]}, "this one has json and tool_calls"),
    ({"answer": {}, "reasoning": "a"}, "reasoning: goes with text, stream, json, tool_calls only"),
    ({"txet": "a"}, "'txet' was unexpected"),
    ({"text": 5}, "text: 5 is not of type 'string'"),
    ({"text": "a", "count": 0}, "count: 0 is less than the minimum of 1"),
    ({"text": "a", "pattern": "("}, "pattern: no regular expression: missing )"),
    ({"stream": []}, "stream: "),
    ({"tool_calls": [{"arguments": {}}]}, "tool_calls/0: 'name' is a required property"),
    ({"error": {"status": 200}}, "error/status: 200 is less than the minimum of 400"),
    ({"media": {"base64": "?", "content_type": "image/png"}}, "media/base64: "),
    ({"simulated": False}, "simulated: True was expected"),
    ({"strict": "yes", "answers": []}, "strict: 'yes' is not of type 'boolean'"),
    ({"answers": 5}, "answers: 5 is not of type 'array'"),
    ({"strict": True, "answers": [], "more": 1}, "'more' was unexpected"),
]


@pytest.mark.parametrize(("value", "message"), NO_ANSWERS)
def test_an_answer_that_is_none_is_refused_with_the_place_at_fault(value: Any, message: str) -> None:
    with pytest.raises(AnswersError) as caught:
        read(value)
    assert message in str(caught.value)


def test_the_api_adds_all_answers_or_none(http: httpx.Client, script: SimulatorClient) -> None:
    refused = http.post("/simulator/answers", json=[{"text": "a"}, {"text": 5}])
    assert (refused.status_code, refused.json()["part"]) == (400, "1/text")
    assert (
        http.post("/simulator/answers", content=b"{", headers={"content-type": "application/json"}).status_code == 400
    )
    assert http.post("/simulator/answers", content=b'{"text": "a"}').status_code == 415
    assert script.answers() == []
    http.post("/simulator/answers", json={"strict": True, "answers": [{"text": "a"}]}).raise_for_status()
    replaced = http.put("/simulator/answers", json=[{"text": "b"}])
    assert (replaced.status_code, replaced.json()["strict"]) == (201, False)
    assert [each["text"] for each in script.answers()] == ["b"]
    assert http.put("/simulator/answers", json=[{"text": 5}]).status_code == 400
    assert [each["text"] for each in script.answers()] == ["b"]
    with pytest.raises(SimulatorError, match="this one has none"):
        script.set_answer(model=NATIVE)


def test_the_client_knows_the_parts_of_an_answer() -> None:
    assert get_type_hints(AnswerParts).keys() == get_type_hints(ScriptedAnswer).keys()


def test_answers_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"strict": True, "answers": [{"text": "of the file"}]}))
    simulator = SimulatorProcess("--answers", file)
    try:
        with simulator.client() as http:
            assert run(http, NATIVE, {"prompt": "a"})["response"] == "of the file"
            assert post(http, NATIVE, {"prompt": "a"}).json()["internalCode"] == 600
        script = SimulatorClient(simulator.url)
        script.set_answers(file)
        assert [each["applied"] for each in script.answers()] == [1, 0]
    finally:
        simulator.stop()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), ("{", "is no JSON"), ('[{"text": 1}, {}]', "0/text: 1 is not of type 'string'")],
)
def test_a_file_without_answers_is_refused_at_the_start(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "answers.json"
    if content is not None:
        file.write_text(content)
    start = [sys.executable, "-m", "workers_ai_simulator", "--answers", str(file)]
    done = subprocess.run(start, env=ENVIRONMENT, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


# ---- JavaScript ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_the_client_and_fixtures_of_javascript(simulator_process: SimulatorProcess) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", "tests/javascript/testing.test.mjs"],
        cwd=PACKAGE, env={**ENVIRONMENT, "WORKERS_AI_SIMULATOR": simulator_process.url}, text=True,
        capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    # the last three are to fail, as their names say
    failed = [line for line in done.stdout.splitlines() if line.startswith("not ok")]
    assert [line.partition(" - ")[2] for line in failed] == [
        "fails: an unexpected call", "fails: an unused answer", "fails: what was not asked",
    ], done.stdout  # fmt: skip
    assert "Unexpected call of @cf/meta/llama-3.2-3b-instruct with the prompt “Bergen?”" in done.stdout
    assert "Answers that no call got: " in done.stdout
    assert "0 calls match" in done.stdout
