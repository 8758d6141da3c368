"""Scripts, their versions and deployments: what an upload, a rollback or a new secret changes."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tests.deploy.cloudflare_api import bindings, classes, uploads
from tests.deploy.cloudflare_api.assets import Assets
from tests.deploy.cloudflare_api.envelope import ApiError, Document
from tests.deploy.cloudflare_api.identity import USER
from tests.deploy.cloudflare_api.platform import Platform, new_id, now
from tests.deploy.cloudflare_api.uploads import Upload

Traffic = Mapping[str, float]
"""Version id → percentage."""
Source = Literal["wrangler", "api"]


class WorkerStore:
    def __init__(self, platform: Platform, assets: Assets) -> None:
        self._platform = platform
        self._store = platform.store
        self._assets = assets

    # ---- reading ---------------------------------------------------------------------------------

    def script(self, account: str, name: str) -> Document:
        """Raises ApiError 10007 for a script that does not exist."""
        script = self._store.get("script", account, name)
        if script is None:
            raise ApiError(404, 10007, "This Worker does not exist on your account.")
        return script

    def scripts(self, account: str) -> list[Document]:
        return self._store.list("script", account)

    def versions(self, account: str, name: str) -> list[Document]:
        """Newest first."""
        self.script(account, name)
        return self._store.list("version", account, name)[::-1]

    def version(self, account: str, name: str, version: str) -> Document:
        """Raises ApiError 10007 for an unknown script, 10222 (a guess) for an unknown version."""
        self.script(account, name)
        stored = self._store.get("version", account, name, version)
        if stored is None:
            raise ApiError(404, 10222, "Version not found.")
        return stored

    def deployments(self, account: str, name: str) -> list[Document]:
        """Newest first; the first is the active one."""
        self.script(account, name)
        return self._store.list("deployment", account, name)[::-1]

    def active(self, account: str, name: str) -> Document:
        """The version that has most of the traffic."""
        parts = self.deployments(account, name)[0]["versions"]
        return self.version(account, name, max(parts, key=lambda part: part["percentage"])["version_id"])

    # ---- changing --------------------------------------------------------------------------------

    def upload(self, account: str, name: str, upload: Upload, *, deploys: bool) -> Document:
        """Make a version of an upload, and the script if it is new; with `deploys` it gets all traffic at once.

        Raises ApiError for what Cloudflare refuses; nothing has changed then.
        """
        uploads.check(upload, self._platform.settings.plan)
        script = self._store.get("script", account, name)
        made, tag = classes.migrated(script, upload.metadata.get("migrations"), self._platform.settings.plan)
        previous = self._store.list("version", account, name)
        complete = bindings.complete(upload.metadata, previous[-1]["bindings"] if previous else [])
        bindings.check(complete, self._platform, account, name, made)
        files = self._assets.of_upload(upload.metadata, previous[-1] if previous else None)
        script = script or {"name": name, "created_on": now(), "tag": new_id().replace("-", ""), "tags": []}
        script |= {"classes": made, "migration_tag": tag, "modified_on": now()}
        self._store.put(script, "script", account, name)
        version = self._new_version(account, name, upload, complete, files)
        if deploys:
            self.deploy(account, name, {version["id"]: 100}, upload.metadata.get("annotations", {}))
        return version

    def _new_version(
        self, account: str, name: str, upload: Upload, complete: list[Document], files: Document | None
    ) -> Document:
        version = new_id()
        _write_modules(self._platform.data / "modules" / version, upload.modules)
        metadata = upload.metadata
        return self._keep(
            account,
            name,
            {
                "id": version,
                "modules": version,
                "main": upload.main,
                "annotations": metadata.get("annotations", {}),
                "bindings": complete,
                "assets": files,
                "compatibility_date": metadata.get("compatibility_date", "2021-11-02"),
                "compatibility_flags": metadata.get("compatibility_flags", []),
                "etag": hashlib.sha256(b"".join(upload.modules.values())).hexdigest(),
            },
        )

    def _keep(self, account: str, name: str, version: Document) -> Document:
        made = {"number": len(self._store.list("version", account, name)) + 1, "created_on": now()}
        return self._store.put(version | made, "version", account, name, version["id"])

    def deploy(
        self, account: str, name: str, traffic: Traffic, annotations: Document, *, force: bool = False
    ) -> Document:
        """Give versions the traffic. Raises ApiError 10220 if it brings back old secrets and is not forced."""
        versions = [self.version(account, name, version) for version in traffic]
        if not force and self.deployments(account, name):
            self._check_secrets(account, name, versions)
        deployment: Document = {
            "id": new_id(),
            "source": "wrangler",
            "strategy": "percentage",
            "author_email": USER["email"],
            "created_on": now(),
            "annotations": {key: value for key, value in annotations.items() if value is not None},
            "versions": [{"version_id": version, "percentage": share} for version, share in traffic.items()],
        }
        self._store.put(deployment, "deployment", account, name, deployment["id"])
        self._platform.edge.activate(account, name)
        return deployment

    def _check_secrets(self, account: str, name: str, versions: list[Document]) -> None:
        active = self.active(account, name)
        current = bindings.secrets(active["bindings"])
        changed: set[str] = set()
        for version in versions:
            if version["number"] < active["number"]:
                changed |= {name for name, _ in current.items() ^ bindings.secrets(version["bindings"]).items()}
        if changed:
            # wrangler cuts the names out behind this sentence; what stands before it is a guess
            message = "Cannot deploy this version. The following secrets have changed:"
            raise ApiError(400, 10220, f"{message} {', '.join(sorted(changed))}")

    def change_secrets(self, account: str, name: str, values: Mapping[str, str | None]) -> None:
        """Make and deploy a version with these secrets; None deletes one.

        Raises ApiError 10215 if the latest version is not the deployed one.
        """
        latest = self.versions(account, name)[0]
        if latest["id"] not in {part["version_id"] for part in self.deployments(account, name)[0]["versions"]}:
            message = "Secret edit failed. You attempted to modify a secret, but the latest version of your Worker"
            raise ApiError(400, 10215, f"{message} isn't currently deployed.")
        version = self.with_secrets(account, name, values, {})
        self.deploy(account, name, {version["id"]: 100}, {"workers/triggered_by": "secret"}, force=True)

    def with_secrets(
        self, account: str, name: str, values: Mapping[str, str | None], annotations: Document
    ) -> Document:
        """Make a version that is the latest but for these secrets, without deploying it."""
        latest = self.versions(account, name)[0]
        kept = [each for each in latest["bindings"] if each["name"] not in values]
        added = [
            {"name": secret, "type": bindings.SECRET, "text": text}
            for secret, text in values.items()
            if text is not None
        ]
        changes: Document = {"id": new_id(), "bindings": kept + added, "annotations": annotations}
        return self._keep(account, name, latest | changes)

    def change_script(self, account: str, name: str, changes: Document) -> Document:
        return self._store.put(self.script(account, name) | changes, "script", account, name)

    def delete(self, account: str, name: str) -> None:
        self.script(account, name)
        for kind in ("script", "version", "deployment", "schedules"):
            self._store.delete(kind, account, name)
        self._platform.edge.deactivate(account, name)


def _write_modules(folder: Path, modules: Mapping[str, bytes]) -> None:
    for name, content in modules.items():
        file = (folder / name).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise ApiError(400, 10021, f"The module name {name!r} leaves its folder.")  # a guess
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
