"""Rate limits: who is counted, where, and who is refused."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from typing import Any

from aiworker import app
from aiworker.auth.access import Caller, Key
from aiworker.auth.limits import FAILURES, LIMITERS, RATES, TOKEN_RATES, check_rate
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response
from aiworker.log import RequestLog
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeRequest, FakeStreams, a_context
from tools import ROOT
from tools.dev import configuration

KEY = Key("web", "0" * 64, frozenset({"chat"}))


class Limiter:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.counts: Counter[str] = Counter()

    async def allow(self, key: str) -> bool:
        self.counts[key] += 1
        return self.counts[key] <= self._limit


def limiters(limit: int, tokens: int) -> dict[str, Limiter]:
    limits = {**dict.fromkeys(RATES.values(), limit), **dict.fromkeys(TOKEN_RATES.values(), tokens), FAILURES: 3}
    return {name: Limiter(limits[name]) for name in LIMITERS}


def context_of(subject: str, counters: dict[str, Limiter], *, has_token: bool = True, **variables: Any) -> Context:
    request = FakeRequest("POST", "/chat", cf_connecting_ip="203.0.113.1")
    caller = Caller("web", frozenset({"chat"}), "default", subject, KEY, has_token=has_token)
    context = a_context(request, Settings.read({**VARIABLES, **variables}), None, caller)
    return replace(context, rate_limiters=counters)


async def allowed(context: Context) -> bool:
    try:
        await check_rate(context, "model")
    except ApiError as error:
        return (error.type, error.retry_after) != ("rate_limited", 10)
    return True


async def test_each_subject_has_its_limit_and_all_tokens_of_a_key_share_a_larger_one() -> None:
    counters = limiters(limit=5, tokens=12)
    assert [await allowed(context_of("ada", counters)) for _ in range(7)] == [True] * 5 + [False] * 2
    passed = [await allowed(context_of(f"user-{number % 8}", counters)) for number in range(40)]
    assert passed == [True] * 7 + [False] * 33  # what ada was refused does not count
    assert await allowed(context_of("", counters, has_token=False))  # the key itself is counted apart


async def test_without_rate_limits_or_their_bindings_all_are_served() -> None:
    counters = limiters(limit=0, tokens=0)
    assert await allowed(context_of("ada", counters, RATE_LIMITS="off"))
    assert await allowed(context_of("ada", {}))


def test_the_limit_of_all_tokens_is_larger_and_wrangler_jsonc_has_every_limit() -> None:
    limits = {
        each["name"]: each["simple"]["limit"] for each in configuration.read(ROOT / "wrangler.jsonc")["ratelimits"]
    }
    assert set(limits) == set(LIMITERS)
    assert all(limits[TOKEN_RATES[rate]] > limits[name] for rate, name in RATES.items())


VALID = "aiw_valid"
UNDER_KEYS = {
    "AUTH_MODE": "keys",
    "API_KEYS": json.dumps([{"name": "web", "scopes": ["chat"], "sha256": hashlib.sha256(VALID.encode()).hexdigest()}]),
}


async def ask(counters: dict[str, Limiter], key: str | None, address: str) -> Response:
    headers = {"cf_connecting_ip": address, **({"x_api_key": key} if key else {})}
    request = FakeRequest("GET", "/usage", b"", **headers)

    def context(settings: Settings, caller: Caller, log: RequestLog, **_: Any) -> Context:
        return a_context(request, settings, None, caller, log)

    settings = Settings.read({**VARIABLES, **UNDER_KEYS})
    return await app.handle(request, FakeStreams(), lambda: settings, context, RequestLog("GET"), counters[FAILURES])


async def test_a_network_that_guesses_keys_is_slowed_and_no_valid_key_is_locked_out() -> None:
    counters = limiters(limit=100, tokens=100)
    guesses = [await ask(counters, f"aiw_guess-{number}", "203.0.113.1") for number in range(5)]
    assert [guess.status for guess in guesses] == [401, 401, 401, 429, 429]
    assert guesses[-1].headers["retry-after"] == "60"
    assert (await ask(counters, None, "203.0.113.1")).status == 429
    assert (await ask(counters, VALID, "203.0.113.1")).status == 200
    assert (await ask(counters, "aiw_guess", "203.0.113.2")).status == 401
    assert (await ask(counters, "aiw_guess", "2001:db8::1")).status == 401
