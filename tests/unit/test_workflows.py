"""The workflows for GitHub run the project's scripts, and docs/deploy.md documents their secrets."""

import re
from typing import Any

import pytest
import yaml

from tools import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def steps(name: str) -> list[dict[str, Any]]:
    workflow: dict[str, Any] = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
    jobs = list(workflow["jobs"].values())
    assert all(job["timeout-minutes"] <= 120 for job in jobs)
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("name", [each.stem for each in WORKFLOWS])
def test_they_run_scripts_that_are_there_and_actions_of_a_major_version(name: str) -> None:
    commands = [step["run"] for step in steps(name) if "run" in step]
    called = {script for command in commands for script in re.findall(r"scripts/\w+", command)}
    assert called
    assert all((ROOT / script).is_file() for script in called)
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps(name) if "uses" in step)


def test_the_secrets_of_a_deployment_are_documented() -> None:
    text = (ROOT / ".github/workflows/deploy.yml").read_text()
    named = set(re.findall(r"secrets\.(\w+)", text))
    assert named == {"CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "AIWORKER_KEY"}
    assert all(f"`{name}`" in (ROOT / "docs/deploy.md").read_text() for name in named)
    # never in a command, which the log shows
    assert "secrets." not in "".join(step.get("run", "") for step in steps("deploy"))
