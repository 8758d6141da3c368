"""Refusals of scripts/deploy: one sentence that says what to do, exit status 1, and nothing half-made."""

import json
import os
import sys
from typing import Any

import pytest

from tests.deploy.cloudflare_api.account import CloudflareAccount
from tests.deploy.cloudflare_api.settings import Permission
from tests.deploy.project import Project

pytestmark = [
    pytest.mark.timeout(300),  # several deployments a test, on a machine that may be busy
    pytest.mark.usefixtures("subdomain"),
]


def refusal(project: Project, *options: str) -> str:
    """Return the last line of standard error of a deployment that must fail without a traceback."""
    done = project.deploy("--yes", *options)
    assert done.status == 1, done.text
    assert "Traceback" not in done.text
    return done.errors.strip().splitlines()[-1]


def changes(account: CloudflareAccount) -> list[dict[str, Any]]:
    """Return the requests that have changed something in the account."""
    return [
        each
        for each in account.requests()
        if each["method"] not in ("GET", "HEAD") and each["status"] < 300 and not each["path"].endswith("/query")
    ]


def test_without_a_login_it_says_how_to_log_in(project: Project, account: CloudflareAccount) -> None:
    project.environment["CLOUDFLARE_API_TOKEN"] = ""
    message = refusal(project)
    for words in ("scripts/deploy --login", "CLOUDFLARE_API_TOKEN", "Vectorize: Edit"):
        assert words in message
    plan = project.deploy("--dry-run")
    assert plan.status == 0
    assert "Vectorize index aiworker-passages" in plan.output
    assert account.requests() == []


def test_a_token_that_is_revoked_is_named(project: Project) -> None:
    project.environment["CLOUDFLARE_API_TOKEN"] = "revoked-0123456789abcdefghijklmnopqrstuvwx"
    assert "does not accept this login" in refusal(project)


def test_one_of_several_accounts_must_be_chosen(project: Project, account: CloudflareAccount) -> None:
    other = "b" * 32
    account.set_accounts(**{account.account_id: "Own", other: "Other"})
    message = refusal(project)
    assert f"Own ({account.account_id}), Other ({other})" in message
    assert "CLOUDFLARE_ACCOUNT_ID" in message
    project.environment["CLOUDFLARE_ACCOUNT_ID"] = "c" * 32
    assert f"This login has no account {'c' * 32}" in refusal(project)
    assert changes(account) == []


@pytest.mark.parametrize(
    ("permission", "name"),
    [
        ("workers_r2", "Workers R2 Storage: Edit"),
        ("d1", "D1: Edit"),
        ("vectorize", "Vectorize: Edit"),
        ("workers_scripts", "Workers Scripts: Edit"),
    ],
)
def test_a_missing_permission_is_named_before_anything_is_made(
    project: Project, account: CloudflareAccount, permission: Permission, name: str
) -> None:
    account.drop_permission(permission)
    message = refusal(project)
    assert f"the permission {name}" in message
    assert "run scripts/deploy again" in message
    assert changes(account) == []


def test_an_index_of_another_width_is_refused_before_anything_is_made(
    project: Project, account: CloudflareAccount
) -> None:
    assert (
        project.wrangler("vectorize", "create", "aiworker-passages", "--dimensions=384", "--metric=cosine").status == 0
    )
    account.clear_requests()
    message = refusal(project)
    assert "vectors of 384 numbers" in message
    assert "EMBED_MODEL makes 768" in message
    assert changes(account) == []


def test_an_upload_above_the_limit_is_refused_with_its_largest_modules(
    project: Project, account: CloudflareAccount
) -> None:
    large = project.folder / "python_modules/weights.bin"
    large.write_bytes(os.urandom(3_500_000))
    message = refusal(project, "--plan", "free")
    assert "the free plan takes 3.00 MB" in message
    assert "python_modules/weights.bin 3.50 MB" in message
    assert changes(account) == []


def test_without_a_subdomain_one_must_be_chosen(project: Project, account: CloudflareAccount) -> None:
    account.set_subdomain(None)
    assert "scripts/deploy --subdomain NAME" in refusal(project)
    account.set_taken_subdomains("famous")
    assert "belongs to somebody else" in refusal(project, "--subdomain", "famous")
    assert changes(account) == []


def test_a_missing_feature_of_the_account_is_named(project: Project, account: CloudflareAccount) -> None:
    account.enable_r2(enabled=False)
    assert "R2 is not enabled on this account" in refusal(project)
    account.enable_r2(enabled=True)
    account.set_max_databases(0)
    assert "as many D1 databases as its plan allows" in refusal(project)


@pytest.mark.nightly  # three deployments
def test_a_network_that_is_lost_in_the_middle_is_mended_by_a_second_run(
    project: Project, account: CloudflareAccount
) -> None:
    account.hang_up("POST", "/d1/database$", times=3, moment="after")
    message = refusal(project)
    assert "could not be reached to create the D1 database aiworker" in message
    account.release()
    account.hang_up("PUT", "/workers/scripts/aiworker$", times=9)
    assert "could not be reached to upload the Worker" in refusal(project)
    account.release()
    done = project.deploy("--yes", "--json", "--address", account.edge_url)
    assert done.status == 0, done.text
    assert json.loads(done.output)["ok"]
    # one database, although its creation was not answered three times
    listed = json.loads(project.wrangler("d1", "list", "--json").output)
    assert [each["name"] for each in listed] == ["aiworker"]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, "<html>maintenance</html>", "gave an answer without what is needed to read the workers.dev subdomain"),
        (200, {"success": True, "result": None}, "gave an answer without what is needed"),
        (502, "<html>Bad Gateway</html>", "(status 502): wait a few minutes"),
        (429, {"success": False, "errors": [{"code": 971, "message": "slower"}]}, "(status 429: slower (code 971))"),
    ],
)
def test_an_odd_answer_is_reported_without_a_traceback(
    project: Project, account: CloudflareAccount, status: int, body: Any, words: str
) -> None:
    account.fail("GET", "/workers/subdomain$", status=status, body=body, times=9)
    done = project.deploy("--yes", "--json")
    assert done.status == 1
    assert words in json.loads(done.output)["error"]
    assert "Traceback" not in done.errors
    assert "<html>" not in done.errors
    assert changes(account) == []


def test_secrets_that_cannot_be_listed_are_not_taken_for_none(project: Project, account: CloudflareAccount) -> None:
    """New secrets would overwrite the API_KEYS of the deployment."""
    account.fail("GET", "/workers/scripts/aiworker/secrets$", status=200, body={"success": True, "result": None})
    assert "list the secrets of the Worker aiworker" in refusal(project)
    assert changes(account) == []


def test_traffic_that_is_split_stays_so(project: Project, account: CloudflareAccount) -> None:
    shares = [{"version_id": name * 8, "percentage": 50} for name in "ab"]
    body = {"success": True, "result": {"deployments": [{"versions": shares}]}}
    account.fail("GET", "/workers/scripts/aiworker/deployments$", status=200, body=body)
    assert "The traffic of aiworker is split between versions" in refusal(project)
    assert changes(account) == []


def test_a_database_of_an_id_is_that_of_the_id(project: Project, account: CloudflareAccount) -> None:
    """Its migrations are looked up where wrangler applies them, and no second database of the name is created."""
    assert project.wrangler("d1", "create", "other").status == 0
    [other] = json.loads(project.wrangler("d1", "list", "--json").output)
    file = project.folder / "wrangler.jsonc"
    text = file.read_text()
    for database_id, words in (
        (other["uuid"], "D1 database aiworker there"),
        ("0" * 8, "has the database_id 00000000"),
    ):
        file.write_text(text.replace('"database_name"', f'"database_id": "{database_id}", "database_name"'))
        assert words in " ".join(project.deploy("--yes", "--dry-run").text.split())


def test_a_damaged_file_of_this_machine_is_named(project: Project, account: CloudflareAccount) -> None:
    (project.folder / ".dev.vars").write_text("TOKEN_SECRET=a\nTOKEN_SECRET=b\n")
    assert ".dev.vars has 2 lines of TOKEN_SECRET" in refusal(project)
    record = project.folder / f".aiworker/deployed/{account.account_id}/aiworker.json"
    record.parent.mkdir(parents=True)
    record.write_text('[["R2 buck')
    assert "aiworker.json is damaged" in refusal(project, "--remove")
    with (project.folder / "wrangler.jsonc").open("ab") as file:
        file.write(b"// \xe9\n")
    assert "is not UTF-8" in refusal(project)


def test_an_address_is_checked_before_anything_is_made(project: Project, account: CloudflareAccount) -> None:
    done = project.deploy("--yes", "--address", "https://foo:bar")
    assert done.status == 2
    assert "is no address of a Worker" in done.errors
    assert account.requests() == []


def test_one_runs_at_a_time(project: Project, account: CloudflareAccount) -> None:
    account.hold("GET", "/workers/scripts/aiworker/secrets$")
    first = project.start(sys.executable, "scripts/deploy", "--yes")
    account.wait_until_met()
    assert "Another scripts/deploy is running" in refusal(project)
    first.terminate()
    assert first.wait(60) == 143
    assert first.stdout
    assert "Interrupted. Run scripts/deploy again" in first.stdout.read()
    account.release()


def test_in_ci_a_new_key_is_not_printed_into_the_log(project: Project, account: CloudflareAccount) -> None:
    project.environment["CI"] = "true"
    message = refusal(project)
    assert "AIWORKER_KEY" in message
    assert changes(account) == []


def test_no_question_is_asked_without_a_terminal(project: Project, account: CloudflareAccount) -> None:
    done = project.run(sys.executable, "scripts/deploy")
    assert done.status == 1
    assert "add --yes" in done.errors
    assert changes(account) == []
