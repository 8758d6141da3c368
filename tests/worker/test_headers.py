"""Security headers of every response: browsers never guess its type, run it or frame it."""

import base64
import re

import httpx
import pytest

from tests.conftest import ErrorOf, NewCalls, Simulator

NOTHING = "default-src 'none'; frame-ancestors 'none'"
SMALL = {"model": "@cf/lykon/dreamshaper-8-lcm", "prompt": "a red fox", "width": 256, "height": 256}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/health", None, 200),
        ("GET", "/openapi.json", None, 200),
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/chat", None, 405),
        ("POST", "/chat", {}, 400),
        ("POST", "/chat", {"prompt": "Hello", "stream": False}, 200),
        ("POST", "/chat", {"prompt": "Hello"}, 200),
        ("POST", "/v1/chat/completions", {}, 400),
        ("POST", "/image", SMALL, 200),
        ("POST", "/speak", {"text": "<script>alert(1)</script>"}, 200),
        ("GET", f"/images/{'0' * 64}.png", None, 404),
    ],
)
def test_responses_of_the_worker_are_not_rendered_as_pages(
    client: httpx.Client, simulator: Simulator, method: str, path: str, body: object, status: int
) -> None:
    response = client.request(method, path, json=body)
    assert response.status_code == status
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == NOTHING
    assert not re.search("html|svg|xml|javascript", response.headers["content-type"])
    assert re.search(r"(^|, )total;dur=\d+$", response.headers["server-timing"])


def test_a_preflight_has_them_too(client: httpx.Client) -> None:
    preflight = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
    response = client.options("/chat", headers=preflight)
    assert response.status_code == 204
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/docs/", "/console/app.js", "/icon.svg"])
def test_pages_run_no_script_but_their_own_and_are_framed_nowhere(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    parts = [part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";")]
    policy: dict[str, str] = dict(parts)
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("headers", [{}, {"range": "bytes=0-9"}])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_stored_image_is_an_image_and_can_do_nothing(
    client: httpx.Client, method: str, headers: dict[str, str]
) -> None:
    made = client.post("/image", json={**SMALL, "store": True})
    assert made.status_code == 201
    response = client.request(method, made.json()["url"], headers=headers)
    assert response.status_code == (206 if headers and method == "GET" else 200)
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "content",
    [
        b"<!doctype html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"%PDF-1.7",
    ],
)
@pytest.mark.parametrize("way", ["form", "json"])
def test_bytes_that_only_claim_to_be_an_image_are_not_forwarded(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, content: bytes, way: str
) -> None:
    new = NewCalls(simulator)
    if way == "form":
        files = {"image": ("fox.png", content, "image/png")}
        response = client.post("/image", data={"prompt": "a fox", "store": "true"}, files=files)
    else:
        image = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        response = client.post("/image", json={"prompt": "a fox", "image": image, "store": True})
    assert response.status_code == 400
    assert error_of(response)["param"] == "image"
    assert not new.of(operation="run")


def test_no_name_of_an_image_makes_it_something_else(client: httpx.Client) -> None:
    key = client.post("/image", json={**SMALL, "store": True}).json()["key"]
    for other in (key.replace(".png", each) for each in (".html", ".svg", ".jpg", "", ".png.html", ".png/", ".png%2f")):
        assert client.get(f"/images/{other}").status_code == 404
