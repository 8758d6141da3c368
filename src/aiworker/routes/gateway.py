"""`GET /logs/{log_id}` and `POST /feedback`: AI Gateway's log of a call, and ratings of it."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator, model_validator

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import JSON, Reply, Schema, parse_json
from aiworker.http.messages import Response, json_response
from aiworker.models.gateway_options import Metadata
from aiworker.routing import Returns, route

LogId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""A log's id, with the signature that binds it to a tenant; safe as a part of a URL's path."""


class GatewayLog(Reply):
    id: str
    provider: str
    model: str
    success: bool


class FeedbackRequest(Schema):
    """A rating: each field that is present replaces that of the log; null removes it."""

    log_id: LogId
    """`x-gateway-log-id` of the rated response."""
    feedback: int | None = None
    """1: good, -1: bad."""
    score: Annotated[float | None, Field(ge=0, le=100)] = None
    metadata: Metadata | None = None

    @field_validator("feedback")
    @classmethod
    def _check_feedback(cls, feedback: int | None) -> int | None:
        if feedback not in (None, 1, -1):
            raise ValueError("must be 1, -1 or null")
        return feedback

    @model_validator(mode="after")
    def _check_rating(self) -> "FeedbackRequest":
        if not self.model_fields_set & {"feedback", "score", "metadata"}:
            raise ValueError("Give feedback, score or metadata")
        return self

    def rating(self) -> dict[str, Any]:
        """Return the argument of the gateway's `patchLog`."""
        return self.model_dump(include=self.model_fields_set - {"log_id"})


@route(
    "GET", "/logs/{log_id}", scope="admin", rate="read", tag="AI Gateway",
    returns=Returns(GatewayLog, "The log."), errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def read_log(context: Context, log_id: str) -> Response:
    """Read the gateway's log of a call.

    The id is the response's `x-gateway-log-id`.
    """
    log = await context.ai.gateway_log(_gateway(context), context.own_log_id(log_id))
    response = json_response(log)
    response.headers["cache-control"] = "no-store"  # a rating changes it
    return response


@route(
    "POST", "/feedback", scope="feedback", rate="read", tag="AI Gateway",
    body={JSON: FeedbackRequest}, returns=Returns(status=204, description="The rating is stored."),
    errors=("not_found", "upstream_error"),
)  # fmt: skip
async def feedback(context: Context) -> Response:
    """Rate a logged response.

    At least one of `feedback`, `score` and `metadata`. The response must be one of the caller's tenant.
    """
    gateway = _gateway(context)
    body = await parse_json(FeedbackRequest, context.request, context.settings.max_body_bytes)
    await context.ai.rate_log(gateway, context.own_log_id(body.log_id), body.rating())
    return Response(status=204)


def _gateway(context: Context) -> str:
    """Raises ApiError `not_configured` if the Worker has none."""
    if context.settings.gateway_id is None:
        raise ApiError(
            "not_configured", "This Worker has no AI Gateway, which keeps the logs: set its variable GATEWAY_ID."
        )
    return context.settings.gateway_id
