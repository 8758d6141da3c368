"""One upload of a Worker: its metadata and modules, read from the multipart form that wrangler sends."""

import ast
import gzip
import json
from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from tests.deploy.cloudflare_api.envelope import ApiError, Document
from tests.deploy.cloudflare_api.settings import Plan

MEBIBYTE = 2**20
MAX_COMPRESSED: dict[Plan, int] = {"free": 3 * MEBIBYTE, "paid": 10 * MEBIBYTE}
"""Bytes of the gzipped modules: https://developers.cloudflare.com/workers/platform/limits/#worker-size"""
DOCUMENTATION = "https://developers.cloudflare.com/workers/observability/errors/#errors-on-worker-upload"
MAX_PARTS = 10_000
MAX_FIELD_BYTES = 16 * MEBIBYTE


@dataclass(frozen=True)
class Upload:
    metadata: Document
    modules: dict[str, bytes] = field(repr=False)
    """By the name under which they are imported, a path with slashes."""

    @property
    def main(self) -> str:
        return str(self.metadata.get("main_module") or self.metadata.get("body_part") or "")


async def read(request: Request) -> Upload:
    """The upload that a request carries. Raises ApiError 10026 if it is not such a form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ApiError(400, 10026, "Could not parse request body.")
    modules: dict[str, bytes] = {}
    metadata: Document | None = None
    async with request.form(max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=MAX_FIELD_BYTES) as form:
        for name, part in form.multi_items():
            content = part.encode() if isinstance(part, str) else await part.read()
            if name == "metadata":
                metadata = cast("Document", json.loads(content))
            else:
                modules[name] = content
    if metadata is None:
        raise ApiError(400, 10026, "Could not parse request body.")
    return Upload(metadata, modules)


def check(upload: Upload, plan: Plan) -> None:
    """Refuse what Cloudflare refuses before it starts the Worker.

    Raises ApiError 10027 above the plan's size limit, 10021 for code that cannot be loaded.
    """
    size, limit = len(gzip.compress(b"".join(upload.modules.values()), mtime=0)), MAX_COMPRESSED[plan]
    if size > limit:
        message = f"Your Worker exceeded the size limit of {limit // MEBIBYTE} MiB. Refer to the Workers documentation"
        raise ApiError(413, 10027, f"{message} ({DOCUMENTATION}) for more details.")
    if upload.main not in upload.modules:
        raise ApiError(400, 10021, f'Uncaught Error: No such module "{upload.main}".')
    for name, content in upload.modules.items():
        if name.endswith(".py") and not name.startswith("python_modules/"):
            _check_python(name, content)


def _check_python(name: str, content: bytes) -> None:
    try:
        ast.parse(content, name)
    except (SyntaxError, ValueError) as error:
        # the sentence is a guess; Cloudflare imports the module and quotes Python's own traceback
        message = f"Uncaught PythonError: Traceback (most recent call last):\n  {type(error).__name__}: {error}"
        raise ApiError(400, 10021, message) from error
