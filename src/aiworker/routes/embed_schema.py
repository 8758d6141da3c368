"""The bodies of `POST /embed` and `POST /rerank`."""

from typing import Annotated, Any, Literal, cast

from pydantic import Discriminator, Field, Tag, field_validator

from aiworker.http.body import Schema
from aiworker.routes.gateway_schema import GatewayOptions

Text = Annotated[str, Field(min_length=1)]


def _kind(value: object) -> str:
    return "list[str]" if isinstance(value, list) else "str"


Texts = Annotated[
    Annotated[Text, Tag("str")] | Annotated[list[Text], Field(min_length=1, fail_fast=True), Tag("list[str]")],
    Discriminator(_kind),
]
"""One text or many. (An error says which, as `text.3`: the tags are names that pydantic gives to such branches.)"""


def as_list(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


class EmbedRequest(Schema):
    text: Texts
    model: str | None = None
    """Any embeddings model of GET /models; EMBED_MODEL if it is left out."""
    pooling: Literal["mean", "cls"] | None = None
    """How a model makes one vector of those of its tokens, where it lets one choose."""
    gateway: GatewayOptions | None = None


class RerankRequest(Schema):
    query: Text
    contexts: Annotated[list[Text], Field(min_length=1, fail_fast=True)]
    """The texts to be ranked; or objects with a `text`, as Workers AI has them."""
    top_k: Annotated[int | None, Field(ge=1)] = None
    """So many of the best; all if it is left out."""
    model: str | None = None
    """Any reranking model of GET /models; RERANK_MODEL if it is left out."""
    gateway: GatewayOptions | None = None

    @field_validator("contexts", mode="before")
    @classmethod
    def _bare(cls, contexts: Any) -> Any:
        if not isinstance(contexts, list):
            return contexts
        return [_bare_text(each) for each in cast("list[Any]", contexts)]


def _bare_text(context: Any) -> Any:
    match context:
        case {"text": text, **others} if not others:
            return text
        case _:
            return context
