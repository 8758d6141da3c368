"""Access control: a table of ways around it, each of which must fail."""

import base64
import dataclasses
import hashlib
import hmac
import json
import string
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiworker import app
from aiworker.auth import browser_tokens
from aiworker.auth.access import ADMIN, SCOPES, Caller, Key, Policy, identify, parse_keys
from aiworker.auth.browser_tokens import InvalidToken, Token
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response
from aiworker.log import RequestLog
from aiworker.routes import ROUTES
from aiworker.settings import Settings
from tests.unit.stand_ins import FakeRequest, FakeStreams, a_context

NOW = 1_800_000_000.0
SECRET = "a secret of more than thirty-two letters"
ORIGIN = "https://worker.example"
"""Origin of the Worker, as FakeRequest has it."""

ROUTE_LIST = [(path, method) for path, methods in ROUTES.items() for method in methods]
CLOSED = [(path, method) for path, method in ROUTE_LIST if ROUTES[path][method].scope != "open"]
SCOPED = [(path, method) for path, method in CLOSED if ROUTES[path][method].scope != "any"]


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def a_key(name: str, *scopes: str, **more: Any) -> Key:
    """The key itself is `aiw_` and its name."""
    return Key(name=name, sha256=sha256(f"aiw_{name}"), scopes=frozenset(scopes), **more)


CHAT = a_key("chat", "chat")
ACME = a_key("acme", "chat", "rag:read", tenant="acme")
BOSS = a_key("boss", ADMIN)
OVER = a_key("over", "chat", expires=NOW)
POLICY = Policy((CHAT, ACME, BOSS, OVER), SECRET, None)
PUBLIC = Policy((CHAT, ACME, BOSS, OVER), SECRET, frozenset({"chat", "rag:read"}))

A_TOKEN = Token(
    key="acme", fingerprint=ACME.fingerprint, audience=ORIGIN, scopes=frozenset({"chat"}), tenant="acme",
    issued=int(NOW), expires=int(NOW) + 900,
)  # fmt: skip


def with_headers(headers: Mapping[str, str]) -> FakeRequest:
    request = FakeRequest("POST", "/chat")
    request._headers = dict(headers)  # pyright: ignore[reportPrivateUsage]
    return request


def caller_of(policy: Policy = POLICY, scope: str = "chat", now: float = NOW, **headers: str) -> Caller:
    return identify(with_headers({name.replace("_", "-"): text for name, text in headers.items()}), policy, scope, now)


def with_token(token: Token, policy: Policy = POLICY, scope: str = "chat", now: float = NOW, **headers: str) -> Caller:
    bearer = f"Bearer {browser_tokens.sign(token, SECRET)}"
    return caller_of(policy, scope, now, authorization=bearer, **headers)


def refused(kind: str, **request: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        caller_of(**request)
    assert caught.value.type == kind
    if kind == "unauthorized":
        assert caught.value.headers["www-authenticate"] == "Bearer"
    return caught.value


# ---- every route -------------------------------------------------------------------------------------------------


def test_only_these_routes_are_open() -> None:
    scopes = {(path, method): ROUTES[path][method].scope for path, method in ROUTE_LIST}
    assert {route for route, scope in scopes.items() if scope == "open"} == {
        ("/health", "GET"),
        ("/openapi.json", "GET"),
        ("/images/{key}", "GET"),
    }
    assert {route for route, scope in scopes.items() if scope == "any"} == {
        ("/access", "GET"),
        ("/mcp", "POST"),
        ("/models", "GET"),
        ("/tokens", "POST"),
        ("/usage", "GET"),
        ("/v1/models", "GET"),
        ("/v1/models/{model_id...}", "GET"),
    }
    assert set(scopes.values()) <= {"open", "any", *SCOPES}


async def answer(path: str, method: str, credential: str | None) -> Response:
    """Answer of the Worker with one key for every scope, and one for all scopes but each; no handler is reached."""
    keys = [a_key(f"only-{scope.replace(':', '-')}", scope) for scope in SCOPES]
    keys += [a_key(f"not-{scope.replace(':', '-')}", *(SCOPES.keys() - {scope, ADMIN})) for scope in SCOPES]
    records = [{"name": key.name, "sha256": key.sha256, "scopes": sorted(key.scopes)} for key in keys]
    variables = {"AUTH_MODE": "keys", "API_KEYS": json.dumps(records), "TOKEN_SECRET": SECRET}
    headers: dict[str, Any] = {} if credential is None else {"authorization": f"Bearer {credential}"}
    request = FakeRequest(method, path.replace("{", "").replace("}", ""), **headers)

    def context(**_: Any) -> Context:
        raise ApiError("unprocessable", "Let in.")

    return await app.handle(
        request, FakeStreams(), lambda: Settings.read(variables), context, RequestLog(request.method)
    )


@pytest.mark.parametrize(("path", "method"), CLOSED)
async def test_no_route_is_reached_without_a_key(path: str, method: str) -> None:
    for verb in (method, *(["HEAD"] if method == "GET" else [])):
        for credential in (None, "aiw_nobody", "aiw_only-", "", "undefined"):
            response = await answer(path, verb, credential)
            assert response.status == 401
            assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("path", "method"), SCOPED)
async def test_no_route_is_reached_without_its_scope(path: str, method: str) -> None:
    scope = ROUTES[path][method].scope
    name = scope.replace(":", "-")
    assert (await answer(path, method, f"aiw_not-{name}")).status == 403
    others = [each.replace(":", "-") for each in SCOPES if each not in (scope, ADMIN)]
    assert {(await answer(path, method, f"aiw_only-{other}")).status for other in others} == {403}
    # and with it, one is let in
    assert (await answer(path, method, f"aiw_only-{name}")).status == 422
    assert (await answer(path, method, "aiw_only-admin")).status == 422


# ---- keys --------------------------------------------------------------------------------------------------------


def test_a_key_may_come_in_either_header() -> None:
    every: list[dict[str, Any]] = [
        {"authorization": "Bearer aiw_chat"},
        {"authorization": "bearer aiw_chat"},
        {"authorization": "BEARER  aiw_chat "},
        {"x_api_key": "aiw_chat"},
        {"authorization": "Bearer aiw_chat", "x_api_key": "aiw_chat"},
    ]
    for headers in every:
        caller = caller_of(**headers)
        assert (caller.name, caller.tenant, caller.scopes, caller.key) == ("chat", "default", {"chat"}, CHAT)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": ""},
        {"authorization": "aiw_chat"},
        {"authorization": "Basic YWl3X2NoYXQ6"},
        {"authorization": "Basic aiw_chat"},
        {"authorization": "Token aiw_chat"},
        {"authorization": "Bearer\taiw_chat"},
        {"authorization": "Bearer aiw_chaT"},
        {"authorization": "Bearer aiw_cha"},
        {"authorization": "Bearer aiw_chatt"},
        {"authorization": "Bearer AIW_CHAT"},
        {"authorization": "Bearer aiw_chat\0"},
        {"authorization": "Bearer \0aiw_chat"},
        {"authorization": "Bearer aiw_chät"},
        {"authorization": "Bearer aiw_ch\N{CYRILLIC SMALL LETTER A}t"},
        {"authorization": "Bearer aiw_\N{FULLWIDTH LATIN SMALL LETTER C}hat"},
        {"authorization": f"Bearer {'aiw_chat' * 10_000}"},
        {"authorization": f"Bearer {sha256('aiw_chat')}"},  # what is kept of a key is none
        {"authorization": "Bearer aiw_chat, Bearer aiw_chat"},  # as the platform joins two headers
        {"authorization": "Bearer nothing, Bearer aiw_chat"},
        {"authorization": "Bearer aiw_chat", "x-api-key": "aiw_boss"},
        {"authorization": "Bearer nothing", "x-api-key": "aiw_chat"},
        {"authorization": "Basic nothing", "x-api-key": "aiw_chat"},
        {"authorization": "", "x-api-key": "aiw_chat"},
        {"x-api-key": ""},
        {"x-api-key": "Bearer aiw_chat"},
        {"x-api-key": "aiw_chat, aiw_chat"},
        {"x-api-key": "aiw_over"},
        {"api-key": "aiw_chat"},
        {"cookie": "authorization=Bearer aiw_chat; x-api-key=aiw_chat"},
        {"proxy-authorization": "Bearer aiw_chat"},
        {"x-forwarded-authorization": "Bearer aiw_chat"},
        {"x-forwarded-for": "127.0.0.1", "cf-connecting-ip": "127.0.0.1", "x-original-url": "/health"},
        {"x-rewrite-url": "/health", "x-http-method-override": "GET", "forwarded": "for=127.0.0.1"},
    ],
    ids=str,
)
def test_nothing_but_a_key_lets_anybody_in(headers: Mapping[str, str]) -> None:
    with pytest.raises(ApiError) as caught:
        identify(with_headers(headers), POLICY, "chat", NOW)
    assert caught.value.type == "unauthorized"
    assert caught.value.headers["www-authenticate"] == "Bearer"
    assert "aiw_chat" not in caught.value.message


@given(st.text(max_size=200))
def test_no_text_lets_anybody_in_or_breaks_the_door(text: str) -> None:
    for header in ({"authorization": f"Bearer {text}"}, {"authorization": text}, {"x_api_key": text}):
        error = refused("unauthorized", **header)
        assert error.message


def test_a_key_ends_at_its_second() -> None:
    assert caller_of(now=NOW - 0.001, x_api_key="aiw_over").name == "over"
    assert "has expired" in refused("unauthorized", x_api_key="aiw_over").message


def test_the_error_for_a_missing_scope_names_the_key_s_scopes() -> None:
    error = refused("forbidden", scope="rag:write", x_api_key="aiw_acme")
    assert "rag:write" in error.message
    assert "chat, rag:read" in error.message


def test_without_keys_the_worker_is_closed_to_all() -> None:
    nobody = Policy((), SECRET, None)
    every: list[dict[str, Any]] = [{}, {"x_api_key": "aiw_chat"}, {"authorization": f"Bearer {GOOD}"}]
    for headers in every:
        assert "scripts/keys" in refused("unavailable", policy=nobody, **headers).message
    assert nobody.mode == "closed"


WRONG_FIELDS: list[dict[str, Any]] = [
    {"name": ""}, {"name": "a/b"}, {"name": "-a"}, {"name": "a" * 65}, {"name": "ä"}, {"tenant": ""},
    {"tenant": "a/b"}, {"sha256": "0" * 63}, {"sha256": "A" * 64}, {"sha256": "aiw_" + "a" * 60},
    {"scopes": []}, {"scopes": ["all"]}, {"scopes": "chat"}, {"scopes": None}, {"scopes": ["chat", ""]},
    {"expires": "never"}, {"expires": float("nan")}, {"expires": float("inf")}, {"expires": -1},
    {"expires": True}, {"expires": []}, {"daily_neurons": -5}, {"daily_neurons": "many"},
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "{", "{}", "[1]", "[null]", '[{"name": "a"}]', "null", '"keys"', "[[]]",
        *(
            json.dumps([{"name": "a", "sha256": "0" * 64, "scopes": ["chat"], **wrong}])
            for wrong in WRONG_FIELDS
        ),
        json.dumps([{"name": "a", "sha256": digit * 64, "scopes": ["chat"]} for digit in "01"]),
        json.dumps([{"name": name, "sha256": "0" * 64, "scopes": ["chat"]} for name in "ab"]),
    ],
)  # fmt: skip
def test_invalid_keys_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says: it is not shown
        parse_keys(text)


def test_a_broken_list_of_keys_closes_the_worker_without_repeating_it() -> None:
    with pytest.raises(ApiError) as caught:
        Settings.read({"API_KEYS": '[{"name": "a", "sha256": "some secret"}]'})
    assert caught.value.type == "unavailable"
    assert "API_KEYS" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("secret", ["x", "x" * 31])
def test_a_secret_that_can_be_guessed_is_refused(secret: str) -> None:
    with pytest.raises(ApiError) as caught:
        Settings.read({"TOKEN_SECRET": secret})
    assert "TOKEN_SECRET" in caught.value.message
    assert Settings.read({"TOKEN_SECRET": "x" * 32}).policy.token_secret == "x" * 32


# ---- tokens ------------------------------------------------------------------------------------------------------


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: Mapping[str, Any], claims: Any, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token that somebody else has made, signed as its header says or not."""
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(hmac.digest(secret.encode(), signed.encode(), digest))}"


def tampered(**claims: Any) -> str:
    """The good token with other claims, and the signature that it had."""
    header, _, signature = GOOD.split(".")
    return f"{header}.{encoded(json.dumps({**CLAIMS, **claims}).encode())}.{signature}"


HS256 = {"alg": "HS256", "typ": "JWT"}
GOOD = browser_tokens.sign(A_TOKEN, SECRET)
CLAIMS: dict[str, Any] = json.loads(base64.urlsafe_b64decode(GOOD.split(".")[1] + "=="))


def test_a_token_is_its_key_with_less() -> None:
    caller = with_token(dataclasses.replace(A_TOKEN, subject="ada"))
    assert (caller.name, caller.scopes, caller.tenant, caller.subject) == ("acme", {"chat"}, "acme", "ada")
    assert caller.has_token
    assert caller.key == ACME
    refusal = refused("forbidden", scope="rag:read", authorization=f"Bearer {GOOD}")  # the key has it, the token not
    assert "rag:read" in refusal.message


def test_a_token_is_a_json_web_token() -> None:
    assert json.loads(base64.urlsafe_b64decode(GOOD.split(".")[0] + "==")) == HS256
    assert (CLAIMS["iss"], CLAIMS["aud"], CLAIMS["scope"], CLAIMS["exp"]) == ("acme", ORIGIN, "chat", NOW + 900)
    assert SECRET not in str(CLAIMS)


@pytest.mark.parametrize(
    "token",
    [
        browser_tokens.sign(A_TOKEN, SECRET + "!"),
        browser_tokens.sign(A_TOKEN, "x" * 32),
        forged({"alg": "none", "typ": "JWT"}, CLAIMS).rpartition(".")[0] + ".",
        forged({"alg": "none"}, CLAIMS),
        forged({"alg": "HS512", "typ": "JWT"}, CLAIMS, digest="sha512"),
        forged({"typ": "JWT", "alg": "HS256"}, CLAIMS),
        forged({**HS256, "kid": "../../dev/null"}, CLAIMS),
        forged(HS256, CLAIMS, secret="guessed" * 10),
        GOOD.rpartition(".")[0] + ".",
        GOOD + "=",
        GOOD[:-1],
        GOOD + "A",
        f" {GOOD}.",
        "eyJ..",
        "eyJ.eyJ.",
        tampered(scope="chat rag:read"),
        tampered(tenant="other"),
        tampered(exp=int(NOW) + 10**6),
        browser_tokens.sign(dataclasses.replace(A_TOKEN, subject="x" * 5_000), SECRET),  # longer than MAX_LENGTH
    ],
)
def test_a_token_that_this_worker_has_not_made_counts_for_nothing(token: str) -> None:
    assert "not made by this Worker" in refused("unauthorized", authorization=f"Bearer {token}").message or (
        token.count(".") != 2
    )


@given(st.integers(0, len(GOOD) - 1), st.sampled_from(string.ascii_letters + string.digits + "-_.=+/ ä"))
def test_no_character_of_a_token_may_be_another(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if changed != GOOD:
        refused("unauthorized", authorization=f"Bearer {changed}")


@pytest.mark.parametrize(
    "change",
    [
        {"expires": int(NOW)},
        {"expires": int(NOW) - 1},
        {"issued": int(NOW) + browser_tokens.LEEWAY + 1},
        {"audience": "https://other.example"},
        {"audience": ORIGIN + "/"},
        {"audience": ""},
        {"key": "revoked"},
        {"key": ""},
        {"key": "over", "fingerprint": OVER.fingerprint},
        {"key": "chat"},  # another key's mark
        {"fingerprint": ""},
        {"fingerprint": sha256("aiw_of an earlier key of that name")[:16]},
        {"tenant": "other"},
        {"origin": "https://page.example"},
    ],
    ids=str,
)
def test_a_token_with_something_wrong_counts_for_nothing(change: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        with_token(dataclasses.replace(A_TOKEN, **change))
    assert caught.value.type == "unauthorized"
    assert caught.value.headers["www-authenticate"] == "Bearer"


NO_TEXTS: list[Any] = [None, [], {"a": 1}]
NO_CLAIMS: list[Any] = [[], "text", 5, None, [CLAIMS]]


@pytest.mark.parametrize(
    "claims",
    [
        *({name: value for name, value in CLAIMS.items() if name != left_out} for left_out in CLAIMS),
        *({**CLAIMS, name: wrong} for name in CLAIMS for wrong in NO_TEXTS),
        *({**CLAIMS, name: 5} for name in CLAIMS if name not in ("iat", "exp")),
        {**CLAIMS, "exp": "tomorrow"}, {**CLAIMS, "exp": float("inf")}, {**CLAIMS, "exp": float("nan")},
        *NO_CLAIMS,
    ],
    ids=str,
)  # fmt: skip
def test_a_signed_value_that_is_not_a_token_is_refused_without_a_defect(claims: Any) -> None:
    with pytest.raises(InvalidToken):
        browser_tokens.verify(resigned(claims), SECRET, ORIGIN, NOW)


def resigned(claims: Any) -> str:
    """A token with these claims, signed as the Worker signs it."""
    payload = encoded(json.dumps(claims).encode())
    signature = hmac.digest(SECRET.encode(), f"{browser_tokens.HEADER}.{payload}".encode(), "sha256")
    return f"{browser_tokens.HEADER}.{payload}.{encoded(signature)}"


def test_a_worker_without_a_secret_takes_no_token() -> None:
    without = dataclasses.replace(POLICY, token_secret="")
    for secret in ("", SECRET):
        token = browser_tokens.sign(A_TOKEN, secret) if secret else resigned(CLAIMS)
        refused("unauthorized", policy=without, authorization=f"Bearer {token}")
    empty = f"{browser_tokens.HEADER}.{GOOD.split('.')[1]}"
    unsigned = f"{empty}.{encoded(hmac.digest(b'', empty.encode(), 'sha256'))}"
    refused("unauthorized", policy=without, authorization=f"Bearer {unsigned}")


@pytest.mark.parametrize(
    ("headers", "is_in"),
    [
        ({"origin": "https://page.example"}, True),
        ({"origin": "https://page.example."}, False),
        ({"origin": "https://page.example:443"}, False),
        ({"origin": "http://page.example"}, False),
        ({"origin": "https://PAGE.example"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://page.example.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({}, False),
        ({"referer": "https://page.example/"}, False),
        ({"sec_fetch_site": "same-origin"}, False),  # that is this Worker's own page
    ],
)
def test_a_token_for_pages_of_an_origin_is_for_no_other(headers: dict[str, Any], is_in: bool) -> None:
    token = dataclasses.replace(A_TOKEN, origin="https://page.example")
    if is_in:
        assert with_token(token, **headers).name == "acme"
        return
    with pytest.raises(ApiError) as caught:
        with_token(token, **headers)
    assert "https://page.example" in caught.value.message


def test_a_token_for_the_worker_s_own_pages_works_where_browsers_send_no_origin() -> None:
    token = dataclasses.replace(A_TOKEN, origin=ORIGIN)
    assert with_token(token, sec_fetch_site="same-origin").name == "acme"
    for site in ("cross-site", "same-site", "none"):
        with pytest.raises(ApiError):
            with_token(token, sec_fetch_site=site)


def test_a_key_that_is_given_less_gives_its_tokens_less() -> None:
    token = dataclasses.replace(A_TOKEN, scopes=frozenset({"chat", "rag:read"}))
    assert with_token(token).scopes == {"chat", "rag:read"}
    shrunk = dataclasses.replace(POLICY, keys=(dataclasses.replace(ACME, scopes=frozenset({"rag:read", "image"})),))
    assert with_token(token, shrunk, scope="rag:read").scopes == {"rag:read"}
    moved = dataclasses.replace(POLICY, keys=(dataclasses.replace(ACME, tenant="other"),))
    with pytest.raises(ApiError) as caught:
        with_token(token, moved)
    assert caught.value.type == "unauthorized"


def test_a_token_never_has_all_scopes_whoever_has_made_it() -> None:
    token = dataclasses.replace(A_TOKEN, key="boss", fingerprint=BOSS.fingerprint, scopes=frozenset({"chat", ADMIN}))
    caller = with_token(token)
    assert caller.scopes == {"chat"}
    assert caller.tenant == "acme"
    assert not caller.has_scope("rag:read")


# ---- tenants -----------------------------------------------------------------------------------------------------


def test_a_key_names_no_tenant_but_its_own() -> None:
    acme, boss = caller_of(x_api_key="aiw_acme"), caller_of(x_api_key="aiw_boss")
    assert acme.resolve_tenant(None) == acme.resolve_tenant("acme") == "acme"
    assert (boss.resolve_tenant(None), boss.resolve_tenant("acme")) == ("default", "acme")
    for other in ("default", "ACME", "acme ", "", "boss", "*"):
        with pytest.raises(ApiError) as caught:
            acme.resolve_tenant(other)
        assert (caught.value.type, caught.value.param) == ("forbidden", "tenant")


def test_conversations_of_one_id_are_as_many_as_there_are_tenants_and_users() -> None:
    chat = a_key("chat", "chat", "rag:read")
    policy = Policy((chat, ACME, BOSS), SECRET, None)
    ada, bob = (dataclasses.replace(A_TOKEN, subject=name) for name in ("ada", "bob"))
    callers = [
        caller_of(policy, x_api_key="aiw_chat"),
        caller_of(policy, x_api_key="aiw_acme"),
        caller_of(policy, x_api_key="aiw_boss"),
        with_token(ada, policy),
        with_token(bob, policy),
        with_token(dataclasses.replace(ada, key="boss", fingerprint=BOSS.fingerprint, tenant="other"), policy),
        caller_of(PUBLIC),
    ]
    names = {caller.conversation_owner.prefix + "support" for caller in callers}
    assert len(names) == len(callers)
    # no id, which has letters, digits, - and _ only, leads from one to another's
    assert all(name == "support" or name.count("/") == 2 for name in names)


# ---- public ------------------------------------------------------------------------------------------------------


def test_in_public_mode_anonymous_callers_have_the_public_scopes_only() -> None:
    every: list[dict[str, Any]] = [{}, {"authorization": "Bearer sk-unused"}, {"x_api_key": ""}, {"x_api_key": "any"}]
    for headers in every:
        caller = caller_of(PUBLIC, **headers)
        assert (caller.name, caller.scopes, caller.key) == ("public", {"chat", "rag:read"}, None)
    assert "Without a key" in refused("forbidden", policy=PUBLIC, scope="rag:write").message


def test_in_public_a_key_still_counts() -> None:
    assert caller_of(PUBLIC, scope="rag:write", x_api_key="aiw_boss").name == "boss"
    assert caller_of(PUBLIC, x_api_key="aiw_acme").tenant == "acme"
    refused("unauthorized", policy=PUBLIC, x_api_key="aiw_over")


def test_in_public_mode_tokens_count_and_expired_ones_are_refused() -> None:
    assert with_token(dataclasses.replace(A_TOKEN, subject="ada"), PUBLIC).subject == "ada"
    with pytest.raises(ApiError) as caught:
        with_token(dataclasses.replace(A_TOKEN, expires=int(NOW)), PUBLIC)
    assert caught.value.type == "unauthorized"
    stranger = browser_tokens.sign(A_TOKEN, "x" * 32)  # clients that insist on a key send any
    assert caller_of(PUBLIC, authorization=f"Bearer {stranger}").name == "public"


def test_in_public_what_tenants_keep_is_not_for_everybody() -> None:
    caller = caller_of(PUBLIC)
    assert caller.resolve_tenant(None) == "default"
    with pytest.raises(ApiError) as caught:
        caller.resolve_tenant("acme")
    assert caught.value.type == "forbidden"
    # a local run has PUBLIC_SCOPES=admin
    assert caller_of(dataclasses.replace(PUBLIC, public_scopes=frozenset({ADMIN}))).resolve_tenant("acme") == "acme"


async def health(
    credential: str | None, bindings: Mapping[str, bool] = MappingProxyType({}), **variables: str
) -> dict[str, Any]:
    records = [
        {"name": key.name, "sha256": key.sha256, "scopes": sorted(key.scopes)}
        for key in (a_key("ordinary", "chat"), a_key("owner", ADMIN))
    ]
    headers: dict[str, Any] = {} if credential is None else {"authorization": f"Bearer {credential}"}
    request = FakeRequest("GET", "/health", **headers)
    settings = Settings.read({"AUTH_MODE": "keys", "API_KEYS": json.dumps(records), **variables})

    def context(settings: Settings, caller: Caller, log: RequestLog, **_: Any) -> Context:
        made = a_context(request, settings, None, caller, log)
        versions = {"python": "3.14", "deployment": "5"}
        counters = {"memory_bytes": 45_000_000}
        return dataclasses.replace(made, versions=versions, isolate=lambda: counters, bindings=bindings)

    response = await app.handle(request, FakeStreams(), lambda: settings, context, RequestLog("GET"))
    assert response.status == 200
    return json.loads(str(response.body))


@pytest.mark.parametrize("credential", [None, "aiw_ordinary", "aiw_nobody", "eyJ.e30.x", ""])
async def test_health_tells_strangers_that_the_worker_is_up_and_nothing_of_its_inside(credential: str | None) -> None:
    shown = await health(credential)
    assert set(shown) == {"status", "version", "platform", "bindings", "simulated", "access"}
    assert shown["platform"] == {"deployment": "5"}
    assert set(await health(credential, API_KEYS="", SIMULATOR_URL="http://127.0.0.1:1")) == set(shown)


async def test_health_names_the_real_models_of_a_local_run() -> None:
    shown = await health(None, REAL_CHAT_MODEL="llama3.2 by Ollama", REAL_EMBED_MODEL="nomic-embed-text by Ollama")
    assert shown["real_models"] == {"text-generation": "llama3.2 by Ollama", "embeddings": "nomic-embed-text by Ollama"}


@pytest.mark.parametrize(
    ("engine", "missing", "status"),
    [
        ("own", "AI_SEARCH", "ok"),
        ("own", "VECTORIZE", "degraded"),
        ("ai-search", "VECTORIZE", "ok"),
        ("ai-search", "AI_SEARCH", "degraded"),
        ("ai-search", "DB", "degraded"),
    ],
)
async def test_health_needs_the_bindings_of_the_engine_in_use(engine: str, missing: str, status: str) -> None:
    bindings = {name: name != missing for name in ("AI", "AI_SEARCH", "DB", "VECTORIZE")}
    shown = await health(None, bindings, RAG_ENGINE=engine)
    assert shown["status"] == status
    assert (missing in shown["bindings"]) is (status == "degraded")


async def test_health_tells_admins_about_the_isolate() -> None:
    for shown in (await health("aiw_owner"), await health(None, AUTH_MODE="public", PUBLIC_SCOPES="admin")):
        assert shown["isolate"] == {"memory_bytes": 45_000_000, "open_circuits": []}
        assert shown["platform"]["python"] == "3.14"
    assert "isolate" not in await health(None, AUTH_MODE="public")
