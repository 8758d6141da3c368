"""POST /mcp: messages of both kinds of versions, and what is wrong with them."""

import base64
import dataclasses
import json
from typing import Any

import pytest

from aiworker import app
from aiworker.auth.access import Caller
from aiworker.context import Context
from aiworker.http.json_parts import JsonValue, to_body
from aiworker.http.messages import JsHandle, Response
from aiworker.log import RequestLog
from aiworker.mcp import protocol
from aiworker.settings import Settings
from aiworker.tools import TOOLS
from tests.unit.stand_ins import VARIABLES, FakeRequest, FakeStreams, a_context

NEW = "2026-07-28"
META: dict[str, Any] = {protocol.VERSION_KEY: NEW, protocol.CAPABILITIES_KEY: {}}


async def send(body: Any, method: str = "POST", path: str = "/mcp", **headers: str) -> tuple[Response, RequestLog]:
    """Send a message to a Worker; return the response, and the log of the request."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = FakeRequest(method, path, raw, **{"content_type": "application/json", **headers})
    log = RequestLog(method)

    def context(settings: Settings, caller: Caller, log: RequestLog, **_: Any) -> Context:
        return a_context(request, settings, None, dataclasses.replace(caller, scopes=SCOPES), log)

    variables = {**VARIABLES, "TOKEN_SECRET": "s" * 32}
    return await app.handle(request, FakeStreams(), lambda: Settings.read(variables), context, log), log


SCOPES = frozenset(("chat", "image"))


def data(response: Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/json"
    return json.loads(str(response.body))


def message(method: str, message_id: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message_id, "method": method, "params": params}


async def old(method: str, **params: Any) -> Any:
    response, _ = await send(message(method, **params), mcp_protocol_version="2025-11-25")
    assert response.status == 200
    answer = data(response)
    assert answer["id"] == 1
    return answer.get("error") or answer["result"]


async def new(method: str, *, meta: Any = META, **params: Any) -> tuple[int, Any]:
    headers = {"mcp_protocol_version": NEW, "mcp_method": method}
    if "name" in params:
        headers["mcp_name"] = params["name"]
    response, _ = await send(message(method, **params, _meta=meta), **headers)
    answer = data(response)
    return response.status, answer.get("error") or answer["result"]


# ---- versions with a handshake -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "answered"),
    [("2024-11-05", "2024-11-05"), ("2025-06-18", "2025-06-18"), (NEW, "2025-11-25"), ("1999-01-01", "2025-11-25")],
)
async def test_a_session_gets_its_version_or_the_newest_with_a_handshake(requested: str, answered: str) -> None:
    response, _ = await send(message("initialize", protocolVersion=requested, capabilities={}, clientInfo={}))
    result = data(response)["result"]
    assert (response.status, result["protocolVersion"]) == (200, answered)
    assert result["serverInfo"]["name"] == "aiworker"
    assert result["capabilities"] == {"tools": {}}  # without rag:read there are no documents
    assert "resultType" not in result


async def test_the_tools_are_those_of_the_callers_scopes() -> None:
    tools = (await old("tools/list"))["tools"]
    assert [tool["name"] for tool in tools] == [*TOOLS, "generate_image"]
    for name in ("search_documents", "transcribe", "nothing"):
        error = await old("tools/call", name=name, arguments={})
        assert (error["code"], name in error["message"]) == (protocol.INVALID_PARAMS, True)
    assert await old("resources/list") == {"resources": []}
    error = await old("resources/read", uri="aiworker://documents/a")
    assert error["code"] == protocol.RESOURCE_NOT_FOUND


async def test_a_tool_of_the_workers_own_is_called() -> None:
    call = message("tools/call", name="current_time", arguments={"utc_offset_hours": 2})
    response, log = await send(call)
    result = data(response)["result"]
    assert result["isError"] is False
    assert "+02:00" in result["content"][0]["text"]
    assert json.loads(log.line())["tool"] == "current_time"


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("current_time", {"utc_offset_hours": "two"}, "utc_offset_hours"),
        ("current_time", {"hour": 2}, "hour"),
        ("current_time", {"utc_offset_hours": 99}, "ValueError"),
        ("generate_image", {}, "prompt is required"),
        ("generate_image", {"prompt": "a fox", "colour": "red"}, "colour is not known here"),
        ("generate_image", {"prompt": "a fox", "width": "wide"}, "width must be"),
        ("generate_image", {"prompt": "a fox", "width": 1}, "width must be between 256 and 2048"),
        ("generate_image", {"prompt": "a fox", "model": "gpt-99"}, "gpt-99"),
    ],
)
async def test_a_model_is_told_what_is_wrong_with_its_call(name: str, arguments: Any, words: str) -> None:
    result = await old("tools/call", name=name, arguments=arguments)
    assert (result["isError"], words in result["content"][0]["text"]) == (True, True)
    assert "structuredContent" not in result


async def test_an_error_of_the_api_is_in_the_result_and_in_the_log() -> None:
    call = message("tools/call", name="generate_image", arguments={"prompt": "a fox", "model": "gpt-99"})
    response, log = await send(call)
    error = data(response)["result"]["_meta"]["error"]
    assert (response.status, error["type"]) == (200, "model_not_found")
    assert (log.error, error["request_id"]) == ("model_not_found", response.headers["x-request-id"])


@pytest.mark.parametrize("method", ["prompts/list", "server/discover", "logging/setLevel", "", "tools/call/"])
async def test_other_methods_do_not_exist(method: str) -> None:
    assert (await old(method))["code"] == protocol.METHOD_NOT_FOUND


@pytest.mark.parametrize(
    "params", [{}, {"name": 1}, {"name": "current_time", "arguments": []}, {"name": "current_time", "arguments": None}]
)
async def test_a_call_needs_a_name_and_an_object_of_arguments(params: dict[str, Any]) -> None:
    assert (await old("tools/call", **params))["code"] == protocol.INVALID_PARAMS


@pytest.mark.parametrize(
    "body",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": ""}},
    ],
)
async def test_notifications_get_no_answer(body: dict[str, Any]) -> None:
    response, _ = await send(body)
    assert (response.status, response.body) == (202, None)


# ---- what is no request ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", protocol.PARSE_ERROR),
        (b"{", protocol.PARSE_ERROR),
        (b'{"a": NaN}', protocol.PARSE_ERROR),
        (b"[" * 40_000, protocol.PARSE_ERROR),
        ([], protocol.INVALID_REQUEST),
        ([message("ping")], protocol.INVALID_REQUEST),
        ("ping", protocol.INVALID_REQUEST),
        ({}, protocol.INVALID_REQUEST),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, protocol.INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1}, protocol.INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, protocol.INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, protocol.INVALID_REQUEST),
        (message("ping", None), protocol.INVALID_REQUEST),
        (message("ping", True), protocol.INVALID_REQUEST),
        (message("ping", 2.5), protocol.INVALID_REQUEST),
        (message("ping", {}), protocol.INVALID_REQUEST),
    ],
)
async def test_bodies_that_are_no_message_are_refused(body: Any, code: int) -> None:
    response, log = await send(body)
    answer = data(response)
    assert (response.status, answer["error"]["code"]) == (400, code)
    assert answer["id"] == (1 if isinstance(body, dict) and '"id": 1' in json.dumps(body) else None)
    assert log.error == "invalid_request"


async def test_an_unknown_version_is_refused_with_those_that_are_known() -> None:
    for body in (message("ping"), {"jsonrpc": "2.0", "method": "notifications/initialized"}):
        response, _ = await send(body, mcp_protocol_version="2030-01-01")
        error = data(response)["error"]
        assert (response.status, error["code"]) == (400, protocol.UNSUPPORTED_VERSION)
        assert error["data"]["requested"] == "2030-01-01"
        assert {NEW, "2025-11-25"} <= set(error["data"]["supported"])


# ---- versions without --------------------------------------------------------------------------------------------


async def test_a_new_client_discovers_and_may_keep_what_it_gets() -> None:
    status, result = await new("server/discover")
    assert (status, result["resultType"], result["supportedVersions"]) == (200, "complete", [NEW])
    assert result["_meta"][protocol.SERVER_KEY]["name"] == "aiworker"
    for method in ("server/discover", "tools/list", "resources/list", "resources/templates/list"):
        _, result = await new(method)
        assert (result["cacheScope"], result["ttlMs"] >= 0) == ("private", True)


async def test_a_new_client_calls_a_tool() -> None:
    status, result = await new("tools/call", name="current_time", arguments={})
    assert (status, result["resultType"], result["isError"]) == (200, "complete", False)
    assert "ttlMs" not in result


@pytest.mark.parametrize("method", ["initialize", "ping", "subscriptions/listen", "nothing"])
async def test_methods_that_new_versions_do_not_have_are_404(method: str) -> None:
    status, error = await new(method)
    assert (status, error["code"]) == (404, protocol.METHOD_NOT_FOUND)


@pytest.mark.parametrize("meta", [{protocol.VERSION_KEY: NEW}, {protocol.CAPABILITIES_KEY: {}}, {}, None, "x"])
async def test_a_request_without_its_envelope_is_refused(meta: Any) -> None:
    status, error = await new("tools/list", meta=meta)
    assert (status, error["code"]) == (400, protocol.INVALID_PARAMS)
    assert "io.modelcontextprotocol/" in error["message"]


@pytest.mark.parametrize(
    "changed",
    [
        {"mcp_protocol_version": "2025-11-25"},
        {"mcp_protocol_version": ""},
        {"mcp_method": "tools/list"},
        {"mcp_method": ""},
        {"mcp_name": "generate_image"},
        {"mcp_name": ""},
        {"mcp_name": "=?base64?Y3VycmVudF90aW1?="},
        {"mcp_name": "=?base64?/w==?="},
    ],
)
async def test_headers_that_differ_from_the_body_are_refused(changed: dict[str, str]) -> None:
    headers = {"mcp_protocol_version": NEW, "mcp_method": "tools/call", "mcp_name": "current_time", **changed}
    body = message("tools/call", name="current_time", _meta=META)
    response, _ = await send(body, **{name: value for name, value in headers.items() if value})
    assert (response.status, data(response)["error"]["code"]) == (400, protocol.HEADER_MISMATCH)


async def test_a_name_may_be_encoded_in_its_header() -> None:
    encoded = f"=?base64?{base64.b64encode(b'current_time').decode()}?="
    headers = {"mcp_protocol_version": NEW, "mcp_method": "tools/call", "mcp_name": encoded}
    response, _ = await send(message("tools/call", name="current_time", _meta=META), **headers)
    assert data(response)["result"]["isError"] is False


async def test_a_future_version_is_refused_with_those_that_are_known() -> None:
    meta: dict[str, Any] = {**META, protocol.VERSION_KEY: "2030-01-01"}
    headers = {"mcp_protocol_version": "2030-01-01", "mcp_method": "tools/list"}
    response, _ = await send(message("tools/list", _meta=meta), **headers)
    error = data(response)["error"]
    assert (response.status, error["code"]) == (400, protocol.UNSUPPORTED_VERSION)
    assert NEW in error["data"]["supported"]


async def test_a_resource_that_is_missing_is_a_wrong_parameter() -> None:
    headers = {"mcp_protocol_version": NEW, "mcp_method": "resources/read", "mcp_name": "https://example.com"}
    response, _ = await send(message("resources/read", uri="https://example.com", _meta=META), **headers)
    assert (response.status, data(response)["error"]["code"]) == (400, protocol.INVALID_PARAMS)


# ---- refused before it is read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT"])
async def test_other_methods_of_http_are_405(method: str) -> None:
    response, _ = await send(b"", method)
    assert (response.status, response.headers["allow"]) == (405, "POST")


async def test_errors_of_the_door_are_json_rpc_with_their_status() -> None:
    token = "eyJhIjoxfQ." + "s" * 43
    for status, headers in ((401, {"authorization": f"Basic {token}"}), (415, {"content_type": "text/plain"})):
        response, _ = await send(message("ping"), **headers)
        error = data(response)["error"]
        assert (response.status, error["code"]) == (status, protocol.INVALID_REQUEST)
        assert error["data"]["request_id"] == response.headers["x-request-id"]


async def test_pages_of_foreign_origins_are_refused_whatever_they_send() -> None:
    for origin in ("https://evil.example", "null"):
        response, _ = await send(message("ping"), origin=origin)
        assert (response.status, data(response)["error"]["data"]["type"]) == (403, "forbidden")
    for origin in ("https://app.example", FakeRequest.origin):
        response, _ = await send(message("ping"), origin=origin)
        assert response.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/mcp/.well-known/openid-configuration",
        "/register",
        "/token",
    ],
)
async def test_clients_that_look_for_oauth_read_that_there_is_none(path: str) -> None:
    response, _ = await send(b"", "GET", path)
    answer = data(response)
    assert (response.status, answer["error"]) == (404, "invalid_request")
    assert "Bearer KEY" in answer["error_description"]


def test_values_that_stay_in_javascript_are_parts_of_the_body() -> None:
    handle = JsHandle(object())
    body = to_body({"a": [1, JsonValue(('"', handle, '"'))], "b": JsonValue((handle,)), "c": "ü"})
    assert body == ['{"a":[1,', '"', handle, '"', '],"b":', handle, ',"c":"ü"}']
    assert to_body({"a": 1}) == '{"a":1}'
