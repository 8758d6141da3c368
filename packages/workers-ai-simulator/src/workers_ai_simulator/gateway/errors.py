"""Errors as AI Gateway itself reports them, before or instead of the model's."""

from starlette.responses import JSONResponse, Response

from workers_ai_simulator.errors import UpstreamError

INVALID_INPUT = 7001
"""Of the REST API (recorded: "7001: Invalid enum value. Expected …"). That a model call's options are refused with it
too is invented."""
NOT_FOUND = 7002
"""The library behind that API has it so; its sentence "Log not found" is recorded."""
CONFLICT = 7006
"""Invented: what creating a gateway a second time answers was not found."""
TIMEOUT = 3007
"""Invented for a gateway: which code its timeout has was not found, this is Workers AI's own for one."""


class GatewayError(UpstreamError):
    """The `Ai` class throws it as an error named `AiGatewayError`, with the message `<code>: <description>`."""

    def __init__(self, status: int, code: int, description: str) -> None:
        super().__init__(status, code, description, "AiGatewayError")

    def response(self) -> Response:
        """The body that recordings of gateways have; `error`, not `errors`, is no mistake of this file."""
        body = {
            "success": False,
            "result": [],
            "messages": [],
            "error": [{"code": self.code, "message": self.description}],
            "name": self.name,
            "httpCode": self.status,
            "internalCode": self.code,
            "message": self.description,
            "description": self.description,
        }
        return JSONResponse(body, self.status, self.headers)


def invalid(reason: str) -> GatewayError:
    return GatewayError(400, INVALID_INPUT, reason)


def rate_limited() -> GatewayError:
    """Recorded, as is that no `Retry-After` comes with it."""
    return GatewayError(429, 2003, "Rate limited")


def unauthorized() -> GatewayError:
    """Recorded of a gateway with authentication that gets no token."""
    return GatewayError(401, 2009, "Unauthorized")


def unknown_provider() -> GatewayError:
    """The code and its sentence are recorded, its status is not."""
    return GatewayError(400, 2008, "Invalid provider")


def timed_out(milliseconds: int) -> GatewayError:
    return GatewayError(408, TIMEOUT, f"The model did not begin to answer within {milliseconds} ms")


def not_found(what: str) -> GatewayError:
    return GatewayError(404, NOT_FOUND, f"{what} not found")
