"""`POST /v1/rerank`, in the form that Jina's and Cohere's clients speak."""

import json
from typing import Annotated, Any, cast

from pydantic import Field, field_validator

from aiworker.auth import limits
from aiworker.context import Context
from aiworker.http.body import Reply
from aiworker.http.messages import Response
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_response import joined_response
from aiworker.routes import embed
from aiworker.routes.embed import RerankRequest, Text
from aiworker.routes.openai import models
from aiworker.routes.openai.fields import Ignored, IgnoredUnless, OpenAIRequest
from aiworker.routing import MODEL_ERRORS, Returns, route


class RankRequest(OpenAIRequest):
    query: Text
    documents: Annotated[list[Text], Field(min_length=1, fail_fast=True)]
    """The texts to rank: strings, or objects with a `text`."""
    model: Annotated[str | None, Field(min_length=1)] = None
    """A reranking model of GET /models, or an alias; RERANK_MODEL if left out."""
    top_n: Annotated[int | None, Field(ge=1)] = None
    """Number of results, the best ones; all if left out."""
    return_documents: bool = False
    """Repeat each document in its result."""
    max_chunks_per_doc: Annotated[Any, IgnoredUnless()] = None
    max_tokens_per_doc: Annotated[Any, IgnoredUnless()] = None
    rank_fields: Annotated[Any, IgnoredUnless(["text"])] = None
    priority: Ignored = None
    truncation: Ignored = None
    gateway: GatewayOptions | None = None
    """This Worker's own parameter, as in `POST /rerank`."""

    @field_validator("documents", mode="before")
    @classmethod
    def _plain_texts(cls, documents: Any) -> Any:
        """Take the text of each object, whose other members have no effect."""
        if not isinstance(documents, list):
            return documents
        return [_text_of(each) for each in cast("list[Any]", documents)]


def _text_of(document: Any) -> Any:
    match document:
        case {"text": text}:
            return text
        case _:
            return document


class RankResult(Reply):
    index: int
    """Index of the document, from 0."""
    relevance_score: float
    """From 0 to 1."""
    document: dict[str, str] | None = None
    """Present with `return_documents`."""


class RankResults(Reply):
    id: str
    model: str
    results: list[RankResult]
    """The best first."""
    usage: dict[str, int]
    """`total_tokens`, estimated."""


@route(
    "POST", "/v1/rerank", scope="embed", rate="model", tag="OpenAI",
    body=RankRequest, returns=Returns(RankResults, "The ranking."), errors=MODEL_ERRORS,
    example={"query": "Where do penguins live?", "documents": ["Penguins live in the south.", "Bears eat honey."]},
)  # fmt: skip
async def openai_rerank(context: Context, body: RankRequest) -> Response:
    """Rank documents by their relevance to a query, for clients of Jina and Cohere.

    docs/openai.md describes what becomes of each parameter.
    """
    model = models.find(context, body.model or context.settings.models["RERANK_MODEL"], "reranking")
    limits.check_count(context, body.documents, "documents")
    own = RerankRequest(query=body.query, contexts=body.documents, top_k=body.top_n, gateway=body.gateway)
    ranked = await embed.rank(context, own, model)
    data = {
        "id": context.request_id,
        "model": model.id,
        "results": [_result(body, each) for each in ranked.ranks[: body.top_n]],
        "usage": {"total_tokens": ranked.tokens},
        "meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}},
    }
    return joined_response([ranked.answer], json.dumps(data, ensure_ascii=False, separators=(",", ":")), ranked.neurons)


def _result(body: RankRequest, rank: dict[str, Any]) -> dict[str, Any]:
    result = {"index": rank["id"], "relevance_score": rank["score"]}
    return {**result, "document": {"text": body.documents[rank["id"]]}} if body.return_documents else result
