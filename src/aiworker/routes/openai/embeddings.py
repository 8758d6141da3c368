"""`POST /v1/embeddings`. The numbers stay in JavaScript, as JSON text or as base64."""

import json
from collections.abc import Iterable

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import parse_object
from aiworker.http.messages import JsHandle, Response
from aiworker.models import cl100k
from aiworker.models.catalogue import Model
from aiworker.models.model_response import joined_response
from aiworker.routes import embed
from aiworker.routes.embed import EmbedRequest
from aiworker.routes.openai import models
from aiworker.routes.openai.embeddings_schema import EmbeddingsRequest
from aiworker.routes.openai.fields import JSON_REPLY
from aiworker.routing import MODEL_ERRORS, route


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
        found, usage = await embed.embed_texts(context, to_embed, model)
    except ApiError as error:
        raise _named(error, list(texts)) from None
    if body.encoding_format == "base64":
        vectors = [vector for each in found for vector in await each.to_base64()]
        content = _body(vectors, model, usage["prompt_tokens"], '"')
    else:
        content = _body((vector for each in found for vector in each.split()), model, usage["prompt_tokens"])
    return joined_response([each.answer for each in found], content, usage["neurons"])


def _check(body: EmbeddingsRequest, model: Model) -> None:
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


def _named(error: ApiError, fields: list[str]) -> ApiError:
    """What `POST /embed` calls `text` is here `input`."""
    if error.param and error.param.startswith("text"):
        _, _, number = error.param.partition(".")
        error.param = fields[int(number)] if number else "input"
        error.message = error.message.replace("text must", "input must")
    return error


def _body(vectors: Iterable[JsHandle], model: Model, tokens: int, quote: str = "") -> list[str | JsHandle]:
    parts: list[str | JsHandle] = ['{"object":"list","data":[']
    for number, vector in enumerate(vectors):
        comma = "," if number else ""
        parts += [f'{comma}{{"object":"embedding","index":{number},"embedding":{quote}', vector, f"{quote}}}"]
    rest = {"model": model.id, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return [*parts, f"],{json.dumps(rest)[1:]}"]
