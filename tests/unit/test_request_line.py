"""The line that scripts/dev shows for a request, made from the Worker's log."""

import json
from typing import Any

import pytest

from aiworker.bindings import StreamOutcome
from aiworker.log import RequestLog
from aiworker.tracing import NoSpan
from tools.dev.request_line import WRANGLER_LINE, readable


def line(**known: Any) -> str:
    fields: dict[str, Any] = {"request_id": "req_1", "method": "POST", "route": "/chat", "status": 200, **known}
    log = RequestLog(**fields)
    return json.dumps({**json.loads(log.line()), "ms": 213}, separators=(",", ":"))


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({}, "POST /chat 200 · 213 ms"),
        (
            {"models": ["@cf/meta/llama-3.1-8b-instruct"], "input_tokens": 5, "output_tokens": 40},
            "POST /chat 200 · 213 ms · llama-3.1-8b-instruct · 45 tokens",
        ),
        ({"models": ["@cf/a/b", "@cf/a/b", "@cf/a/c"]}, "POST /chat 200 · 213 ms · b · c"),
        ({"retries": 2, "cache": "HIT"}, "POST /chat 200 · 213 ms · tried again 2 times · from the gateway's cache"),
        ({"route": None, "status": 404, "error": "not_found"}, "POST (no such route) 404 · not found · 213 ms"),
        (
            {"status": 429, "error": "rate_limited", "upstream_code": 3040},
            "POST /chat 429 · rate limited (Workers AI's 3040) · 213 ms",
        ),
        ({"method": "OPTIONS", "route": None, "status": 204}, "OPTIONS 204 · 213 ms"),
        ({"status": None, "client_disconnected": True}, "POST /chat … · 213 ms · the client has left"),
        (
            {"status": 500, "error": "internal_error", "defect": "  File x\nKeyError"},
            "POST /chat 500 · internal error · 213 ms\n      File x\n    KeyError",
        ),
    ],
)
def test_a_request_becomes_a_readable_line(known: dict[str, Any], shown: str) -> None:
    assert readable(line(**known)) == shown


@pytest.mark.parametrize(
    "other", ["", "Traceback", '{"id":"mine"}', '{"id":"req_1","method', "POST /chat 200 OK (1ms)"]
)
def test_other_lines_stay_as_they_are(other: str) -> None:
    assert readable(other) is None


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("[wrangler:info] POST /chat 200 OK (12ms)", True),
        ("GET / 304 Not Modified (3ms)", True),
        ("POST /chat is what was asked", False),
        ("Reloaded", False),
    ],
)
def test_wrangler_s_own_lines_of_requests_are_known(line: str, is_one: bool) -> None:
    assert bool(WRANGLER_LINE.match(line)) is is_one


def test_a_line_is_written_once_whatever_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    log = RequestLog("POST", request_id="req_1")
    log.finish_disconnected()
    log.finish(StreamOutcome(client_disconnected=False))
    [written] = capsys.readouterr().out.splitlines()
    assert json.loads(written)["client_left"] is True


def test_a_defect_of_a_stream_is_in_its_line_without_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    for repeats, message in (("off", "KeyError"), ("errors", "KeyError: 'a secret'")):
        RequestLog("POST", request_id="req_1", log_prompts=repeats).finish(
            StreamOutcome(client_disconnected=False, defect=KeyError("a secret"))
        )
        record = json.loads(capsys.readouterr().out)
        assert record["error"] == "internal_error"
        assert record["defect"].endswith(message)


def test_a_data_point_says_the_same_as_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    written: list[tuple[str, list[str], list[float]]] = []

    class Written:
        def write(self, index: str, texts: Any, numbers: Any) -> None:
            written.append((index, list(texts), list(numbers)))

    log = RequestLog("POST", Written(), route="/chat", caller="shop")
    log.record_call({}, NoSpan())
    log.record_answer("@cf/a/b", 0.25, "MISS")
    log.record_usage({"prompt_tokens": 3, "completion_tokens": 4}, 0.5)
    log.record_head(200)
    log.finish(StreamOutcome(client_disconnected=False))
    [(index, texts, numbers)] = written
    assert (index, texts) == ("shop", ["/chat", "200", "", "@cf/a/b", "MISS"])
    assert numbers[1:] == [250, 7, 0.5, 1]
    RequestLog(analytics=Written()).finish_disconnected()
    assert written[1] == ("", ["", "", "", "", ""], [written[1][2][0], 0, 0, 0, 0])


def test_a_defect_s_line_is_bounded_and_has_no_text_of_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    def even(depth: int) -> None:
        if depth:
            odd(depth - 1)
        raise ValueError("a secret of the user " * 10_000)

    def odd(depth: int) -> None:
        even(depth)

    for log_prompts in ("off", "errors"):
        log = RequestLog("POST", log_prompts=log_prompts)
        with pytest.raises(ValueError, match="secret") as caught:
            even(300)
        log.record_defect(caught.value)
        log.finish(StreamOutcome(client_disconnected=False))
        line = capsys.readouterr().out
        assert len(line) < 10_000
        assert "in even" in json.loads(line)["defect"]
        assert ("secret of the user a secret" in line) == (log_prompts == "errors")
