"""`--models`: the server that is found, the model that answers, downloads, and what is printed if one fails."""

import dataclasses
import io
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from model_servers import ModelServer, serving
from running_simulator import SimulatorProcess
from test_upstream import started
from workers_ai_simulator.catalogue import MODELS, Model
from workers_ai_simulator.embeddings.vectors import mixed
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.upstream import discovery, kinds
from workers_ai_simulator.upstream.discovery import ModelsError
from workers_ai_simulator.upstream.embeddings import ServerEmbeddings
from workers_ai_simulator.upstream.names import Names
from workers_ai_simulator.upstream.pull import Report
from workers_ai_simulator.upstream.server import BrokenStreamError, ChatUpstream

GEMMA = MODELS["@cf/google/gemma-4-26b-a4b-it"]
LLAMA = MODELS["@cf/meta/llama-3.3-70b-instruct-fp8-fast"]
BGE_BASE = "@cf/baai/bge-base-en-v1.5"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
CLOSED = "http://127.0.0.1:9"
"""Address at which nothing listens."""


class Machine:
    """The ports on which model servers listen by default, on a machine where only those of a test run."""

    def __init__(self, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
        self._patch = patch
        self._stack = stack
        self.printed = io.StringIO()
        for kind in kinds.KINDS.values():
            self._listen(kind.id, 9)

    def run(self, kind: str, *models: str, port_of: str = "") -> ModelServer:
        """Start a server, on the port of its kind or of another."""
        stand_in = ModelServer(kind, *models)
        address = self._stack.enter_context(serving(stand_in))
        self._listen(port_of or kind, int(address.rpartition(":")[2]))
        return stand_in

    def _listen(self, kind: str, port: int) -> None:
        self._patch.setitem(kinds.KINDS, kind, dataclasses.replace(kinds.KINDS[kind], port=port))

    def find(self, option: str, names: Names | None = None, *more: str) -> discovery.ModelServer | None:
        return discovery.find(option, names or Names(), Report(self.printed), more)

    def found(self, option: str, names: Names | None = None, *more: str) -> discovery.ModelServer:
        server = self.find(option, names, *more)
        assert server
        return server

    def problem(self, option: str, names: Names | None = None) -> str:
        with pytest.raises(ModelsError) as raised:
            self.find(option, names)
        return str(raised.value)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.delenv("MODELS_API_KEY", raising=False)
    monkeypatch.setattr(discovery, "LOADING_INTERVAL", 0)
    with ExitStack() as stack:
        yield Machine(monkeypatch, stack)


# ---- which server, and which model -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "models", "label"),
    [
        ("ollama", ["nomic-embed-text:latest", "llama3.2:latest"], "llama3.2 by Ollama"),
        ("ollama", ["llama3.2:latest", "gemma3:4b"], "gemma3:4b by Ollama"),
        ("ollama", ["hf.co/unsloth/Qwen3-4B-GGUF:Q4_K_M"], "hf.co/unsloth/Qwen3-4B-GGUF:Q4_K_M by Ollama"),
        ("lmstudio", ["text-embedding-nomic-embed-text-v1.5", "qwen/qwen3-4b"], "qwen/qwen3-4b by LM Studio"),
        ("llama.cpp", ["/models/gemma-3-4b-it-Q4_K_M.gguf"], "gemma-3-4b-it-Q4_K_M by llama.cpp"),
        ("vllm", ["Qwen/Qwen3-0.6B"], "Qwen/Qwen3-0.6B by vLLM"),
    ],
)
def test_a_server_and_a_model_that_chats_are_found_by_its_name_and_by_auto(
    machine: Machine, kind: str, models: list[str], label: str
) -> None:
    machine.run(kind, *models)
    for option in (kind, "auto", kinds.KINDS[kind].url()):
        server = machine.found(option)
        assert server.label(server.model_for(GEMMA.id) or "") == label


def test_the_model_in_memory_answers_if_none_is_of_the_family(machine: Machine) -> None:
    ollama = machine.run("ollama", "phi4:latest", "mistral:7b", "qwen3:4b")
    ollama.in_memory = ["mistral:7b"]
    assert machine.found("ollama").model_for(GEMMA.id) == "mistral:7b"


def test_a_model_is_chosen_behind_the_server(machine: Machine) -> None:
    machine.run("ollama", "gemma3:4b", "llama3.2:latest")
    assert machine.found("ollama=llama3.2").model_for(GEMMA.id) == "llama3.2"
    server = machine.found("auto=llama3.2", Names({GEMMA.id: "gemma3:4b"}))
    assert (server.model_for(GEMMA.id), server.model_for(LLAMA.id)) == ("gemma3:4b", "llama3.2")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("", "http://127.0.0.1:9"),
        ("0.0.0.0", "http://127.0.0.1:9"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("nas.local", "http://nas.local:9"),
        ("https://nas.local:443/", "https://nas.local:443"),
    ],
)
def test_ollama_s_own_variable_says_where_it_is(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, host: str, address: str
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert kinds.KINDS["ollama"].url() == address


def test_another_server_on_the_port_has_its_own_name(machine: Machine) -> None:
    machine.run("vllm", "Qwen/Qwen3-0.6B", port_of="llama.cpp")
    assert machine.found("llama.cpp").kind.name == "vLLM"
    assert machine.find("auto") is None


def test_auto_without_a_server_is_simulated_and_says_so(machine: Machine) -> None:
    assert machine.find("auto") is None
    assert machine.printed.getvalue() == (
        "No model server is used, so answers are simulated. "
        "Looked for: Ollama (9), LM Studio (9), llama.cpp (9), vLLM (9).\n"
    )


def test_auto_passes_over_servers_without_the_model_and_downloads_nothing(machine: Machine) -> None:
    ollama = machine.run("ollama")
    machine.run("lmstudio", "qwen/qwen3-4b")
    assert machine.found("auto").kind.name == "LM Studio"
    printed = machine.printed.getvalue()
    assert "passes over Ollama" in printed
    assert "has no model that chats. Get it: ollama pull llama3.2" in printed
    assert ollama.requests == []
    assert machine.find("auto=phi4") is None
    assert "has no model phi4. Get it: lms get phi4" in machine.printed.getvalue()


def test_a_server_that_loads_its_model_is_waited_for(machine: Machine) -> None:
    machine.run("llama.cpp", "a.gguf").loading = 3
    assert machine.found("llama.cpp").listed == ("a.gguf",)
    assert machine.printed.getvalue().count("is not ready yet: Loading model. Waiting …") == 1


def test_a_server_that_never_loads_its_model_is_given_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.run("llama.cpp", "a.gguf").loading = 10**9
    monkeypatch.setattr(discovery, "LOADING_SECONDS", 0)
    assert "is not ready after 0 s" in machine.problem("llama.cpp")


def test_a_server_without_a_list_of_models_needs_the_name_of_one(machine: Machine) -> None:
    machine.run("vllm").lists_models = False
    url = kinds.KINDS["vllm"].url()
    assert "answers, but not like the model server: status 404" in machine.problem(url)
    assert machine.found(f"{url}=any").model_for(GEMMA.id) == "any"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("olama", "nor one of auto, ollama, lmstudio, llama.cpp, vllm"),
        ("http://", "no URL of the form"),
        ("auto=a", "name two models for *: leave one out"),
    ],
)
def test_an_option_that_names_no_server_or_two_models_is_refused(machine: Machine, option: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        machine.find(option, Names({"*": "b"}))


# ---- what to do next -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("ollama", "Ollama does not answer at http://127.0.0.1:9/v1"),
        ("ollama", "Start it: ollama serve\nWithout --models, answers are simulated."),
        ("lmstudio", "Start it: lms server start"),
        ("llama.cpp", "Start it: llama-server --jinja -m MODEL.gguf"),
        ("vllm", "Start it: vllm serve Qwen/Qwen3-4B"),
        (CLOSED, "the model server does not answer at http://127.0.0.1:9/v1"),
    ],
)
def test_a_server_that_does_not_run_is_named_with_the_command_that_starts_it(
    machine: Machine, option: str, advice: str
) -> None:
    assert advice in machine.problem(option)


def test_a_program_that_is_no_model_server_is_no_model_server(machine: Machine) -> None:
    machine.run("llama.cpp").lists_models = False
    problem = machine.problem("llama.cpp")
    assert "answers, but not like llama.cpp: status 404, <h1>Not Found</h1>" in problem
    assert machine.find("auto") is None


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("lmstudio", "Get it: lms get phi4"),
        ("llama.cpp", "Get it: start llama-server --jinja -m phi4"),
        ("vllm", "Get it: start vllm serve phi4"),
    ],
)
def test_a_missing_model_is_named_with_the_command_that_gets_it(machine: Machine, kind: str, command: str) -> None:
    machine.run(kind, "a", "b", "c", "d", "e", "f", "g")
    problem = machine.problem(f"{kind}=phi4")
    assert f"has no model phi4. {command}\nIt has a, b, c, d, e and 2 more. To take one of them:" in problem
    assert problem.endswith(f"--models {kind}=a")


def test_an_api_key_comes_from_the_environment(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.run("vllm", "a").key = "secret"
    assert "refuses the request: Unauthorized. Set its API key in the environment: MODELS_API_KEY=" in machine.problem(
        "vllm"
    )
    monkeypatch.setenv("MODELS_API_KEY", "secret")
    assert machine.found("vllm").listed == ("a",)


# ---- downloads -------------------------------------------------------------------------------------------------------


def test_ollama_downloads_a_model_that_it_lacks_and_shows_how_far_it_is(machine: Machine) -> None:
    ollama = machine.run("ollama", "llama3.2:latest")
    server = machine.found("ollama=qwen3:4b")
    assert server.model_for(GEMMA.id) == "qwen3:4b"
    assert ollama.requests == [("/api/pull", {"model": "qwen3:4b"})]
    assert machine.printed.getvalue().splitlines() == [
        "Ollama downloads qwen3:4b. Ctrl-C stops it, and another start goes on from there.",
        "Downloading qwen3:4b … 0 % of 2.0 GB",
        "Downloading qwen3:4b … 45 % of 2.0 GB",
        "Downloading qwen3:4b … 100 % of 2.0 GB",
        "qwen3:4b is there.",
    ]
    machine.found("ollama=qwen3:4b")
    assert len(ollama.requests) == 1


def test_ollama_without_a_model_that_chats_gets_a_small_one(machine: Machine) -> None:
    ollama = machine.run("ollama", "nomic-embed-text:latest")
    assert machine.found("ollama").model_for(GEMMA.id) == "llama3.2"
    assert ollama.requests == [("/api/pull", {"model": "llama3.2"})]
    empty = machine.run("ollama")
    assert machine.found("ollama").label("llama3.2") == "llama3.2 by Ollama"
    assert empty.models == ["llama3.2:latest"]


def test_the_progress_in_a_terminal_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    report = Report(terminal)
    report.progress("Downloading a", 0, 4_000_000)
    report.progress("Downloading a", 4_000_000, 4_000_000)
    report.say("a is there.")
    assert terminal.getvalue() == "\rDownloading a … 0 % of 4 MB\rDownloading a … 100 % of 4 MB\na is there.\n"


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([{"error": "pull model manifest: file does not exist"}], "pull model manifest: file does not exist"),
        (
            [{"status": "pulling manifest"}, {"error": "max retries exceeded: no space left on device"}],
            "max retries exceeded: no space left on device",
        ),
        ([{"status": "pulling manifest"}], "the download ended early, after 'pulling manifest'"),
    ],
)
def test_a_download_that_fails_says_why_and_what_to_try(machine: Machine, events: list[Any], why: str) -> None:
    machine.run("ollama", "llama3.2:latest").pull_events = events
    problem = machine.problem("ollama=nope")
    assert f"Ollama cannot download nope: {why}. Try it by hand: ollama pull nope" in problem
    assert problem.endswith("It has llama3.2:latest. To take one of them: --models ollama=llama3.2:latest")


# ---- answers ---------------------------------------------------------------------------------------------------------


async def refusal(server: discovery.ModelServer, **inputs: Any) -> UpstreamError:
    chat = ChatUpstream(server)
    try:
        with pytest.raises(UpstreamError) as raised:
            await chat.answer(GEMMA, {**HELLO, **inputs}, None)
    finally:
        await chat.close()
    return raised.value


def error(message: str, kind: str = "api_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


WITHOUT_TOOLS = "registry.ollama.ai/library/gemma3:4b does not support tools"
AUTO_TOOLS = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
TOO_LONG = "request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it"
VLLM_TOO_LONG = "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens"


@pytest.mark.parametrize(
    ("kind", "status", "body", "code", "words"),
    [
        ("ollama", 400, error(WITHOUT_TOOLS), 8007, "Choose a model that calls tools"),
        ("ollama", 404, error("model 'a' not found"), 8007, "Get it: ollama pull a"),
        ("ollama", 404, {"error": "model 'a' not found, try pulling it first"}, 8007, "Get it: ollama pull a"),
        ("ollama", 500, error("model requires more system memory (9.0 GiB) than is available"), 8007, "smaller model"),
        ("ollama", 503, error("server busy, please try again.  maximum pending requests exceeded"), 3040, "busy"),
        ("vllm", 400, error(AUTO_TOOLS), 8007, "vllm serve a --enable-auto-tool-choice --tool-call-parser"),
        ("vllm", 404, error("The model `a` does not exist.", "NotFoundError"), 8007, "Get it: start vllm serve a"),
        ("vllm", 400, {"object": "error", "message": VLLM_TOO_LONG, "code": 400}, 5021, "maximum context length"),
        ("llama.cpp", 500, error("tools param requires --jinja flag"), 8007, "llama-server --jinja -m a"),
        ("llama.cpp", 503, error("Loading model", "unavailable_error"), 3040, "Loading model"),
        ("llama.cpp", 400, error(TOO_LONG, "exceed_context_size_error"), 5021, "whose context you can make larger"),
        ("lmstudio", 404, error("No models loaded. Please load a model"), 8007, "Load one: lms load a"),
    ],
)
async def test_a_refusal_says_what_to_do_next(
    machine: Machine, kind: str, status: int, body: dict[str, Any], code: int, words: str
) -> None:
    machine.run(kind, "a").refuses = status, body
    refused = await refusal(machine.found(kind))
    assert refused.code == code
    assert words in refused.description


async def test_a_server_that_has_ended_is_named_with_the_command_that_starts_it(machine: Machine) -> None:
    machine.run("ollama", "a")
    server = dataclasses.replace(machine.found("ollama"), url=f"{CLOSED}/v1", base=f"{CLOSED}/v1")
    refused = await refusal(server)
    assert refused.description.startswith(f"Ollama at {CLOSED}/v1 failed: ")
    assert refused.description.endswith("Start it: ollama serve")


def frame(finish_reason: str | None = None, **delta: Any) -> str:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish_reason}
    return f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


USAGE = {"prompt_tokens": 26, "completion_tokens": 5, "total_tokens": 31}
WITH_USAGE = f"data: {json.dumps({'choices': [], 'usage': USAGE})}\n\n"
DONE = "data: [DONE]\n\n"
CALL = {
    "id": "call_1", "index": 0, "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
}  # fmt: skip
GLM = MODELS["@cf/zai-org/glm-4.7-flash"]


async def streamed(server: discovery.ModelServer, model: Model = GLM) -> list[dict[str, Any]]:
    chat = ChatUpstream(server)
    try:
        sent = [each async for each in await chat.stream(model, {**HELLO, "stream": True}, "openai")]
    finally:
        await chat.close()
    return [json.loads(each.removeprefix("data: ")) for each in sent if "[DONE]" not in each]


def joined(chunks: list[dict[str, Any]], name: str) -> str:
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    return "".join(delta.get(name) or "" for delta in deltas)


@pytest.mark.parametrize(
    ("kind", "thinking"),
    [("ollama", "reasoning"), ("vllm", "reasoning_content"), ("llama.cpp", "reasoning_content")],
)
async def test_thinking_tool_calls_and_usage_are_read_as_each_server_sends_them(
    machine: Machine, kind: str, thinking: str
) -> None:
    """Ollama has a role in every chunk, and tool calls in one piece before an empty last chunk."""
    machine.run(kind, "a").frames = [
        frame(content="", **{thinking: "Hm"}), frame(content="", **{thinking: "."}), frame(content="Let me look."),
        frame(content="", tool_calls=[CALL]), frame("tool_calls", content=""), WITH_USAGE, DONE,
    ]  # fmt: skip
    chunks = await streamed(machine.found(kind))
    assert (joined(chunks, "reasoning_content"), joined(chunks, "content")) == ("Hm.", "Let me look.")
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert json.loads("".join(call["function"].get("arguments") or "" for call in calls)) == {"city": "Oslo"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["usage"] == USAGE


async def test_lines_that_keep_the_connection_alive_are_no_answer(machine: Machine) -> None:
    """llama.cpp sends them while it reads a long prompt; without usage, the simulator counts."""
    machine.run("llama.cpp", "a").frames = [":\n\n", ": ping\n\n", frame(content="Hi"), ":\n\n", frame("stop"), DONE]
    chunks = await streamed(machine.found("llama.cpp"))
    assert joined(chunks, "content") == "Hi"
    assert chunks[-1]["usage"]["completion_tokens"] == 1


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ('data: {"error":{"message":"an error was encountered while running the model"}}\n\n', "was encountered"),
        ('data: {"error": "llama runner process has terminated"}\n\n', "llama runner process has terminated"),
        ('data: {"object":"error","message":"EngineCore died","type":"InternalServerError"}\n\n', "EngineCore died"),
        ("", "the stream ended before the answer did"),
    ],
)
async def test_an_error_inside_a_stream_breaks_it_off(machine: Machine, last: str, words: str) -> None:
    machine.run("ollama", "a").frames = [frame(content="Hi"), last]
    with pytest.raises(BrokenStreamError, match=words):
        await streamed(machine.found("ollama"))


# ---- embeddings ------------------------------------------------------------------------------------------------------


def test_embeddings_are_real_where_a_model_of_the_server_is_as_wide(machine: Machine) -> None:
    ollama = machine.run("ollama", "llama3.2:latest", "nomic-embed-text:latest", "bge-m3:latest")
    embeddings = ServerEmbeddings(machine.found("ollama"))
    assert embeddings.names[BGE_BASE] == "nomic-embed-text:latest"
    assert embeddings.names["@cf/baai/bge-m3"] == "bge-m3:latest"
    assert "@cf/baai/bge-small-en-v1.5" not in embeddings.names
    compute = embeddings.vectors(otherwise=mixed)
    rows = compute(MODELS[BGE_BASE], ["four", "fiver", "\ud800"], "mean")
    assert rows.shape == (3, 768)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    assert ollama.requests[-1][1]["input"] == ["four", "fiver", "?"]
    small = MODELS["@cf/baai/bge-small-en-v1.5"]
    assert np.array_equal(compute(small, ["a"], "mean"), mixed(small, ["a"], "mean"))
    assert f"Embeddings of {BGE_BASE}: nomic-embed-text by Ollama, 768 dimensions" in [*embeddings.lines()]
    embeddings.close()


def test_an_embedding_model_that_is_named_is_downloaded(machine: Machine) -> None:
    ollama = machine.run("ollama", "llama3.2:latest")
    server = machine.found("ollama", None, "nomic-embed-text")
    assert ollama.requests == [("/api/pull", {"model": "nomic-embed-text"})]
    assert ServerEmbeddings(server, "nomic-embed-text").names[BGE_BASE] == "nomic-embed-text"
    assert server.model_for(GEMMA.id) == "llama3.2:latest"


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (["llama3.2"], "it lists no such model. Get it: ollama pull nomic-embed-text"),
        (["llama3.2", "qwen3-embedding"], "Dimensions of its models: qwen3-embedding: 4096."),
        (["llama3.2", "my-embedder"], "Dimensions of its models: my-embedder: none."),
    ],
)
def test_embeddings_of_another_width_are_refused_with_the_widths(
    machine: Machine, models: list[str], words: str
) -> None:
    machine.run("ollama", *models)
    with pytest.raises(ModelsError) as raised:
        ServerEmbeddings(machine.found("ollama"))
    assert words in str(raised.value)


def test_embeddings_fail_with_the_reason(machine: Machine) -> None:
    machine.run("ollama", "llama3.2", "nomic-embed-text")
    server = machine.found("ollama")
    embeddings = ServerEmbeddings(server, "nomic-embed-text")
    embeddings.names[BGE_BASE] = "llama3.2"
    with pytest.raises(UpstreamError) as raised:
        embeddings.vectors(otherwise=mixed)(MODELS[BGE_BASE], ["a"], "mean")
    assert raised.value.code == 8007
    assert "Embeddings of llama3.2 by Ollama" in raised.value.description
    assert "does not support embeddings" in raised.value.description


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command_says_who_answers_and_each_answer_and_the_journal_say_it_too(
    machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.run("ollama", "llama3.2:latest", "nomic-embed-text:latest")
    process = SimulatorProcess("--models", kinds.KINDS["ollama"].url(), "--embeddings", "server")
    try:
        with process.client() as http:
            headers = {"cf-consn-model-id": GEMMA.id}
            response = http.post("/run", json={"inputs": HELLO, "options": {}}, headers=headers)
            assert "I am llama3.2:latest." in response.text
            assert response.headers["simulator-real-model"] == "llama3.2 by Ollama"
            journal = http.get("/simulator/requests").json()
            assert journal[-1]["real_model"] == "llama3.2 by Ollama"
            about = http.get("/simulator").json()
            assert about["chat_upstream"]["server"] == "Ollama"
            assert about["server_embeddings"]["models"][BGE_BASE] == "nomic-embed-text:latest"
            embed = {"inputs": {"text": ["a"]}, "options": {}}
            vectors = http.post("/run", json=embed, headers={"cf-consn-model-id": BGE_BASE})
            assert vectors.json()["shape"] == [1, 768]
            assert vectors.headers["simulator-real-model"] == "nomic-embed-text by Ollama"
            small = http.post("/run", json=embed, headers={"cf-consn-model-id": "@cf/baai/bge-small-en-v1.5"})
            assert "simulator-real-model" not in small.headers
    finally:
        process.stop()
    printed = capfd.readouterr().err
    assert "Text generation: llama3.2 by Ollama at http://127.0.0.1:" in printed
    assert f"Embeddings of {BGE_BASE}: nomic-embed-text by Ollama, 768 dimensions" in printed


def test_a_server_that_does_not_run_ends_the_start_with_a_sentence() -> None:
    done = started("--models", CLOSED)
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
