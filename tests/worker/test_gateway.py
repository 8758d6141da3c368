"""Model calls through AI Gateway, GET /logs/{id} and POST /feedback, as their clients see them."""

import hashlib
import json
from collections.abc import Generator, Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import TLS, DevServer, ErrorOf, Simulator, StartServer, until

NOT_THERE = "01JZZZZZZZZZZZZZZZZZZZZZZZ"


@pytest.fixture(scope="module")
def logged_server(start_server: StartServer) -> Iterator[DevServer]:
    """A Worker whose calls go through a gateway."""
    with start_server(GATEWAY_ID="test") as server:
        yield server


@pytest.fixture
def logged(logged_server: DevServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=logged_server.url, timeout=60, verify=TLS) as client:
        yield client


@pytest.fixture
def its_simulator(logged_server: DevServer) -> Generator[Simulator]:
    simulator = Simulator(logged_server.simulator)
    simulator.ignore_past_requests()
    yield simulator
    simulator.close()


def ask(client: httpx.Client, prompt: str, **body: Any) -> httpx.Response:
    response = client.post("/chat", json={"prompt": prompt, "stream": False, **body})
    assert response.status_code == 200, response.text
    return response


def read(client: httpx.Client, log_id: str) -> dict[str, Any]:
    """The log, as soon as it is written."""
    response = until(lambda: client.get(f"/logs/{log_id}"), lambda response: response.status_code == 200)
    return response.json()


# ---- calls ---------------------------------------------------------------------------------------------------------


def test_a_call_through_a_gateway_says_where_it_is_logged(logged: httpx.Client, its_simulator: Simulator) -> None:
    response = ask(logged, "Where is this logged?")
    assert response.headers["x-gateway-log-id"]
    sent = its_simulator.request(response.headers["x-ai-request-id"])
    assert sent["options"]["gateway"] == {"id": "test"}


def test_streams_are_logged_too(logged: httpx.Client) -> None:
    with logged.stream("POST", "/chat", json={"prompt": "A stream"}) as response:
        log_id = response.headers["x-gateway-log-id"]
        assert response.read().endswith(b"data: [DONE]\n\n")
    assert read(logged, log_id)["id"] == log_id


def test_an_answer_may_come_from_the_cache_if_the_request_says_so(
    logged: httpx.Client, its_simulator: Simulator
) -> None:
    options = {"cache_ttl": 60, "cache_key": "one-key", "metadata": {"team": "docs", "trial": True}}
    first = ask(logged, "One question", gateway=options)
    assert first.headers["x-gateway-cache"] == "MISS"
    second = ask(logged, "Another question", gateway=options)
    assert second.headers["x-gateway-cache"] == "HIT"
    assert second.json() == first.json()
    fresh = ask(logged, "Another question", gateway={**options, "skip_cache": True})
    assert fresh.headers["x-gateway-cache"] != "HIT"
    assert fresh.json() != first.json()


AURA = "@cf/deepgram/aura-1"
LIGHTNING = "@cf/bytedance/stable-diffusion-xl-lightning"


@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("/chat", {"prompt": "Hello", "stream": False}, "application/json"),
        ("/chat", {"prompt": "Hello"}, "text/event-stream; charset=utf-8"),
        ("/embed", {"text": "Hello"}, "application/json"),
        ("/image", {"prompt": "Hello"}, "image/jpeg"),
        ("/image", {"prompt": "Hello", "model": LIGHTNING}, "image/png"),
        ("/speak", {"text": "Hello"}, "audio/wav"),
        ("/speak", {"text": "Hello", "model": AURA}, "audio/wav"),
    ],
)
def test_cache_keys_differ_between_routes_and_models(
    logged: httpx.Client, path: str, body: dict[str, Any], content_type: str
) -> None:
    for cached in ("MISS", "HIT"):
        response = logged.post(path, json={**body, "gateway": {"cache_ttl": 60, "cache_key": "of them all"}})
        assert response.is_success, response.text
        assert (response.headers["x-gateway-cache"], response.headers["content-type"]) == (cached, content_type)


def test_cache_keys_differ_between_two_texts_and_three(logged: httpx.Client) -> None:
    options = {"cache_ttl": 60, "cache_key": "some texts"}
    for texts in (["one", "two"], ["one", "two", "three"], ["four", "five"]):
        response = logged.post("/embed", json={"text": texts, "gateway": options})
        assert response.status_code == 200, response.text
        assert len(response.json()["data"]) == len(texts)
    assert response.headers["x-gateway-cache"] == "HIT"


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"cache_ttl": 59}, "gateway.cache_ttl"),
        ({"cache_ttl": 2_592_001}, "gateway.cache_ttl"),
        ({"cache_key": ""}, "gateway.cache_key"),
        ({"cache_key": "a" * 257}, "gateway.cache_key"),
        ({"skip_cache": "yes"}, "gateway.skip_cache"),
        ({"metadata": {str(number): 1 for number in range(6)}}, "gateway.metadata"),
        ({"metadata": {"a": []}}, "gateway.metadata.a"),
        ({"cacheTtl": 60}, "gateway.cacheTtl"),
    ],
)
def test_an_option_at_fault_is_named(
    logged: httpx.Client, error_of: ErrorOf, options: dict[str, Any], param: str
) -> None:
    response = logged.post("/chat", json={"prompt": "Hello", "gateway": options})
    assert response.status_code == 400
    assert (error_of(response)["code"], error_of(response)["param"]) == (7504, param)


def test_extract_may_use_the_gateway_too(logged: httpx.Client) -> None:
    body = {"text": "Ada", "schema": {"type": "object"}, "gateway": {"skip_cache": True}}
    response = logged.post("/extract", json=body)
    assert response.status_code == 200
    assert response.headers["x-gateway-log-id"]


# ---- logs ----------------------------------------------------------------------------------------------------------


def test_a_log_has_the_prompt_and_the_duration(logged: httpx.Client) -> None:
    response = ask(logged, "What is in a log?", gateway={"metadata": {"team": "docs"}})
    log = read(logged, response.headers["x-gateway-log-id"])
    assert log["id"] == response.headers["x-gateway-log-id"]
    assert log["provider"] == "workers-ai"
    assert log["model"] == response.headers["x-model"]
    assert log["success"] is True
    assert log["tokens_in"] == response.json()["usage"]["prompt_tokens"]
    assert log["tokens_out"] == response.json()["usage"]["completion_tokens"]
    assert log["created_at"].endswith("Z")


def test_a_log_is_never_kept_by_a_cache(logged: httpx.Client) -> None:
    log_id = ask(logged, "Cached?").headers["x-gateway-log-id"]
    read(logged, log_id)
    response = logged.get(f"/logs/{log_id}")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("log_id", [NOT_THERE, "..%2F..%2Fgateways", "a%20b", "a" * 65, "%00", "a?b"])
def test_a_log_that_is_not_there_is_not_found(logged: httpx.Client, error_of: ErrorOf, log_id: str) -> None:
    response = logged.get(f"/logs/{log_id}")
    assert response.status_code == 404
    assert error_of(response)["type"] == "not_found"


def test_a_log_takes_no_other_method(logged: httpx.Client) -> None:
    response = logged.delete(f"/logs/{NOT_THERE}")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"


# ---- feedback ------------------------------------------------------------------------------------------------------


def test_a_rating_is_in_the_log(logged: httpx.Client) -> None:
    log_id = ask(logged, "Rate me").headers["x-gateway-log-id"]
    read(logged, log_id)
    rating = {"feedback": 1, "score": 87.5, "metadata": {"user": "ada"}}
    response = logged.post("/feedback", json={"log_id": log_id, **rating})
    assert response.status_code == 204
    assert response.content == b""
    log = read(logged, log_id)
    assert (log["feedback"], log["score"]) == (1, 87.5)
    assert log["metadata"] == {"user": "ada"}


def test_omitted_fields_of_a_rating_stay_and_null_removes_them(logged: httpx.Client) -> None:
    log_id = ask(logged, "Rate me twice").headers["x-gateway-log-id"]
    read(logged, log_id)
    logged.post("/feedback", json={"log_id": log_id, "feedback": -1, "score": 10})
    logged.post("/feedback", json={"log_id": log_id, "score": 0})
    assert (read(logged, log_id)["feedback"], read(logged, log_id)["score"]) == (-1, 0)
    assert logged.post("/feedback", json={"log_id": log_id, "feedback": None}).status_code == 204
    assert not read(logged, log_id).get("feedback")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "log_id"),
        ({"log_id": NOT_THERE}, None),
        ({"log_id": "../a", "feedback": 1}, "log_id"),
        ({"log_id": "", "feedback": 1}, "log_id"),
        ({"log_id": 5, "feedback": 1}, "log_id"),
        ({"log_id": NOT_THERE, "feedback": 0}, "feedback"),
        ({"log_id": NOT_THERE, "feedback": True}, "feedback"),
        ({"log_id": NOT_THERE, "feedback": "1"}, "feedback"),
        ({"log_id": NOT_THERE, "score": 101}, "score"),
        ({"log_id": NOT_THERE, "score": -1}, "score"),
        ({"log_id": NOT_THERE, "score": "5"}, "score"),
        ({"log_id": NOT_THERE, "metadata": {str(number): 1 for number in range(6)}}, "metadata"),
        ({"log_id": NOT_THERE, "metadata": {"a": {}}}, "metadata.a"),
        ({"log_id": NOT_THERE, "feedback": 1, "comment": "good"}, "comment"),
    ],
)  # fmt: skip
def test_a_field_at_fault_is_named(
    logged: httpx.Client, error_of: ErrorOf, body: dict[str, Any], param: str | None
) -> None:
    response = logged.post("/feedback", json=body)
    assert response.status_code == 400
    assert (error_of(response)["code"], error_of(response)["param"]) == (7504, param)


def test_a_log_of_another_tenant_is_not_found(start_server: StartServer, error_of: ErrorOf) -> None:
    keys = [
        {"name": name, "sha256": hashlib.sha256(f"aiw_{name}".encode()).hexdigest(), "scopes": scopes, "tenant": tenant}
        for name, tenant, scopes in (
            ("acme", "acme", ["chat", "feedback"]),
            ("globex", "globex", ["chat", "feedback"]),
            ("owner", "default", ["admin"]),
        )
    ]
    acme, globex, owner = ({"authorization": f"Bearer aiw_{key['name']}"} for key in keys)
    options = {"cache_ttl": 60}
    with (
        start_server(GATEWAY_ID="test", AUTH_MODE="keys", API_KEYS=json.dumps(keys)) as server,
        httpx.Client(base_url=server.url, timeout=60, verify=TLS) as client,
    ):

        def hello(headers: dict[str, str], **more: Any) -> httpx.Response:
            return client.post("/chat", json={"prompt": "Hello", "stream": False, **more}, headers=headers)

        def rate(log_id: str, headers: dict[str, str]) -> httpx.Response:
            return client.post("/feedback", json={"log_id": log_id, "feedback": 1}, headers=headers)

        shown = hello(acme).headers["x-gateway-log-id"]
        until(lambda: rate(shown, acme), lambda response: response.status_code == 204)
        assert hello(acme).headers.get("x-gateway-cache") != "HIT"
        own = client.get(f"/logs/{shown}", headers=owner).json()["id"]
        for log_id, headers in ((shown, globex), (own, globex), (own, acme)):
            assert error_of(rate(log_id, headers))["type"] == "not_found"
        assert rate(own, owner).status_code == rate(shown, owner).status_code == 204

        # what one tenant has asked is not in the cache of another, though the requests are the same
        states = [hello(who, gateway=options).headers["x-gateway-cache"] for who in (acme, acme, globex, globex)]
        assert states == ["MISS", "HIT", "MISS", "HIT"]


def test_an_answer_without_a_log_cannot_be_rated(logged: httpx.Client, error_of: ErrorOf) -> None:
    response = logged.post("/feedback", json={"log_id": NOT_THERE, "feedback": 1})
    assert response.status_code == 404
    assert error_of(response)["type"] == "not_found"
    assert NOT_THERE in error_of(response)["message"]


# ---- without a gateway ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"), [("GET", f"/logs/{NOT_THERE}"), ("POST", "/feedback"), ("GET", "/logs/a%2Fb")]
)
def test_a_worker_without_a_gateway_says_what_to_set(
    client: httpx.Client, error_of: ErrorOf, method: str, path: str
) -> None:
    response = client.request(method, path, json={"log_id": NOT_THERE, "feedback": 1} if method == "POST" else None)
    assert response.status_code == 404
    assert error_of(response)["type"] == "not_configured"
    assert "GATEWAY_ID" in error_of(response)["message"]


def test_a_worker_without_a_gateway_does_not_take_its_options(client: httpx.Client, error_of: ErrorOf) -> None:
    response = client.post("/chat", json={"prompt": "Hello", "gateway": {"skip_cache": True}})
    assert response.status_code == 400
    assert error_of(response)["param"] == "gateway"
