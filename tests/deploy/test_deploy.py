"""scripts/deploy as a whole, with the real wrangler and a stand-in for Cloudflare's API that runs what is uploaded."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import TLS, until
from tests.deploy.cloudflare_api.account import CloudflareAccount
from tests.deploy.project import Finished, Project

KEY = re.compile(r"aiw_[\w-]{43}")

pytestmark = pytest.mark.timeout(300)  # several deployments a test, on a machine that may be busy


def deploy(project: Project, *options: str) -> Finished:
    """Run scripts/deploy, whose smoke test reaches the stand-in's Worker."""
    return project.deploy("--address", project.account.edge_url, *options)


def deployed(project: Project, *options: str) -> dict[str, Any]:
    """Deploy, and return the outcome. The deployment must work."""
    done = deploy(project, "--yes", "--json", *options)
    assert done.status == 0, done.text
    return json.loads(done.output)


def statuses(outcome: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["status"] for check in outcome["checks"]}


def call(account: CloudflareAccount, method: str, path: str, key: str = "", **options: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, f"{account.edge_url}{path}", headers=headers, verify=TLS, timeout=60, **options)


def snapshot(folder: Path) -> dict[str, bytes]:
    ours = (folder / "src", folder / "public", folder / "migrations")
    files = [folder / "wrangler.jsonc", *(path for each in ours for path in each.rglob("*"))]
    return {str(path): path.read_bytes() for path in files if path.is_file() and "__pycache__" not in path.parts}


@dataclass
class Deployment:
    """A project that is deployed and works, for tests that leave it so."""

    project: Project
    account: CloudflareAccount
    sources_before: Mapping[str, bytes]
    """Files of the project before it was deployed."""
    first: Finished
    """The first deployment."""

    @classmethod
    def make(cls, folder: Path, account: CloudflareAccount) -> "Deployment":
        account.set_subdomain("tester")
        project = Project.copy(folder / "project", account)
        before = snapshot(project.folder)
        first = deploy(project, "--yes")
        assert first.status == 0, first.text
        return cls(project, account, before, first)

    @property
    def key(self) -> str:
        """The API key that the first deployment has printed."""
        [key] = KEY.findall(self.first.text)
        return key

    @property
    def version(self) -> str:
        return str(self.account.wait_for_edge()["version_id"])

    @contextmanager
    def broken_source(self) -> Generator[None]:
        """Break POST /embed in the project's source, in the block."""
        embed = self.project.folder / "src/aiworker/routes/embed.py"
        text = embed.read_text()
        broken = re.sub(r"(async def embed\(.*\n)", r"\1    raise RuntimeError('broken')\n", text)
        assert broken != text
        embed.write_text(broken)
        try:
            yield
        finally:
            embed.write_text(text)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    with CloudflareAccount(folder / "account") as account:
        yield Deployment.make(folder, account)
        assert account.unknown_requests() == []


def test_a_first_deployment_works_and_a_second_changes_nothing(deployment: Deployment) -> None:
    project, account, first, key = deployment.project, deployment.account, deployment.first, deployment.key
    migrations = len(list((project.folder / "migrations").glob("*.sql")))
    for line in ("R2 bucket aiworker: created", "D1 database aiworker: created", f"{migrations} applied", "image"):
        assert line in first.text
    assert key in first.output
    assert account.requests("PUT", "/scripts/aiworker/schedules$")
    assert call(account, "POST", "/embed", key, json={"text": "a fox"}).status_code == 200
    assert call(account, "POST", "/embed", json={"text": "a fox"}).status_code == 401
    assert call(account, "GET", "/rag/documents", key).json()["documents"] == []

    # secrets: only a key's SHA-256 is kept, readable for its owner alone
    kept = project.folder / ".dev.vars"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert key not in kept.read_text()
    assert not list(project.folder.glob(".wrangler-deploy-*"))
    assert snapshot(project.folder) == deployment.sources_before

    account.clear_requests()
    second = deployed(project)
    changing = [each for each in account.requests() if each["method"] not in ("GET", "HEAD")]
    assert {(each["method"], each["path"].rpartition("/")[2]) for each in changing} <= {("POST", "query")}
    assert second["api_key"] is None
    assert set(statuses(second).values()) == {"passed"}


def test_a_version_that_fails_its_smoke_test_is_taken_back(deployment: Deployment) -> None:
    good = deployment.version
    with deployment.broken_source():
        failed = deploy(deployment.project, "--yes", "--json")
    assert failed.status == 1
    outcome = json.loads(failed.output)
    assert not outcome["ok"]
    assert statuses(outcome)["embed"] == "failed"
    assert "FAILS the smoke test: embed" in outcome["verdict"]
    assert f"version {good} answers again" in outcome["verdict"]
    deployment.account.wait_for_edge(good)


@pytest.mark.nightly
def test_a_version_without_a_finished_smoke_test_is_not_a_rollback_target(deployment: Deployment) -> None:
    project, account, good = deployment.project, deployment.account, deployment.version
    account.hold("POST", "/workers/scripts/aiworker/deployments$", moment="after")
    with deployment.broken_source():
        run = project.start(sys.executable, "scripts/deploy", "--address", account.edge_url, "--yes")
        account.wait_until_met()
        os.kill(run.pid, signal.SIGTERM)
        assert run.wait(60) == 128 + signal.SIGTERM
        account.release()
        outcome = json.loads(deploy(project, "--yes", "--json").output)
    assert f"version {good} answers again" in outcome["verdict"]


@pytest.mark.nightly
def test_a_killed_run_leaves_no_wrangler_behind(deployment: Deployment) -> None:
    project, account = deployment.project, deployment.account
    account.hold("POST", "/workers/scripts/aiworker/versions$", moment="before")
    with deployment.broken_source():
        run = project.start(sys.executable, "scripts/deploy", "--address", account.edge_url, "--yes")
        account.wait_until_met()
    assert [line for line in processes_in(project.folder) if "wrangler" in line]
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    until(lambda: processes_in(project.folder), lambda left: not left)
    account.release()


def test_a_version_that_is_kept_answers_though_it_fails_and_all_can_be_removed(deployment: Deployment) -> None:
    """It takes the deployment away, and stands behind the others that use it."""
    project, account = deployment.project, deployment.account
    with deployment.broken_source():
        kept = json.loads(deploy(project, "--yes", "--json", "--keep").output)
    assert "left as it is (--keep)" in kept["verdict"]
    account.wait_for_edge(kept["version"])
    assert call(account, "GET", "/health").status_code == 200

    account.fail("DELETE", "/workflows/aiworker-ingestion$", status=403)
    assert deploy(project, "--remove", "--yes").status == 1
    removed = deploy(project, "--remove", "--yes", "--json")
    assert removed.status == 0, removed.text
    # the Worker has gone already, what the first attempt left goes now
    assert json.loads(removed.output)["removed"][0] == "Workflow aiworker-ingestion"
    assert deploy(project, "--remove", "--yes").output.strip() == "There is nothing to remove."


@pytest.mark.nightly
@pytest.mark.usefixtures("subdomain")
def test_staging_has_everything_of_its_own(project: Project, account: CloudflareAccount) -> None:
    staging = deployed(project, "--env", "staging")
    assert (staging["worker"], staging["environment"]) == ("aiworker-staging", "staging")
    made = {each["path"].rpartition("/")[2] for each in account.requests("PUT", "/scripts/[^/]+$")}
    assert made == {"aiworker-staging"}
    names = ("R2 bucket aiworker-staging", "D1 database aiworker-staging", "Vectorize index aiworker-passages-staging")
    listed = deploy(project, "--remove", "--dry-run", "--env", "staging").text
    assert all(name in " ".join(listed.split()) for name in names)
    assert "There is nothing to remove" in deploy(project, "--remove", "--yes").text
    assert not (project.folder / ".dev.vars").exists()
    assert (project.folder / ".dev.vars.staging").exists()


@pytest.mark.nightly
@pytest.mark.usefixtures("subdomain")
def test_keys_that_this_machine_does_not_know_are_not_overwritten(project: Project, account: CloudflareAccount) -> None:
    """Another machine has made the deployment without scripts/deploy: its keys, its database, its index."""
    project.wrangler("vectorize", "create", "aiworker-passages", "--dimensions=768", "--metric=cosine")
    project.wrangler("d1", "create", "aiworker")
    assert project.wrangler("d1", "migrations", "apply", "aiworker", "--remote").status == 0
    assert project.pywrangler("deploy").status == 0
    keys = [{"name": "web", "sha256": "0" * 64, "scopes": ["chat"]}]
    secrets = {"API_KEYS": json.dumps(keys), "TOKEN_SECRET": "s" * 43}
    assert project.wrangler("secret", "bulk", standard_input=json.dumps(secrets)).status == 0

    outcome = deployed(project)
    assert outcome["api_key"] is None
    assert statuses(outcome) == {"health": "passed", "closed to strangers": "passed"}
    assert not (project.folder / ".dev.vars").exists()
    listed = json.loads(project.wrangler("secret", "list", "--format=json").output)
    assert {each["name"] for each in listed} == {"API_KEYS", "TOKEN_SECRET"}
    refused = deploy(project, "--remove", "--yes")
    assert refused.status == 1
    assert "add --all" in refused.text


@pytest.mark.nightly
@pytest.mark.usefixtures("subdomain")
def test_an_interrupted_run_is_taken_up_again(project: Project, account: CloudflareAccount) -> None:
    account.hold("PUT", "/workers/scripts/aiworker$", moment="after")
    command = [sys.executable, "scripts/deploy", "--address", account.edge_url, "--yes"]
    run = project.start(*command)
    account.wait_until_met()
    [secrets] = project.folder.glob(".wrangler-deploy-*.secrets.json")
    assert secrets.stat().st_mode & 0o777 == 0o600
    # to the leader alone, as a supervisor does
    os.kill(run.pid, signal.SIGTERM)
    assert run.wait(60) == 128 + signal.SIGTERM
    assert not processes_in(project.folder)
    assert not list(project.folder.glob(".wrangler-deploy-*"))
    account.release()
    # whether or not the upload had arrived, the key that was shown is the deployment's
    assert run.stdout
    [key] = KEY.findall(run.stdout.read())
    assert set(statuses(deployed(project)).values()) == {"passed"}
    assert call(account, "POST", "/embed", key, json={"text": "a fox"}).status_code == 200
    # what wrangler does behind an upload, too: the version alone has no address, and starts no Workflow
    assert account.requests("POST", "/scripts/aiworker/subdomain$")
    assert account.requests("PUT", "/workflows/aiworker-ingestion$")


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of processes that name the folder or run in it."""
    listed = subprocess.run(["ps", "-eo", "pid=,args="], text=True, capture_output=True, check=True).stdout
    rows = (line.split(maxsplit=1) for line in listed.splitlines())
    return [row[1] for row in rows if len(row) == 2 and (str(folder) in row[1] or _folder_of(row[0]) == folder)]


def _folder_of(pid: str) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:  # it has ended, or this is no Linux
        return None
