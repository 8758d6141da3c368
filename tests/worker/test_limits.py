"""Limits: how often a caller may ask, what its key may spend in a day, and how large a request may be."""

import hashlib
import io
import itertools
import json
import math
import os
import re
import subprocess
import time
import zipfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from aiworker.auth.limits import FAILURES, RATES, TOKEN_RATES, Rate
from tests.checkout import link_worker
from tests.conftest import DevServer, ErrorOf, Simulator, StartServer, until
from tools.dev.plan import ENVIRONMENT
from tools.dev.processes import end_with_parent
from tools.setup.install import VENV, WRANGLER

SCOPES = ("chat", "embed", "text", "image", "audio", "rag:read", "rag:write")
MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"
SETTLED = 60
"""Seconds in which a request's cost is known at the latest, after its answer."""


def key(name: str, **more: Any) -> dict[str, Any]:
    digest = hashlib.sha256(f"aiw_{name}".encode()).hexdigest()
    return {"name": name, "sha256": digest, "scopes": [*SCOPES], **more}


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer aiw_{name}"}


KEYS = (
    *(key(f"rate-{number}") for number in range(8)),
    key("poor", daily_neurons=1),
    *(key(f"rich-{number}", daily_neurons=1_000_000) for number in range(13)),
    key("crowd", daily_neurons=200),
    key("frugal", daily_neurons=500),
)
UNDER_KEYS = {"AUTH_MODE": "keys", "API_KEYS": json.dumps(KEYS), "TOKEN_SECRET": "0123456789abcdef" * 2}
FEW: dict[Rate, int] = {"read": 8, "model": 6, "heavy": 4}
"""Requests in ten seconds, in place of those of wrangler.jsonc: a slow machine must be able to send more."""


FEW_OF_ALL_TOKENS = 9
FEW_FAILURES = 5


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project with narrower rate limits."""
    project = link_worker(tmp_path_factory.mktemp("project"))
    text = (project / "wrangler.jsonc").read_text()
    limits = {RATES[rate]: few for rate, few in FEW.items()} | {TOKEN_RATES["model"]: FEW_OF_ALL_TOKENS}
    for name, few in {**limits, FAILURES: FEW_FAILURES}.items():
        text, count = re.subn(rf'("{name}", .*"limit": )\d+', rf"\g<1>{few}", text)
        assert count == 1
    (project / "wrangler.jsonc").write_text(text)
    return project


@pytest.fixture(scope="module")
def rated(start_server: StartServer, project: Path) -> Iterator[DevServer]:
    """Counts requests, and the neurons of all callers together."""
    with start_server("--project", project, RATE_LIMITS="on", DAILY_NEURONS=1_000, **UNDER_KEYS) as server:
        yield server


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where runs of wrangler find each other's Durable Objects; only those of this module."""
    with pytest.MonkeyPatch.context() as environment:
        folder = tmp_path_factory.mktemp("registry")
        environment.setenv("WRANGLER_REGISTRY_PATH", str(folder))
        yield folder


@pytest.fixture(scope="module")
def small_server(start_server: StartServer, registry: Path) -> Iterator[DevServer]:
    """Counts neurons, and takes only small requests."""
    small = {
        "MAX_PROMPT_CHARACTERS": 1_000,
        "MAX_TEXTS": 10,
        "MAX_IMAGE_BYTES": 1_500,
        "MAX_AUDIO_BYTES": 2_000,
        "MAX_DOCUMENT_BYTES": 3_000,
    }
    with start_server(**UNDER_KEYS, **small) as server:
        yield server


@pytest.fixture
def crowded(rated: DevServer) -> Generator[httpx.Client]:
    with httpx.Client(base_url=rated.url, timeout=60) as client:
        yield client


DAY = 86_400


@pytest.fixture(autouse=True)
def within_one_day() -> None:
    """Let no test begin in the last minute before midnight UTC, when the neurons of the day begin anew."""
    left = DAY - time.time() % DAY
    if left < 60:
        time.sleep(left + 1)


@pytest.fixture
def limited(small_server: DevServer) -> Generator[httpx.Client]:
    with httpx.Client(base_url=small_server.url, timeout=60) as client:
        yield client


@pytest.fixture
def its_simulator(small_server: DevServer) -> Generator[Simulator]:
    simulator = Simulator(small_server.simulator)
    yield simulator
    simulator.close()


# ---- how often -----------------------------------------------------------------------------------------------------


def until_refused(ask: Callable[[], httpx.Response], rate: Rate) -> httpx.Response:
    """The first refusal. Windows of ten seconds may end in between, and others begin."""
    for _ in range(10 * FEW[rate] + 1):
        response = ask()
        if response.status_code == 429:
            return response
    raise AssertionError(f"never refused in {10 * FEW[rate] + 1} requests")


def test_a_caller_above_the_rate_is_refused_with_retry_after(crowded: httpx.Client, error_of: ErrorOf) -> None:
    origin = {"origin": "http://localhost:3000"}
    # a body that is refused counts too: it is work all the same
    refused = until_refused(lambda: crowded.post("/image", json={}, headers=bearer("rate-0") | origin), "heavy")
    error = error_of(refused)
    assert (error["type"], error["code"], error["retry_after"]) == ("rate_limited", 7505, 10)
    assert refused.headers["retry-after"] == "10"
    # a page of another origin can read it
    assert refused.headers["access-control-allow-origin"] == origin["origin"]
    assert "retry-after" in refused.headers["access-control-expose-headers"].lower()


def test_keys_do_not_share_and_classes_of_routes_are_counted_apart(crowded: httpx.Client) -> None:
    until_refused(lambda: crowded.post("/image", json={}, headers=bearer("rate-1")), "heavy")
    assert crowded.post("/image", json={}, headers=bearer("rate-2")).status_code == 400
    assert crowded.post("/chat", json={}, headers=bearer("rate-1")).status_code == 400
    assert crowded.get("/models", headers=bearer("rate-1")).status_code == 200


def test_all_routes_of_a_class_count_together(crowded: httpx.Client) -> None:
    paths = itertools.cycle(["/image", "/speak", "/v1/images/generations"])
    until_refused(lambda: crowded.post(next(paths), json={}, headers=bearer("rate-3")), "heavy")


def test_callers_without_a_key_are_counted_by_their_address(crowded: httpx.Client) -> None:
    """(A client can name its address only in a local run: on Cloudflare, the platform says it.)"""
    first, second = ({"cf-connecting-ip": f"203.0.113.{number}"} for number in (1, 2))
    until_refused(lambda: crowded.get("/health", headers=first), "read")
    assert crowded.get("/health", headers=second).status_code == 200


def test_the_addresses_of_one_ipv6_network_are_one(crowded: httpx.Client) -> None:
    addresses = ({"cf-connecting-ip": f"2001:db8::1:{number:x}"} for number in itertools.count())
    until_refused(lambda: crowded.get("/health", headers=next(addresses)), "read")
    assert crowded.get("/health", headers={"cf-connecting-ip": "2001:db8:0:1::1"}).status_code == 200


def token_of(client: httpx.Client, name: str, subject: str) -> dict[str, str]:
    response = client.post("/tokens", json={"scopes": ["chat"], "subject": subject}, headers=bearer(name))
    assert response.status_code == 201, response.text
    return {"authorization": f"Bearer {response.json()['token']}"}


def test_many_tokens_do_not_multiply_the_limit_of_their_key(crowded: httpx.Client) -> None:
    tokens = [token_of(crowded, "rate-6", f"user-{number}") for number in range(FEW["model"] - 1)]
    began = time.monotonic()
    passed = [crowded.post("/chat", json={}, headers=token).status_code for _ in range(4) for token in tokens]
    # windows of ten seconds, of which the first has begun before and the last may go on
    windows = (time.monotonic() - began) // 10 + 2
    assert FEW["model"] < passed.count(400) <= windows * FEW_OF_ALL_TOKENS
    assert passed.count(429) == len(passed) - passed.count(400)


def test_the_making_of_tokens_is_limited(crowded: httpx.Client) -> None:
    until_refused(lambda: crowded.post("/tokens", json={"scopes": ["chat"]}, headers=bearer("rate-7")), "model")


def test_a_network_that_guesses_keys_is_slowed_and_no_valid_key_is_locked_out(
    crowded: httpx.Client, error_of: ErrorOf
) -> None:
    address = {"cf-connecting-ip": "203.0.113.66"}
    guesses = [
        crowded.get("/usage", headers=bearer(f"guess-{number}") | address) for number in range(2 * FEW_FAILURES + 1)
    ]
    assert {guess.status_code for guess in guesses} == {401, 429}
    slowed = next(guess for guess in guesses if guess.status_code == 429)
    assert (error_of(slowed)["type"], slowed.headers["retry-after"]) == ("rate_limited", "60")
    assert crowded.get("/usage", headers=bearer("rich-0") | address).status_code == 200


def test_a_preflight_is_never_refused(crowded: httpx.Client) -> None:
    asks = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
    for _ in range(2 * FEW["heavy"] + 1):
        assert crowded.options("/image", headers=asks).status_code == 204


def test_all_callers_together_spend_at_most_what_the_worker_may(crowded: httpx.Client, error_of: ErrorOf) -> None:
    model = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
    body = {"prompt": "Hello", "model": model, "max_tokens": 10_000, "stream": False}
    response = crowded.post("/chat", json=body, headers=bearer("rate-5"))
    assert response.status_code == 429
    assert error_of(response)["type"] == "budget_exceeded"
    assert error_of(response)["message"].startswith("This Worker has too few neurons left today")
    assert crowded.post("/chat", json={**body, "max_tokens": 10}, headers=bearer("rate-5")).status_code == 200


def test_openai_s_client_knows_the_error_and_tries_again(rated: DevServer) -> None:
    def ask(retries: int) -> Any:
        client = openai.OpenAI(base_url=f"{rated.url}/v1", api_key="aiw_rate-4", max_retries=retries)
        return client.embeddings.create(model="text-embedding-3-small", input="Hello")

    with pytest.raises(openai.RateLimitError) as raised:
        [ask(0) for _ in range(10 * FEW["model"] + 1)]
    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.response.headers["retry-after"] == "10"
    # it waits for as long as it is told, and then is served
    assert ask(2).data


# ---- what a key may spend ------------------------------------------------------------------------------------------


def usage(client: httpx.Client, name: str) -> dict[str, Any]:
    return client.get("/usage", headers=bearer(name)).json()


def cost_of(response: httpx.Response, price_read: int, price_written: int) -> float:
    """By the tokens that the answer says it has taken, and prices of a million of them."""
    read, written = re.findall(r'"prompt_tokens":(\d+),"completion_tokens":(\d+)', response.text.replace(" ", ""))[-1]
    return round(int(read) * price_read + int(written) * price_written) / 1e6


def settled(client: httpx.Client, name: str, neurons: float) -> None:
    until(lambda: usage(client, name)["neurons"], lambda spent: spent == pytest.approx(neurons, abs=1e-6), SETTLED)


def test_a_call_that_the_day_s_budget_does_not_hold_is_not_made(
    limited: httpx.Client, its_simulator: Simulator, error_of: ErrorOf
) -> None:
    before = {entry["id"] for entry in its_simulator.requests()}
    response = limited.post("/chat", json={"prompt": "Hello"}, headers=bearer("poor"))
    assert response.status_code == 429
    error = error_of(response)
    assert (error["type"], error["upstream_code"]) == ("budget_exceeded", None)
    assert 0 < error["retry_after"] <= 86_400
    assert response.headers["retry-after"] == str(error["retry_after"])
    assert "The key poor has 1 neurons a day, of which 0 are spent" in error["message"]
    assert "midnight UTC" in error["message"]
    assert {entry["id"] for entry in its_simulator.requests()} == before
    assert usage(limited, "poor")["neurons"] == 0
    # what costs little still fits
    assert limited.post("/embed", json={"text": "Hello"}, headers=bearer("poor")).status_code == 200


def test_openai_s_client_does_not_try_again_before_the_next_day(small_server: DevServer) -> None:
    client = openai.OpenAI(base_url=f"{small_server.url}/v1", api_key="aiw_poor", max_retries=5)
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}])
    assert raised.value.code == "insufficient_quota"
    assert raised.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("rich-0", "/chat", {"prompt": "Hello", "stream": False}),
        ("rich-1", "/summarize", {"text": "A long story about a Worker."}),
        ("rich-2", "/translate", {"text": ["Hello", "World"], "target_lang": "de"}),
        ("rich-3", "/image", {"prompt": "A bridge", "steps": 3}),
        ("rich-4", "/speak", {"text": "Hello", "model": "@cf/deepgram/aura-1"}),
        ("rich-5", "/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}),
    ],
)
def test_the_reported_cost_of_an_answer_is_its_cost(
    limited: httpx.Client, name: str, path: str, body: dict[str, Any]
) -> None:
    response = limited.post(path, json=body, headers=bearer(name))
    assert response.status_code == 200
    # the header is rounded to four digits
    cost = float(response.headers["x-neurons"])
    until(
        lambda: usage(limited, name)["neurons"],
        lambda spent: math.isclose(spent, cost, rel_tol=1e-3),
        SETTLED,
    )


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("rich-6", "/chat", {"prompt": "Hello"}),
        ("rich-7", "/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}),
    ],
)
def test_a_stream_is_settled_when_it_is_over(limited: httpx.Client, name: str, path: str, body: dict[str, Any]) -> None:
    if path.startswith("/v1/"):
        body |= {"stream_options": {"include_usage": True}}
    response = limited.post(path, json={**body, "stream": True}, headers=bearer(name))
    prices = {"/chat": (9_091, 27_273), "/v1/chat/completions": (26_668, 204_805)}
    settled(limited, name, cost_of(response, *prices[path]))


def test_an_answer_that_its_chat_s_object_writes_is_settled_too(limited: httpx.Client) -> None:
    body = {"id": "c", "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hello"}]}]}
    frames = limited.post("/api/chat", json=body, headers=bearer("rich-12")).text.split("\n\n")
    finish = json.loads(frames[-3].removeprefix("data: "))
    assert finish["messageMetadata"]["neurons"] > 0
    settled(limited, "rich-12", finish["messageMetadata"]["neurons"])


def test_a_failed_call_costs_nothing(limited: httpx.Client, its_simulator: Simulator) -> None:
    its_simulator.set_fault(status=400, code=5006)
    response = limited.post("/chat", json={"prompt": "Hello", "stream": False}, headers=bearer("rich-8"))
    assert response.status_code == 400
    settled(limited, "rich-8", 0)


def test_a_document_costs_what_its_passages_cost(limited: httpx.Client) -> None:
    text = "# Bridges\n\n" + "They carry. " * 200
    document = {"id": "limits", "text": text}
    assert limited.post("/rag/documents", json=document, headers=bearer("rich-9")).status_code == 202
    assert usage(limited, "rich-9")["neurons"] > 0
    ended(limited, "limits", "rich-9")
    # the passages have at least the text's tokens, and overlap
    least, most = len(text) / 3 * 6_058 / 1e6, 2 * len(text) / 3 * 6_058 / 1e6
    spent = usage(limited, "rich-9")["neurons"]
    assert least * 0.95 <= spent < most
    # the same again is no work, and costs nothing
    assert limited.post("/rag/documents", json=document, headers=bearer("rich-9")).status_code == 200
    assert usage(limited, "rich-9")["neurons"] == spent


def test_a_small_file_with_a_long_text_fails_before_the_budget_is_overdrawn(
    limited: httpx.Client, its_simulator: Simulator
) -> None:
    file = long_text_in_a_small_file()
    before = {entry["id"] for entry in its_simulator.requests()}
    upload = {"id": "unfolds"}, {"file": ("long.docx", file)}
    assert limited.post("/rag/documents", data=upload[0], files=upload[1], headers=bearer("frugal")).status_code == 202
    document = ended(limited, "unfolds", "frugal")
    assert document["state"] == "failed"
    assert document["reason"].startswith("budget_exceeded: The key frugal has 500 neurons a day")
    calls = [entry for entry in its_simulator.requests() if entry["id"] not in before]
    assert not [call for call in calls if call["model"] == "@cf/baai/bge-base-en-v1.5"]
    settled(limited, "frugal", 0)


def long_text_in_a_small_file() -> bytes:
    """A DOCX of at most 3,000 bytes with 400 KB of text."""
    paragraph = "<w:p><w:r><w:t>" + "They carry what is heavy. " * 16 + "</w:t></w:r></w:p>"
    namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'wordprocessingml.document.main+xml"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
        'officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{namespace}"><w:body>{paragraph * 1_000}</w:body></w:document>',
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file.getvalue()


def ended(client: httpx.Client, document_id: str, name: str) -> dict[str, Any]:
    """The document once its ingestion has ended."""
    return until(
        lambda: client.get(f"/rag/documents/{document_id}", headers=bearer(name)).json(),
        lambda document: document["state"] in ("indexed", "failed"),
        60,
    )


def test_concurrent_requests_are_all_counted(small_server: DevServer) -> None:
    """The cost that the simulator counts, answer by answer, is the day's cost, to the millionth."""

    def ask(number: int) -> float:
        body = {"prompt": f"Question {number}", "stream": number % 2 == 0, "max_tokens": 5 + number}
        with httpx.Client(base_url=small_server.url, timeout=60) as client:
            response = client.post("/chat", json=body, headers=bearer("rich-10"))
        assert response.status_code == 200
        return cost_of(response, 9_091, 27_273)

    with ThreadPoolExecutor(10) as at_once:
        costs = list(at_once.map(ask, range(40)))
    with httpx.Client(base_url=small_server.url, timeout=60) as client:
        settled(client, "rich-10", sum(costs))


def test_a_crowd_does_not_spend_more_than_there_is(small_server: DevServer) -> None:
    def ask(number: int) -> tuple[int, float]:
        with httpx.Client(base_url=small_server.url, timeout=60) as client:
            body = {"prompt": f"Question {number}", "stream": False, "max_tokens": 300}
            response = client.post("/chat", json=body, headers=bearer("crowd"))
        return response.status_code, float(response.headers.get("x-neurons", 0))

    with ThreadPoolExecutor(10) as at_once:
        seen = list(at_once.map(ask, range(150)))
    # each may cost 10.5 neurons and costs 3.6, so that 150 are too many however slowly they come: the budget is 200
    assert {status for status, _ in seen} == {200, 429}
    with httpx.Client(base_url=small_server.url, timeout=60) as client:
        spent = until(lambda: usage(client, "crowd")["neurons"], lambda neurons: neurons <= 200, SETTLED)
    assert spent == pytest.approx(sum(cost for _, cost in seen), rel=1e-2)


OTHER = """
export default {
  async fetch(request, env) {
    const budget = env.BUDGETS.getByName("rich-11");
    const spend = async (id) => {
      await budget.reserve(JSON.stringify({ [id]: 3 }), 1_000_000);
      await budget.settle(JSON.stringify({ [id]: 0.25 }));
    };
    const ids = Array.from({ length: 50 }, () => crypto.randomUUID());
    await Promise.all(ids.map(spend));
    return new Response("spent");
  },
};
"""
"""A Worker of its own, in a process of its own, that spends of the same budget."""
OTHER_CONFIGURATION = {
    "name": "other",
    "main": "other.mjs",
    "compatibility_date": "2026-11-01",
    "no_bundle": True,
    "durable_objects": {"bindings": [{"name": "BUDGETS", "class_name": "Budget", "script_name": "aiworker"}]},
}


@pytest.fixture
def other(small_server: DevServer, tmp_path: Path) -> Iterator[str]:
    """The address of a second isolate, which reaches the first one's Durable Objects."""
    (tmp_path / "other.mjs").write_text(OTHER)
    (tmp_path / "wrangler.json").write_text(json.dumps(OTHER_CONFIGURATION))
    arguments = ("--config", tmp_path / "wrangler.json", "--port", "0", "--inspector-port=0")
    environment = {**os.environ, **ENVIRONMENT, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(
        ["node", "--no-warnings", WRANGLER, "dev", *arguments, "--show-interactive-dev-session=false"],
        env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=end_with_parent,
    )  # fmt: skip
    assert process.stdout
    matches = (re.search(r"Ready on (\S+)", line) for line in process.stdout)
    ready = next(filter(None, matches), None)
    assert ready, "wrangler has not started"
    yield ready[1]
    process.terminate()
    process.wait(60)


def test_two_isolates_spend_of_one_budget(small_server: DevServer, other: str) -> None:
    def ask(number: int) -> float:
        with httpx.Client(base_url=small_server.url, timeout=60) as client:
            body = {"prompt": f"Question {number}", "stream": False}
            return cost_of(client.post("/chat", json=body, headers=bearer("rich-11")), 9_091, 27_273)

    def spend(_: int) -> float:
        assert httpx.post(other, timeout=60).text == "spent"
        return 50 * 0.25

    with ThreadPoolExecutor(8) as at_once:
        answers, spent = at_once.map(ask, range(20)), at_once.map(spend, range(4))
        costs = [*answers, *spent]
    with httpx.Client(base_url=small_server.url, timeout=60) as client:
        settled(client, "rich-11", sum(costs))


def test_a_key_sees_its_own_use_and_nobody_else_does(limited: httpx.Client, error_of: ErrorOf) -> None:
    assert usage(limited, "rich-11")["daily_neurons"] == 1_000_000
    assert usage(limited, "rate-0") == {"key": "rate-0", "daily_neurons": None, "day": None, "neurons": None}
    assert error_of(limited.get("/usage"))["type"] == "unauthorized"


# ---- how large -----------------------------------------------------------------------------------------------------


LONG = "a " * 600
FORM = "multipart/form-data; boundary=xxxxxxxx"


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/chat", {"prompt": LONG}, 413, "prompt"),
        ("/chat", {"messages": [{"role": "user", "content": LONG[:600]}] * 2}, 413, "messages"),
        ("/extract", {"text": LONG, "schema": {}}, 413, "text"),
        ("/summarize", {"text": LONG}, 413, "text"),
        ("/rag", {"query": LONG}, 413, "query"),
        ("/embed", {"text": ["a"] * 11}, 400, "text"),
        ("/rerank", {"query": "a", "contexts": ["a"] * 11}, 400, "contexts"),
        ("/translate", {"text": ["a"] * 11, "target_lang": "de"}, 400, "text"),
        ("/classify", {"text": ["a"] * 11}, 400, "text"),
        ("/rag/documents", {"text": "a" * 4_000}, 413, None),
        ("/image", {"prompt": "a", "image": "a" * 2_000}, 413, None),
    ],
)
def test_an_owner_can_narrow_what_a_request_may_have(
    limited: httpx.Client, error_of: ErrorOf, path: str, body: dict[str, Any], status: int, param: str | None
) -> None:
    response = limited.post(path, json=body, headers=bearer("rich-11"))
    assert (response.status_code, error_of(response)["param"]) == (status, param)


def test_a_recording_too(limited: httpx.Client, error_of: ErrorOf) -> None:
    headers = bearer("rich-11") | {"content-type": "audio/wav"}
    response = limited.post("/transcribe", content=bytes(3_000), headers=headers)
    assert response.status_code == 413
    assert "2,000" in error_of(response)["message"]


JSON = "application/json"
MANY = ",".join(f'"k{number:05}":1' for number in range(70_000))
GPT = '{"model":"gpt-4o","messages":['
FALSE = 'multipart/form-data; foo="{}"; boundary=xxxxxxxx'
"""A content type in which a careless reader finds another boundary than the parser does."""
PART = '--xxxxxxxx\r\ncontent-disposition: form-data; name="vtt"\r\n\r\n1{}'
"""A form's part, up to what ends its last line."""
ENDLESS: dict[str, tuple[str, str, str]] = {
    "unknown fields": ("/chat", JSON, "{" + MANY + "}"),
    "unknown fields further in": ("/chat", JSON, '{"messages":[{"role":"user","content":"a",' + MANY + "}]}"),
    "items of the wrong type": ("/chat", JSON, '{"messages":[' + "1," * 500_000 + "1]}"),
    "parts of the wrong type": ("/chat", JSON, '{"messages":[{"role":"user","content":[' + "1," * 500_000 + "1]}]}"),
    "calls of the wrong type": (
        "/v1/chat/completions", JSON, GPT + '{"role":"assistant","tool_calls":[' + "{}," * 300_000 + "1]}]}"
    ),
    "messages": ("/chat", JSON, '{"messages":[' + '{"role":"user","content":"a"},' * 30_000 + "1]}"),
    "texts": ("/rerank", JSON, '{"query":"a","contexts":[' + '"a",' * 200_000 + '"a"]}'),
    "lists of tokens": ("/v1/embeddings", JSON, '{"model":"gpt","input":[' + "[1]," * 200_000 + "1]}"),
    "depth": ("/chat", JSON, '{"messages":' + "[" * 500_000),
    "digits": ("/chat", JSON, '{"prompt":"a","seed":' + "1" * 900_000 + "}"),
    "a name": ("/chat", JSON, '{"' + "-" * 900_000 + '!":1}'),
    "a model": ("/chat", JSON, '{"prompt":"a","model":"' + "ab" * 400_000 + '"}'),
    "fields beside an image": ("/image", JSON, "{" + MANY + "}"),
    "depth beside an image": ("/image", JSON, '{"prompt":' + "[" * 19_000 + "]" * 19_000 + "}"),
    "fields of a form": (
        "/transcribe", FORM,
        '--xxxxxxxx\r\ncontent-disposition: form-data; name="vtt"\r\n\r\n1\r\n' * 10_000 + "--xxxxxxxx--\r\n",
    ),
    "fields behind a false boundary": ("/transcribe", FALSE.format("boundary=zzz"), PART.format("\r\n") * 200_000),
    "fields behind a quoted boundary": ("/image", FALSE.format('\\"; boundary=zzz'), PART.format("\r\n") * 200_000),
    "fields after line feeds": ("/image", FORM, PART.format("\n") * 200_000),
    "fields with an escaped boundary": (
        "/v1/audio/transcriptions", 'multipart/form-data; boundary="xxxx\\xxxx"', PART.format("\n") * 200_000
    ),
    "a head of a file": ("/rag/documents", FORM, "--xxxxxxxx\r\nx: " + "a" * 20_000_000 + PART.format("\r\n")),
    "a text of a form": ("/image", FORM, PART.format("a" * 2_000_000)+ "\r\n--xxxxxxxx--\r\n"),
    "fields of a query": ("/transcribe?" + "a=1&" * 1_000, "audio/wav", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDLESS)
def test_a_body_without_end_is_refused_before_it_costs_much(client: httpx.Client, error_of: ErrorOf, case: str) -> None:
    path, content_type, body = ENDLESS[case]
    response = client.post(path, content=body.encode(), headers={"content-type": content_type})
    assert response.status_code in (400, 404, 413)
    error = response.json()["error"]
    assert len(error["message"]) < 1_000
    assert path.startswith("/v1/") or error_of(response)
    # the parser would answer, too, but late, and with another message
    assert "multipart" not in content_type or re.search(
        "form has more than|head of a part|no end of a form", error["message"]
    )
    assert client.get("/health").status_code == 200
