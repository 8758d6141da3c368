"""Static assets: upload sessions, the files by their hash, and the list a version serves."""

import base64
import hashlib
import hmac
import json
import time
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api.envelope import ApiError, Document, answer, json_object
from tests.deploy.cloudflare_api.identity import ACCOUNT
from tests.deploy.cloudflare_api.platform import Platform, new_id

FILES_A_BUCKET = 10
SECONDS_VALID = 3600


class Assets:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._files = platform.data / "assets"
        self._files.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{ACCOUNT}/workers/scripts/{{name}}/assets-upload-session", self._start, methods=["POST"]),
            Route(f"{ACCOUNT}/workers/assets/upload", self._upload, methods=["POST"]),
        ]

    async def _start(self, request: Request) -> Response:
        manifest: Document = (await json_object(request))["manifest"]
        session = new_id()
        self._platform.store.put({"manifest": manifest}, "asset-session", session)
        missing = self._missing(manifest)
        buckets = [missing[start : start + FILES_A_BUCKET] for start in range(0, len(missing), FILES_A_BUCKET)]
        return answer({"jwt": self._token(session, is_complete=not missing), "buckets": buckets})

    async def _upload(self, request: Request) -> Response:
        """A bucket of files, base64-encoded, each in a part that is named by its hash."""
        session = self._session(request.headers.get("authorization", "").removeprefix("Bearer "))
        async with request.form() as form:
            for name, part in form.multi_items():
                content = part.encode() if isinstance(part, str) else await part.read()
                (self._files / name).write_bytes(base64.b64decode(content))
        manifest: Document = self._manifest(session)
        if self._missing(manifest):
            return answer({}, 202)
        return answer({"jwt": self._token(session, is_complete=True)}, 201)

    def of_upload(self, metadata: Document, previous: Document | None) -> Document | None:
        """The assets of a version: `files`, path to hash, and `config`. Raises ApiError for a session not complete."""
        sent = metadata.get("assets")
        if sent is None:
            return previous["assets"] if previous and metadata.get("keep_assets") else None
        token = str(sent.get("jwt", ""))
        manifest = self._manifest(self._session(token))
        if not _claims(token).get("complete"):
            raise ApiError(400, 10021, "The asset upload session is not complete.")  # a guess
        files = {path: entry["hash"] for path, entry in manifest.items()}
        return {"files": files, "config": sent.get("config", {})}

    def _missing(self, manifest: Document) -> list[str]:
        return sorted({entry["hash"] for entry in manifest.values() if not (self._files / entry["hash"]).exists()})

    def _manifest(self, session: str) -> Document:
        session_record = self._platform.store.get("asset-session", session)
        if session_record is None:
            raise ApiError(403, 10000, "Authentication error")
        return session_record["manifest"]

    def _token(self, session: str, *, is_complete: bool) -> str:
        claims = {"session": session, "complete": is_complete, "exp": int(time.time()) + SECONDS_VALID}
        signed = ".".join(_encoded(part) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return f"{signed}.{self._signature(signed)}"

    def _session(self, token: str) -> str:
        signed, _, signature = token.rpartition(".")
        if not signed or not hmac.compare_digest(signature, self._signature(signed)):
            raise ApiError(403, 10000, "Authentication error")
        return str(_claims(token)["session"])

    def _signature(self, signed: str) -> str:
        key = self._platform.settings.token.encode()
        return base64.urlsafe_b64encode(hmac.digest(key, signed.encode(), hashlib.sha256)).decode().rstrip("=")


def _encoded(part: Document) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def _claims(token: str) -> Document:
    payload = token.split(".")[1]
    return cast("Document", json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
