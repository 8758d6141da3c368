"""`GET /openapi.json`: what this API takes and gives."""

import json
from functools import cache

from aiworker.context import Context
from aiworker.http import Response


async def openapi(_: Context) -> Response:
    return Response(_document(), 200, {"content-type": "application/json"})


@cache
def _document() -> str:
    # its models cost time to import, which no other route should wait for
    from aiworker.openapi import document

    return json.dumps(document(), ensure_ascii=False, separators=(",", ":"))
