"""The requests and responses of `POST /rag` and `POST /rag/search`."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from aiworker.http.body import Reply, Schema
from aiworker.models.gateway_options import GatewayOptions
from aiworker.rag import filters, paths
from aiworker.rag.document_fields import Name
from aiworker.rag.search_queries import MAX_QUERIES
from aiworker.routes.chat_schema import MAX_SEED, Message, Usage
from aiworker.routes.documents_schema import TextRange

MAX_QUESTION_CHARACTERS = 8_192


class Stages(Schema):
    """Stages of a search, all of them by default."""

    vector: bool = True
    """Vector search, which finds passages by their meaning."""
    text: bool = True
    """Full-text search, which finds passages by their words."""
    rerank: bool = True
    """Rerank the best passages with a model that reads each with the question."""

    @model_validator(mode="after")
    def _check_search(self) -> "Stages":
        if not (self.vector or self.text):
            raise ValueError("One of vector and text must be true")
        return self


class SearchOptions(Schema):
    tenant: Name | None = None
    top_k: Annotated[int, Field(ge=1, le=50)] = 5
    """Maximum number of passages. Those that `join_neighbours` joins count as one."""
    per_document: Annotated[int | None, Field(ge=1, le=50)] = None
    """Maximum number of passages of one document; any number if left out."""
    join_neighbours: bool = True
    """Make one passage of up to three that follow each other in a document."""
    min_score: Annotated[float | None, Field(ge=-1, le=1)] = None
    """Minimum score by the reranker (0 to 1), or, without the stage rerank, by the vectors (-1 to 1).

    If it is left out, `POST /rag` finds nothing for a question for which no passage reaches the reranker's floor."""
    filter: Annotated[dict[str, Any], Field(max_length=10)] = Field(default_factory=dict[str, Any])
    """Filter on metadata, with `$eq $ne $in $nin $lt $lte $gt $gte`: `{"language": "en", "year": {"$gt": 2020}}`."""
    folder: Annotated[str, Field(max_length=500)] = ""
    """Search only documents of this folder and of those below it; `folder` must be one of RAG_PROPERTIES."""
    queries: Annotated[int | None, Field(ge=1, le=MAX_QUERIES)] = None
    """Search queries: the question, and others that a model makes of it, in one more model call, if this is above 1.

    If it is left out: RAG_QUERIES for `POST /rag`, 1 for `POST /rag/search`."""
    stages: Stages = Stages()

    @model_validator(mode="after")
    def _check_folder(self) -> "SearchOptions":
        if paths.normalize(self.folder) and paths.FOLDER in self.filter:
            raise ValueError("Give either folder or a filter on folder")
        return self

    def conditions(self) -> dict[str, Any]:
        """Return the filter with that on the folder."""
        return {**self.filter, **filters.below(self.folder)}

    @model_validator(mode="after")
    def _check_min_score(self) -> "SearchOptions":
        if self.min_score is not None and not (self.stages.vector or self.stages.rerank):
            raise ValueError(
                "min_score needs the stage vector or rerank: scores of full-text search cannot be compared"
            )
        return self


class SearchRequest(SearchOptions):
    query: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS)]


class RagRequest(SearchOptions):
    query: Annotated[str | None, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS)] = None
    """The question; `messages` in its place hold a conversation."""
    messages: Annotated[list[Message] | None, Field(min_length=1, max_length=100, fail_fast=True)] = None
    """A conversation that ends with the question, which may refer to the messages before it."""
    model: str | None = None
    """Any text-generation model of GET /models; CHAT_MODEL, or one of CHAT_FALLBACKS, if left out."""
    stream: bool = True
    answer_anyway: bool = False
    """Let the model answer without sources if no relevant passage is found."""
    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    seed: Annotated[int | None, Field(ge=1, le=MAX_SEED)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    gateway: GatewayOptions | None = None

    @model_validator(mode="after")
    def _check_question(self) -> "RagRequest":
        if (self.query is None) == (self.messages is None):
            raise ValueError("Give either query or messages")
        if self.messages and (self.messages[-1].role != "user" or not self.question.strip()):
            raise ValueError("messages must end with the user's question")
        if any(message.attachments for message in self.messages or []):
            raise ValueError("messages must have texts: files and images by address are for POST /chat")
        if len(self.question) > MAX_QUESTION_CHARACTERS:
            raise ValueError(f"The question must have at most {MAX_QUESTION_CHARACTERS:,} characters")
        return self

    @property
    def question(self) -> str:
        return self.query or " ".join(self.messages[-1].texts if self.messages else [])

    def sampling(self) -> dict[str, float]:
        """Return the sampling parameters that are present. `top_k` is none of them: it counts passages."""
        return self.model_dump(include={"temperature", "seed", "max_tokens"}, exclude_none=True)

    def texts(self) -> list[str]:
        """Return every text the client gives the model to read."""
        return [self.query or "", *(text for message in self.messages or [] for text in message.texts)]

    def history(self) -> list[dict[str, Any]]:
        """Return the messages before the question."""
        return [message.to_json() for message in (self.messages or [])[:-1]]


class Source(Reply):
    number: int
    """The number by which the answer cites it: `[1]`."""
    id: str
    document: str
    title: str
    url: str | None
    heading: str
    page: int | None
    """Page of a PDF; null for other documents."""
    range: TextRange | None
    """Place in the document's text; null if it is unknown."""
    original: str
    """Address of the document's file, for callers with the scope rag:read."""
    snippet: str
    score: float
    scores: dict[str, float]
    """Score by each stage that found it: vector (cosine), text (BM25), fusion, rerank."""


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
