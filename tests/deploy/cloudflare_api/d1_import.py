"""The import of an SQL file into D1, in the steps that `wrangler d1 execute --file` takes."""

import hashlib
import time
from pathlib import Path

from starlette.responses import Response

from tests.deploy.cloudflare_api import sql
from tests.deploy.cloudflare_api.envelope import ApiError, Document


def step(data: Path, database: Path, body: Document, base_url: str) -> Document:
    """The answer to one step: where to upload the file, or, once it is there, that all of it has been run.

    Raises ApiError 7500 if its SQL fails.
    """
    if body.get("action") == "init":
        name = f"{body['etag']}.sql"
        return {"success": True, "upload_url": f"{base_url}uploads/{name}", "filename": name}
    if body.get("action") != "ingest":
        raise ApiError(400, 7500, f"not simulated: the import action {body.get('action')!r}")
    start = time.perf_counter()
    statements = sql.split(file(data, str(body["filename"])).read_text(), [])
    results = sql.run(database, statements)
    meta: Document = dict(results[-1]["meta"]) | {"duration": (time.perf_counter() - start) * 1000}
    result = {"num_queries": len(statements), "final_bookmark": "0", "meta": meta}
    return {"success": True, "type": "import", "status": "complete", "messages": [], "result": result}


def keep(data: Path, name: str, content: bytes) -> Response:
    """Keep an uploaded file; the answer's etag is its MD5, which wrangler compares."""
    kept = file(data, name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content)
    return Response(headers={"etag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'})


def file(data: Path, name: str) -> Path:
    """Where an uploaded file of this name is kept."""
    return data / "uploads" / Path(name).name
