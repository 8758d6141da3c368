"""scripts/deploy without an account: its configuration, its decisions, and the commands it runs."""

import io
import json
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from aiworker.auth.access import Key, parse_keys
from tools import ROOT
from tools.deploy import bundle, commands, credentials, report
from tools.deploy.account import Account, placeholder
from tools.deploy.bundle import Version
from tools.deploy.errors import DeployError
from tools.deploy.plan import Options
from tools.deploy.run import Deployment
from tools.deploy.smoke import Outcome
from tools.deploy.target import Target, derive
from tools.deploy.unfinished import Unfinished, Upload
from tools.dev import configuration
from tools.keys import keys

OWN = configuration.read(ROOT / "wrangler.jsonc")


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(credentials.CALLER, raising=False)
    monkeypatch.delenv("CI", raising=False)


def test_variables_of_wrangler_cannot_lead_a_deployment_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With CLOUDFLARE_ENV=staging, wrangler would upload production's configuration as aiworker-staging."""
    program = tmp_path / "wrangler.cjs"
    program.write_text("console.log(JSON.stringify([process.argv, process.env]))")
    monkeypatch.setattr(commands, "WRANGLER", program)
    monkeypatch.setenv("WRANGLER_CI_OVERRIDE_NAME", "other")
    monkeypatch.setenv("WRANGLER_LOG", "debug")
    arguments, environment = json.loads(commands.Commands(tmp_path).wrangler("deploy"))
    assert arguments[2:] == ["deploy", "--env="]
    assert environment["WRANGLER_LOG"] == "log"
    assert "WRANGLER_CI_OVERRIDE_NAME" not in environment


def read(folder: Path, environment: str = "", **changes: Any) -> Target:
    (folder / "wrangler.jsonc").write_text(json.dumps({**OWN, **changes}))
    return Target.read(folder, environment)


@pytest.mark.parametrize("name", ["production", "Staging", "a b", "-x", "a" * 21, "../x"])
def test_an_environment_has_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeployError, match="cannot name an environment"):
        read(tmp_path, name)


@pytest.mark.parametrize(
    ("name", "value"), [("EMBED_MODEL", "@cf/no/such-model"), ("RAG_PROPERTIES", "a b c"), ("MAX_TEXTS", "many")]
)
def test_a_variable_that_the_worker_would_refuse_is_refused(tmp_path: Path, name: str, value: str) -> None:
    target = read(tmp_path, vars={**OWN["vars"], name: value})
    with pytest.raises(DeployError, match=f"wrangler.jsonc, vars: .*{name}"):
        target.settings()


@pytest.mark.parametrize(("name", "words"), [("CHAT_MDEL", "did you mean CHAT_MODEL"), ("WEATHER", "lists those")])
def test_a_variable_that_the_worker_does_not_read_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(DeployError, match=f"wrangler.jsonc, vars: {name} is no variable of aiworker; .*{words}"):
        read(tmp_path, vars={**OWN["vars"], name: "x"}).settings()
    staging = {"staging": {"vars": {name: "x"}}}
    read(tmp_path, env=staging).settings()
    with pytest.raises(DeployError, match=words):
        read(tmp_path, "staging", env=staging).settings()
    (tmp_path / ".dev.vars").write_text(f"AUTH_MODE=keys\n{name}=x\n")
    with pytest.raises(DeployError, match=rf"\.dev\.vars: {name} is no"):
        read(tmp_path).settings()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "has no name"),
        ({"r2_buckets": [{"binding": "BUCKET"}]}, "r2_buckets: BUCKET lacks bucket_name"),
        ({"d1_databases": [{"binding": "DB", "database_id": "1"}]}, "DB lacks database_name"),
        ({"ratelimits": [{"name": "RATE_LIMIT_READ", "namespace_id": "abc"}]}, "must be a number"),
        ({"version_metadata": None}, "which version answers"),
    ],
)
def test_a_configuration_without_what_is_needed_is_refused(tmp_path: Path, changes: Any, words: str) -> None:
    with pytest.raises(DeployError, match=words):
        read(tmp_path, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"kv_namespaces": [{"binding": "KV", "id": "0" * 32}]},
        {"queues": {"producers": [{"binding": "JOBS", "queue": "jobs"}]}},
        {"services": [{"binding": "SELF", "service": "aiworker"}]},
    ],
)
def test_an_environment_does_not_share_what_has_no_name_of_its_own(changes: Any) -> None:
    with pytest.raises(DeployError, match="staging would share"):
        derive({**OWN, **changes}, "staging")
    own: dict[str, Any] = {kind: [] for kind in changes}
    assert derive({**OWN, **changes, "env": {"staging": own}}, "staging").items() >= own.items()
    assert derive({**OWN, **changes}, "").items() >= changes.items()


def test_ai_search_needs_its_binding_and_an_environment_a_namespace_of_its_own(tmp_path: Path) -> None:
    variables = {**OWN["vars"], "RAG_ENGINE": "ai-search"}
    with pytest.raises(DeployError, match="RAG_ENGINE is ai-search: add"):
        read(tmp_path, vars=variables).settings()
    namespaces = [{"binding": "AI_SEARCH", "namespace": "aiworker"}]
    bound: dict[str, Any] = {"ai_search_namespaces": namespaces, "vars": variables}
    assert read(tmp_path, **bound).settings().rag_engine == "ai-search"
    assert read(tmp_path, "staging", **bound).named("ai_search_namespaces") == ["aiworker-staging"]


def test_an_environment_does_not_take_productions_name_or_address() -> None:
    with pytest.raises(DeployError, match="is production's"):
        derive({**OWN, "env": {"staging": {"name": "aiworker"}}}, "staging")
    domain = {"routes": [{"pattern": "ai.example.com", "custom_domain": True}], "workers_dev": False}
    assert not derive({**OWN, **domain}, "staging").keys() & domain.keys()


@pytest.mark.parametrize(
    ("changes", "domain", "is_on_workers_dev"),
    [
        ({}, None, True),
        ({"workers_dev": False}, None, False),
        ({"routes": ["ai.example.com/*"]}, None, False),
        ({"route": "ai.example.com/*"}, None, False),
        ({"routes": ["ai.example.com/*"], "workers_dev": True}, None, True),
        ({"route": {"pattern": "ai.example.com", "custom_domain": True}}, "ai.example.com", False),
        ({"routes": ["b/*", {"pattern": "ai.example.com", "custom_domain": True}]}, "ai.example.com", False),
    ],
)
def test_the_smoke_test_calls_where_wrangler_puts_the_worker(
    tmp_path: Path, changes: Any, domain: str | None, is_on_workers_dev: bool
) -> None:
    target = read(tmp_path, **changes)
    assert (target.custom_domain, target.is_on_workers_dev) == (domain, is_on_workers_dev)


@pytest.mark.parametrize("env", [None, {}, {"staging": None}, {"staging": {"vars": None}}])
def test_an_environment_may_be_empty(env: Any) -> None:
    assert derive({**OWN, "env": env}, "staging") == derive(OWN, "staging")


def test_a_reader_that_has_gone_does_not_end_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe, as in `scripts/deploy | head -1`: a version that fails is still rolled back."""
    read, write = os.pipe()
    os.close(read)
    with io.TextIOWrapper(os.fdopen(write, "wb", 0), write_through=True) as nobody:
        monkeypatch.setattr("sys.stdout", nobody)
        for _ in range(2):
            report.Report(as_json=False).table([("health", "failed")])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("aiw_" + 43 * "k" + "\n", "a line break"),  # httpx would refuse the header, and print it
        ("password", "could be guessed"),
    ],
)
def test_a_key_that_cannot_be_the_first_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str, words: str
) -> None:
    monkeypatch.setenv(credentials.CALLER, key)
    with pytest.raises(DeployError, match=words) as refusal:
        credentials.missing(read(tmp_path), set())
    assert key.strip() not in str(refusal.value)


def test_a_key_that_the_deployment_would_not_know_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own, other = keys.random_key(), keys.random_key()
    kept = keys.to_variable([Key("web", keys.sha256(own), frozenset({"chat"}))])
    (tmp_path / ".dev.vars").write_text(f"API_KEYS='{kept}'\n")
    monkeypatch.setenv(credentials.CALLER, other)
    with pytest.raises(DeployError, match=r"none of the keys in \.dev\.vars"):
        credentials.missing(read(tmp_path), set())
    assert credentials.missing(read(tmp_path), {"API_KEYS", "TOKEN_SECRET"}).values == {}
    monkeypatch.setenv(credentials.CALLER, own)
    assert credentials.missing(read(tmp_path), set()).new_key == ""


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ("TOKEN_SECRET=short\n", "shorter than 32 characters"),
        (
            f"API_KEYS='{keys.to_variable([Key(f'k{n}', f'{n:064}', frozenset({'chat'})) for n in range(60)])}'\n",
            "too many",
        ),
    ],
)
def test_secrets_that_would_be_refused_later_are_refused_now(tmp_path: Path, variables: str, words: str) -> None:
    (tmp_path / ".dev.vars").write_text(variables)
    with pytest.raises(DeployError, match=words):
        credentials.missing(read(tmp_path), set())


def test_a_key_for_checks_that_has_expired_is_replaced(tmp_path: Path) -> None:
    expired = Key(credentials.CHECK, "0" * 64, credentials.CHECK_SCOPES, credentials.CHECK, expires=1)
    (tmp_path / ".dev.vars").write_text(f"API_KEYS='{keys.to_variable([expired])}'\n")
    [key] = parse_keys(credentials.missing(read(tmp_path), set()).values["API_KEYS"])
    assert key.expires is None


def test_a_rollback_that_fails_says_what_answers_now(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def active(*_: object) -> Version:
        raise DeployError("The network is gone.")

    target = read(tmp_path)
    account = Account("a" * 32, "", placeholder().api)
    unfinished = Unfinished(tmp_path, account.id, target.worker)
    unfinished.start(Upload("tag", "good"))
    monkeypatch.setattr(bundle, "active", active)
    outcome = Outcome("embed", "failed", 0, "")
    run = Deployment(Options(tmp_path, as_json=True))
    with redirect_stdout(io.StringIO()) as printed:
        assert run._conclude(account, "https://a.example", "bad", [outcome], is_new=True) == 1  # pyright: ignore[reportPrivateUsage]
    verdict = json.loads(printed.getvalue())["verdict"]
    assert verdict.startswith("FAILS the smoke test: embed. GOING BACK FAILED: The network is gone.")
    assert "version bad answers" in verdict
    assert "choose version good" in verdict
    # the next run goes back to it, should it fail too
    assert unfinished.read() == Upload("tag", "good")
