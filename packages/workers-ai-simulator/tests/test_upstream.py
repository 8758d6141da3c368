"""Text generation by the user's own server: called through the simulator, answered by a server of OpenAI's dialect.

That server is another simulator where the dialect is to be the real one, and a stub where it is to be odd.
"""

import asyncio
import base64
import contextlib
import io
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from running_simulator import ENVIRONMENT, SimulatorProcess
from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.extras import install_command
from workers_ai_simulator.upstream.discovery import base_url
from workers_ai_simulator.upstream.names import SUGGESTED, NamesError, best_match, read
from workers_ai_simulator.upstream.reply import events

NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
"""Native model with tools and JSON mode, whose streams are in both dialects."""
STREAMED = "@cf/mistralai/mistral-small-3.1-24b-instruct"
"""Native model with tools, whose streams are native."""
SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
VISION = "@cf/meta/llama-3.2-11b-vision-instruct"
R1 = "@cf/deepseek-ai/deepseek-r1-distill-qwen-32b"
GLM = "@cf/zai-org/glm-4.7-flash"
KIMI = "@cf/moonshotai/kimi-k2.6"
GPT_OSS = "@cf/openai/gpt-oss-20b"
GRANITE = "@cf/ibm-granite/granite-4.0-h-micro"
NAME = "stub:1b"

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather for a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def run(http: httpx.Client, model: str, inputs: dict[str, Any]) -> httpx.Response:
    """Call a model as the `Ai` class does."""
    return http.post("/run?version=3", json={"inputs": inputs, "options": {}}, headers={"cf-consn-model-id": model})


def frames(stream: str) -> list[Any]:
    frames = [frame.partition("data: ")[2] for frame in stream.strip().split("\n\n")]
    assert frames.pop() == "[DONE]"
    return [json.loads(frame) for frame in frames]


def journal(http: httpx.Client, response: httpx.Response) -> dict[str, Any]:
    entry_id = response.headers["cf-ai-req-id"]
    return http.get(f"/simulator/requests/{entry_id}", params={"seconds": 60}).json()


def refused(response: httpx.Response) -> tuple[int, int, str]:
    body = response.json()
    return response.status_code, body["internalCode"], body["description"]


# ---- a server that is another simulator ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other(simulator_process: SimulatorProcess) -> Iterator[httpx.Client]:
    """A simulator whose text generation is that of another simulator, which requires credentials."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MODELS_API_KEY", "secret")
        process = SimulatorProcess(
            "--models", f"{simulator_process.url}/client/v4/accounts/any/ai/v1",
            "--chat-models", f"{VISION}={KIMI},{SCOUT}={KIMI},*={GPT_OSS}",
        )  # fmt: skip
    with process.client() as client:
        yield client
    process.stop()


@pytest.mark.parametrize("model", [NATIVE, GLM, R1])
def test_a_whole_answer_is_the_server_s_in_the_dialect_of_the_called_model(other: httpx.Client, model: str) -> None:
    answer = run(other, model, HELLO).json()
    message = answer["choices"][0]["message"] if model == GLM else {"content": answer["response"]}
    mark = f"This is a simulated answer in place of {GPT_OSS}."
    assert mark in message["content"]
    assert (message["content"].startswith("<think>\nSimulated reasoning")) == (model == R1)
    assert ("Simulated reasoning" in message.get("reasoning_content", "")) == (model == GLM)
    assert model not in message["content"]
    usage = answer["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"] > 20


def test_a_native_stream_has_the_text_of_the_whole_answer(other: httpx.Client) -> None:
    whole = run(other, STREAMED, HELLO).json()
    sent = frames(run(other, STREAMED, {**HELLO, "stream": True}).text)
    assert "".join(frame["response"] for frame in sent) == whole["response"]
    assert sent[-1]["usage"] == whole["usage"]
    assert len(sent) > 20
    assert all(frame["p"] for frame in sent[:-1])


def test_an_openai_stream_is_made_of_chunks_of_the_called_model(other: httpx.Client) -> None:
    sent = frames(run(other, GLM, {**HELLO, "stream": True}).text)
    assert {(chunk["model"], chunk["object"], chunk["id"]) for chunk in sent} == {
        (GLM, "chat.completion.chunk", sent[0]["id"])
    }
    deltas = [chunk["choices"][0]["delta"] for chunk in sent]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("reasoning_content", "") for delta in deltas).startswith("Simulated reasoning")
    assert sent[-1]["choices"][0]["finish_reason"] == "stop"
    assert sent[-1]["usage"]["completion_tokens"] == len(sent) - 1


def test_a_responses_stream_is_made_of_typed_events(other: httpx.Client) -> None:
    body = {"model": GPT_OSS, "input": "Hello", "stream": True}
    stream = other.post("/client/v4/accounts/any/ai/v1/responses", json=body).text
    events = [json.loads(frame.partition("data: ")[2]) for frame in stream.strip().split("\n\n")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    last = events[-1]
    assert (events[0]["type"], last["type"]) == ("response.created", "response.completed")
    assert [item["type"] for item in last["response"]["output"]] == ["reasoning", "message"]
    assert last["response"]["output"][1]["content"][0]["text"] == text
    assert "simulated answer" in text


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_natively(other: httpx.Client, stream: bool) -> None:
    inputs = {"messages": [{"role": "user", "content": "Weather in Oslo?"}], "tools": [WEATHER["function"]]}
    response = run(other, STREAMED, {**inputs, "stream": stream})
    if not stream:
        answer = response.json()
        assert answer["response"] is None
        assert answer["tool_calls"] == [{"name": "get_weather", "arguments": {"city": "Oslo"}}]
        return
    parts = [frame["tool_calls"][0] for frame in frames(response.text) if "tool_calls" in frame]
    assert parts[0]["function"]["name"] == "get_weather"
    assert json.loads("".join(part["function"]["arguments"] or "" for part in parts)) == {"city": "Oslo"}
    assert (parts[-1]["id"], parts[-1]["function"]["name"]) == (None, None)


def test_the_result_of_a_native_tool_finds_its_call(other: httpx.Client) -> None:
    messages = [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
        {"role": "tool", "name": "get_weather", "content": "4 degrees"},
    ]
    answer = run(other, NATIVE, {"messages": messages, "tools": [WEATHER]}).json()["response"]
    assert answer.endswith("The tool get_weather answered: 4 degrees")


@pytest.mark.parametrize(
    "json_mode",
    [{"response_format": {"type": "json_schema", "json_schema": PERSON}}, {"guided_json": PERSON}],
)
def test_native_json_mode_answers_an_object(other: httpx.Client, json_mode: dict[str, Any]) -> None:
    assert run(other, NATIVE, {"prompt": "I am Ada Lovelace.", **json_mode}).json()["response"] == {
        "name": "Ada Lovelace"
    }


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (64, 32), "#e02020").save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("image", [list(picture()), base64.b64encode(picture()).decode()])
def test_an_image_of_bytes_reaches_the_server_as_a_data_uri(other: httpx.Client, image: Any) -> None:
    answer = run(other, VISION, {"prompt": "What is this?", "image": image, "max_tokens": 500}).json()["response"]
    assert "PNG image of 64x32 pixels, mostly red" in answer


@pytest.mark.parametrize(
    ("model", "inputs", "code"),
    [
        (NATIVE, {"messages": []}, 5006),
        (NATIVE, {**HELLO, "temperature": 99}, 5006),
        (NATIVE, {"prompt": "a " * 200_000}, 5021),
        (NATIVE, {"prompt": "a", "stream": True, "guided_json": PERSON}, 5023),
        ("@cf/meta/llama-3.1-8b-instruct", HELLO, 5028),
        ("@cf/meta/llama-9", HELLO, 5007),
        (KIMI, {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}]}]}, 3030),
    ],
)  # fmt: skip
def test_invalid_inputs_are_refused_without_a_request_to_the_server(
    other: httpx.Client, http: httpx.Client, model: str, inputs: dict[str, Any], code: int
) -> None:
    before = len(http.get("/simulator/requests").json())
    assert run(other, model, inputs).json()["internalCode"] == code
    assert len(http.get("/simulator/requests").json()) == before


def test_the_simulator_lists_the_real_models(other: httpx.Client, http: httpx.Client) -> None:
    about = other.get("/simulator").json()["chat_upstream"]
    assert about["url"] == f"{http.base_url}/client/v4/accounts/any/ai/v1"
    assert about["models"] == {VISION: KIMI, SCOUT: KIMI, "*": GPT_OSS}
    assert about["server"] == "the model server"
    assert http.get("/simulator").json()["chat_upstream"] is None


def test_other_tasks_stay_simulated(other: httpx.Client) -> None:
    answer = run(other, "@cf/meta/m2m100-1.2b", {"text": "Hello", "target_lang": "fr"}).json()
    assert answer["translated_text"].startswith("[simulated, en→fr]")


# ---- a stub --------------------------------------------------------------------------------------------------------

SSE = "text/event-stream"


LISTED = {"object": "list", "data": [{"id": "nomic-embed-text"}, {"id": NAME}, {"id": "scout:1b"}]}


class Stub:
    """A server in this process, whose answers a test sets, and which records its requests."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.answer: Callable[[Request], Response] = lambda _: Response(status_code=500)
        self.models: Response = JSONResponse(LISTED)
        self.left = threading.Event()
        """Set when a caller has disconnected."""
        self._go_on = asyncio.Event()
        self._breaks = False
        self._loop: asyncio.AbstractEventLoop | None = None
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/models", self._models),
        ]
        config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="critical", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> str:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(60)

    def go_on(self) -> None:
        """Release the answers that wait."""
        assert self._loop
        self._loop.call_soon_threadsafe(self._go_on.set)

    def break_off(self) -> None:
        self._breaks = True
        self.go_on()

    async def _chat(self, request: Request) -> Response:
        self._loop = asyncio.get_running_loop()
        self._go_on.clear()
        self.requests.append(await request.json())
        self.headers.append(request.headers)
        return self.answer(request)

    async def _models(self, _: Request) -> Response:
        return self.models

    # ---- what it answers

    def says(self, status: int = 200, content: str = "Hi", **message: Any) -> None:
        """A whole answer, without usage."""
        whole = {"choices": [{"message": {"role": "assistant", "content": content, **message}}]}
        self.answer = lambda _: JSONResponse(whole, status)

    def sends(self, *chunks: bytes | str, status: int = 200, media_type: str = SSE) -> None:
        content = [chunk.encode() if isinstance(chunk, str) else chunk for chunk in chunks]

        async def generate() -> AsyncIterator[bytes]:
            for chunk in content:
                yield chunk
                await asyncio.sleep(0)  # so that most are sent in packets of their own

        self.answer = lambda _: StreamingResponse(generate(), status, media_type=media_type)

    def sends_and_waits(self, first: str, *then: str) -> None:
        """The rest comes after `go_on` is set; after `break_off`, the connection breaks."""
        self._breaks = False

        async def generate() -> AsyncIterator[str]:
            try:
                if first:
                    yield first
                await self._go_on.wait()
                if self._breaks:
                    raise ConnectionAbortedError
                for chunk in then:
                    yield chunk
            except asyncio.CancelledError:
                self.left.set()
                raise

        self.answer = lambda _: StreamingResponse(generate(), media_type=SSE)


def delta(finish_reason: str | None = None, **parts: Any) -> str:
    chunk = {"choices": [{"index": 0, "delta": parts, "finish_reason": finish_reason}]}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


STOP, DONE = delta("stop"), "data: [DONE]\n\n"


@pytest.fixture(scope="module")
def stub_server() -> Iterator[tuple[Stub, str]]:
    stub = Stub()
    yield stub, stub.start()
    stub.stop()


@pytest.fixture(scope="module")
def before_stub(stub_server: tuple[Stub, str]) -> Iterator[httpx.Client]:
    process = SimulatorProcess("--models", stub_server[1], "--chat-models", f"{SCOUT}=scout:1b")
    with process.client() as client:
        yield client
    process.stop()


@pytest.fixture
def stub(stub_server: tuple[Stub, str]) -> Stub:
    stub = stub_server[0]
    stub.requests.clear()
    stub.headers.clear()
    stub.left.clear()
    return stub


def native_text(http: httpx.Client, model: str = STREAMED) -> str:
    return "".join(frame["response"] for frame in frames(run(http, model, {**HELLO, "stream": True}).text))


def test_a_conversation_is_sent_in_openai_s_dialect(stub: Stub, before_stub: httpx.Client) -> None:
    stub.says()
    inputs = {
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}],
        "tools": [WEATHER["function"]],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 3, "repetition_penalty": 1.5, "max_tokens": 9,
        "response_format": {"type": "json_schema", "json_schema": PERSON},
    }  # fmt: skip
    stub.says(content='{"name": "Ada"}')
    assert run(before_stub, NATIVE, inputs).json()["response"] == {"name": "Ada"}
    assert stub.requests == [
        {
            "model": NAME,
            "messages": inputs["messages"],
            "tools": [WEATHER],
            "tool_choice": inputs["tool_choice"],
            "temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 3, "max_tokens": 9,
            "repetition_penalty": 1.5, "repeat_penalty": 1.5,
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": PERSON}},
            "reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False},
        }
    ]  # fmt: skip
    assert "authorization" not in stub.headers[0]


def test_parameters_of_openai_s_dialect_are_passed_on(stub: Stub, before_stub: httpx.Client) -> None:
    stub.says()
    inputs = {
        "messages": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Hello"}],
        "stop": "END", "reasoning_effort": "low", "response_format": {"type": "json_object"},
        "tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False, "max_completion_tokens": 7,
    }  # fmt: skip
    run(before_stub, GLM, inputs)
    [body] = stub.requests
    assert body["messages"][0] == {"role": "system", "content": "Be kind."}
    assert (body["stop"], body["reasoning_effort"], body["max_tokens"]) == (["END"], "low", 7)
    assert body["response_format"] == {"type": "json_object"}
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert "chat_template_kwargs" not in body
    run(before_stub, GLM, {**inputs, "tool_choice": "none"})
    assert "tools" not in stub.requests[1]


def test_calls_of_a_response_are_one_message_and_results_name_them(stub: Stub, before_stub: httpx.Client) -> None:
    stub.says()
    calls = [{"type": "function_call", "call_id": each, "name": "add", "arguments": "{}"} for each in ("a", "b")]
    results = [{"type": "function_call_output", "call_id": each, "output": each.upper()} for each in ("a", "b")]
    run(before_stub, GPT_OSS, {"input": [{"role": "user", "content": "Hi"}, *calls, *results]})
    _, called, first, second = stub.requests[0]["messages"]
    assert [call["id"] for call in called["tool_calls"]] == ["a", "b"]
    assert first == {"role": "tool", "tool_call_id": "a", "content": "A"}
    assert second["tool_call_id"] == "b"


def test_a_stream_is_requested_with_its_usage_and_by_the_name_of_the_table(
    stub: Stub, before_stub: httpx.Client
) -> None:
    usage = {"prompt_tokens": 71, "completion_tokens": 2, "total_tokens": 73}
    last = f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
    stub.sends(delta(content="Hi"), STOP, last, DONE)
    sent = frames(run(before_stub, SCOUT, {**HELLO, "stream": True}).text)
    assert (sent[-1]["response"], sent[-1]["usage"]) == ("", usage)
    assert stub.requests[0]["model"] == "scout:1b"
    assert stub.requests[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("stream", [False, True])
def test_usage_that_the_server_does_not_send_is_counted(stub: Stub, before_stub: httpx.Client, stream: bool) -> None:
    if stream:
        stub.sends(delta(content="One two"), delta(content=" three"), STOP, DONE)
        usage = frames(run(before_stub, NATIVE, {**HELLO, "stream": True}).text)[-1]["usage"]
    else:
        stub.says(content="One two three")
        usage = run(before_stub, NATIVE, HELLO).json()["usage"]
    assert usage == {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}


def test_a_frame_is_sent_before_the_next_arrives(stub: Stub, before_stub: httpx.Client) -> None:
    stub.sends_and_waits(delta(content="first"), delta(content="second"), STOP, DONE)
    body = {"inputs": {**HELLO, "stream": True}, "options": {}}
    with before_stub.stream("POST", "/run", json=body, headers={"cf-consn-model-id": STREAMED}) as response:
        lines = response.iter_lines()
        assert json.loads(next(lines).removeprefix("data: "))["response"] == "first"
        stub.go_on()
        assert "second" in "".join(lines)
    assert journal(before_stub, response)["state"] == "finished"
    assert stub.headers[0]["accept-encoding"] == "identity"  # a compressed stream comes in blocks


TEXT = "naïve 東京 👋🏽"
ODD_STREAMS: dict[str, tuple[bytes | str, ...]] = {
    "UTF-8 cut within a letter": tuple(bytes([byte]) for byte in (delta(content=TEXT) + STOP + DONE).encode()),
    "comments, other fields, carriage returns": (
        ": ping\r\n\r\n", "event: message\r\nid: 4\r\n", delta(content="naïve 東京").replace("\n", "\r\n")[:-3], "\n\r",
        "\n:\n\nretry: 5\n\n" + delta(content=" 👋🏽"), STOP, DONE,
    ),
    "carriage returns and line feeds": ((delta(content=TEXT) + STOP + DONE).replace("\n", "\r\n"),),
    "carriage returns alone": ((delta(content=TEXT) + STOP + DONE).replace("\n", "\r"),),
    "no space after the colon": (delta(content=TEXT).replace("data: ", "data:"), STOP, "data:[DONE]\n\n"),
    "the end without [DONE], and without an empty line": (delta(content=TEXT), STOP.rstrip()),
    "[DONE] without a reason": (delta(content=TEXT), DONE),
    "what comes after the end": (delta(content=TEXT), STOP, DONE, "data: {oops\n\n"),
    "empty and null parts": (
        delta(role="assistant", content=""), delta(content=None), delta(content=TEXT, tool_calls=None), STOP, DONE,
    ),
    "JSON over several lines": (
        'data: {"choices": [{"delta":\ndata: {"content": "naïve 東京 👋🏽"}}]}\n\n', STOP, DONE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("chunks", ODD_STREAMS.values(), ids=list(ODD_STREAMS))
def test_an_odd_stream_is_read(stub: Stub, before_stub: httpx.Client, chunks: tuple[bytes | str, ...]) -> None:
    stub.sends(*chunks)
    assert native_text(before_stub) == TEXT


@pytest.mark.parametrize("end_of_line", ["\n", "\r\n", "\r"])
async def test_events_are_the_same_wherever_they_are_cut(end_of_line: str) -> None:
    stream = ": ping\n\ndata: naïve\ndata: 東京\nid: 4\n\n\ndata:b\n\ndata: c\n".replace("\n", end_of_line).encode()

    async def cut(size: int) -> AsyncIterator[bytes]:
        for start in range(0, len(stream), size):
            yield stream[start : start + size]

    for size in range(1, len(stream) + 1):
        assert [data async for data in events(cut(size))] == ["naïve\n東京", "b", "c"]


def test_a_line_separator_within_json_ends_no_line(stub: Stub, before_stub: httpx.Client) -> None:
    stub.sends(delta(content="one\u2028two\x85three"), STOP, DONE)
    assert native_text(before_stub) == "one\u2028two\x85three"


def test_a_server_that_does_not_stream_still_answers_a_stream(stub: Stub, before_stub: httpx.Client) -> None:
    stub.says(content="All at once")
    assert native_text(before_stub) == "All at once"


THOUGHTS: dict[str, tuple[str, ...]] = {
    "reasoning_content": (delta(reasoning_content="Hm"), delta(reasoning_content="m."), delta(content="Hi")),
    "reasoning": (delta(reasoning="Hm"), delta(reasoning="m.", content=""), delta(content="Hi")),
    "<think>": tuple(delta(content=letter) for letter in "\n<think>\nHmm.\n</think>\n\nHi"),
    "<think> in one": (delta(content="<think>Hmm.</think>Hi"),),
}


@pytest.mark.parametrize("chunks", THOUGHTS.values(), ids=list(THOUGHTS))
def test_reasoning_in_any_form_is_answered_in_the_form_of_the_called_model(
    stub: Stub, before_stub: httpx.Client, chunks: tuple[str, ...]
) -> None:
    stub.sends(*chunks, STOP, DONE)
    deltas = [each["choices"][0]["delta"] for each in frames(run(before_stub, GLM, {**HELLO, "stream": True}).text)]
    assert "".join(each.get("reasoning_content", "") for each in deltas).strip() == "Hmm."
    assert "".join(each.get("content", "") for each in deltas) == "Hi"
    reasoning, tag, text = native_text(before_stub, R1).partition("\n</think>\n\n")
    assert (reasoning.strip(), bool(tag), text) == ("<think>\nHmm.", True, "Hi")
    assert native_text(before_stub, STREAMED) == "Hi"  # a model without reasoning


@pytest.mark.parametrize("text", ["<b>Hi</b>", "<thin ice", "1 < 2 </think> 3", "  indented", "<think"])
def test_text_that_only_resembles_reasoning_is_text(stub: Stub, before_stub: httpx.Client, text: str) -> None:
    stub.sends(*(delta(content=letter) for letter in text), STOP, DONE)
    assert native_text(before_stub) == text


def test_reasoning_that_is_cut_is_closed(stub: Stub, before_stub: httpx.Client) -> None:
    stub.sends(delta(reasoning="Hmm"), delta("length"), DONE)
    assert native_text(before_stub, R1) == "<think>\nHmm\n</think>\n\n"


def call(index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None) -> str:
    parts = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return delta(tool_calls=[{key: value for key, value in parts.items() if value is not None}])


CALLS: dict[str, tuple[str, ...]] = {
    "in pieces": (call(0, "x", "add", ""), call(0, arguments='{"a": '), call(0, arguments="1}"), call(1, "y", "now")),
    "whole": (call(0, "x", "add", '{"a": 1}'), call(1, "y", "now", "")),
    "all of one index": (call(0, "x", "add", '{"a": 1}'), call(0, "y", "now", "")),
    "without index": (call(None, "x", "add", '{"a": '), call(None, arguments="1}"), call(None, "y", "now")),
    "without id": (call(0, None, "add", '{"a": 1}'), call(1, None, "now")),
    "arguments as an object": (call(0, "x", "add", {"a": 1}), call(1, "y", "now")),
}


@pytest.mark.parametrize("chunks", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_tool_calls_come_in_many_forms(
    stub: Stub, before_stub: httpx.Client, chunks: tuple[str, ...], reason: str
) -> None:
    stub.sends(*chunks, delta(reason), DONE)
    sent = frames(run(before_stub, GLM, {**HELLO, "stream": True, "tools": [WEATHER]}).text)
    parts = [part for each in sent for part in each["choices"][0]["delta"].get("tool_calls", [])]
    made = {part["index"]: (part["id"], part["function"]["name"]) for part in parts if "id" in part}
    assert [name for _, name in made.values()] == ["add", "now"]
    assert len({call_id for call_id, _ in made.values()}) == 2
    arguments = "".join(part["function"]["arguments"] for part in parts if part["index"] == 0)
    assert json.loads(arguments) == {"a": 1}
    assert sent[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_text_around_calls_makes_items_of_its_own_in_a_response(stub: Stub, before_stub: httpx.Client) -> None:
    stub.sends(delta(content="I ask."), call(0, "x", "add", "{}"), delta(content="Done."), delta("length"), DONE)
    stream = run(before_stub, GPT_OSS, {"input": "Hi", "stream": True}).text
    last = json.loads(stream.strip().split("\n\n")[-1].partition("data: ")[2])
    output = last["response"]["output"]
    assert [(item["type"], item["status"]) for item in output] == [
        ("message", "completed"), ("function_call", "completed"), ("message", "incomplete"),
    ]  # fmt: skip
    assert len({item["id"] for item in output}) == 3
    assert last["type"] == "response.incomplete"


# ---- a server that fails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (429, {"error": {"message": "slow down"}}, (429, 3040), "Capacity temporarily exceeded"),
        (503, {"error": "server busy"}, (429, 3040), "status 503, server busy"),
        (500, {"detail": "out of memory"}, (502, 8007), "status 500, out of memory"),
        (404, {"error": {"message": "model 'x' not found"}}, (502, 8007), "model 'x' not found"),
        (400, {"object": "error", "message": "too long"}, (502, 8007), "too long"),
        (401, {"errors": [{"code": 1, "message": "Authentication error"}]}, (502, 8007), "Authentication error"),
        (302, {}, (502, 8007), "status 302"),
    ],
)
def test_a_refusal_fails_the_call_with_the_server_s_reason(
    stub: Stub, before_stub: httpx.Client, stream: bool, status: int, body: Any, expected: Any, words: str
) -> None:
    stub.answer = lambda _: JSONResponse(body, status)
    response = run(before_stub, NATIVE, {**HELLO, "stream": stream})
    *codes, description = refused(response)
    assert tuple(codes) == expected
    assert words in description
    assert str(before_stub.get("/simulator").json()["chat_upstream"]["url"]) in description
    entry = journal(before_stub, response)
    assert (entry["state"], entry["status"]) == ("failed", expected[0])
    assert words in entry["error"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"{}", b'{"choices": 5}', b'{"error": {"message": "broken"}}', b'{"choices": []}',
        b'{"choices": [{"message": null}]}', b'{"choices": [{"finish_reason": "stop"}]}',
    ],
)  # fmt: skip
def test_an_answer_without_content_fails(stub: Stub, before_stub: httpx.Client, body: bytes, stream: bool) -> None:
    stub.sends(body, media_type="text/html" if stream else "application/json")
    status, code, description = refused(run(before_stub, NATIVE, {**HELLO, "stream": stream}))
    assert (status, code) == (502, 8007)
    assert any(words in description for words in ("this is no", "broken"))


def test_json_mode_without_json_is_5024(stub: Stub, before_stub: httpx.Client) -> None:
    stub.says(content="Sure! Here is")
    inputs = {"prompt": "Hi", "response_format": {"type": "json_object"}}
    assert refused(run(before_stub, NATIVE, inputs)) == (400, 5024, "JSON Mode couldn't be met")


BROKEN: dict[str, tuple[str, str]] = {
    "no JSON": ("data: {oops\n\n", "this is no JSON: {oops"),
    "an error": ('data: {"error": {"message": "out of memory"}}\n\n', "out of memory"),
    "no chunk": ("data: [1]\n\n", "no chat completion"),
    "an early end": ("", "ended before the answer did"),
    "a call without a name": (call(0, "x"), "begins without a name"),
}


@pytest.mark.parametrize(("frame", "words"), BROKEN.values(), ids=list(BROKEN))
def test_a_stream_that_breaks_breaks_and_the_journal_says_why(
    stub: Stub, before_stub: httpx.Client, frame: str, words: str
) -> None:
    stub.sends(delta(content="Hi"), frame)
    received: list[str] = []
    body = {"inputs": {**HELLO, "stream": True}, "options": {}}
    with before_stub.stream("POST", "/run", json=body, headers={"cf-consn-model-id": NATIVE}) as response:
        with pytest.raises(httpx.RemoteProtocolError):
            received.extend(response.iter_text())
        assert '"Hi"' in "".join(received)
    entry = journal(before_stub, response)
    assert entry["state"] == "failed"
    assert words in entry["error"]


def test_a_connection_that_breaks_breaks_the_stream(stub: Stub, before_stub: httpx.Client) -> None:
    stub.sends_and_waits(delta(content="Hi"))
    body = {"inputs": {**HELLO, "stream": True}, "options": {}}
    with before_stub.stream("POST", "/run", json=body, headers={"cf-consn-model-id": STREAMED}) as response:
        lines = response.iter_lines()
        assert '"Hi"' in next(lines)
        stub.break_off()
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    last = journal(before_stub, response)
    assert (last["state"], "8007" in last["error"]) == ("failed", True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("first", ["", delta(content="Hi")], ids=["before the answer", "within it"])
def test_a_caller_that_leaves_ends_the_server_s_work(
    stub: Stub, before_stub: httpx.Client, stream: bool, first: str
) -> None:
    stub.sends_and_waits(first)
    with (
        httpx.Client(base_url=before_stub.base_url, timeout=httpx.Timeout(60, read=0.5)) as impatient,
        contextlib.suppress(httpx.ReadTimeout),
    ):
        run(impatient, NATIVE, {**HELLO, "stream": stream})
    assert stub.left.wait(60)
    last = before_stub.get("/simulator/requests").json()[-1]
    ended = before_stub.get(f"/simulator/requests/{last['id']}", params={"seconds": 60}).json()
    assert ended["state"] == "cancelled"


def test_faults_and_gateways_work_as_before(stub: Stub, before_stub: httpx.Client) -> None:
    before_stub.post("/simulator/faults", json={"status": 429, "code": 3040})
    assert refused(run(before_stub, NATIVE, HELLO))[:2] == (429, 3040)
    assert stub.requests == []
    stub.says(content="Hi")
    body = {"inputs": HELLO, "options": {"gateway": {"id": "mine"}}}
    headers = {"cf-consn-model-id": NATIVE}
    response = before_stub.post("/ai-gateway/run", json=body, headers=headers)
    log = before_stub.get(f"/ai-gateway/gateways/mine/logs/{response.headers['cf-aig-log-id']}").json()["result"]
    assert (response.json()["response"], log["success"], log["tokens_out"]) == ("Hi", True, 1)
    stub.sends(delta(content="a"), delta(content="b"), STOP, DONE)
    before_stub.post("/simulator/faults", json={"broken_frame": 1})
    stream = run(before_stub, NATIVE, {**HELLO, "stream": True}).text.split("\n\n")
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream[1].removeprefix("data: "))


# ---- the start -----------------------------------------------------------------------------------------------------


def started(*arguments: str, program: str = "") -> subprocess.CompletedProcess[str]:
    """A simulator that exits at once, at the latest because its standard input is closed."""
    start = ["-c", program] if program else ["-m", "workers_ai_simulator"]
    command = [sys.executable, *start, "--port", "0", "--end-with-stdin", *arguments]
    return subprocess.run(
        command, env=ENVIRONMENT, text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", "localhost:11434"], "no URL of the form http://host:port, nor one of auto, ollama"),
        (["--chat-models", "*=x"], "--chat-models needs --models"),
        (["--embeddings", "server"], "--embeddings server needs --models"),
        (
            ["--models", "http://h", "--chat-models", "@cf/meta/llama-9=x"],
            "@cf/meta/llama-9 is no text-generation model",
        ),
        (["--models", "http://h", "--chat-models", "*="], "not of the form"),
        (["--models", "http://h", "--chat-models", "no-such.json"], "nor a file"),
    ],
)
def test_wrong_options_end_the_start(arguments: list[str], words: str) -> None:
    done = started(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['httpx'] = None; from workers_ai_simulator.__main__ import main; main()"
    done = started("--models", "http://127.0.0.1:9", program=program)
    assert done.returncode == 1
    assert done.stderr == f"--models needs httpx: {install_command('chat')}\n"
    assert started(program=program).stdout.startswith("Ready on ")


# ---- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1"),
        ("http://localhost:11434/v1/", "http://localhost:11434/v1"),
        ("http://localhost:8000/v1/chat/completions", "http://localhost:8000/v1"),
        ("https://example.org/api/v3", "https://example.org/api/v3"),
        ("https://example.org/api", "https://example.org/api/v1"),
        ("http://user:secret@localhost", "http://user:secret@localhost/v1"),
    ],
)
def test_a_url_is_taken_with_and_without_its_version(address: str, url: str) -> None:
    assert str(base_url(address)) == url


def test_names_are_read_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    file.write_text(json.dumps({GLM: "glm", "*": "qwen3:4b"}))
    names = read(str(file))
    assert (names.of(GLM), names.of(NATIVE)) == ("glm", "qwen3:4b")
    assert read(f" {GLM} = a=b ,*=c").of(GLM) == "a=b"
    assert read("@cf/moonshotai/kimi-k2.5=kimi").of(KIMI) == "kimi"
    assert read(f"{GLM}=glm").of(NATIVE) is None


@pytest.mark.parametrize("content", ["[]", "{", '{"*": 5}'])
def test_a_file_without_names_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "names.json"
    file.write_text(content)
    with pytest.raises(NamesError, match=r"names\.json"):
        read(str(file))


@pytest.mark.parametrize(
    ("model", "listed", "name"),
    [
        ("@cf/meta/llama-3.1-8b-instruct-fast", ["qwen3:4b", "llama3.1:latest", "llama3.1:8b"], "llama3.1:8b"),
        ("@cf/meta/llama-3.1-8b-instruct-fast", ["qwen3:4b", "llama3.1:latest"], "llama3.1:latest"),
        ("@cf/meta/llama-3.1-8b-instruct-fast", ["llama3.10:8b", "llama3.2:3b"], "llama3.2:3b"),
        (VISION, ["llama3.2:3b", "llama3.2-vision:11b"], "llama3.2-vision:11b"),
        (GLM, ["nomic-embed-text:latest", "bge-m3:latest", "qwen3:4b"], "qwen3:4b"),
        ("@cf/google/gemma-4-26b-a4b-it", ["qwen3:4b", "embeddinggemma", "google/gemma-3-4b"], "google/gemma-3-4b"),
        ("@cf/openai/gpt-oss-20b", ["llama-3.2-1b-instruct", "openai/gpt-oss-20b"], "openai/gpt-oss-20b"),
        (GLM, ["bge-m3:latest"], "bge-m3:latest"),
        (GLM, [], None),
    ],
)
def test_without_a_name_a_model_of_the_family_answers_or_the_first(
    model: str, listed: list[str], name: str | None
) -> None:
    assert best_match(model, listed) == name


def test_every_suggestion_is_for_a_known_model() -> None:
    texts = [model.id for model in MODELS.values() if model.task == "text-generation"]
    assert [each for each in SUGGESTED if not any(model_id.startswith(each) for model_id in texts)] == []
