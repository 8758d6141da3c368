"""scripts/deploy, without an account: what it derives, decides and passes on."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from local import ROOT, configuration
from tools.deploy import commands, report
from tools.deploy.errors import DeployError
from tools.deploy.target import Target, derive

OWN = configuration.read(ROOT / "wrangler.jsonc")


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


def test_an_environment_does_not_take_productions_name_or_address() -> None:
    with pytest.raises(DeployError, match="is production's"):
        derive({**OWN, "env": {"staging": {"name": "aiworker"}}}, "staging")
    domain = {"routes": [{"pattern": "ai.example.com", "custom_domain": True}], "workers_dev": False}
    assert not derive({**OWN, **domain}, "staging").keys() & domain.keys()


@pytest.mark.parametrize("env", [None, {}, {"staging": None}, {"staging": {"vars": None}}])
def test_an_environment_may_be_empty(env: Any) -> None:
    assert derive({**OWN, "env": env}, "staging") == derive(OWN, "staging")


def test_a_reader_that_has_gone_does_not_end_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `scripts/deploy | head -1`: a version that fails is still taken back."""
    read, write = os.pipe()
    os.close(read)
    with io.TextIOWrapper(os.fdopen(write, "wb", 0), write_through=True) as nobody:
        monkeypatch.setattr("sys.stdout", nobody)
        for _ in range(2):
            report.Report(as_json=False).table([("health", "failed")])
