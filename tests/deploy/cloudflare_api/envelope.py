"""Cloudflare's envelope: how its REST API wraps results and errors."""

import json
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Document = dict[str, Any]


class ApiError(Exception):
    """A refusal by the API: an HTTP status, Cloudflare's code and its sentence."""

    def __init__(self, status: int, code: int, message: str, chain: list[tuple[int, str]] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.chain = chain or []
        """Causes of the error (`error_chain`), code and message each."""

    def response(self) -> Response:
        error: Document = {"code": self.code, "message": self.message}
        if self.chain:
            error["error_chain"] = [{"code": code, "message": message} for code, message in self.chain]
        body = {"success": False, "errors": [error], "messages": [], "result": None}
        return JSONResponse(body, self.status)


def answer(result: object, status: int = 200, info: Document | None = None) -> Response:
    """A successful response, with `result_info` where a list has pages."""
    body: Document = {"success": True, "errors": [], "messages": [], "result": result}
    return JSONResponse(body | ({"result_info": info} if info else {}), status)


def page(request: Request, items: list[Any], default: int = 20) -> Response:
    """A response with the page of a list that is asked for."""
    shown, info = paged(request, items, default)
    return answer(shown, info=info)


def paged(request: Request, items: list[Any], default: int) -> tuple[list[Any], Document]:
    """The page of a list that `page` and `per_page` ask for, and its `result_info`."""
    number = int(request.query_params.get("page", "1"))
    size = int(request.query_params.get("per_page", default))
    shown = items[(number - 1) * size : number * size]
    return shown, {"page": number, "per_page": size, "count": len(shown), "total_count": len(items)}


async def refused(_: Request, error: Exception) -> Response:
    """Exception handler for ApiError."""
    assert isinstance(error, ApiError)
    return error.response()


async def json_object(request: Request) -> Document:
    """The JSON object of a request. Raises ApiError 10026 for any other body."""
    value = await json_value(request)
    if not isinstance(value, dict):
        raise ApiError(400, 10026, "Could not parse request body.")
    return cast("Document", value)


async def json_value(request: Request) -> object:
    """The JSON of a request. Raises ApiError 10026 if it is none."""
    try:
        return json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise ApiError(400, 10026, "Could not parse request body.") from error
