"""Errors of the API as an MCP client gets them: as JSON-RPC errors, and for OAuth's paths as OAuth's own."""

import re

from aiworker.errors import KINDS, ApiError
from aiworker.http.messages import Response, json_response
from aiworker.mcp.protocol import INTERNAL_ERROR, INVALID_REQUEST, RpcError

OAUTH_PATH = re.compile(r"(/.*)?/\.well-known/(oauth-|openid-configuration).*|/(authorize|register|token)")
"""Paths on which clients look for an authorization server after a 401: RFC 8414, RFC 9728, RFC 7591."""


def rpc_error(error: ApiError, request_id: str) -> RpcError:
    """Return the JSON-RPC error for an error of the API, which is its `data`."""
    code = INTERNAL_ERROR if KINDS[error.type].status >= 500 else INVALID_REQUEST
    return RpcError(code, error.message, error.to_json(request_id)["error"])


def rpc_response(error: ApiError, request_id: str) -> Response:
    """Return the response to a message that was refused before it was read: with the status of the API's error."""
    response = error.to_response(request_id)
    return Response(
        json_response(rpc_error(error, request_id).to_json(None)).body, response.status, headers=response.headers
    )


def is_oauth(path: str) -> bool:
    """Tell whether this is a path of OAuth, which this Worker does not support."""
    return OAUTH_PATH.fullmatch(path) is not None


def oauth_response(error: ApiError) -> Response:
    """Return the error in OAuth's form (RFC 6749, section 5.2): clients cannot read another there."""
    description = "This Worker has no OAuth: send an API key in the header authorization: Bearer KEY."
    return json_response({"error": "invalid_request", "error_description": description}, KINDS[error.type].status)
