"""POST /mcp in workerd: what the official clients' conversations (tests/clients) do not show."""

import base64
from typing import Any

import httpx
import pytest

from tests.conftest import NewCalls, Simulator


def rpc(client: httpx.Client, method: str, **params: Any) -> httpx.Response:
    return client.post("/mcp", json={"jsonrpc": "2.0", "id": "a", "method": method, "params": params})


def call(client: httpx.Client, name: str, **arguments: Any) -> dict[str, Any]:
    response = rpc(client, "tools/call", name=name, arguments=arguments)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    return response.json()["result"]


def test_a_recording_is_transcribed_as_its_route_does_it(client: httpx.Client, simulator: Simulator) -> None:
    sound = client.post("/speak", json={"text": "The train leaves at nine."}).content
    calls = NewCalls(simulator)
    encoded = f"data:audio/wav;base64,{base64.b64encode(sound).decode()}"
    response = rpc(client, "tools/call", name="transcribe", arguments={"audio": encoded, "language": "en"})
    result = response.json()["result"]
    expected = client.post("/transcribe?language=en", content=sound, headers={"content-type": "audio/wav"})
    assert result["structuredContent"] == expected.json()
    assert result["content"] == [{"type": "text", "text": expected.json()["text"]}]
    assert response.headers["x-model"] == expected.headers["x-model"]
    assert len(calls.of(binding="AI")) == 2


BEGIN = '{"jsonrpc": "2.0", "id": 1, "method": '
BODIES = {
    "no base64": (BEGIN + '"tools/call", "params": {"name": "transcribe", "arguments": {"audio": "!"}}}', 400, -32602),
    "a long text for params": (BEGIN + '"tools/call", "params": "' + "x" * 2_000_000 + '"}', 413, -32600),
    "a long method": (BEGIN + '"' + "x" * 2_000_000 + '"}', 413, -32600),
    "a number for arguments": (BEGIN + '"ping", "params": {"arguments": 5}}', 200, None),
    "deeply nested": (BEGIN + '"ping", "params": {"a": ' + "[" * 5000 + "]" * 5000 + "}}", 400, -32700),
    "many fields": (BEGIN + '"ping", ' + ",".join(f'"{n}": 1' for n in range(30_000)) + "}", 413, -32600),
    "cut off": (BEGIN, 400, -32700),
}


@pytest.mark.parametrize(("body", "status", "code"), BODIES.values(), ids=BODIES)
def test_bodies_that_are_wrong_or_too_large(client: httpx.Client, body: str, status: int, code: int | None) -> None:
    response = client.post("/mcp", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status, response.text[:500]
    assert response.json().get("error", {}).get("code") == code


def test_a_fault_of_the_model_is_an_error_for_the_model(client: httpx.Client, simulator: Simulator) -> None:
    simulator.set_fault(status=400, code=5006, description="bad input", count=1)
    result = call(client, "generate_image", prompt="a fox")
    assert (result["isError"], result["_meta"]["error"]["type"]) == (True, "invalid_request")
    assert result["_meta"]["error"]["upstream_code"] == 5006
    simulator.clear_faults()


def test_a_stored_image_is_an_address(client: httpx.Client) -> None:
    result = call(client, "generate_image", prompt="a fox", store=True)
    assert client.get(result["content"][0]["text"]).headers["content-type"].startswith("image/")


def test_pages_may_ask_first_and_send_the_protocols_headers(client: httpx.Client) -> None:
    headers = {
        "origin": "http://localhost:1", "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,mcp-protocol-version,mcp-method,mcp-name",
    }  # fmt: skip
    response = client.options("/mcp", headers=headers)
    assert response.status_code == 204
    assert "mcp-protocol-version" in response.headers["access-control-allow-headers"]
    assert client.get("/mcp").status_code == 405
