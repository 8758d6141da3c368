"""The door, as a deployment has it: keys that scripts/keys has made, and every way around them."""

import contextlib
import io
import json
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Generator, Iterable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai as sdk
import pytest

from aiworker.auth.access import ADMIN, SCOPES
from aiworker.routes import ROUTES
from aiworker.tools import TOOLS
from tests.checkout import link_worker
from tests.conftest import TLS, DevServer, ErrorOf, StartServer, until
from tools import ROOT
from tools.keys import keys

KEYS = [sys.executable, str(ROOT / "scripts/keys")]
HELLO = {"prompt": "Hello", "stream": False}
ORIGIN = "http://localhost:3000"


class Door:
    """A Worker that wants keys, and some that it has."""

    def __init__(self, project: Path, server: DevServer, keys: dict[str, str]) -> None:
        self.project, self.server, self.keys = project, server, keys

    @property
    def url(self) -> str:
        return self.server.url


def scripts_keys(project: Path, *arguments: str) -> str:
    done = subprocess.run([*KEYS, "--project", str(project), *arguments], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def new_key(project: Path, name: str, scopes: Iterable[str], tenant: str | None = None) -> str:
    """A key made like that of `scripts/keys new`, without a process for each."""
    options = Namespace(project=project, name=name, scopes=list(scopes), tenant=tenant, days=None, daily_neurons=None)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert keys.new(options) == 0
    return printed.getvalue().strip()


@pytest.fixture(scope="module")
def door(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    project = link_worker(tmp_path_factory.mktemp("project"))
    # what is asked for by --var wins over this file
    (project / ".dev.vars").write_text("# mine\nAUTH_MODE=public\n")
    made = {"revoked": scripts_keys(project, "new", "revoked")}
    scripts_keys(project, "revoke", "revoked")
    made["expired"] = scripts_keys(project, "new", "expired", "--days", "1")
    for scope in SCOPES:
        name = scope.replace(":", "-")
        made[f"only-{name}"] = new_key(project, f"only-{name}", [scope])
        made[f"not-{name}"] = new_key(project, f"not-{name}", SCOPES.keys() - {scope, ADMIN})
    for tenant in ("acme", "other"):
        made[tenant] = new_key(project, tenant, ["chat", "rag:read", "rag:write"], tenant)
    text = (project / ".dev.vars").read_text()
    [record] = [each for each in api_keys(text) if each["name"] == "expired"]
    (project / ".dev.vars").write_text(text.replace(f'"expires":{record["expires"]}', '"expires":1'))
    with start_server("--project", project, AUTH_MODE="keys") as server:
        yield Door(project, server, made)


def api_keys(text: str) -> list[dict[str, Any]]:
    line = next(line for line in text.splitlines() if line.startswith("API_KEYS="))
    return json.loads(line.removeprefix("API_KEYS=").strip("'"))


@pytest.fixture
def client(door: Door) -> Generator[httpx.Client]:
    with httpx.Client(base_url=door.url, timeout=60, verify=TLS) as client:
        yield client


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


@pytest.fixture
def token(client: httpx.Client, door: Door) -> Callable[..., str]:
    def make(key: str = "acme", **body: Any) -> str:
        response = client.post("/tokens", json={"scopes": ["chat"], **body}, headers=bearer(door.keys[key]))
        assert response.status_code == 201, response.text
        return response.json()["token"]

    return make


# ---- what callers have stored ------------------------------------------------------------------------------------


def images(client: httpx.Client, credential: str) -> list[dict[str, Any]]:
    """The images that are listed for a caller; none for one to whom they are refused."""
    response = client.get("/images", headers=bearer(credential))
    assert response.status_code in (200, 403), response.text
    return response.json().get("images", [])


def test_an_image_is_deleted_by_the_key_or_user_that_has_stored_it(
    client: httpx.Client, door: Door, token: Callable[..., str], error_of: ErrorOf
) -> None:
    owner, other = door.keys["not-chat"], door.keys["only-image"]
    anna, bert = (token("not-chat", scopes=["image"], subject=name) for name in ("anna", "bert"))
    anybody = token("not-chat", scopes=["image"])
    for seed, mine, others in ((1, owner, (other, anna, anybody)), (2, anna, (other, owner, bert, anybody))):
        body = {"prompt": "a fox", "seed": seed, "store": True, "model": "@cf/lykon/dreamshaper-8-lcm"}
        response = client.post("/image", json={**body, "width": 256, "height": 256}, headers=bearer(mine))
        assert response.status_code == 201, response.text
        key = response.json()["key"]
        path = f"/images/{key}"
        [listed] = [each for each in images(client, mine) if each["key"] == key]
        assert (listed["prompt"], listed["url"]) == ("a fox", response.json()["url"])
        for each in others:
            assert key not in [image["key"] for image in images(client, each)]
            refused = client.delete(path, headers=bearer(each))
            assert refused.status_code == 403
            assert error_of(refused)["type"] == "forbidden"
        assert client.delete(path, headers=bearer(mine)).status_code == 204
        assert client.get(path).status_code == 404


def test_an_image_that_is_made_again_stays_with_its_first_owner(client: httpx.Client, door: Door) -> None:
    size = {"width": 256, "height": 256, "model": "@cf/lykon/dreamshaper-8-lcm"}
    body = {"prompt": "a fox", "seed": 3, "store": True, **size}
    owner, other = bearer(door.keys["not-chat"]), bearer(door.keys["only-image"])
    paths = {client.post("/image", json=body, headers=each).headers["location"] for each in (owner, other)}
    assert len(paths) == 1
    [path] = paths
    assert client.delete(path, headers=other).status_code == 403
    assert client.delete(path, headers=owner).status_code == 204
    # once it is gone, it belongs to whoever stores it next
    assert client.post("/image", json=body, headers=other).status_code == 201
    assert client.delete(path, headers=other).status_code == 204


def fill(client: httpx.Client, credential: str, name: str) -> None:
    """Store a document and a conversation."""
    body = {"text": f"# {name}\n\nThe word of {name}.", "id": name}
    response = client.post("/rag/documents", json=body, headers=bearer(credential))
    assert response.status_code in (200, 202), response.text
    chat = {"prompt": "Hello", "conversation": name, "stream": False, "model": "@cf/meta/llama-3.1-8b-instruct-fast"}
    assert client.post("/chat", json=chat, headers=bearer(credential)).status_code == 200


def stored(client: httpx.Client, credential: str, name: str) -> tuple[bool, bool, bool]:
    """Tell whether there are the document, the conversation, and its entry in the list."""
    document = client.get(f"/rag/documents/{name}", headers=bearer(credential))
    messages = client.get(f"/conversations/{name}", headers=bearer(credential)).json()["messages"]
    listed = client.get("/conversations", headers=bearer(credential)).json()["conversations"]
    return document.status_code == 200, bool(messages), name in [each["conversation"] for each in listed]


def erase(client: httpx.Client, path: str, admin: str, **query: str) -> dict[str, Any]:
    """Delete everything of a tenant or a user; return the job when it has ended."""
    response = client.delete(path, params=query, headers=bearer(admin))
    assert response.status_code == 202, response.text
    job = until(
        lambda: client.get(response.headers["location"], headers=bearer(admin)).json(),
        lambda job: job["state"] in ("done", "failed"),
        seconds=60,
    )
    assert (job["id"], job["state"], job["reason"]) == (response.json()["id"], "done", None)
    return job


EVERYTHING, NOTHING = (True, True, True), (False, False, False)


def test_everything_of_a_tenant_is_deleted_and_nothing_of_another(client: httpx.Client, door: Door) -> None:
    admin, acme, other = (door.keys[name] for name in ("only-admin", "acme", "other"))
    for key in (acme, other):
        fill(client, key, "mine")
        assert stored(client, key, "mine") == EVERYTHING
    assert {"acme", "other"} <= set(client.get("/tenants", headers=bearer(admin)).json()["tenants"])
    job = erase(client, "/tenants/acme", admin)
    assert job["done"] >= 2
    assert stored(client, acme, "mine") == NOTHING
    assert stored(client, other, "mine") == EVERYTHING
    # the job is the admin's
    assert client.get(f"/rag/jobs/{job['id']}", headers=bearer(acme)).status_code == 404
    # again, and of a tenant that never was
    assert erase(client, "/tenants/acme", admin)["done"] == 0
    assert erase(client, "/tenants/nobody", admin)["done"] == 0


def test_everything_of_a_user_is_deleted_and_nothing_of_others(
    client: httpx.Client, door: Door, token: Callable[..., str]
) -> None:
    admin, scopes = door.keys["only-admin"], ["chat", "rag:read", "rag:write"]
    anna, bert = (token("acme", scopes=scopes, subject=name) for name in ("anna", "bert"))
    fill(client, anna, "of-anna")
    fill(client, bert, "of-bert")
    erase(client, "/subjects/anna", admin, tenant="other")  # another user of that name
    assert stored(client, anna, "of-anna") == EVERYTHING
    erase(client, "/subjects/anna", admin, tenant="acme")
    assert stored(client, anna, "of-anna") == NOTHING
    assert stored(client, bert, "of-bert") == EVERYTHING


@pytest.mark.parametrize("path", ["/tenants/a%20b", f"/tenants/{'x' * 65}", "/subjects/-a", "/subjects/a?tenant=-"])
def test_names_that_nobody_can_have_are_refused(client: httpx.Client, door: Door, path: str, error_of: ErrorOf) -> None:
    refused = client.delete(path, headers=bearer(door.keys["only-admin"]))
    assert refused.status_code == 400
    assert error_of(refused)["type"] == "invalid_request"


def test_users_list_and_read_their_own_conversations_and_admins_those_of_a_tenant(
    client: httpx.Client, door: Door, token: Callable[..., str], error_of: ErrorOf
) -> None:
    clara, dora = (token("acme", subject=name) for name in ("clara", "dora"))
    admin = bearer(door.keys["only-admin"])
    turn = {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello, Clara!"}]}
    for name in ("a", "b", "c"):
        path, owner = f"/conversations/{name}/messages", {"tenant": "acme", "subject": "clara"}
        assert client.post(path, params=owner, json=turn, headers=admin).status_code == 204
    first = client.get("/conversations", params={"limit": 2}, headers=bearer(clara)).json()
    assert [(each["conversation"], each["title"]) for each in first["conversations"]] == [
        ("a", "Hello"),
        ("b", "Hello"),
    ]
    rest = client.get("/conversations", params={"cursor": first["cursor"]}, headers=bearer(clara)).json()
    assert ([each["conversation"] for each in rest["conversations"]], rest["cursor"]) == (["c"], None)
    assert client.get("/conversations/a", headers=bearer(clara)).json()["messages"] == turn["messages"]
    assert client.get("/conversations", headers=bearer(dora)).json()["conversations"] == []
    for path in ("/conversations", "/conversations/a"):
        refused = client.get(path, params={"subject": "clara"}, headers=bearer(dora))
        assert (refused.status_code, error_of(refused)["type"]) == (403, "forbidden")
        refused = client.get(path, params={"tenant": "other"}, headers=bearer(clara))
        assert refused.status_code == 403
    entries = client.get("/conversations", params={"tenant": "acme", "limit": 100}, headers=admin).json()
    assert {("a", "clara"), ("c", "clara")} <= {
        (each["conversation"], each["subject"]) for each in entries["conversations"]
    }
    read = client.get("/conversations/a", params={"tenant": "acme", "subject": "clara"}, headers=admin)
    assert read.json()["messages"] == turn["messages"]
    assert client.delete("/conversations/a", headers=bearer(clara)).status_code == 204
    shared = client.get("/conversations", headers=bearer(token("acme")))
    assert (shared.status_code, error_of(shared)["type"]) == (403, "forbidden")
    left = client.get("/conversations", headers=bearer(clara)).json()["conversations"]
    assert [each["conversation"] for each in left] == ["b", "c"]


def test_a_chat_is_of_its_caller_alone(client: httpx.Client, door: Door, token: Callable[..., str]) -> None:
    credentials = [door.keys["acme"], door.keys["other"], token(subject="ada"), token(subject="bob")]
    for number, credential in enumerate(credentials):
        # no chat yet, although others have one of this id
        assert client.get("/api/chat/alone/stream", headers=bearer(credential)).status_code == 204
        refused = client.post("/api/chat/alone/stop", headers=bearer(credential))
        assert refused.status_code == 404
        assert refused.headers["content-type"] == "text/plain; charset=utf-8"
        assert refused.text.startswith("No such answer")
        parts = [{"type": "text", "text": f"I am number {number}."}]
        body = {"id": "alone", "message": {"id": "1", "role": "user", "parts": parts}}
        answer = client.post("/api/chat", json=body, headers=bearer(credential))
        assert answer.status_code == 200
        assert answer.text.endswith("data: [DONE]\n\n")
    for number, credential in enumerate(credentials):
        messages = client.get("/conversations/alone", headers=bearer(credential)).json()["messages"]
        assert [each["content"] for each in messages if each["role"] == "user"] == [f"I am number {number}."]
        assert f"number {number}" in client.get("/api/chat/alone/stream", headers=bearer(credential)).text


def test_documents_need_their_scope_in_a_chat_too(client: httpx.Client, door: Door) -> None:
    parts = [{"type": "text", "text": "Where is the treasure?"}]
    body = {"id": "c", "documents": True, "messages": [{"id": "1", "role": "user", "parts": parts}]}
    refused = client.post("/api/chat", json=body, headers=bearer(door.keys["only-chat"]))
    assert (refused.status_code, refused.text) == (403, "documents needs the scope rag:read.")
    elsewhere = {**body, "documents": {"tenant": "other"}}
    assert client.post("/api/chat", json=elsewhere, headers=bearer(door.keys["acme"])).status_code == 403


# ---- every route -------------------------------------------------------------------------------------------------

CLOSED = [
    (path, method, route.scope)
    for path, methods in ROUTES.items()
    for method, route in methods.items()
    if route.scope != "open"
]


def filled(path: str) -> str:
    return path.replace("{", "").replace("...}", "").replace("}", "")


def ask(client: httpx.Client, method: str, path: str, credential: str | None) -> httpx.Response:
    headers = {} if credential is None else bearer(credential)
    return client.request(method, filled(path), headers=headers, json={} if method == "POST" else None)


def assert_unauthorized(response: httpx.Response) -> None:
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(("path", "method", "scope"), CLOSED)
def test_a_route_is_reached_with_its_scope_and_in_no_other_way(
    client: httpx.Client, door: Door, path: str, method: str, scope: str
) -> None:
    right = door.keys["only-chat" if scope == "any" else f"only-{scope.replace(':', '-')}"]
    off_by_one = right[:-1] + ("A" if right[-1] != "A" else "B")
    for wrong in (None, "nothing", off_by_one, right[:-1], right + "A", right.upper(), door.keys["revoked"]):
        assert_unauthorized(ask(client, method, path, wrong))
    assert_unauthorized(ask(client, method, path, door.keys["expired"]))
    if method == "GET":
        assert_unauthorized(client.head(filled(path)))
    if scope != "any":
        for name in (f"not-{scope.replace(':', '-')}", "only-image" if scope != "image" else "only-chat"):
            refused = ask(client, method, path, door.keys[name])
            assert refused.status_code == 403
            assert scope in refused.text
    for name in (right, door.keys["only-admin"]):
        assert ask(client, method, path, name).status_code not in (401, 403, 500)


def rpc(client: httpx.Client, credential: str, method: str, **params: Any) -> dict[str, Any]:
    """The result of a message to /mcp, or `error` with what was wrong."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = client.post("/mcp", json=message, headers=bearer(credential)).json()
    return answer.get("result") or {"error": answer["error"]}


def test_agents_see_and_call_the_tools_of_their_scopes(client: httpx.Client, door: Door) -> None:
    tools = {
        "chat": {*TOOLS, "web_search"},
        "image": {"generate_image"},
        "audio": {"transcribe"},
        "rag:read": {"search_documents", "ask_documents", "list_documents"},
    }
    for scope in SCOPES:
        key = door.keys[f"only-{scope.replace(':', '-')}"]
        allowed = set[str]().union(*tools.values()) if scope == ADMIN else tools.get(scope, set[str]())
        assert {tool["name"] for tool in rpc(client, key, "tools/list").get("tools", [])} == allowed
        for name in set[str]().union(*tools.values()) - allowed:
            assert rpc(client, key, "tools/call", name=name, arguments={})["error"]["code"] == -32602


def test_a_foreign_page_may_not_send_to_mcp_even_with_a_key(client: httpx.Client, door: Door) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for origin, status in (("https://evil.example", 403), (door.url, 200)):
        response = client.post("/mcp", json=message, headers={**bearer(door.keys["only-chat"]), "origin": origin})
        assert response.status_code == status


def test_the_open_routes_are_open(client: httpx.Client) -> None:
    assert client.get("/health").json()["access"] == "keys"
    assert client.get("/openapi.json").status_code == 200
    assert client.get("/images/none.png").status_code == 404
    assert client.get("/").status_code == 200


# ---- ways around -------------------------------------------------------------------------------------------------


def raw(door: Door, method: str, target: str, headers: list[tuple[str, str]], body: bytes = b"") -> tuple[int, bytes]:
    """A request as it stands: no client puts the path or the headers right."""
    connection = HTTPConnection(urlsplit(door.url).netloc, timeout=60)
    try:
        connection.putrequest(method, target, skip_host=False, skip_accept_encoding=True)
        for name, value in [*headers, ("content-length", str(len(body)))]:
            connection.putheader(name, value.encode("utf-8"))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


JSON = ("content-type", "application/json")


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Basic {key}")],
        [("authorization", "{key}")],
        [("authorization", "Token {key}")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer "), ("x-api-key", "{key}")],
        [("x-api-key", "")],
        [("authorization", "Bearer nothing"), ("authorization", "Bearer {key}")],
        [("authorization", "Bearer {key}"), ("authorization", "Bearer nothing")],
        [("authorization", "Bearer {key}"), ("authorization", "Bearer {key}")],
        [("authorization", "Bearer {key}"), ("x-api-key", "{other}")],
        [("authorization", "Bearer nothing"), ("x-api-key", "{key}")],
        [("x-api-key", "{key}"), ("x-api-key", "{key}")],
        [("authorization", "Bearer {key}é")],
        [("authorization", "Bearer \u200b{key}")],
        [("authorization", f"Bearer {'{key}' * 300}")],
        [("x-forwarded-for", "127.0.0.1"), ("cf-connecting-ip", "127.0.0.1"), ("x-real-ip", "127.0.0.1")],
        [
            ("x-forwarded-host", "localhost"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=127.0.0.1;host=localhost"),
        ],
        [("x-original-url", "/health"), ("x-rewrite-url", "/health")],
        [("x-http-method-override", "GET"), ("x-http-method", "OPTIONS"), ("x-method-override", "HEAD")],
        [("x-original-authorization", "Bearer {key}"), ("proxy-authorization", "Bearer {key}")],
        [("cookie", "authorization=Bearer {key}; x-api-key={key}; token={key}")],
        [("cf-access-jwt-assertion", "{key}"), ("x-auth-token", "{key}"), ("api-key", "{key}")],
    ],
    ids=lambda headers: " ".join(name for name, _ in headers),
)
def test_no_header_leads_around_the_key(door: Door, headers: list[tuple[str, str]]) -> None:
    names = {"key": door.keys["only-chat"], "other": door.keys["acme"]}
    sent = [(name, text.format(**names)) for name, text in headers]
    status, body = raw(door, "POST", "/chat", [JSON, *sent], json.dumps(HELLO).encode())
    assert status == 401
    assert json.loads(body)["error"]["type"] == "unauthorized"
    assert names["key"].encode() not in body


def test_a_null_in_a_key_is_refused(door: Door) -> None:
    for credential in (f"{door.keys['only-chat']}\0", f"\0{door.keys['only-chat']}"):
        connection = HTTPConnection(urlsplit(door.url).netloc, timeout=60)
        connection.putrequest("POST", "/chat")
        connection._output(f"authorization: Bearer {credential}".encode())  # type: ignore[attr-defined]
        connection.putheader("content-length", "0")
        connection.endheaders()
        assert connection.getresponse().status in (400, 401)
        connection.close()


@pytest.mark.parametrize("name", ["key", "api_key", "x-api-key", "authorization", "access_token", "token"])
def test_a_key_in_the_address_is_none(client: httpx.Client, door: Door, name: str) -> None:
    key = door.keys["only-chat"]
    assert_unauthorized(client.get("/models", params={name: key}))
    assert_unauthorized(client.post("/chat", params={name: f"Bearer {key}"}, json=HELLO))
    assert_unauthorized(client.post("/chat", json={**HELLO, name: key}))


SPELLINGS = r"""
//chat ///chat /./chat /../chat /x/../chat /%2e/chat /%2e%2e/chat /health/../chat /health/%2e%2e/chat /health/..%2fchat
/%63hat /%2563hat /CHAT /Chat /chat. /chat/ /chat// /chat;x /chat;/health /chat%20 /chat%00 /chat%0a /chat?x=/health
/chat#/health /chat? /\chat /chat%2f /chat%5c /health;/../chat /health%3f/../chat /docs/../chat /docs//../../chat
/chat.json /chat/. /chat/..%2fhealth /images/../chat /v1//chat/completions //v1/chat/completions /v1/./chat/completions
/V1/chat/completions /v1/models/../chat/completions /v1/models// /v1/models/.. /rag/documents/..%2f..%2f
/rag/documents/%2e%2e /rag/documents/..%2f..%2fhealth /rag/documents/ /rag//documents /images/..%2flogs%2fx
/logs/..%2fhealth /models/ /models%2f /tokens/ //tokens http://localhost/chat http://localhost/models
/images/{key} /v1/models/{model_id...} /rag/documents/{document_id} /conversations/{conversation_id} /logs/{log_id}
"""
FULL_WIDTH = ["/\uff43hat", "/\uff0fchat", "\uff0fchat", "/chat\u2028", "/\u202echat", "/ch\u0430t"]
PATHS = [*SPELLINGS.split(), *FULL_WIDTH]


@pytest.mark.parametrize("path", PATHS)
def test_no_spelling_of_a_path_leads_around_the_key(door: Door, path: str) -> None:
    target = "".join(each if " " < each < "\x7f" else "".join(f"%{b:02x}" for b in each.encode()) for each in path)
    for method in ("POST", "GET", "HEAD", "PUT", "OPTIONS", "DELETE", "QUERY"):
        body = json.dumps({**HELLO, "model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}).encode()
        status, answer = raw(door, method, target, [JSON], body if method in ("POST", "PUT", "QUERY") else b"")
        # a page of public/ is for everybody, and a redirect leads to where the key is asked for
        is_page = method in ("GET", "HEAD") and (b"<!doctype html>" in answer[:100].lower() or not answer)
        assert status in (301, 307, 308, 400, 401, 403, 404, 405, 501) or (status == 200 and is_page), (
            method,
            answer[:300],
        )
        assert b'"models":' not in answer
        assert b"simulated" not in answer


def test_a_preflight_tells_nothing_and_does_nothing(client: httpx.Client) -> None:
    preflight = {"origin": ORIGIN, "access-control-request-method": "POST"}
    response = client.options("/chat", headers=preflight)
    assert response.status_code == 204
    assert response.content == b""
    assert client.options("/chat").status_code == 405
    assert_unauthorized(client.post("/chat", headers=preflight, json=HELLO))


def test_a_page_can_read_why_it_was_refused(client: httpx.Client) -> None:
    response = client.post("/chat", headers={"origin": ORIGIN}, json=HELLO)
    assert_unauthorized(response)
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in response.headers


def test_openai_s_client_raises_what_its_users_expect(door: Door) -> None:
    http = sdk.DefaultHttpxClient(verify=TLS)
    body: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    with sdk.OpenAI(base_url=f"{door.url}/v1", api_key="sk-wrong", max_retries=2, http_client=http) as wrong:
        with pytest.raises(sdk.AuthenticationError) as unknown:
            wrong.chat.completions.create(**body)
        assert unknown.value.code == "invalid_api_key"
        with pytest.raises(sdk.PermissionDeniedError):
            wrong.with_options(api_key=door.keys["only-embed"]).chat.completions.create(**body)
        right: Any = wrong.with_options(api_key=door.keys["only-chat"])
        assert right.chat.completions.create(**body).choices
        assert right.models.list().data


# ---- tokens ------------------------------------------------------------------------------------------------------


def test_a_token_opens_what_it_was_made_for(client: httpx.Client, door: Door) -> None:
    body = {"scopes": ["chat"], "seconds": 60, "subject": "ada", "origin": ORIGIN}
    response = client.post("/tokens", json=body, headers=bearer(door.keys["acme"]))
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    made = response.json()
    assert (made["scopes"], made["tenant"], made["subject"], made["origin"]) == (["chat"], "acme", "ada", ORIGIN)
    page = {**bearer(made["token"]), "origin": ORIGIN}
    assert client.post("/chat", json=HELLO, headers=page).status_code == 200
    assert client.get("/rag/documents", headers=page).status_code == 403
    for origin in ({}, {"origin": "https://evil.example"}, {"origin": "null"}, {"referer": f"{ORIGIN}/"}):
        assert_unauthorized(client.post("/chat", json=HELLO, headers={**bearer(made["token"]), **origin}))


def test_a_token_makes_no_tokens(client: httpx.Client, token: Callable[..., str]) -> None:
    response = client.post("/tokens", json={"scopes": ["chat"]}, headers=bearer(token()))
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "scopes"),
        ({"scopes": []}, 400, "scopes"),
        ({"scopes": "chat"}, 400, "scopes"),
        ({"scopes": ["admin"]}, 400, "scopes"),
        ({"scopes": ["chat", "all"]}, 400, "scopes"),
        ({"scopes": ["image"]}, 403, "scopes"),
        ({"scopes": ["chat"], "seconds": 59}, 400, "seconds"),
        ({"scopes": ["chat"], "seconds": 86_401}, 400, "seconds"),
        ({"scopes": ["chat"], "seconds": "60"}, 400, "seconds"),
        ({"scopes": ["chat"], "tenant": "other"}, 403, "tenant"),
        ({"scopes": ["chat"], "tenant": "a/b"}, 400, "tenant"),
        ({"scopes": ["chat"], "subject": ""}, 400, "subject"),
        ({"scopes": ["chat"], "subject": "a/b"}, 400, "subject"),
        ({"scopes": ["chat"], "subject": "*"}, 400, "subject"),
        ({"scopes": ["chat"], "key": "boss"}, 400, "key"),
        *(
            ({"scopes": ["chat"], "origin": origin}, 400, "origin")
            for origin in (
                "*", "null", "", "https://", "page.example", "https://page.example/", "https://page.example/path",
                "http://page.example", "https://Page.example", "https://user@page.example", "https://a.example b",
                "https://page.example\n", "http://localhost.evil.example", "file://", "https://*.example", "https://é.example",
            )
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_cannot_be_given_is_refused(
    client: httpx.Client, door: Door, error_of: ErrorOf, body: dict[str, Any], status: int, param: str
) -> None:
    response = client.post("/tokens", json=body, headers=bearer(door.keys["acme"]))
    assert response.status_code == status
    assert error_of(response)["param"] == param
    assert "eyJ" not in response.text


def test_an_admin_key_gives_tokens_for_any_tenant_but_never_its_own_power(client: httpx.Client, door: Door) -> None:
    boss = bearer(door.keys["only-admin"])
    response = client.post("/tokens", json={"scopes": ["rag:read"], "tenant": "acme"}, headers=boss)
    assert response.status_code == 201
    headers = bearer(response.json()["token"])
    assert client.get("/rag/documents", headers=headers).status_code == 200
    assert client.get("/rag/documents?tenant=other", headers=headers).status_code == 403
    assert client.get("/logs/x", headers=headers).status_code == 403
    assert client.post("/tokens", json={"scopes": ["admin"]}, headers=boss).status_code == 400


# ---- tenants -----------------------------------------------------------------------------------------------------

CALLS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/rag", {"query": "Where is it?", "stream": False}),
    ("POST", "/rag/search", {"query": "Where is it?"}),
    ("POST", "/rag/documents", {"id": "plan", "text": "A plan."}),
    ("GET", "/rag/documents", None),
    ("GET", "/rag/documents/plan", None),
    ("GET", "/rag/documents/plan/original", None),
    ("GET", "/rag/documents/plan/text", None),
    ("GET", "/rag/documents/plan/passages", None),
    ("POST", "/rag/documents/plan/reindex", None),
    ("DELETE", "/rag/documents/plan", None),
    ("POST", "/rag/sync", {"prefix": "acme/plans/"}),
    ("GET", "/rag/sync", None),
    ("GET", "/rag/sync/plan", None),
    ("GET", "/rag/sync/plan/pages", None),
    ("DELETE", "/rag/sync/plan", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=[f"{method} {path}" for method, path, _ in CALLS])
def test_no_route_reaches_another_tenant(
    client: httpx.Client, door: Door, token: Callable[..., str], method: str, path: str, body: dict[str, Any] | None
) -> None:
    for credential in (door.keys["acme"], token(scopes=["rag:read", "rag:write"])):
        for tenant in ("other", "default", "Acme"):
            query = None if body else {"tenant": tenant}
            sent = {**body, "tenant": tenant} if body else None
            response = client.request(method, path, json=sent, params=query, headers=bearer(credential))
            assert response.status_code == 403
            assert response.json()["error"]["param"] == "tenant"


def test_a_batch_reaches_no_other_tenant_either(client: httpx.Client, door: Door) -> None:
    headers = {**bearer(door.keys["acme"]), "content-type": "application/x-ndjson"}
    line = '{"id": "plan", "text": "A plan."}'
    response = client.post("/rag/documents/batch", params={"tenant": "other"}, content=line, headers=headers)
    assert (response.status_code, response.json()["error"]["param"]) == (403, "tenant")


def test_a_caller_is_told_what_it_may_do(client: httpx.Client, door: Door, token: Callable[..., str]) -> None:
    acme = client.get("/access", headers=bearer(door.keys["acme"])).json()
    assert (acme["caller"], acme["key"], acme["tenant"], acme["subject"]) == ("key", "acme", "acme", None)
    made = client.get("/access", headers=bearer(token(scopes=["rag:read"], subject="ada"))).json()
    assert made == {**acme, "caller": "token", "scopes": ["rag:read"], "subject": "ada"}
    assert client.get("/access").status_code == 401


def test_every_route_of_documents_is_tried_above() -> None:
    # a job's id tells its tenant: the route takes none
    paths = [path for path in ROUTES if path.startswith("/rag") and not path.startswith("/rag/jobs")]
    routes = {(method, path) for path in paths for method in ROUTES[path]}
    ids = {"documents/plan": "documents/{document_id}", "sync/plan": "sync/{source_id}"}
    tried = {(method, re.sub("(documents|sync)/plan", lambda each: ids[each[0]], path)) for method, path, _ in CALLS}
    assert tried | {("POST", "/rag/documents/batch")} == routes


def test_a_form_reaches_no_other_tenant_either(client: httpx.Client, door: Door) -> None:
    files = {"file": ("plan.md", b"# A plan", "text/markdown")}
    response = client.post("/rag/documents", files=files, data={"tenant": "other"}, headers=bearer(door.keys["acme"]))
    assert response.status_code == 403


def test_tenants_do_not_see_each_other_s_data(client: httpx.Client, door: Door) -> None:
    acme, other = bearer(door.keys["acme"]), bearer(door.keys["other"])
    text = "# Treasure\n\nThe treasure of acme lies under the old oak."
    assert client.post("/rag/documents", json={"id": "map", "text": text}, headers=acme).status_code == 202
    until(
        lambda: client.get("/rag/documents/map", headers=acme).json()["state"],
        lambda state: state in ("indexed", "failed"),
        60,
    )
    question = {"query": "Where does the treasure of acme lie?", "min_score": 0}
    own = client.post("/rag/search", json=question, headers=acme).json()["passages"]
    assert own
    assert "old oak" in own[0]["text"]
    passages = client.post("/rag/search", json=question, headers=other).json()["passages"]
    assert [each["document"] for each in passages if each["document"] == "map" or "old oak" in each["text"]] == []
    assert client.get("/rag/documents/map", headers=other).status_code == 404
    resource = {"uri": "aiworker://documents/map"}
    assert "old oak" in rpc(client, door.keys["acme"], "resources/read", **resource)["contents"][0]["text"]
    assert "error" in rpc(client, door.keys["other"], "resources/read", **resource)
    resources = rpc(client, door.keys["other"], "resources/list")["resources"]
    assert "map" not in [each["name"] for each in resources]
    call = {"name": "search_documents", "arguments": {"query": question["query"]}}
    assert "old oak" in rpc(client, door.keys["acme"], "tools/call", **call)["content"][0]["text"]
    assert "old oak" not in rpc(client, door.keys["other"], "tools/call", **call)["content"][0]["text"]
    assert client.delete("/rag/documents/map", headers=other).status_code == 404
    assert "map" not in [each["id"] for each in client.get("/rag/documents", headers=other).json()["documents"]]
    assert client.delete("/rag/documents/map", headers=acme).status_code == 204


def test_conversations_of_one_id_do_not_mix(client: httpx.Client, door: Door, token: Callable[..., str]) -> None:
    callers = {
        "acme": door.keys["acme"],
        "other": door.keys["other"],
        "admin": door.keys["only-admin"],
        "ada": token(subject="ada"),
        "bob": token(subject="bob"),
        "ada of other": token("other", subject="ada"),
    }
    for name, credential in callers.items():
        body = {"prompt": f"I am {name}.", "conversation": "same", "stream": False}
        assert client.post("/chat", json=body, headers=bearer(credential)).status_code == 200
    for name, credential in callers.items():
        messages = client.get("/conversations/same", headers=bearer(credential)).json()["messages"]
        assert [each["content"] for each in messages if each["role"] == "user"] == [f"I am {name}."]
    assert client.delete("/conversations/same", headers=bearer(callers["ada"])).status_code == 204
    assert client.get("/conversations/same", headers=bearer(callers["bob"])).json()["messages"]


def test_no_id_of_a_conversation_leads_out_of_its_tenant(client: httpx.Client, door: Door) -> None:
    body = {"prompt": "A secret.", "conversation": "ours", "stream": False}
    assert client.post("/chat", json=body, headers=bearer(door.keys["acme"])).status_code == 200
    for key in ("other", "only-admin"):
        for name in ("acme//ours", "../acme//ours", "acme%2F%2Fours", "..%2Facme%2F%2Fours"):
            response = client.get(f"/conversations/{name}", headers=bearer(door.keys[key]))
            assert response.status_code == 404
            assert "A secret." not in response.text


def test_an_item_of_another_caller_is_not_found(client: httpx.Client, door: Door, token: Callable[..., str]) -> None:
    callers = {
        "acme": door.keys["acme"],
        "other": door.keys["other"],
        "admin": door.keys["only-admin"],
        "ada": token(subject="ada"),
        "ada of other": token("other", subject="ada"),
    }
    model = "@cf/meta/llama-3.1-8b-instruct-fast"
    for owner, credential in callers.items():
        body = {"model": model, "input": f"I am {owner}."}
        made = client.post("/v1/responses", json=body, headers=bearer(credential))
        reference = {"type": "item_reference", "id": made.json()["output"][-1]["id"]}
        again = {"model": model, "input": [reference, {"role": "user", "content": "Go on."}], "store": False}
        for name, other in callers.items():
            response = client.post("/v1/responses", json=again, headers=bearer(other))
            assert response.status_code == (200 if name == owner else 400), (owner, name)
            assert name == owner or "I am" not in response.text


# ---- what is left of it ------------------------------------------------------------------------------------------


def test_no_credential_is_in_the_log(client: httpx.Client, door: Door, token: Callable[..., str]) -> None:
    made = token()
    before = len(door.server.lines)
    assert client.post("/chat", json=HELLO, headers=bearer(made)).status_code == 200
    door.server.wait_for("^POST /chat 200", after=before)
    printed = "\n".join(door.server.lines)
    assert made.split(".")[2] not in printed
    assert not [name for name, key in door.keys.items() if key in printed]


# ---- docs/access.md ----------------------------------------------------------------------------------------------


def test_the_example_of_a_token_works_as_pasted(door: Door, tmp_path: Path) -> None:
    text = (ROOT / "docs/access.md").read_text()
    [script] = re.findall(r"^```sh\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    script = script.replace("http://localhost:8787", door.url)
    script = script.replace("KEY=aiw_… # from scripts/keys new", f"KEY={door.keys['acme']}")
    command = ["bash", "-euc", f'curl() {{ command curl --fail-with-body --no-progress-meter "$@"; }}\n{script}']
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["choices"]


def test_the_scopes_and_their_routes_are_those_of_the_worker() -> None:
    rows = re.findall(r"^\| `([a-z:]+)` +\| (.*?) +\|$", (ROOT / "docs/access.md").read_text(), re.MULTILINE)
    documented = {scope: text for scope, text in rows if scope in SCOPES}
    assert documented.keys() == SCOPES.keys()
    for path, methods in ROUTES.items():
        for method, route in methods.items():
            if route.scope in SCOPES:
                assert f"`{method} {path}`" in documented[route.scope]
