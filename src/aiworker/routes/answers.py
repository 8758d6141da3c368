"""What the routes answer, as /openapi.json describes it.

Most answers are the models' own and are never parsed here; tests hold these descriptions to the truth.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Models may say more than is described."""

    model_config = ConfigDict(extra="allow")


class ErrorDetail(BaseModel):
    code: int | None
    """The number that clients of Workers AI know the error by."""
    type: str
    message: str
    """What is wrong, and where it can be said, what to do."""
    param: str | None
    """The field at fault, dotted (`messages.0.role`)."""
    upstream_code: int | None
    """Workers AI's own number, if it has refused."""
    request_id: str
    retry_after: int | None
    """Seconds after which the same request may succeed."""


class ErrorAnswer(BaseModel):
    error: ErrorDetail


class Isolate(BaseModel):
    """Of the one that has answered: a Worker has several at a time."""

    requests: int
    """Since it has started."""
    open_streams: int
    """Bodies that are being written."""
    objects: int
    """That Python's collector knows, counted behind a collection, at most ten seconds ago: what grows for ever leaks.
    """
    memory_bytes: int
    """Of WebAssembly's memory, which never shrinks."""
    open_circuits: list[str]
    """Models that are not asked for a while because they keep failing."""


class Health(Answer):
    status: str
    """`ok`, or `degraded` if a binding is missing."""
    version: str
    platform: dict[str, str]
    """Versions of Python and Pyodide, and the id of the deployed version that answers."""
    bindings: dict[str, bool]
    simulated: list[str]
    """Bindings that a simulator answers."""
    access: str
    isolate: Isolate


class TokenAnswer(BaseModel):
    token: str
    """Goes where a key would: `authorization: Bearer TOKEN`."""
    expires_at: str
    """ISO 8601, in UTC."""
    scopes: list[str]
    tenant: str
    origin: str | None
    subject: str | None


class ModelsQuery(BaseModel):
    task: str | None = None
    """Only models for that task."""


class CatalogueModel(Answer):
    id: str
    task: str
    context_window: int | None
    """Tokens of prompt and answer together."""
    dimensions: int | None
    """Of its vectors."""
    price: dict[str, dict[str, float]] | None
    """Neurons for a unit of each kind; null where it is free or not known."""
    requests_per_minute: int
    abilities: list[str]
    deprecated: bool


class ModelList(Answer):
    default: str
    """The model of `POST /chat` when a request names none."""
    models: list[CatalogueModel]


class Usage(Answer):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatAnswer(Answer):
    """Either `response` and `tool_calls`, or `choices` as in OpenAI's chat completions."""

    response: Any = None
    """The text; in JSON mode of native models the object itself."""
    tool_calls: list[dict[str, Any]] | None = None
    choices: list[dict[str, Any]] | None = None
    usage: Usage | None = None


class UsageAnswer(BaseModel):
    key: str
    daily_neurons: float | None
    """What it may spend in a day of UTC; null for as much as it likes."""
    day: str | None
    """`2026-11-21`."""
    neurons: float | None
    """Spent, or reserved for calls that are under way."""


class ConversationAnswer(Answer):
    conversation: str
    messages: list[dict[str, Any]]


class EmbedUsage(Answer):
    prompt_tokens: int
    neurons: float | None
    estimated: bool
    """Whether the tokens are estimated: most models do not tell."""


class Vectors(Answer):
    shape: list[int] = Field(min_length=2, max_length=2)
    """How many vectors, of how many numbers."""
    data: list[list[float]]
    usage: EmbedUsage


class Rank(Answer):
    id: int
    """The place of the text in `contexts`, from 0."""
    score: float


class Ranking(Answer):
    response: list[Rank]


class Translation(Answer):
    translated_text: str | list[str]
    """A list for a list of texts."""


class Label(Answer):
    label: str
    score: float


class Summary(Answer):
    summary: str


class Extraction(Answer):
    data: Any
    """Fits the schema."""
    attempts: int
    usage: Usage | None


class StoredImage(Answer):
    key: str
    url: str
    content_type: str
    size: int
    """Bytes."""
    model: str


class Segment(Answer):
    start: float
    """Seconds."""
    end: float
    text: str


class Transcription(Answer):
    text: str
    segments: list[Segment]
    words: list[dict[str, Any]]
    language: str | None
    duration: float | None
    """Seconds; null where neither the recording nor the model says."""
    vtt: str | None = None


class GatewayLog(Answer):
    id: str
    provider: str
    model: str
    success: bool


class DocumentState(Answer):
    id: str
    state: str
    """`queued`, `converting`, `embedding`, `indexed` or `failed`."""
    reason: str | None
    """Why it has failed."""
    title: str
    url: str | None
    metadata: dict[str, Any]
    media_type: str
    size: int
    """Bytes."""
    chunks: int
    """Passages."""
    created_at: str
    updated_at: str


class DocumentList(Answer):
    documents: list[DocumentState]
    cursor: str | None
    """Of the next page; null on the last."""


class Source(Answer):
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


class Passages(Answer):
    passages: list[FoundPassage]


class RagAnswer(Answer):
    answer: str
    sources: list[Source]
    citations: list[int]
    """Numbers of the sources that the answer cites."""
    usage: Usage | None
