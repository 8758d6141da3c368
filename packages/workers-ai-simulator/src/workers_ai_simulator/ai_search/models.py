"""Data of AI Search: the configuration of instances, items, chunks, and the options of a search."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from workers_ai_simulator.ai_search.errors import AiSearchError, InvalidField
from workers_ai_simulator.catalogue import Model, find
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.markdown.models import section

ID = re.compile(r"[a-z0-9_]+(?:-[a-z0-9_]+)*")
MAX_ID_LENGTH = 32
DEFAULT_NAMESPACE = "default"
DATA_TYPES = ("text", "number", "boolean", "datetime")
RESERVED_FIELDS = ("timestamp", "folder", "filename")
MAX_FIELDS = 5
"""Custom metadata fields of an instance."""
MAX_RESULTS = 50
MAX_CONTEXT_EXPANSION = 3
DEFAULT_THRESHOLD = 0.4
Status = Literal["queued", "running", "completed", "error"]
"""States of an item that occur here; upstream's `skipped` and `outdated` belong to external sources."""
RetrievalType = Literal["vector", "keyword", "hybrid"]
FusionMethod = Literal["rrf", "max"]

DEFAULTS: dict[str, Any] = {
    "type": None,
    "source": None,
    "embedding_model": "@cf/qwen/qwen3-embedding-0.6b",
    "ai_search_model": "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
    "reranking_model": "@cf/baai/bge-reranker-base",
    "index_method": {"vector": True, "keyword": False},
    "fusion_method": "rrf",
    "retrieval_options": {"keyword_match_mode": "and"},
    "rewrite_query": False,
    "reranking": False,
    "chunk_size": 256,
    "chunk_overlap": 10,
    "max_num_results": 10,
    "score_threshold": DEFAULT_THRESHOLD,
    "cache": True,
    "custom_metadata": [],
    "enable": True,
}
"""Configuration of a new instance, unless its creator sets other values."""
MODEL_TASKS = {
    "embedding_model": "embeddings",
    "ai_search_model": "text-generation",
    "rewrite_model": "text-generation",
    "reranking_model": "reranking",
}


@dataclass(frozen=True)
class Instance:
    namespace: str
    id: str
    config: Mapping[str, Any]
    created_at: str
    modified_at: str

    @property
    def fields(self) -> dict[str, str]:
        """Custom metadata field, in lower case → its data type."""
        return {each["field_name"].lower(): each["data_type"] for each in self.config["custom_metadata"]}

    def to_json(self) -> dict[str, Any]:
        about = {"id": self.id, "namespace": self.namespace, "status": "active"}
        return {**self.config, **about, "created_at": self.created_at, "modified_at": self.modified_at}


@dataclass(frozen=True)
class Item:
    """A file of an instance, in its built-in storage."""

    id: str
    key: str
    status: Status
    error: str
    checksum: str
    size: int
    chunks: int | None
    metadata: Mapping[str, Any]
    """Custom metadata, by the types of the instance's fields."""
    created_at: str
    timestamp: int
    """Time of its upload, in milliseconds since 1970."""

    @property
    def attributes(self) -> dict[str, Any]:
        """Everything that a filter may ask for."""
        return {**self.metadata, "filename": self.key, "folder": folder_of(self.key), "timestamp": self.timestamp}

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "key": self.key,
            "status": self.status,
            "next_action": "INDEX" if self.status in ("queued", "running") else None,
            **({"error": self.error} if self.error else {}),
            "checksum": self.checksum,
            "chunks_count": self.chunks,
            "file_size": self.size,
            "source_id": "builtin",
            "created_at": self.created_at,
            "last_seen_at": self.created_at,
            "metadata": self.attributes,
        }


def folder_of(key: str) -> str:
    """The part of a key up to and including its last slash; empty without one."""
    return key[: key.rfind("/") + 1]


@dataclass(frozen=True)
class Chunk:
    """A passage of an item's text."""

    id: str
    item: Item
    number: int
    text: str


@dataclass
class Match:
    """A chunk that a search has found."""

    chunk: Chunk
    score: float
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self, *, with_text: bool = True) -> dict[str, Any]:
        item = self.chunk.item
        return {
            "id": self.chunk.id,
            "type": "text",
            "score": self.score,
            "text": self.chunk.text if with_text else "",
            "item": {"timestamp": item.timestamp, "key": item.key, "metadata": dict(item.metadata)},
            "scoring_details": self.details,
        }


# ---- configuration -------------------------------------------------------------------------------------------------


def check_id(value: object) -> str:
    """Check the id of an instance. Raises InvalidField."""
    if not isinstance(value, str) or len(value) > MAX_ID_LENGTH or not ID.fullmatch(value):
        raise InvalidField("id", f"1 to {MAX_ID_LENGTH} characters that match ^{ID.pattern}$")
    return value


def check_config(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check the fields of a configuration that are present. Raises InvalidField, AiSearchError or NotSimulated."""
    if body.get("type") or body.get("source"):
        raise NotSimulated("An instance with an external source (`type`, `source`)")
    for name, task in MODEL_TASKS.items():
        if body.get(name):
            check_model(str(body[name]), task)
    if "index_method" in body and not any(section({"at": body["index_method"]}, "at").get(each) for each in METHODS):
        raise InvalidField("index_method", "vector or keyword to be true")
    if "custom_metadata" in body:
        _check_fields(body["custom_metadata"])
    for name, (minimum, maximum) in {"chunk_size": (64, 2048), "chunk_overlap": (0, 30)}.items():
        if name in body and not (type(body[name]) is int and minimum <= body[name] <= maximum):
            raise InvalidField(name, f"a whole number from {minimum} to {maximum}")
    return {name: value for name, value in body.items() if name not in ("id", "namespace")}


METHODS = ("vector", "keyword")


def check_model(model_id: str, task: str) -> Model:
    """The model of that id. Raises AiSearchError 7010 unless it has the task."""
    try:
        model = find(model_id)
    except UpstreamError:
        raise AiSearchError("invalid_model") from None
    if model.task != task:
        raise AiSearchError("invalid_model")
    return model


def _check_fields(value: object) -> None:
    fields = cast("list[Any]", value) if isinstance(value, list) else [None]
    names = [str(section({"at": each}, "at").get("field_name", "")).lower() for each in fields]
    types = [section({"at": each}, "at").get("data_type") for each in fields]
    if len(fields) > MAX_FIELDS:
        raise InvalidField("custom_metadata", f"at most {MAX_FIELDS} fields")
    if not all(names) or len(set(names)) < len(names) or set(names) & set(RESERVED_FIELDS):
        raise InvalidField("custom_metadata", f"different field_names, none of them {', '.join(RESERVED_FIELDS)}")
    if not all(each in DATA_TYPES for each in types):
        raise InvalidField("custom_metadata", f"a data_type of {', '.join(DATA_TYPES)}")


# ---- the options of a search ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SearchOptions:
    """`ai_search_options` with the instance's defaults."""

    retrieval_type: RetrievalType
    fusion_method: FusionMethod
    any_term: bool
    """One term of the query suffices, instead of all."""
    threshold: float
    count: int
    filters: Any
    expansion: int
    with_text: bool
    rerank: bool
    reranking_model: Model
    reranking_threshold: float


def search_options(instance: Instance, options: Mapping[str, Any]) -> SearchOptions:
    """Read the options of a search. Raises InvalidField, AiSearchError or NotSimulated."""
    config = instance.config
    retrieval, reranking = section(dict(options), "retrieval"), section(dict(options), "reranking")
    if retrieval.get("boost_by"):
        raise NotSimulated("The option `boost_by`")
    methods = [each for each in METHODS if config["index_method"].get(each)]
    kind = retrieval.get("retrieval_type") or ("hybrid" if len(methods) > 1 else methods[0])
    if kind not in (*methods, *(["hybrid"] if len(methods) > 1 else [])):
        raise AiSearchError("invalid_retrieval_type")
    mode = retrieval.get("keyword_match_mode") or config["retrieval_options"].get("keyword_match_mode", "and")
    count = retrieval.get("max_num_results", config["max_num_results"])
    return SearchOptions(
        retrieval_type=_choice("retrieval_type", kind, RetrievalType),
        fusion_method=_choice("fusion_method", retrieval.get("fusion_method", config["fusion_method"]), FusionMethod),
        any_term=_choice("keyword_match_mode", mode, Literal["and", "or"]) == "or",
        threshold=_number("match_threshold", retrieval.get("match_threshold", config["score_threshold"]), 0, 1),
        count=int(_number("max_num_results", count, 1, MAX_RESULTS)),
        filters=retrieval.get("filters"),
        expansion=int(_number("context_expansion", retrieval.get("context_expansion", 0), 0, MAX_CONTEXT_EXPANSION)),
        with_text=not retrieval.get("metadata_only", False),
        rerank=bool(reranking.get("enabled", config["reranking"])),
        reranking_model=check_model(reranking.get("model") or config["reranking_model"], "reranking"),
        reranking_threshold=_number(
            "reranking.match_threshold", reranking.get("match_threshold", DEFAULT_THRESHOLD), 0, 1
        ),
    )  # fmt: skip


def _number(name: str, value: object, minimum: float, maximum: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= maximum:
        raise InvalidField(name, f"a number from {minimum} to {maximum}")
    return value


def _choice(name: str, value: object, kind: Any) -> Any:
    if value not in get_args(kind):
        raise InvalidField(name, f"one of {', '.join(get_args(kind))}")
    return value
