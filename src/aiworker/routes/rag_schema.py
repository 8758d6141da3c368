"""The requests and responses of `POST /rag` and `POST /rag/search`."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from aiworker.http.body import Reply, Schema
from aiworker.models.gateway_options import GatewayOptions
from aiworker.routes.chat_schema import Message, Usage
from aiworker.routes.documents_schema import Name

MAX_QUESTION = 8_192
"""Characters."""


class Stages(Schema):
    """What a search does; all of it by default."""

    vector: bool = True
    """By meaning, with vectors."""
    text: bool = True
    """By words, with full text search."""
    rerank: bool = True
    """Read the best again with a reranker."""

    @model_validator(mode="after")
    def _some_search(self) -> "Stages":
        if not (self.vector or self.text):
            raise ValueError("One of vector and text must be true")
        return self


class SearchOptions(Schema):
    tenant: Name | None = None
    top_k: Annotated[int, Field(ge=1, le=50)] = 5
    """So many passages at most."""
    min_score: Annotated[float | None, Field(ge=-1, le=1)] = None
    """Of the reranker (0 to 1), or without it of the vectors (-1 to 1). Passages below are left out."""
    filter: Annotated[dict[str, Any], Field(max_length=10)] = Field(default_factory=dict[str, Any])
    """On metadata: `{"language": "en", "year": {"$gte": 2020}}`, with `$eq $ne $in $nin $lt $lte $gt $gte`."""
    stages: Stages = Stages()

    @model_validator(mode="after")
    def _a_score_to_compare(self) -> "SearchOptions":
        if self.min_score is not None and not (self.stages.vector or self.stages.rerank):
            raise ValueError(
                "min_score needs the stage vector or rerank: a search by words alone has no comparable score"
            )
        return self


class SearchRequest(SearchOptions):
    query: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION)]


class RagRequest(SearchOptions):
    query: Annotated[str | None, Field(min_length=1, max_length=MAX_QUESTION)] = None
    """The question; or `messages`."""
    messages: Annotated[list[Message] | None, Field(min_length=1, max_length=100, fail_fast=True)] = None
    """A conversation that ends with the question; what came before tells what it is about."""
    model: str | None = None
    stream: bool = True
    answer_anyway: bool = False
    """Ask the model also if nothing relevant was found."""
    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    seed: Annotated[int | None, Field(ge=1, le=9_999_999_999)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    gateway: GatewayOptions | None = None

    @model_validator(mode="after")
    def _one_question(self) -> "RagRequest":
        if (self.query is None) == (self.messages is None):
            raise ValueError("Give either query or messages")
        if self.messages and (self.messages[-1].role != "user" or not self.question.strip()):
            raise ValueError("messages must end with the user's question")
        if len(self.question) > MAX_QUESTION:
            raise ValueError(f"The question may have {MAX_QUESTION:,} characters")
        return self

    @property
    def question(self) -> str:
        return self.query or " ".join(self.messages[-1].texts if self.messages else [])

    def sampling(self) -> dict[str, float]:
        """The sampling parameters that were given. (Not `top_k`: here it counts passages.)"""
        return self.model_dump(include={"temperature", "seed", "max_tokens"}, exclude_none=True)

    def texts(self) -> list[str]:
        """All that the client gives the model to read."""
        return [self.query or "", *(text for message in self.messages or [] for text in message.texts)]

    def history(self) -> list[dict[str, Any]]:
        return [message.to_json() for message in (self.messages or [])[:-1]]


class Source(Reply):
    number: int
    """By which the answer cites it."""
    id: str
    document: str
    title: str
    url: str | None
    heading: str
    snippet: str
    score: float
    scores: dict[str, float]
    """What each stage has said: vector, text, fusion, rerank."""


class FoundPassage(Source):
    text: str


class Passages(Reply):
    passages: list[FoundPassage]


class RagReply(Reply):
    answer: str
    sources: list[Source]
    citations: list[int]
    """Numbers of the sources that the answer cites."""
    usage: Usage | None
