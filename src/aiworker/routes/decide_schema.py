"""The request and the response of `POST /decide`."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from aiworker.http.body import Reply, Schema
from aiworker.models.decisions import MAX_IMAGES, MAX_QUESTIONS
from aiworker.models.gateway_options import GatewayOptions

Json = str | dict[str, Any] | Annotated[list[Any], Field(fail_fast=True)]
"""A text, or JSON whose names and values are read as one."""
Instructions = (
    Annotated[str, Field(min_length=1)]
    | Annotated[dict[str, Any], Field(min_length=1)]
    | Annotated[list[Any], Field(min_length=1, fail_fast=True)]
)
QuestionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
DATA_URI = re.compile(r"data:image/[a-z+.-]+;base64,")


def check_data_uri(uri: str) -> str:
    """Return the URI. Raises ValueError for one that does not hold an image itself."""
    if not DATA_URI.match(uri[:50]):
        raise ValueError("must be a data URI with the image itself (data:image/png;base64,…), not an address")
    return uri


class ImageFile(Schema):
    content_type: Annotated[str, Field(pattern=r"^image/[a-z+.-]+$")]
    base64: Annotated[str, Field(min_length=1)]


Image = Annotated[str, AfterValidator(check_data_uri)] | ImageFile


class YesOrNo(Schema):
    """A question that is answered with the probability of a yes."""

    type: Literal["noul"]
    instructions: Instructions
    """The question, or what is claimed."""
    criteria: dict[Literal["true", "false"], Any] | None = None
    """Meaning of a yes and of a no."""


class Choice(Schema):
    """A question that is answered with one of several options."""

    type: Literal["choice"]
    instructions: Instructions
    criteria: Annotated[dict[Annotated[str, Field(min_length=1)], Any], Field(min_length=2, max_length=255)]
    """Option → what it means, or null."""


class Score(Schema):
    """A question that is answered with a level."""

    type: Literal["score"]
    instructions: Instructions
    criteria: Annotated[list[Any], Field(min_length=2, max_length=10)]
    """Meaning of each level, from level 0."""


Question = Annotated[YesOrNo | Choice | Score, Field(discriminator="type")]


class DecideRequest(Schema):
    state: Json
    """Subject of the questions: a text, a conversation or any JSON."""
    questions: Annotated[dict[QuestionId, Question], Field(min_length=1, max_length=MAX_QUESTIONS)]
    """Id of each question → the question."""
    images: Annotated[list[Image], Field(max_length=MAX_IMAGES)] | None = None
    """Images that belong to the state: data URIs, or objects with `content_type` and `base64`."""
    model: str | None = None
    """Any decision model of GET /models, or its last part such as `clef`; DECIDE_MODEL if left out."""
    gateway: GatewayOptions | None = None


class DecideUsage(Reply):
    input_tokens: int
    output_tokens: int


class DecideReply(Reply):
    model: str
    """Last part of the model's id."""
    answers: dict[str, dict[str, Any]]
    """Id of each question → `{type, noul}`, `{type, choice, probabilities, confidence}`, or `{type, score, legend,
    probabilities, confidence}`; `{"type": "refusal"}` for one that the model has not answered."""
    usage: DecideUsage
