"""What each route takes and gives, for /openapi.json; what it does is in api/."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from aiworker.http.body import FORM, JSON
from aiworker.routes import answers
from aiworker.routes.chat_schema import ChatRequest
from aiworker.routes.embed_schema import EmbedRequest, RerankRequest
from aiworker.routes.extract_schema import ExtractRequest
from aiworker.routes.gateway_schema import FeedbackRequest
from aiworker.routes.image_schema import ImageRequest
from aiworker.routes.language_schema import ClassifyRequest, SummarizeRequest, TranslateRequest
from aiworker.routes.openai.audio_schema import SpeechRequest, TranscriptionRequest
from aiworker.routes.openai.chat_schema import ChatCompletionRequest, CompletionRequest
from aiworker.routes.openai.embeddings_schema import EmbeddingsRequest
from aiworker.routes.openai.images_schema import ImagesRequest
from aiworker.routes.openai.responses_schema import ResponsesRequest
from aiworker.routes.rag_schema import DocumentForm, DocumentRequest, ListQuery, RagRequest, SearchRequest, TenantQuery
from aiworker.routes.speech_schema import SpeakRequest, TranscribeRequest
from aiworker.routes.tokens_schema import TokenRequest

EVENT_STREAM = "text/event-stream"

Shape = type[BaseModel] | Mapping[str, Any]
"""A pydantic model, or a JSON Schema."""

EVENTS: Mapping[str, Any] = {"description": "Server-sent events."}
"""Without a type: some readers hold it against the whole stream, others against each event."""
BYTES: Mapping[str, Any] = {"type": "string", "contentMediaType": "application/octet-stream"}
OPENAI: Mapping[str, Any] = {"type": "object", "description": "As OpenAI's reference has it."}
OPENAI_ANSWERS: Mapping[str, Mapping[str, Any]] = {JSON: OPENAI, EVENT_STREAM: EVENTS}
OPENAI_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "openai_chat": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "What is a Worker?"}]},
    "openai_completions": {"model": "gpt-3.5-turbo-instruct", "prompt": "A Worker is"},
    "openai_responses": {"model": "gpt-4o-mini", "input": "What is a Worker?"},
    "openai_embeddings": {"model": "text-embedding-3-small", "input": "a red fox"},
    "openai_images": {"prompt": "a red fox in the snow", "response_format": "b64_json"},
    "openai_speech": {"model": "tts-1", "input": "Hello there", "voice": "alloy"},
}
OPENAI_ERROR: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
LABEL: Mapping[str, Any] = {"$ref": "#/components/schemas/Label"}
LABELS: Mapping[str, Any] = {"type": "array", "items": {"anyOf": [LABEL, {"type": "array", "items": LABEL}]}}


@dataclass(frozen=True)
class Answer:
    status: int
    description: str
    gives: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    """Content type → what it holds."""


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    name: str
    tag: str
    summary: str
    description: str
    answers: tuple[Answer, ...]
    takes: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    """Content type of the body → what it holds."""
    files: tuple[str, ...] = ()
    """Fields of the form that are files."""
    query: type[BaseModel] | None = None
    example: Any = None
    """A body that works as it stands."""
    errors: tuple[str, ...] = ()
    """Keys of errors.KINDS."""
    also: tuple[type[BaseModel], ...] = ()
    """Models that are named in a JSON Schema above."""

    def models(self) -> Iterator[type[BaseModel]]:
        shapes = [*self.takes.values(), *(shape for answer in self.answers for shape in answer.gives.values())]
        yield from (shape for shape in shapes if isinstance(shape, type))
        yield from self.also


OF_ANY = ("internal_error", "unavailable")
OF_A_BODY = ("invalid_request", "payload_too_large", "unsupported_media_type", *OF_ANY)
OF_A_MODEL = (
    *OF_A_BODY,
    "model_not_found",
    "forbidden",
    "timeout",
    "context_exceeded",
    "rate_limited",
    "budget_exceeded",
    "upstream_error",
)

OPERATIONS = (
    Operation(
        "GET", "/health", "health", "About", "Is it up",
        "Versions, which bindings are present, and which of them a simulator answers.",
        (Answer(200, "How it is.", {JSON: answers.Health}),),
        errors=OF_ANY,
    ),
    Operation(
        "GET", "/models", "models", "About", "The models there are",
        "Task, context window, dimensions, price, rate limit and abilities of every model.",
        (Answer(200, "The catalogue.", {JSON: answers.ModelList}),),
        query=answers.ModelsQuery,
        errors=("invalid_request", *OF_ANY),
    ),
    Operation(
        "GET", "/usage", "usage", "About", "What a key has spent today",
        "Neurons of the day, and how many the key may spend. Calls that are under way count as what they may cost.",
        (Answer(200, "Of the key that asks; null where nothing is counted.", {JSON: answers.UsageAnswer}),),
        errors=OF_ANY,
    ),
    Operation(
        "POST", "/tokens", "create_token", "About", "A token for a browser",
        "Made with an API key, on your own server: it can do less than the key, only for a while, and, where `origin` "
        "is given, only for pages of that origin.",
        (Answer(201, "The token.", {JSON: answers.TokenAnswer}),),
        takes={JSON: TokenRequest},
        errors=OF_A_BODY,
    ),
    Operation(
        "POST", "/chat", "chat", "Text", "Text from a prompt or a conversation",
        "A stream unless `stream` is false, in the model's own dialect: frames with `response`, or with OpenAI's "
        "`choices`. `event: tool` tells of each call of a tool of the Worker's own, `event: error` of an answer that "
        "broke off.",
        (Answer(200, "The answer.", {EVENT_STREAM: EVENTS, JSON: answers.ChatAnswer}),),
        takes={JSON: ChatRequest},
        example={"messages": [{"role": "user", "content": "What is a Worker?"}]},
        errors=(*OF_A_MODEL, "content_blocked"),
    ),
    Operation(
        "GET", "/conversations/{conversation_id}", "read_conversation", "Text", "What was said in a conversation",
        "Empty for one that there never was, or that has been erased.",
        (Answer(200, "The messages, oldest first.", {JSON: answers.ConversationAnswer}),),
        errors=("not_found", "upstream_error", *OF_ANY),
    ),
    Operation(
        "DELETE", "/conversations/{conversation_id}", "erase_conversation", "Text", "Forget a conversation",
        "At once, and for good.",
        (Answer(204, "It is gone."),),
        errors=("not_found", "upstream_error", *OF_ANY),
    ),
    Operation(
        "POST", "/embed", "embed", "Text", "Vectors for texts",
        "One vector a text, in their order.",
        (Answer(200, "The vectors.", {JSON: answers.Vectors}),),
        takes={JSON: EmbedRequest},
        example={"text": ["A stream of frames", "A river of ice"]},
        errors=OF_A_MODEL,
    ),
    Operation(
        "POST", "/rerank", "rerank", "Text", "Which texts fit a query best",
        "Every text with its score, the best first.",
        (Answer(200, "The ranking.", {JSON: answers.Ranking}),),
        takes={JSON: RerankRequest},
        example={"query": "Where do penguins live?", "contexts": ["Penguins live in the south.", "Bears eat honey."]},
        errors=OF_A_MODEL,
    ),
    Operation(
        "POST", "/translate", "translate", "Text", "Text in another language",
        "A list of texts is answered with a list, in the same order.",
        (Answer(200, "The translation.", {JSON: answers.Translation}),),
        takes={JSON: TranslateRequest},
        example={"text": "Good morning", "target_lang": "fr"},
        errors=OF_A_MODEL,
    ),
    Operation(
        "POST", "/classify", "classify", "Text", "Whether a text is positive or negative",
        "Labels with their scores, the best first; a list of texts is answered with a list of such lists.",
        (Answer(200, "The labels.", {JSON: LABELS}),),
        takes={JSON: ClassifyRequest},
        example={"text": "What a lovely day"},
        also=(answers.Label,),
        errors=OF_A_MODEL,
    ),
    Operation(
        "POST", "/summarize", "summarize", "Text", "What a text says, in short",
        "The text is data: what it asks for is not done.",
        (Answer(200, "The summary.", {JSON: answers.Summary}),),
        takes={JSON: SummarizeRequest},
        example={"text": "Penguins cannot fly. They swim well. They live in the south."},
        errors=OF_A_MODEL,
    ),
    Operation(
        "POST", "/extract", "extract", "Text", "Structured output",
        "A JSON Schema in, an instance that fits it out. If the model cannot, 422 with its last attempt in `details`.",
        (Answer(200, "What was found.", {JSON: answers.Extraction}),),
        takes={JSON: ExtractRequest},
        example={
            "text": "Ada Lovelace was born in 1815.",
            "schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        },
        errors=(*OF_A_MODEL, "unprocessable"),
    ),
    Operation(
        "POST", "/rag", "rag", "Documents", "An answer from the documents, with its sources",
        "A stream unless `stream` is false: `event: sources` first, then the model's own frames. The answer cites the "
        "sources as `[n]`. With nothing relevant it says so, and no model is asked.",
        (Answer(200, "The answer.", {EVENT_STREAM: EVENTS, JSON: answers.RagAnswer}),),
        takes={JSON: RagRequest},
        example={"query": "Where do penguins live?", "stream": False},
        errors=(*OF_A_MODEL, "content_blocked"),
    ),
    Operation(
        "POST", "/rag/search", "search", "Documents", "The passages that fit a question best",
        "By meaning and by words, fused, and read again by a reranker.",
        (Answer(200, "The passages.", {JSON: answers.Passages}),),
        takes={JSON: SearchRequest},
        example={"query": "Where do penguins live?"},
        errors=OF_A_MODEL,
    ),
    Operation(
        "POST", "/rag/documents", "add_document", "Documents", "Have a document indexed",
        "JSON with its text, or a form with a file. New content under the same id replaces the old once it is ready; "
        "the same again is no work.",
        (
            Answer(202, "It is being indexed; `location` tells its state.", {JSON: answers.DocumentState}),
            Answer(200, "It is there already.", {JSON: answers.DocumentState}),
        ),
        takes={JSON: DocumentRequest, FORM: DocumentForm},
        files=("file",),
        errors=(*OF_A_BODY, "unprocessable", "upstream_error", "budget_exceeded"),
    ),
    Operation(
        "GET", "/rag/documents", "list_documents", "Documents", "The documents of a tenant",
        "By their ids, in pages.",
        (Answer(200, "A page.", {JSON: answers.DocumentList}),),
        query=ListQuery,
        errors=("invalid_request", "upstream_error", *OF_ANY),
    ),
    Operation(
        "GET", "/rag/documents/{document_id}", "read_document", "Documents", "How far a document is",
        "`searchable` says whether a version of it is found already.",
        (Answer(200, "Its newest version.", {JSON: answers.DocumentState}),),
        query=TenantQuery,
        errors=("invalid_request", "not_found", "upstream_error", *OF_ANY),
    ),
    Operation(
        "DELETE", "/rag/documents/{document_id}", "delete_document", "Documents", "Remove a document everywhere",
        "Its file, its passages and its vectors.",
        (Answer(204, "It is gone."),),
        query=TenantQuery,
        errors=("invalid_request", "not_found", "upstream_error", *OF_ANY),
    ),
    Operation(
        "POST", "/image", "create_image", "Images and speech", "An image from a prompt",
        "From a prompt alone, with an `image` to start from, or with a `mask` of what to paint over.",
        (
            Answer(200, "The image.", {"image/*": BYTES}),
            Answer(201, "It is stored (`store`).", {JSON: answers.StoredImage}),
        ),
        takes={JSON: ImageRequest, FORM: ImageRequest},
        files=("image", "image_1", "image_2", "image_3", "mask"),
        example={"prompt": "a red fox in the snow"},
        errors=OF_A_MODEL,
    ),
    Operation(
        "GET", "/images/{key}", "read_image", "Images and speech", "A stored image",
        "With ETag, conditional and range requests; it never changes.",
        (
            Answer(200, "The image.", {"image/*": BYTES}),
            Answer(206, "The part asked for.", {"image/*": BYTES}),
            Answer(304, "The client has it."),
            Answer(412, "It is not what the client wants it to be."),
            Answer(416, "It is shorter than that."),
        ),
        errors=("not_found", "upstream_error", *OF_ANY),
    ),
    Operation(
        "POST", "/transcribe", "transcribe", "Images and speech", "What was said in a recording",
        "The recording is the body, with options behind `?`; or a file of a form, with options as its fields.",
        (Answer(200, "The text.", {JSON: answers.Transcription}),),
        takes={"audio/*": BYTES, FORM: TranscribeRequest},
        files=("file",),
        query=TranscribeRequest,
        errors=OF_A_MODEL,
    ),
    Operation(
        "POST", "/speak", "speak", "Images and speech", "A text, spoken",
        "In the encoding asked for, where the model has a choice.",
        (Answer(200, "The sound.", {"audio/*": BYTES}),),
        takes={JSON: SpeakRequest},
        example={"text": "Hello there"},
        errors=OF_A_MODEL,
    ),
    Operation(
        "GET", "/logs/{log_id}", "read_log", "AI Gateway", "The gateway's log of an answer",
        "The id is the answer's `x-gateway-log-id`.",
        (Answer(200, "The log.", {JSON: answers.GatewayLog}),),
        errors=("invalid_request", "not_found", "upstream_error", *OF_ANY),
    ),
    Operation(
        "POST", "/feedback", "feedback", "AI Gateway", "Rate a logged answer",
        "At least one of `feedback`, `score` and `metadata`.",
        (Answer(204, "It is noted."),),
        takes={JSON: FeedbackRequest},
        errors=(*OF_A_BODY, "not_found", "upstream_error"),
    ),
    *(
        Operation(
            method, path, name, "OpenAI", summary,
            "For OpenAI's clients; docs/openai.md says what becomes of each parameter.",
            (Answer(200, "The answer.", {kind: OPENAI_ANSWERS.get(kind, BYTES) for kind in gives}),),
            takes=takes,
            files=("file",) if FORM in takes else (),
            example=OPENAI_EXAMPLES.get(name),
            errors=(*OF_A_MODEL, "unprocessable") if takes else ("model_not_found", *OF_ANY),
        )
        for method, path, name, summary, takes, gives in (
            ("GET", "/v1/models", "openai_models", "Models and aliases", {}, (JSON,)),
            ("GET", "/v1/models/{model_id...}", "openai_model", "One of them", {}, (JSON,)),
            (
                "POST", "/v1/chat/completions", "openai_chat", "Chat completions",
                {JSON: ChatCompletionRequest}, (JSON, EVENT_STREAM),
            ),
            (
                "POST", "/v1/completions", "openai_completions", "The older completions",
                {JSON: CompletionRequest}, (JSON, EVENT_STREAM),
            ),
            (
                "POST", "/v1/responses", "openai_responses", "Responses",
                {JSON: ResponsesRequest}, (JSON, EVENT_STREAM),
            ),
            ("POST", "/v1/embeddings", "openai_embeddings", "Embeddings", {JSON: EmbeddingsRequest}, (JSON,)),
            ("POST", "/v1/images/generations", "openai_images", "Images", {JSON: ImagesRequest}, (JSON,)),
            (
                "POST", "/v1/audio/transcriptions", "openai_transcriptions", "Transcripts",
                {FORM: TranscriptionRequest}, (JSON, "text/plain"),
            ),
            ("POST", "/v1/audio/speech", "openai_speech", "Speech", {JSON: SpeechRequest}, ("audio/*",)),
        )
    ),
)  # fmt: skip
