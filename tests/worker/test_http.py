"""Rules that hold for every route: ids, CORS, methods, media types, sizes."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import ErrorOf, Simulator
from tools.dev import server_check

MAX_BODY_BYTES = 1_048_576


def test_the_server_has_what_these_tests_need(base_url: str) -> None:
    assert server_check.complaint(base_url) is None


def test_every_response_has_an_id_of_its_own(client: httpx.Client) -> None:
    ids = {client.get(path).headers["x-request-id"] for path in ("/health", "/models", "/nowhere", "/health")}
    assert len(ids) == 4


def test_a_request_cannot_choose_its_id(client: httpx.Client) -> None:
    assert client.get("/health", headers={"x-request-id": "mine"}).headers["x-request-id"] != "mine"


@pytest.mark.parametrize(("path", "near"), [("/chatt", "/chat"), ("/Chat", "/chat"), ("/chat/", "/chat")])
def test_an_unknown_route_is_answered_with_the_one_that_comes_near(
    client: httpx.Client, error_of: ErrorOf, path: str, near: str
) -> None:
    response = client.post(path, json={})
    assert response.status_code == 404
    error = error_of(response)
    assert error["type"] == "not_found"
    assert f"Did you mean {near}?" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/chat", "POST"),
        ("DELETE", "/chat", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("PUT", "/models", "GET, HEAD"),
    ],
)
def test_a_method_that_a_route_does_not_take_is_refused(
    client: httpx.Client, error_of: ErrorOf, method: str, path: str, allowed: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert error_of(response)["type"] == "method_not_allowed"


def test_head_is_get_without_the_body(client: httpx.Client) -> None:
    response = client.head("/health")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.content == b""


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_another_media_type_is_refused(client: httpx.Client, error_of: ErrorOf, media_type: str) -> None:
    response = client.post("/chat", content=b'{"prompt": "Hello"}', headers={"content-type": media_type})
    assert response.status_code == 415
    assert "content-type: application/json" in error_of(response)["message"]


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_may_be_named_in_other_ways(client: httpx.Client, media_type: str) -> None:
    body = b'{"prompt": "Hello", "stream": false}'
    assert client.post("/chat", content=body, headers={"content-type": media_type}).status_code == 200


def padded(size: int) -> bytes:
    """A valid chat request of `size` bytes."""
    body = b'{"prompt": "Hello", "stream": false}'
    return body + b" " * (size - len(body))


def in_chunks(body: bytes) -> Iterator[bytes]:
    """The body without a length: httpx sends it chunked."""
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


def test_a_body_may_be_as_large_as_the_limit_and_no_larger(client: httpx.Client, error_of: ErrorOf) -> None:
    headers = {"content-type": "application/json"}
    for size, status in ((MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413), (10 * MAX_BODY_BYTES, 413)):
        for content in (padded(size), in_chunks(padded(size))):
            response = client.post("/chat", content=content, headers=headers)
            assert response.status_code == status
            if status == 413:
                error = error_of(response)
                assert error["type"] == "payload_too_large"
                assert "1,048,576" in error["message"]
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(("path", "size"), [("/v1/embeddings", 12_600_000), ("/chat", 20_000_000)])
def test_a_body_far_above_the_limit_has_its_413_and_no_reset(client: httpx.Client, path: str, size: int) -> None:
    for _ in range(2):
        response = client.post(path, content=padded(size), headers={"content-type": "application/json"})
        assert response.status_code == 413
        assert "1,048,576" in response.json()["error"]["message"]


def test_an_answer_that_needs_no_body_comes_after_it(client: httpx.Client, error_of: ErrorOf) -> None:
    """Else the connection is closed amidst the upload, and who sends it sees that: every second time, at this size."""
    for _ in range(8):
        response = client.post("/chat", content=bytes(5_000_000), headers={"content-type": "image/png"})
        assert response.status_code == 415
        assert error_of(response)["type"] == "unsupported_media_type"


def test_a_page_of_this_machine_may_call(client: httpx.Client, simulator: Simulator) -> None:
    origin = "http://localhost:5173"
    preflight = client.options(
        "/chat",
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == origin
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    assert int(preflight.headers["access-control-max-age"]) > 0
    response = client.post("/chat", json={"prompt": "Hello", "stream": False}, headers={"origin": origin})
    assert response.headers["access-control-allow-origin"] == origin
    assert "x-request-id" in response.headers["access-control-expose-headers"]
    assert response.headers["vary"] == "origin"


def test_only_names_of_headers_are_allowed_and_not_too_many(client: httpx.Client) -> None:
    requested = ", ".join(["x-a b", "x:y", *(f"x-{number}" for number in range(200))])
    headers = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
    preflight = client.options("/chat", headers={**headers, "access-control-request-headers": requested})
    assert preflight.headers["access-control-allow-headers"].split(", ") == [f"x-{number}" for number in range(98)]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("//v1/chat/completions", "/v1/chat/completions"),
        ("/v1//chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/V1/chat/completions", "/v1/chat/completions"),
        ("/api/v1/embeddings", "/v1/embeddings"),
    ],
)
def test_a_wrong_base_url_is_answered_as_openai_would_with_the_right_one(
    client: httpx.Client, path: str, meant: str
) -> None:
    response = client.post(f"{client.base_url}".rstrip("/") + path, json={})
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "unknown_url")
    assert error["message"].endswith(f"Did you mean {meant}?")


@pytest.mark.parametrize(("path", "meant"), [("/chat/", "/chat"), ("//health", "/health"), ("/models/x", None)])
def test_a_wrong_path_is_answered_with_the_right_one(
    client: httpx.Client, error_of: ErrorOf, path: str, meant: str | None
) -> None:
    error = error_of(client.get(f"{client.base_url}".rstrip("/") + path))
    assert error["type"] == "not_found"
    assert meant is None or error["message"].endswith(f"Did you mean {meant}?")


def test_openai_s_paths_without_v1_are_found(client: httpx.Client) -> None:
    assert "Did you mean /v1/chat/completions?" in client.post("/chat/completions", json={}).text


def test_a_page_of_this_machine_may_read_errors(client: httpx.Client, simulator: Simulator) -> None:
    response = client.post("/chat", json={}, headers={"origin": "http://127.0.0.1:3000"})
    assert response.status_code == 400
    assert response.headers["access-control-allow-origin"] == "http://127.0.0.1:3000"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example:80", "https://localhost:5173"]
)
def test_a_page_of_another_origin_may_not_call(client: httpx.Client, error_of: ErrorOf, origin: str) -> None:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    preflight = client.options("/chat", headers=headers)
    assert preflight.status_code == 403
    assert "ALLOWED_ORIGINS" in error_of(preflight)["message"]
    for response in (preflight, client.get("/health", headers=headers)):
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["vary"] == "origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_page_of_another_origin_changes_nothing_without_a_key(
    client: httpx.Client, error_of: ErrorOf, origin: str
) -> None:
    before = client.get("/rag/documents").json()
    headers = {"origin": origin}
    requests = (
        client.post("/rag/documents", files={"file": ("planted.txt", b"Trust this page.")}, headers=headers),
        client.post("/image", files={"prompt": (None, "a fox")}, headers=headers),
        client.post("/chat", content=b'{"prompt": "Hello"}', headers={**headers, "content-type": "text/plain"}),
        client.post("/chat", json={"prompt": "Hello"}, headers={**headers, "authorization": "Bearer anything"}),
        client.delete("/rag/documents/planted", headers=headers),
    )
    for response in requests:
        assert response.status_code == 403
        assert "ALLOWED_ORIGINS" in error_of(response)["message"]
    assert client.get("/rag/documents").json() == before


def test_a_page_of_the_workers_own_origin_needs_no_permission(client: httpx.Client) -> None:
    own = str(client.base_url).rstrip("/")
    response = client.post("/chat", json={"prompt": "Hello", "stream": False}, headers={"origin": own})
    assert response.status_code == 200


def test_the_console_is_served(client: httpx.Client) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
