"""Errors that AI Gateway itself reports, before or instead of the model's."""

from starlette.responses import JSONResponse, Response

from workers_ai_simulator.errors import NotSimulated, UpstreamError

INVALID_INPUT = 7001
"""Code of the REST API (recorded: "7001: Invalid enum value. Expected …"). That it also refuses the gateway options of
a model call is invented."""
NOT_FOUND = 7002
"""Code by the library behind that API; its sentence "Log not found" is recorded."""
CONFLICT = 7006
"""Invented code: no recording shows the answer when a gateway is created a second time."""
TIMEOUT = 3007
"""Workers AI's own code for a timeout. No recording shows the code of a gateway's."""


class GatewayError(UpstreamError):
    """Error that the `Ai` class throws with the name `AiGatewayError` and the message `<code>: <description>`."""

    def __init__(self, status: int, code: int, description: str) -> None:
        super().__init__(status, code, description, "AiGatewayError")

    def response(self) -> Response:
        """The body that recordings of gateways have, whose list of errors is named `error`, not `errors`."""
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
    """Error 7001: a value in a request is not valid."""
    return GatewayError(400, INVALID_INPUT, reason)


def rate_limited() -> GatewayError:
    """Error 2003: too many calls. Recorded, also that no `Retry-After` comes with it."""
    return GatewayError(429, 2003, "Rate limited")


def unauthorized() -> GatewayError:
    """Error 2009: a call without a token, of a gateway with authentication. Recorded."""
    return GatewayError(401, 2009, "Unauthorized")


def unknown_provider() -> GatewayError:
    """Error 2008: no such provider. The code and the sentence are recorded, the status is not."""
    return GatewayError(400, 2008, "Invalid provider")


def timed_out(milliseconds: int) -> GatewayError:
    """Error 3007: the model did not begin to answer in time."""
    return GatewayError(408, TIMEOUT, f"The model did not begin to answer within {milliseconds} ms")


def not_found(kind: str) -> GatewayError:
    """Error 7002: there is no such gateway, log or body."""
    return GatewayError(404, NOT_FOUND, f"{kind} not found")


def already_exists(kind: str = "gateway", key: str = "id") -> GatewayError:
    """Error 7006: there is a gateway of that id, or a route of that name."""
    return GatewayError(409, CONFLICT, f"A {kind} with this {key} exists already")


def provider_not_simulated(provider: str) -> NotSimulated:
    """Refusal of another provider's own endpoint, with where some of their models answer."""
    return NotSimulated(
        f"The provider {provider}",
        'Models of openai, anthropic, google and xai answer env.AI.run("openai/gpt-5", inputs, {gateway: {id}}), and '
        "the REST API's …/ai/run and …/ai/v1",
    )
