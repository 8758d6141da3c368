"""`POST /v1/embeddings`. The numbers stay in JavaScript, as JSON text or as base64."""

import json
from collections.abc import Iterable
from typing import Annotated, Literal, cast

from pydantic import Discriminator, Field, Tag

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import parse_object
from aiworker.http.messages import JsHandle, Response
from aiworker.models import cl100k
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_response import joined_response
from aiworker.routes import embed
from aiworker.routes.embed import EmbedRequest, Text
from aiworker.routes.openai import models
from aiworker.routes.openai.fields import JSON_REPLY, Ignored, OpenAIRequest
from aiworker.routing import MODEL_ERRORS, route

MAX_TOKENS = 8_192
"""Tokens of one text. Source: OpenAI's reference, as for the next."""
MAX_INPUTS = 2_048
"""Texts in one request."""

Tokens = Annotated[list[int], Field(min_length=1, max_length=MAX_TOKENS, fail_fast=True)]
"""One text as tokens of the encoding cl100k_base."""


def _kind(value: object) -> str:
    """Return the tag of an input. A list's first item decides, so that an error names the items that differ from it."""
    if not isinstance(value, list):
        return "str"
    match next(iter(cast("list[object]", value)), None):
        case int() | float():
            return "list[int]"
        case list():
            return "list[list[int]]"
        case _:
            return "list[str]"


Input = Annotated[
    Annotated[Text, Tag("str")]
    | Annotated[list[Text], Field(min_length=1, fail_fast=True), Tag("list[str]")]
    | Annotated[Tokens, Tag("list[int]")]
    | Annotated[list[Tokens], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True), Tag("list[list[int]]")],
    Discriminator(_kind),
]
"""One text or many, each as text or as tokens."""


class EmbeddingsRequest(OpenAIRequest):
    model: Annotated[str, Field(min_length=1)]
    input: Input
    encoding_format: Literal["float", "base64"] | None = None
    """float if left out."""
    dimensions: Annotated[int | None, Field(ge=1)] = None
    """The model's own number of dimensions, the only value accepted."""
    gateway: GatewayOptions | None = None
    """This Worker's own parameter, as in `POST /embed`."""
    user: Ignored = None

    def by_field(self) -> dict[str, str | list[int]]:
        """Return each text, or its tokens, under its field's name: `input`, or `input.3` in a list."""
        match self.input:
            case [str() | list(), *_] as many:
                return {f"input.{number}": each for number, each in enumerate(many)}
            case one:
                return {"input": cast("str | list[int]", one)}


@route(
    "POST", "/v1/embeddings", scope="embed", rate="model", tag="OpenAI",
    body=EmbeddingsRequest,
    returns=JSON_REPLY, errors=(*MODEL_ERRORS, "unprocessable"),
    example={"model": "text-embedding-3-small", "input": "a red fox"},
)  # fmt: skip
async def openai_embeddings(context: Context, body: EmbeddingsRequest) -> Response:
    """Embed texts, for OpenAI's clients.

    docs/openai.md describes what becomes of each parameter.
    """
    model = models.find(context, body.model, "embeddings")
    _check(body, model)
    texts = await _texts(context, body)
    to_embed = parse_object(EmbedRequest, {"text": list(texts.values()), "gateway": body.gateway})
    try:
        batches, usage = await embed.embed_texts(context, to_embed, model)
    except ApiError as error:
        raise _renamed(error, list(texts)) from None
    if body.encoding_format == "base64":
        vectors = [vector for batch in batches for vector in await batch.to_base64()]
        content = _content(vectors, model, usage["prompt_tokens"], '"')
    else:
        content = _content((vector for batch in batches for vector in batch.split()), model, usage["prompt_tokens"])
    return joined_response([batch.answer for batch in batches], content, usage["neurons"])


def _check(body: EmbeddingsRequest, model: Model) -> None:
    """Raises ApiError `invalid_request` for dimensions that the model does not have."""
    if body.dimensions not in (None, model.dimensions):
        raise ApiError(
            "invalid_request",
            f"dimensions must be {model.dimensions}, or left out: {model.id} makes no others.",
            param="dimensions",
        )


async def _texts(context: Context, body: EmbeddingsRequest) -> dict[str, str]:
    """Return field → text of `input`, with tokens decoded.

    Raises ApiError `payload_too_large` for tokens of more than MAX_BODY_BYTES of text: a short body may hold tokens of
    128 spaces each.
    """
    inputs = body.by_field()
    texts = {field: each for field, each in inputs.items() if isinstance(each, str)}
    if len(texts) == len(inputs):
        return texts
    table, limit = await cl100k.load(context.assets), context.settings.max_body_bytes
    if sum(table.size(each, field) for field, each in inputs.items() if isinstance(each, list)) > limit:
        raise ApiError("payload_too_large", f"input must stand for at most {limit:,} bytes of text.", param="input")
    return {field: each if isinstance(each, str) else table.decode(each) for field, each in inputs.items()}


def _renamed(error: ApiError, fields: list[str]) -> ApiError:
    """Return an error of `POST /embed` with this route's name of the field, `input` for `text`."""
    if error.param and error.param.startswith("text"):
        _, _, number = error.param.partition(".")
        error.param = fields[int(number)] if number else "input"
        error.message = error.message.replace("text must", "input must")
    return error


def _content(vectors: Iterable[JsHandle], model: Model, tokens: int, quote: str = "") -> list[str | JsHandle]:
    """Return the parts of the response's body: JSON text around the vectors, which stay in JavaScript.

    quote: put around each vector, which base64 needs.
    """
    parts: list[str | JsHandle] = ['{"object":"list","data":[']
    for number, vector in enumerate(vectors):
        comma = "," if number else ""
        parts += [f'{comma}{{"object":"embedding","index":{number},"embedding":{quote}', vector, f"{quote}}}"]
    rest = {"model": model.id, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return [*parts, f"],{json.dumps(rest)[1:]}"]
