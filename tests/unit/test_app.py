"""A request's way through the Worker, on CPython with a stand-in for the platform."""

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Mapping
from dataclasses import replace
from inspect import iscoroutinefunction
from typing import Any

import pytest

from aiworker import app
from aiworker.auth.access import Caller
from aiworker.bindings import Ai, Inputs, UpstreamResponse
from aiworker.context import Context
from aiworker.errors import KINDS, UPSTREAM_CODES, ApiError
from aiworker.http.cors import is_allowed
from aiworker.http.messages import Response
from aiworker.log import RequestLog
from aiworker.routes import ROUTES
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeAnswer, FakeRequest, FakeStreams, a_context, posted
from tools import ROOT

SOURCE = ROOT / "src"
ONLY_WHEN_BUILT = {"aiworker.openapi"}
"""Modules that make public/openapi.json, before anything is deployed."""
ONLY_IN_A_WORKER = {
    "aiworker.http.preconditions",
    "aiworker.jobs.kinds",
    "aiworker.jobs.runner",
    "aiworker.rag.reindex",
    "aiworker.rag.schedule",
    "aiworker.rag.workflow_steps",
}
"""Modules that only aiworker.platform imports, beside its own."""


async def handle(request: FakeRequest, ai: Ai | None = None, **variables: Any) -> Response:
    def context(settings: Settings, caller: Caller, log: RequestLog, **_: Any) -> Context:
        return a_context(request, settings, ai, caller, log)

    return await app.handle(
        request, FakeStreams(), lambda: Settings.read({**VARIABLES, **variables}), context, RequestLog(request.method)
    )


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_is_described(path: str) -> None:
    for route in ROUTES[path].values():
        assert iscoroutinefunction(route.handler)


def chat_request() -> FakeRequest:
    return posted("/chat", {"prompt": "Hello"})


async def test_a_worker_without_keys_is_closed_and_says_so() -> None:
    for mode in ("keys", "", "closed", "Public", "true"):
        response = await handle(chat_request(), AUTH_MODE=mode)
        assert response.status == 503
        assert "AUTH_MODE" in str(response.body)
    assert (await handle(FakeRequest("GET", "/health"), AUTH_MODE="keys")).status == 200


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"CHAT_MODEL": "@cf/no/such-model"}, "CHAT_MODEL"),
        ({"CHAT_MODEL": "@cf/baai/bge-m3"}, "CHAT_MODEL"),
        ({"MODEL_ALIASES": "gpt-4o=@cf/no/such-model"}, "MODEL_ALIASES"),
        ({"MODEL_ALIASES": "gpt-4o"}, "MODEL_ALIASES"),
        ({"MODEL_ALIASES": "gpt-4o=AUTH_MODE"}, "MODEL_ALIASES"),
        ({"MODEL_ALIASES": "@cf/baai/bge-m3=CHAT_MODEL"}, "MODEL_ALIASES"),
        ({"MAX_BODY_BYTES": "1 MB"}, "MAX_BODY_BYTES"),
        ({"MAX_BODY_BYTES": -1}, "MAX_BODY_BYTES"),
    ],
)
async def test_an_invalid_variable_is_named(variables: dict[str, Any], name: str) -> None:
    response = await handle(FakeRequest("GET", "/health"), **variables)
    assert response.status == 503
    assert name in str(response.body)


async def test_a_worker_without_the_binding_says_what_to_add() -> None:
    response = await handle(chat_request())
    assert response.status == 404
    assert "wrangler.jsonc" in str(response.body)


async def test_the_model_s_body_is_handed_on_and_not_read() -> None:
    answer = FakeAnswer(200, "never read", content_type="text/event-stream", cf_aig_log_id="log")
    response = await handle(chat_request(), FakeAi(answer))
    assert response.body is answer.body
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-gateway-log-id"].startswith("log-")


class Body:
    """A request's body, which may have megabytes."""


class BrokenAi(FakeAi):
    """Fails while it holds a body."""

    bodies: list[weakref.ref[Body]]

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> UpstreamResponse:
        body = Body()
        self.bodies = [weakref.ref(body)]
        return await super().run(model, inputs, options, seconds)


async def test_a_request_that_fails_keeps_nothing_of_its_body() -> None:
    ai = BrokenAi(ApiError("upstream_error", "broken"))
    gc.disable()  # in Python's circles of exceptions, a body would stay until it runs
    try:
        assert (await handle(chat_request(), ai, MODEL_ATTEMPTS=1)).status == 502
        assert [body() for body in ai.bodies] == [None]
    finally:
        gc.enable()


BUSY = FakeAnswer(429, '{"internalCode": 3040, "description": "busy"}')


@pytest.mark.parametrize(
    "results",
    [
        [FakeAnswer(400, '{"internalCode": 5006, "description": "wrong"}')],
        [BUSY, BUSY],
        [BUSY, ApiError("timeout", "late")],
        [ApiError("upstream_error", "broken"), FakeAnswer(500, "")],
    ],
    ids=["refused", "busy", "late", "broken"],
)
async def test_a_request_that_fails_leaves_nothing_to_the_garbage_collector(
    results: list[FakeAnswer | ApiError],
) -> None:
    async def fail() -> int:
        return (await handle(chat_request(), FakeAi(*results), MODEL_ATTEMPTS=len(results))).status

    await fail()  # what is made once
    gc.collect()
    gc.disable()
    try:
        assert await fail() >= 400
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ('{"internalCode": 3040, "description": "busy"}', 3040, "busy"),
        ('{"errors": [{"code": 3040, "message": "busy"}]}', 3040, "busy"),
        ("<html>Bad gateway</html>", None, "<html>Bad gateway</html>"),
        ("", None, "HTTP status 500"),
        ("[]", None, "[]"),
        ('{"errors": []}', None, '{"errors": []}'),
    ],
)
async def test_an_upstream_error_of_any_shape_is_understood(body: str, code: int | None, words: str) -> None:
    response = await handle(chat_request(), FakeAi(FakeAnswer(500, body)), MODEL_ATTEMPTS=1)
    assert response.status == (429 if code else 502)
    assert f'"upstream_code":{code or "null"}' in str(response.body)
    assert words.replace('"', '\\"') in str(response.body)


@pytest.mark.parametrize(("repeats", "words"), [("off", 'ZeroDivisionError"'), ("errors", "Error: a secret of")])
async def test_a_defect_becomes_an_error_with_the_id_under_which_it_is_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], repeats: str, words: str
) -> None:
    async def defect(context: Context) -> Response:
        raise ZeroDivisionError("a secret of the server")

    monkeypatch.setitem(ROUTES, "/health", {"GET": replace(ROUTES["/health"]["GET"], handler=defect)})
    response = await handle(FakeRequest("GET", "/health"), LOG_PROMPTS=repeats)
    assert response.status == 500
    assert "secret" not in str(response.body)
    logged = capsys.readouterr().out
    assert words in logged
    assert response.headers["x-request-id"] in logged


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        ("https://app.example", ("https://app.example",), True),
        ("https://app.example:443", ("https://app.example",), False),
        ("http://app.example", ("https://app.example",), False),
        ("https://app.example.evil.example", ("https://app.example",), False),
        ("https://evil.example", ("*",), True),
        ("http://localhost:5173", ("http://localhost:*",), True),
        ("http://localhost", ("http://localhost:*",), True),
        ("http://localhost:5173:1", ("http://localhost:*",), False),
        ("http://localhost:evil", ("http://localhost:*",), False),
        ("https://localhost:1", ("http://localhost:*",), False),
        ("http://xlocalhost:1", ("http://localhost:*",), False),
        ("null", ("http://localhost:*",), False),
        ("", (), False),
    ],
)
def test_an_origin_is_allowed_exactly_or_with_any_port(origin: str, allowed: tuple[str, ...], expected: bool) -> None:
    assert is_allowed(origin, allowed) is expected


def test_with_a_star_every_page_may_call_and_nothing_varies() -> None:
    from aiworker.http.cors import headers

    request = FakeRequest("GET", "/health", origin="https://any.example")
    assert headers(request, ("*",))["access-control-allow-origin"] == "*"
    assert "vary" not in headers(request, ("*",))


def test_every_upstream_code_becomes_an_error_of_the_table() -> None:
    assert set(UPSTREAM_CODES.values()) <= set(KINDS)


def test_retry_after_is_said_in_the_body_and_in_the_header() -> None:
    response = ApiError("rate_limited", "Later.", retry_after=7).to_response("req_1")
    assert response.headers["retry-after"] == "7"
    assert '"retry_after":7' in str(response.body)


def test_everything_a_request_needs_is_imported_before_it() -> None:
    """The memory snapshot holds what is imported at the top level; a later import is compiled in a request."""
    program = "import sys, aiworker.app; print(*(name for name in sys.modules if name.startswith('aiworker')))"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, text=True, capture_output=True, check=True
    )
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.glob("aiworker/**/*.py")]
    wanted = {name.removesuffix(".__init__") for name in names}
    platform = {name for name in wanted if name.startswith("aiworker.platform")}
    assert set(printed.stdout.split()) == wanted - platform - ONLY_WHEN_BUILT - ONLY_IN_A_WORKER
