"""scripts/deploy, without an account: what it derives, decides and passes on."""

import json
from pathlib import Path

import pytest

from tools.deploy import commands


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
