"""The Worker's log: one JSON line a request, with what it was about and nothing of what was said in it."""

import hashlib
import json
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from aiworker.routes import ROUTES
from tests.conftest import DevServer, Simulator, StartServer, until

CANARY = "canary-7f3a"
KEY = f"sk-{CANARY}-key"
NAMES = {
    "id", "method", "route", "status", "ms", "first_byte_ms", "caller", "error", "upstream_code", "models", "calls",
    "retries", "model_ms", "input_tokens", "output_tokens", "neurons", "cache", "client_left",
}  # fmt: skip
"""Fields of every line."""
NATIVE = "@cf/meta/llama-3.1-8b-instruct-fast"
DEFAULT = "@cf/google/gemma-4-26b-a4b-it"
CHAT = {"prompt": "What is a Worker?", "stream": False, "model": NATIVE}
UI_CHAT = {
    "id": "c", "model": NATIVE,
    "messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": "What is a Worker?"}]}],
}  # fmt: skip
LOG_SECONDS = 60


class Logged(NamedTuple):
    server: DevServer
    client: httpx.Client
    simulator: Simulator
    requests: list[str]
    """Ids of the client's requests."""

    def line(self, response: httpx.Response) -> dict[str, Any]:
        """The one line of the request that has been answered so."""
        id_ = response.headers["x-request-id"]
        self.server.wait_for(id_, LOG_SECONDS)
        [line] = [each for each in self.server.lines if id_ in each]
        return json.loads(line)

    def told(self) -> str:
        """All lines so far, as soon as each request has its own: that of a stream comes behind its end."""
        self.client.get("/health")
        for id_ in self.requests:
            self.server.wait_for(id_, LOG_SECONDS)
        return "\n".join(self.server.lines)


@contextmanager
def a_server(start_server: StartServer, log_prompts: str) -> Generator[Logged]:
    keys = [{"name": "shop", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "scopes": ["admin"]}]
    variables = {
        "AUTH_MODE": "keys",
        "API_KEYS": json.dumps(keys),
        "TOKEN_SECRET": CANARY * 4,
        "GATEWAY_ID": "test",
        "LOG_PROMPTS": log_prompts,
        "CHAT_RESUME_SECONDS": "1",
    }
    requests: list[str] = []

    def note(response: httpx.Response) -> None:
        requests.append(response.headers["x-request-id"])

    with (
        start_server("--log", "json", "--traces", **variables) as server,
        httpx.Client(
            base_url=server.url, headers={"x-api-key": KEY}, timeout=60, event_hooks={"response": [note]}
        ) as client,
    ):
        yield Logged(server, client, Simulator(server.simulator), requests)


@pytest.fixture(scope="module")
def quiet(start_server: StartServer) -> Iterator[Logged]:
    """A Worker with a key, that logs as one that is deployed."""
    with a_server(start_server, "off") as logged:
        yield logged


@pytest.fixture
def logged(quiet: Logged) -> Logged:
    quiet.simulator.clear_faults()
    return quiet


# ---- what a line says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "options", "expected"),
    [
        ("GET", "/health", {}, {"route": "/health", "status": 200, "caller": "public", "calls": 0}),
        ("HEAD", "/models", {}, {"method": "HEAD", "route": "/models", "status": 200, "caller": "shop"}),
        ("POST", "/chat", {"json": CHAT}, {"route": "/chat", "status": 200, "models": [NATIVE], "calls": 1}),
        ("POST", "/chat", {"json": {"prompt": "Hi"}}, {"status": 200, "models": [DEFAULT], "client_left": False}),
        ("POST", "/chat", {"json": {}}, {"status": 400, "error": "invalid_request", "models": [], "calls": 0}),
        (
            "POST", "/api/chat", {"json": UI_CHAT},
            {"route": "/api/chat", "status": 200, "caller": "shop", "models": [NATIVE], "client_left": False},
        ),
        (
            "POST", "/api/chat", {"json": {**UI_CHAT, "worker_tools": ["launch"]}},
            {"route": "/api/chat", "status": 400, "error": "invalid_request", "caller": "shop", "calls": 0},
        ),
        ("POST", "/api/chat", {"json": {}}, {"route": "/api/chat", "status": 400, "error": "invalid_request"}),
        ("GET", "/api/chat/none/stream", {}, {"route": "/api/chat/{chat_id}/stream", "status": 204}),
        ("GET", f"/{CANARY}", {}, {"route": None, "status": 404, "error": "not_found", "caller": None}),
        ("PUT", "/chat", {}, {"status": 405, "error": "method_not_allowed"}),
        ("GET", f"/images/{'0' * 64}.png", {}, {"route": "/images/{key}", "status": 404, "error": "not_found"}),
        ("POST", "/chat", {"content": b"Hi"}, {"status": 415, "error": "unsupported_media_type", "caller": "shop"}),
        (
            "POST", "/chat", {"content": b" " * 1_100_000, "headers": {"content-type": "application/json"}},
            {"status": 413, "error": "payload_too_large"},
        ),
        (
            "POST", "/v1/chat/completions", {"json": CHAT, "headers": {"x-api-key": f"{CANARY}-wrong"}},
            {"route": "/v1/chat/completions", "status": 401, "error": "unauthorized", "caller": None},
        ),
        (
            "OPTIONS", "/chat", {"headers": {"origin": "http://localhost:1", "access-control-request-method": "POST"}},
            {"method": "OPTIONS", "route": None, "status": 204, "error": None},
        ),
    ],
)  # fmt: skip
def test_every_request_has_one_line(
    logged: Logged, method: str, path: str, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    response = logged.client.request(method, path, **options)
    line = logged.line(response)
    facts = {name for name in line if name.startswith("gen_ai.")}
    assert set(line) - facts == NAMES
    assert bool(facts) == (line["calls"] > 0)
    assert {name: line[name] for name in expected} == expected
    assert line["status"] == response.status_code
    assert 0 <= line["first_byte_ms"] <= line["ms"]


@pytest.mark.parametrize("stream", [False, True])
def test_it_says_what_the_answer_has_cost(logged: Logged, stream: bool) -> None:
    response = logged.client.post("/chat", json={**CHAT, "stream": stream})
    if stream:
        usage = json.loads(response.text.strip().split("\n\n")[-2].removeprefix("data: "))["usage"]
    else:
        usage = response.json()["usage"]
    line = logged.line(response)
    assert (line["input_tokens"], line["output_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert line["neurons"] > 0
    assert line["model_ms"] <= line["ms"]


def test_it_says_how_often_it_was_tried_and_what_upstream_said(logged: Logged) -> None:
    logged.simulator.set_fault(status=500, code=8007, description=CANARY, count=2)
    response = logged.client.post("/chat", json=CHAT)
    line = logged.line(response)
    assert (line["status"], line["calls"], line["retries"], line["upstream_code"]) == (200, 3, 2, None)
    assert 'retries;desc="2"' in response.headers["server-timing"]
    logged.simulator.set_fault(status=429, code=3036, description=CANARY)
    response = logged.client.post("/chat", json=CHAT)
    line = logged.line(response)
    assert (line["status"], line["error"], line["upstream_code"]) == (429, "rate_limited", 3036)
    assert "retries" not in response.headers["server-timing"]
    assert (line["calls"], line["retries"], line["models"]) == (1, 0, [])


def test_a_client_that_leaves_a_stream_has_its_line_too(logged: Logged) -> None:
    logged.simulator.set_fault(tokens_per_second=4)
    with logged.client.stream("POST", "/chat", json={"prompt": "Hello"}) as response:
        next(response.iter_lines())
    line = logged.line(response)
    assert (line["status"], line["client_left"]) == (200, True)


def test_an_answer_to_which_nobody_listens_ends_by_itself(logged: Logged) -> None:
    logged.simulator.set_fault(tokens_per_second=4)
    with logged.client.stream("POST", "/api/chat", json={**UI_CHAT, "id": "left"}) as response:
        next(response.iter_lines())
    line = logged.line(response)
    assert (line["status"], line["client_left"], line["models"]) == (200, True, [NATIVE])
    [call] = logged.simulator.requests(operation="run", model=NATIVE)[-1:]
    assert logged.simulator.request(call["id"])["state"] == "cancelled"


def test_a_stream_that_breaks_off_has_its_line_too(logged: Logged) -> None:
    logged.simulator.set_fault(cut_after_frames=2)
    line = logged.line(logged.client.post("/chat", json={"prompt": "Hello"}))
    assert (line["status"], line["client_left"]) == (200, False)


def test_an_upload_is_not_stored_when_its_client_disconnects(logged: Logged) -> None:
    before = len(logged.server.lines)
    url = logged.client.base_url
    with socket.create_connection((url.host, url.port)) as half_sent:
        head = f"POST /rag/documents HTTP/1.1\r\nhost: {url.host}\r\nx-api-key: {KEY}\r\n"
        head += "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        half_sent.sendall(f"{head}4000\r\n{CANARY.ljust(0x4000)}\r\n".encode())
    shown = logged.server.wait_for(r'^\{"id":"req_.*"route":"/rag/documents".*', LOG_SECONDS, after=before)
    line = json.loads(shown[0])
    assert (line["client_left"], line["error"]) == (True, None)
    assert logged.client.get("/rag/documents").json()["documents"] == []


# ---- traces ------------------------------------------------------------------------------------------------------


def spans(logged: Logged, name: str, count: int) -> list[dict[str, Any]]:
    """The attributes of the spans of that name, as soon as there are so many."""
    query = f"SELECT json(attributes) FROM spans WHERE name = '{name}' AND duration_ms IS NOT NULL"
    address = f"{logged.server.url}/cdn-cgi/explorer/api/local/observability/query"

    def rows() -> list[list[str]]:
        return httpx.post(address, json={"sql": query}, timeout=60).json()["result"]["rows"]

    return [json.loads(facts) for [facts] in until(rows, lambda rows: len(rows) >= count)]


def test_a_model_call_is_a_span_with_opentelemetry_s_names_as_in_the_line(logged: Logged) -> None:
    model = "@cf/openai/gpt-oss-20b"
    body = {"model": model, "messages": [{"role": "user", "content": CANARY}], "max_tokens": 21}
    whole = logged.line(logged.client.post("/v1/chat/completions", json=body))
    logged.line(logged.client.post("/chat", json=body))
    facts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "cloudflare.workers_ai",
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": 21,
        "gen_ai.response.model": model,
    }
    assert facts.items() <= whole.items()
    for span in spans(logged, f"chat {model}", 2):
        assert facts.items() <= span.items()
        assert span["gen_ai.usage.input_tokens"] == whole["gen_ai.usage.input_tokens"] == whole["input_tokens"]
        assert span["gen_ai.usage.output_tokens"] == whole["output_tokens"]
        assert CANARY not in json.dumps(span)


def test_a_call_that_fails_and_a_tool_are_spans_too(logged: Logged) -> None:
    model = "@cf/meta/llama-4-scout-17b-16e-instruct"
    logged.simulator.set_fault(binding="AI", operation="run", model=model, status=400, code=5006)
    failed = logged.client.post("/chat", json={"prompt": "Hi", "model": model})
    assert failed.status_code == 400
    [span] = spans(logged, f"chat {model}", 1)
    assert span["error.type"] == "invalid_request"
    body = {"prompt": "What is the current time?", "model": model, "worker_tools": True, "stream": False}
    assert logged.client.post("/chat", json=body).status_code == 200
    [tool] = spans(logged, "execute_tool current_time", 1)
    assert (tool["gen_ai.tool.name"], tool["gen_ai.operation.name"]) == ("current_time", "execute_tool")
    assert len(spans(logged, f"chat {model}", 3)) == 3


# ---- what none says ----------------------------------------------------------------------------------------------

RPC = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
JSON_ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("/chat", {"prompt": CANARY}),
    ("/chat", {"messages": [{"role": "user", "content": CANARY}], "stream": False, "conversation_id": CANARY}),
    ("/chat", {"messages": [{"role": CANARY, "content": "Hi"}]}),
    ("/chat", {"prompt": "Hi", CANARY: 1}),
    ("/chat", {"prompt": "Hi", "model": CANARY}),
    ("/v1/chat/completions", {"model": NATIVE, "messages": [{"role": "user", "content": CANARY}]}),
    ("/v1/completions", {"model": NATIVE, "prompt": CANARY}),
    ("/v1/responses", {"model": NATIVE, "input": CANARY}),
    ("/v1/messages", {"model": NATIVE, "max_tokens": 9, "messages": [{"role": "user", "content": CANARY}]}),
    ("/v1/messages/count_tokens", {"model": NATIVE, "messages": [{"role": "user", "content": CANARY}]}),
    ("/api/chat", {"id": "c", "messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": CANARY}]}]}),
    ("/api/chat", {"id": "c", "messages": [{"id": "1", "role": "user", "parts": [{"type": CANARY}]}]}),
    ("/v1/embeddings", {"model": "text-embedding-3-small", "input": CANARY}),
    ("/v1/images/generations", {"prompt": CANARY}),
    ("/v1/rerank", {"query": CANARY, "documents": [CANARY, "other"]}),
    ("/v1/moderations", {"input": CANARY, "model": "@cf/meta/llama-guard-3-8b"}),
    ("/v1/conversations", {"items": [{"role": "user", "content": CANARY}]}),
    (f"/v1/conversations/conv_{'0' * 32}", {"metadata": {CANARY: CANARY}}),
    (
        f"/v1/conversations/conv_{'0' * 32}/items",
        {"items": [{"role": "user", "content": CANARY}], CANARY: CANARY},
    ),
    ("/v1/audio/speech", {"model": "tts-1", "input": CANARY, "voice": "alloy"}),
    ("/embed", {"text": CANARY}),
    ("/rerank", {"query": CANARY, "documents": [CANARY, "other"]}),
    ("/image", {"prompt": CANARY}),
    ("/image", {"prompt": "a fox", "image": CANARY}),
    ("/speak", {"text": CANARY}),
    ("/translate", {"text": CANARY, "source": "en", "target": "de"}),
    ("/classify", {"text": CANARY}),
    ("/decide", {"state": CANARY, "questions": {"q": {"type": "noul", "instructions": CANARY}}}),
    (
        "/v1/decisions",
        {"model": "gpt-6-luna", "input": CANARY, "questions": [{"type": "predicate", "instructions": CANARY}]},
    ),
    ("/summarize", {"text": CANARY}),
    ("/extract", {"text": CANARY, "schema": {"type": "object", "properties": {CANARY: {"type": "string"}}}}),
    ("/rag/search", {"query": CANARY}),
    ("/rag", {"query": CANARY}),
    ("/rag/sync", {"prefix": CANARY, "metadata": {"note": CANARY}}),
    ("/mcp", {**RPC, "params": {"name": "search_documents", "arguments": {"query": CANARY}}}),
    ("/mcp", {**RPC, "params": {"name": CANARY, "arguments": {CANARY: CANARY}}}),
    ("/mcp", {**RPC, "method": CANARY}),
    ("/feedback", {"log_id": CANARY, "rating": 1}),
    ("/tokens", {"subject": CANARY, "scopes": ["chat"]}),
]


def test_no_log_line_repeats_a_request_s_content_or_caller(logged: Logged) -> None:
    for path, body in JSON_ROUTES:
        response = logged.client.post(path, json=body)
        assert response.status_code < 500, (path, response.text)
    others = {
        "/transcribe", "/v1/audio/transcriptions", "/v1/images/edits", "/rag/documents", "/rag/documents/batch",
        "/rag/documents/{document_id}/reindex", "/conversations/{conversation_id}/messages", "/api/chat/{chat_id}/stop",
    }  # fmt: skip
    called = {path.replace(f"conv_{'0' * 32}", "{conversation_id}") for path, _ in JSON_ROUTES}
    assert {path for path, route in ROUTES.items() if "POST" in route} == called | others
    for path in (f"/rag/documents/{CANARY}", f"/conversations/{CANARY}", f"/logs/{CANARY}", f"/images/{CANARY}"):
        logged.client.get(path, params={"tenant": CANARY, CANARY: CANARY})
    logged.client.post(f"/rag/documents/{CANARY}/reindex")
    logged.client.post(f"/api/chat/{CANARY}/stop", params={"messageId": CANARY})
    logged.client.post(f"/conversations/{CANARY}/messages", json={"messages": [{"role": "user", "content": CANARY}]})
    is_lines = {"content-type": "application/x-ndjson"}
    logged.client.post("/rag/documents/batch", content=json.dumps({"text": CANARY, CANARY: 1}), headers=is_lines)
    for headers in (
        {"authorization": f"Bearer {CANARY}"},
        {"authorization": f"Bearer eyJ{CANARY}.{CANARY}.{CANARY}"},
        {"cookie": CANARY, "user-agent": CANARY, "origin": f"https://{CANARY}.example"},
    ):
        logged.client.post("/chat", json=CHAT, headers=headers)
    sound = (f"{CANARY}.wav", CANARY.encode(), "audio/wav")
    logged.client.post("/v1/audio/transcriptions", files={"file": sound}, data={"model": "whisper-1", "prompt": CANARY})
    logged.client.post("/transcribe", files={"file": sound}, data={"prompt": CANARY})
    logged.client.post("/v1/images/edits", files={"image": (CANARY, b"no image", "image/png")}, data={"prompt": CANARY})
    logged.client.post("/transcribe", params={"prompt": CANARY}, content=b"RIFF", headers={"content-type": "audio/wav"})
    logged.client.post("/image", data={"prompt": CANARY}, files={"image": (CANARY, b"no image", "image/png")})
    lines = logged.told()
    assert CANARY not in lines
    assert KEY not in lines


def test_no_line_repeats_what_upstream_says_of_a_request(logged: Logged) -> None:
    faults: list[dict[str, Any]] = [{"status": 400, "code": 5006}, {"status": 500, "code": 8007}, {"empty_body": True}]
    for fault in faults:
        for path, body in (("/chat", CHAT), ("/rag/search", {"query": "fox"}), ("/embed", {"text": "fox"})):
            logged.simulator.clear_faults()
            logged.simulator.set_fault(**fault, description=f"bad input: {CANARY}", count=None)
            assert logged.client.post(path, json=body).status_code >= 400
    logged.simulator.clear_faults()
    assert CANARY not in logged.told()


def test_no_line_repeats_a_document(logged: Logged) -> None:
    def state(document: str) -> str:
        return logged.client.get(f"/rag/documents/{document}").json()["state"]

    def is_over(state: str) -> bool:
        return state in ("indexed", "failed")

    page = (f"{CANARY}.pdf", f"%PDF {CANARY}".encode(), "application/pdf")
    documents = [
        logged.client.post("/rag/documents", json={"text": f"# {CANARY}\n\n{CANARY} foxes", "title": CANARY}),
        logged.client.post("/rag/documents", files={"file": page}, data={"metadata": f'{{"a": "{CANARY}"}}'}),
    ]
    for response in documents:
        assert response.status_code == 202, response.text
        until(lambda response=response: state(response.json()["id"]), is_over, seconds=60)
    assert CANARY not in logged.told()


# ---- with LOG_PROMPTS ----------------------------------------------------------------------------------------------


def test_with_log_prompts_a_line_says_what_the_model_was_asked_but_not_the_key(start_server: StartServer) -> None:
    with a_server(start_server, "on") as logged:
        line = logged.line(logged.client.post("/chat", json={"prompt": f"Who is {CANARY}?", "stream": False}))
        assert f"Who is {CANARY}?" in line["prompt"]
        line = logged.line(logged.client.post("/chat", json={"prompt": "ééé" + "e" * 10_000, "stream": False}))
        assert len(line["prompt"]) == 2_000
        assert "ééé" in line["prompt"]
        assert "prompt" not in logged.line(logged.client.get("/health"))
        assert KEY not in logged.told()
        assert CANARY * 4 not in logged.told()


# ---- what scripts/dev shows of it ----------------------------------------------------------------------------------


@pytest.fixture
def since(dev_server: DevServer | None) -> Callable[[str], str]:
    if not dev_server:
        pytest.skip("reads what a server of its own prints")
    before = len(dev_server.lines)

    def shown(pattern: str) -> str:
        return dev_server.wait_for(pattern, LOG_SECONDS, after=before)[0]

    return shown


def test_a_person_sees_a_readable_line_in_place_of_json_and_of_wrangler_s(
    client: httpx.Client, dev_server: DevServer, since: Callable[[str], str]
) -> None:
    before = len(dev_server.lines)
    tokens = client.post("/chat", json=CHAT).json()["usage"]["total_tokens"]
    assert since(rf"^POST /chat 200 · \d+ ms · llama-3\.1-8b-instruct-fast · {tokens} tokens$")
    client.get("/nowhere/secret")
    assert since(r"^GET \(no such route\) 404 · not found · \d+ ms$")
    lines = dev_server.lines[before:]
    assert not [line for line in lines if "OK (" in line or line.startswith("{") or "secret" in line]
