"""The stand-in for Cloudflare's REST API, asked by the real clients: wrangler and Cloudflare's Python SDK."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloudflare import APIConnectionError, Cloudflare, ConflictError, NotFoundError, PermissionDeniedError

from tests.conftest import TLS, until
from tests.deploy.cloudflare_api.account import CloudflareAccount
from tests.deploy.project import Project

pytestmark = pytest.mark.nightly  # they test the stand-in, and nothing of the product

WORKER = """
import { DurableObject } from "cloudflare:workers";

export class Counter extends DurableObject {
  async next() {
    const count = ((await this.ctx.storage.get("count")) ?? 0) + 1;
    await this.ctx.storage.put("count", count);
    return count;
  }
}

export default {
  async fetch(request, env) {
    if (request.method === "PUT") {
      await env.BUCKET.put(decodeURIComponent(new URL(request.url).pathname.slice(1)), await request.text());
      return new Response(null, { status: 204 });
    }
    const listed = await env.BUCKET.list();
    const { results } = await env.DB.prepare("SELECT text FROM notes").all().catch(() => ({ results: null }));
    return Response.json({
      count: await env.COUNTER.getByName("one").next(),
      keys: listed.objects.map((object) => object.key),
      notes: results?.map((row) => row.text) ?? null,
      settings: env.SETTINGS,
      secret: env.SECRET,
      version: env.VERSION,
    });
  },
};
"""

CONFIGURATION: dict[str, Any] = {
    "name": "tiny",
    "main": "worker.js",
    "compatibility_date": "2026-11-01",
    "vars": {"SETTINGS": {"deep": [1, 2]}},
    "version_metadata": {"binding": "VERSION"},
    "r2_buckets": [{"binding": "BUCKET", "bucket_name": "tiny-files"}],
    "d1_databases": [{"binding": "DB", "database_name": "tiny-notes"}],
    "durable_objects": {"bindings": [{"name": "COUNTER", "class_name": "Counter"}]},
    "migrations": [{"tag": "v1", "new_sqlite_classes": ["Counter"]}],
}


@pytest.fixture
def tiny(account: CloudflareAccount, tmp_path: Path) -> Project:
    """A small JavaScript Worker with storage of every kind: it starts in a second."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "worker.js").write_text(WORKER)
    (folder / "wrangler.json").write_text(json.dumps(CONFIGURATION))
    (folder / "migrations").mkdir()
    (folder / "migrations/0001_notes.sql").write_text("CREATE TABLE notes (text TEXT); -- a; b\n")
    return Project(folder, account)


def sdk(account: CloudflareAccount) -> Cloudflare:
    client = httpx.Client(verify=TLS, timeout=60)
    return Cloudflare(api_token=account.token, base_url=account.base_url, http_client=client, max_retries=0)


def served(account: CloudflareAccount) -> dict[str, Any]:
    return httpx.get(account.edge_url, verify=TLS, timeout=60).raise_for_status().json()


def active(account: CloudflareAccount, script: str) -> str:
    """Id of the version that has all traffic."""
    # not by the SDK: it looks for the deployments where the API has never had them, and finds none
    url = f"{account.base_url}/accounts/{account.account_id}/workers/scripts/{script}/deployments"
    response = httpx.get(url, headers={"authorization": f"Bearer {account.token}"}, verify=TLS, timeout=60)
    [part] = response.json()["result"]["deployments"][0]["versions"]
    return part["version_id"]


def test_a_deployed_project_answers_on_the_edge(project: Project, account: CloudflareAccount) -> None:
    index = ("vectorize", "create", "aiworker-passages", "--dimensions=768", "--metric=cosine")
    assert project.wrangler(*index).status == 0
    deployed = project.pywrangler("deploy", "--tag", "first")
    assert deployed.status == 0, deployed.text
    first = account.wait_for_edge()["version_id"]
    assert first in deployed.output

    health = httpx.get(f"{account.edge_url}/health", verify=TLS, timeout=60)
    assert health.status_code == 200
    assert health.json()["access"] == "closed"
    assert health.json()["simulated"] == []
    assert httpx.post(f"{account.edge_url}/chat", json={"message": "Hi"}, verify=TLS, timeout=60).status_code == 503
    assert "</html>" in httpx.get(account.edge_url, verify=TLS, timeout=60).text

    apply = ("d1", "migrations", "apply", "aiworker", "--remote")
    assert "0001_documents.sql" in project.wrangler(*apply).output
    assert "No migrations to apply" in project.wrangler(*apply).output


def test_a_worker_finds_its_storage_where_the_api_looks(tiny: Project, account: CloudflareAccount) -> None:
    deployed = tiny.wrangler("deploy", "--tag", "one", "--message", "First")
    assert deployed.status == 0, deployed.text
    edge = account.wait_for_edge()
    before = served(account)
    assert (before["notes"], before["settings"], before["count"]) == (None, {"deep": [1, 2]}, 1)
    assert (before["version"]["id"], before["version"]["tag"]) == (edge["version_id"], "one")

    # tables made while the Worker runs
    assert tiny.wrangler("d1", "migrations", "apply", "tiny-notes", "--remote").status == 0
    client, own = sdk(account), account.account_id
    [database] = client.d1.database.list(account_id=own, name="tiny-notes")
    assert database.uuid
    client.d1.database.query(database.uuid, account_id=own, sql="INSERT INTO notes VALUES (?)", params=["seen"])
    httpx.put(f"{account.edge_url}/folder/a%20b", content=b"text", verify=TLS, timeout=60).raise_for_status()
    after = served(account)
    assert (after["notes"], after["keys"], after["count"]) == (["seen"], ["folder/a b"], 2)

    with pytest.raises(ConflictError, match="10008"):
        client.r2.buckets.delete("tiny-files", account_id=own)
    [stored] = client.r2.buckets.objects.list("tiny-files", account_id=own)
    assert (stored.key, stored.size) == ("folder/a b", 4)
    client.r2.buckets.objects.delete("folder/a b", account_id=own, bucket_name="tiny-files")
    assert served(account)["keys"] == []
    client.r2.buckets.delete("tiny-files", account_id=own)


def test_a_secret_makes_a_version_and_a_rollback_takes_it_back(tiny: Project, account: CloudflareAccount) -> None:
    assert tiny.wrangler("deploy").status == 0
    first = active(account, "tiny")
    assert tiny.wrangler("secret", "put", "SECRET", standard_input="opensesame").status == 0
    second = active(account, "tiny")
    assert first != second
    account.wait_for_edge(second)
    assert served(account)["secret"] == "opensesame"
    assert "opensesame" not in json.dumps([account.requests(), account.edge()])

    assert tiny.wrangler("rollback", first, "--yes").status == 0
    account.wait_for_edge(first)
    assert "secret" not in served(account)
    # secrets belong to versions: another one would be of the latest version, which is not the deployed one
    assert "isn't currently deployed" in tiny.wrangler("secret", "put", "SECRET", standard_input="again").text
    assert tiny.wrangler("delete", "--force").status == 0
    until(account.edge, lambda edge: edge["condition"] == "empty")


def test_the_account_outlives_a_restart(tiny: Project, account: CloudflareAccount) -> None:
    assert tiny.wrangler("deploy").status == 0
    account.wait_for_edge()
    version, count = active(account, "tiny"), served(account)["count"]
    account.stop()
    account.start()
    account.wait_for_edge(version)
    assert served(account)["count"] == count + 1


def test_an_upload_above_the_plan_is_refused(tiny: Project, account: CloudflareAccount) -> None:
    configuration = CONFIGURATION | {"find_additional_modules": True, "rules": [{"type": "Data", "globs": ["*.bin"]}]}
    (tiny.folder / "wrangler.json").write_text(json.dumps(configuration | {"no_bundle": True}))
    (tiny.folder / "random.bin").write_bytes(os.urandom(3 * 2**20 + 1))
    refused = tiny.wrangler("deploy")
    assert refused.status == 1
    assert "exceeded the size limit of 3 MiB" in refused.text
    assert "10027" in refused.text
    account.set_plan("paid")
    assert tiny.wrangler("deploy").status == 0


def test_a_wrong_token_is_refused(tiny: Project) -> None:
    for token, code in (("wrong-token-0123456789abcdefghijklmnopqrs", 9109), ("with space", 6111)):
        tiny.environment["CLOUDFLARE_API_TOKEN"] = token
        refused = tiny.wrangler("r2", "bucket", "list")
        assert refused.status == 1
        assert f"[code: {code}]" in refused.text


def test_a_missing_permission_is_refused(tiny: Project, account: CloudflareAccount) -> None:
    account.drop_permission("workers_r2", "memberships")
    shown = json.loads(tiny.wrangler("whoami", "--json").output)
    assert [each["id"] for each in shown["accounts"]] == [account.account_id]
    with pytest.raises(PermissionDeniedError, match="10000"):
        sdk(account).r2.buckets.create(account_id=account.account_id, name="files")
    account.set_token_kind("account")
    assert json.loads(tiny.wrangler("whoami", "--json").output)["authType"] == "Account API Token"
    account.drop_permission("account_settings_read")
    assert tiny.wrangler("whoami", "--json").status == 1


def test_resources_are_made_once(account: CloudflareAccount) -> None:
    client, own = sdk(account), account.account_id
    client.r2.buckets.create(account_id=own, name="files")
    with pytest.raises(ConflictError, match="10004"):
        client.r2.buckets.create(account_id=own, name="files")
    with pytest.raises(NotFoundError, match="10006"):
        client.r2.buckets.get("others", account_id=own)
    account.enable_r2(enabled=False)
    with pytest.raises(PermissionDeniedError, match="10042"):
        client.r2.buckets.list(account_id=own)
    with pytest.raises(NotFoundError, match="7404"):
        client.d1.database.get("nothing", account_id=own)
    account.set_subdomain(None)
    with pytest.raises(NotFoundError, match="10007"):
        client.workers.subdomains.get(account_id=own)
    assert client.workers.subdomains.update(account_id=own, subdomain="mine").subdomain == "mine"


def test_ordered_failures_happen(account: CloudflareAccount) -> None:
    client, own = sdk(account), account.account_id
    account.hang_up("POST", "/r2/buckets$", moment="after")
    with pytest.raises(APIConnectionError):
        client.r2.buckets.create(account_id=own, name="files")
    account.fail("GET", "/r2/buckets/files", status=404)
    with pytest.raises(NotFoundError):
        client.r2.buckets.get("files", account_id=own)
    assert client.r2.buckets.get("files", account_id=own).name == "files"
    assert [each["status"] for each in account.requests(path="/r2/")] == [0, 404, 200]

    account.hold("DELETE", "/r2/buckets/files", moment="after")
    with ThreadPoolExecutor() as pool:
        deleting = pool.submit(client.r2.buckets.delete, "files", account_id=own)
        account.wait_until_met()
        until(lambda: client.r2.buckets.list(account_id=own).buckets, lambda buckets: buckets == [])
        assert not deleting.done()
        account.release()
        deleting.result(60)
