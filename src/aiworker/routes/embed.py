"""`POST /embed` and `POST /rerank`."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, cast

from pydantic import Discriminator, Field, Tag, field_validator

from aiworker.auth import limits
from aiworker.bindings import Inputs
from aiworker.context import Context
from aiworker.errors import UNUSABLE_INPUT, ApiError
from aiworker.http.body import Reply, Schema
from aiworker.http.messages import JsHandle, Response
from aiworker.models import token_counts, vectors
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_call import Candidate, ModelCall, run_all
from aiworker.models.model_response import ModelResponse, joined_response, record_cost
from aiworker.models.ranking import ranking
from aiworker.models.selection import find_model
from aiworker.models.vectors import Vectors
from aiworker.routing import MODEL_ERRORS, Returns, route

MAX_NUMBERS = 2_000_000
"""Numbers in one response: about 40 MB of digits, held in memory beside Python in the 128 MB of an isolate."""

Text = Annotated[str, Field(min_length=1)]


def _kind(value: object) -> str:
    return "list[str]" if isinstance(value, list) else "str"


Texts = Annotated[
    Annotated[Text, Tag("str")] | Annotated[list[Text], Field(min_length=1, fail_fast=True), Tag("list[str]")],
    Discriminator(_kind),
]
"""One text or many. The tags are the names pydantic gives to the branches of a union, so that an error names the text
as `text.3`."""


def as_list(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


class EmbedRequest(Schema):
    text: Texts
    """One text, or a list of texts."""
    model: str | None = None
    """Any embeddings model of GET /models; EMBED_MODEL if left out."""
    pooling: Literal["mean", "cls"] | None = None
    """How token vectors become the text's vector, for models that offer a choice."""
    gateway: GatewayOptions | None = None


class RerankRequest(Schema):
    query: Text
    contexts: Annotated[list[Text], Field(min_length=1, fail_fast=True)]
    """The texts to rank: strings, or objects with a `text`, which is Workers AI's form."""
    top_k: Annotated[int | None, Field(ge=1)] = None
    """Number of results, the best ones; all if left out."""
    model: str | None = None
    """Any reranking model of GET /models; RERANK_MODEL if left out."""
    gateway: GatewayOptions | None = None

    @field_validator("contexts", mode="before")
    @classmethod
    def _plain_texts(cls, contexts: Any) -> Any:
        if not isinstance(contexts, list):
            return contexts
        return [_plain_text(each) for each in cast("list[Any]", contexts)]


def _plain_text(context: Any) -> Any:
    match context:
        case {"text": text, **others} if not others:
            return text
        case _:
            return context


class EmbedUsage(Reply):
    prompt_tokens: int
    neurons: float | None
    estimated: bool
    """True if the tokens are estimated: most models do not report them."""


class Embeddings(Reply):
    shape: list[int] = Field(min_length=2, max_length=2)
    """Number of vectors, and dimensions of each."""
    data: list[list[float]]
    usage: EmbedUsage


class Rank(Reply):
    id: int
    """Index of the text in `contexts`, from 0."""
    score: float


class Ranking(Reply):
    response: list[Rank]


# ---- POST /embed -------------------------------------------------------------------------------------------------


@route(
    "POST", "/embed", scope="embed", rate="model", tag="Text",
    body=EmbedRequest, returns=Returns(Embeddings, "The vectors."), errors=MODEL_ERRORS,
    example={"text": ["A stream of frames", "A river of ice"]},
)  # fmt: skip
async def embed(context: Context, body: EmbedRequest) -> Response:
    """Embed texts.

    One vector per text, in order.
    """
    model = find_model(context, body.model or context.settings.models["EMBED_MODEL"], "embeddings")
    batches, usage = await embed_texts(context, body, model)
    return joined_response([batch.answer for batch in batches], _content(batches, usage), usage["neurons"])


async def embed_texts(context: Context, body: EmbedRequest, model: Model) -> tuple[list[Vectors], dict[str, Any]]:
    """Return the vectors, one batch of texts per model call, and the response's `usage`.

    Raises ApiError for texts that are too many, too long, or not what the model takes.
    """
    texts = as_list(body.text)
    limits.check_count(context, texts, "text")
    _check(body, model, texts)
    pooling = {"pooling": body.pooling} if body.pooling else {}
    batches = list(_batches(model, texts))
    calls = [Candidate(model, Inputs({"text": batch, **pooling})) for batch in batches]
    try:
        embedded = await run_all(context, calls, vectors.read, body.gateway)
    except ApiError as error:
        raise _as_too_long(error) from None
    _check_counts(embedded, batches)
    return embedded, _usage(embedded, texts)


def _check(body: EmbedRequest, model: Model, texts: list[str]) -> None:
    """Raises ApiError for what the model does not take, before it is called."""
    if body.pooling and body.pooling not in model.pooling:
        raise ApiError("invalid_request", f"{model.id} does not take pooling.", param="pooling")
    if len(texts) * (model.dimensions or 1) > MAX_NUMBERS:
        limit = MAX_NUMBERS // (model.dimensions or 1)
        raise ApiError(
            "invalid_request",
            f"text must have at most {limit:,} items for {model.id}, whose vectors have {model.dimensions} dimensions.",
            param="text",
        )
    limit = model.longest_text or model.context_window
    if not limit or token_counts.upper_bound(max(map(len, texts))) <= limit:
        return
    for number, text in enumerate(texts):
        if token_counts.lower_bound(text) > limit:
            raise ApiError(
                "context_exceeded",
                f"A text has at least {token_counts.lower_bound(text):,} tokens: {model.id} takes {limit:,}.",
                param="text" if isinstance(body.text, str) else f"text.{number}",
            )


def _batches(model: Model, texts: list[str]) -> Iterator[list[str]]:
    """Yield the texts in order, as many at a time as the model takes in one call."""
    budget = _token_budget(model)
    if len(texts) <= model.texts_a_call and token_counts.upper_bound(sum(map(len, texts)), len(texts)) <= budget:
        yield texts
        return
    batch: list[str] = []
    for text in texts:
        count = max(token_counts.estimate_text(text), token_counts.lower_bound(text))
        budget -= count
        if batch and (len(batch) == model.texts_a_call or budget < 0):
            yield batch
            batch, budget = [], _token_budget(model) - count
        batch.append(text)
    yield batch


def _token_budget(model: Model) -> float:
    """Return the tokens for one call: half of the window that its texts share, because token counts are estimates."""
    window = model.context_window
    # a window as wide as one text applies to each text, not to the call
    return window / 2 if window and window != model.longest_text else float("inf")


def _as_too_long(error: ApiError) -> ApiError:
    """Return the error as `context_exceeded` if the model refuses a text because of its length.

    The messages are "Sequence too long: 9001 > 8192", or "Max context reached 85920 tokens but model supports only
    60000". Source: responses recorded by public projects.
    """
    if error.upstream_code != UNUSABLE_INPUT:
        return error
    return ApiError(
        "context_exceeded", error.message, param="text", upstream_code=error.upstream_code, headers=error.headers
    )


def _check_counts(embedded: list[Vectors], batches: list[list[str]]) -> None:
    """Raises ApiError `upstream_error` unless every text has one vector and all have the same dimensions."""
    for each, batch in zip(embedded, batches, strict=True):
        if each.count != len(batch) or each.dimensions != embedded[0].dimensions:
            raise ApiError(
                "upstream_error",
                f"{each.answer.model.id} returned {each.count} vectors of {each.dimensions} numbers "
                f"for {len(batch)} texts.",
            )


def _usage(embedded: list[Vectors], texts: list[str]) -> dict[str, Any]:
    """Return tokens and cost as the model reports them, else an estimate."""
    counted = [count for each in embedded if (count := _prompt_tokens(each)) is not None]
    is_counted = len(counted) == len(embedded)
    prompt_tokens = sum(counted) if is_counted else sum(map(token_counts.estimate_text, texts))
    neurons = record_cost([each.answer for each in embedded], {"prompt_tokens": prompt_tokens})
    return {"prompt_tokens": prompt_tokens, "neurons": neurons, "estimated": not is_counted}


def _prompt_tokens(embedded: Vectors) -> int | None:
    match embedded.extra:
        case {"usage": {"prompt_tokens": int(count)}}:
            return count
        case _:
            return None


def _content(embedded: list[Vectors], usage: dict[str, Any]) -> list[str | JsHandle]:
    """Return the parts of `{shape, data, pooling?, usage}`: JSON text around the vectors, which stay in JavaScript."""
    count = sum(each.count for each in embedded)
    first = embedded[0]
    parts: list[str | JsHandle] = [f'{{"shape":[{count},{first.dimensions}],"data":[']
    for number, each in enumerate(embedded):
        parts += [",", each.rows] if number else [each.rows]
    rest = {**({"pooling": first.extra["pooling"]} if "pooling" in first.extra else {}), "usage": usage}
    return [*parts, "]," + json.dumps(rest, separators=(",", ":"))[1:]]


# ---- POST /rerank ------------------------------------------------------------------------------------------------


@route(
    "POST", "/rerank", scope="embed", rate="model", tag="Text",
    body=RerankRequest, returns=Returns(Ranking, "The ranking."), errors=MODEL_ERRORS,
    example={"query": "Where do penguins live?", "contexts": ["Penguins live in the south.", "Bears eat honey."]},
)  # fmt: skip
async def rerank(context: Context, body: RerankRequest) -> Response:
    """Rank texts by their relevance to a query.

    Returns every text's index and score, the best first.
    """
    model = find_model(context, body.model or context.settings.models["RERANK_MODEL"], "reranking")
    limits.check_count(context, body.contexts, "contexts")
    ranked = await rank(context, body, model)
    content = json.dumps({"response": ranked.ranks}, separators=(",", ":"))
    return joined_response([ranked.answer], content, ranked.neurons)


class Ranked(NamedTuple):
    """A reranker's answer."""

    answer: ModelResponse
    ranks: list[dict[str, Any]]
    """`id` (index of a text, from 0) and `score` of each, the best first."""
    tokens: int
    """Estimated tokens that the model has read."""
    neurons: float | None


async def rank(context: Context, body: RerankRequest, model: Model) -> Ranked:
    """Rank the texts of a request, and record the cost. Raises ApiError as ModelCall and `ranking` do."""
    inputs: dict[str, Any] = {"query": body.query, "contexts": [{"text": text} for text in body.contexts]}
    if body.top_k:
        inputs["top_k"] = body.top_k
    response = await ModelCall(context, [Candidate(model, Inputs(inputs))], body.gateway).run()
    ranks = await ranking(response, len(body.contexts))
    # the model reads the query once per text
    query_tokens = len(body.contexts) * token_counts.estimate_text(body.query)
    tokens = sum(map(token_counts.estimate_text, body.contexts)) + query_tokens
    return Ranked(response, ranks, tokens, record_cost([response], {"prompt_tokens": tokens}))
