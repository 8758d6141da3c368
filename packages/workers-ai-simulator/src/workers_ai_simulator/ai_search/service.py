"""AI Search itself: what its methods do, over the store and the simulated models."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np

from workers_ai_simulator.ai_search import indexing, retrieval
from workers_ai_simulator.ai_search.errors import AiSearchError
from workers_ai_simulator.ai_search.indexing import Answer, Floats
from workers_ai_simulator.ai_search.models import (
    Chunk,
    Instance,
    Item,
    Match,
    SearchOptions,
    check_model,
    search_options,
)
from workers_ai_simulator.ai_search.store import IndexedChunk, SearchStore
from workers_ai_simulator.markdown.models import section
from workers_ai_simulator.text_generation.generation import Generation, generate
from workers_ai_simulator.vectorize.errors import VectorizeError
from workers_ai_simulator.vectorize.filters import conditions, truncated

MAX_FILE_BYTES = 4_194_304
"""Bytes of one file: 4 MB. Source: developers.cloudflare.com/ai-search/platform/limits-pricing"""
MAX_KEY_LENGTH = 128
MAX_TEXT_LENGTH = 500
"""Characters of a text in custom metadata; the rest is cut off."""
MAX_INSTANCES = 10
"""Instances of one search across several."""
PROMPT = "Answer the user's question from these documents:"


@dataclass(frozen=True)
class Found:
    """The result of a search."""

    query: str
    matches: Sequence[Match]
    with_text: bool = True

    def to_json(self) -> dict[str, Any]:
        chunks = [each.to_json(with_text=self.with_text) for each in self.matches]
        return {"search_query": self.query, "chunks": chunks}


class AiSearch:
    """Methods of AI Search that need more than the store."""

    def __init__(self, answers: Mapping[str, Answer], path: Path | None = None, delay: float = 0) -> None:
        """answers: functions of the tasks `embeddings` and `reranking`. delay: seconds until an upload is indexed."""
        self._embed, self._rerank = answers["embeddings"], answers["reranking"]
        self.store = SearchStore(self._index, path, delay)

    def upload(self, instance: Instance, key: str, content: bytes, metadata: Mapping[str, Any]) -> Item:
        """Store a file to be indexed. Raises AiSearchError."""
        if len(key) > MAX_KEY_LENGTH:
            raise AiSearchError("filename_exceeds_maximum_length")
        if len(content) > MAX_FILE_BYTES:
            raise AiSearchError("file_exceeds_maximum_size")
        indexing.check_type(key)
        return self.store.upload(instance, key, content, _custom_metadata(instance, metadata))

    def search(self, instance: Instance, body: Mapping[str, Any]) -> Found:
        """Find the chunks of `query`, or of the last message of the user. Raises AiSearchError and others."""
        query, options = _query(body), search_options(instance, section(dict(body), "ai_search_options"))
        chunks, matrix = self.store.chunks(instance)
        if options.filters:
            passes = _filter(options.filters)
            rows = [row for row, chunk in enumerate(chunks) if passes(chunk.item.attributes)]
            chunks, matrix = [chunks[row] for row in rows], matrix[rows]
        vector = np.empty(0, np.float32)
        if chunks and options.retrieval_type != "keyword":
            vector = indexing.vectors(self._embed, instance.config["embedding_model"], [query])[0]
        matches = retrieval.search(chunks, matrix, vector, query, options, self._rerank)
        return Found(query, [_expanded(each, chunks, options) for each in matches], options.with_text)

    def search_many(
        self, namespace: str, body: Mapping[str, Any]
    ) -> tuple[Found, dict[str, str], list[dict[str, str]]]:
        """Search several instances: the merged matches, chunk id → instance, and the errors of instances."""
        options = section(dict(body), "ai_search_options")
        ids: Any = options.get("instance_ids")
        names = [str(each) for each in cast("list[Any]", ids)] if isinstance(ids, list) else []
        if not 1 <= len(names) <= MAX_INSTANCES:
            raise AiSearchError("too_many_multi_search_instances")
        matches: list[Match] = []
        owners: dict[str, str] = {}
        errors: list[dict[str, str]] = []
        for name in names:
            try:
                result = self.search(self.store.instance(namespace, name), body)
            except AiSearchError:
                if section(options, "retrieval").get("return_on_failure", True) is False:
                    raise AiSearchError("one_or_more_instance_searches_failed") from None
                errors.append({"instance_id": name, "message": "search_failed"})
                continue
            owners |= {each.chunk.id: name for each in result.matches}
            matches += result.matches
        count = section(options, "retrieval").get("max_num_results", 10)
        return Found(_query(body), sorted(matches, key=lambda each: -each.score)[:count]), owners, errors

    def generation(self, config: Mapping[str, Any], body: Mapping[str, Any], result: Found) -> Generation:
        """The answer of a model that reads what a search has found in front of the conversation."""
        model = check_model(str(body.get("model") or config["ai_search_model"]), "text-generation")
        documents = [f"{each.chunk.item.key}:\n{each.chunk.text}" for each in result.matches]
        system = "\n\n".join([PROMPT, *documents])
        inputs = {name: body[name] for name in ("temperature", "max_tokens", "seed", "top_p") if name in body}
        messages: list[Any] = list(body["messages"])
        return generate(model, {**inputs, "messages": [{"role": "system", "content": system}, *messages]})

    def _index(self, instance: Instance, key: str, content: bytes) -> tuple[list[IndexedChunk], Floats]:
        text = indexing.text_of(key, content)
        chunks = indexing.cut(text, instance.config["chunk_size"], instance.config["chunk_overlap"])
        model = instance.config["embedding_model"]
        return chunks, indexing.vectors(self._embed, model, [each[2] for each in chunks])


def _query(body: Mapping[str, Any]) -> str:
    """The query, or the user's last message. Raises AiSearchError 7039 if there is neither."""
    messages: Any = body.get("messages")
    contents = [
        section({"at": each}, "at").get("content")
        for each in (cast("list[Any]", messages) if isinstance(messages, list) else [])
        if section({"at": each}, "at").get("role") == "user"
    ]
    query: Any = body["query"] if messages is None and "query" in body else (contents or [""])[-1]
    if not isinstance(query, str) or not query.strip():
        raise AiSearchError("missing_user_query")
    return query


def _filter(filters: Any) -> Any:
    """A test of an item's attributes. Raises AiSearchError 7058 for a filter that is not Vectorize's."""
    try:
        tests = conditions(filters)
    except VectorizeError:
        raise AiSearchError("invalid_metadata_filter") from None

    def passes(attributes: Mapping[str, Any]) -> bool:
        indexed = {name: truncated(value) if isinstance(value, str) else value for name, value in attributes.items()}
        return all(test(indexed.get(name.lower())) for name, test in tests)

    return passes


def _custom_metadata(instance: Instance, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the instance's fields, converted to their types; invalid values are left out."""
    values = {name.lower(): value for name, value in metadata.items()}
    typed = {name: _typed(kind, values[name]) for name, kind in instance.fields.items() if name in values}
    return {name: value for name, value in typed.items() if value is not None}


def _typed(kind: str, value: Any) -> Any:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    if kind == "boolean":
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
    try:
        if kind == "number":
            number = float(text)
            return (int(number) if number.is_integer() else number) if math.isfinite(number) else None
        if kind == "datetime":
            return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None
    return text[:MAX_TEXT_LENGTH]


def _expanded(match: Match, chunks: Sequence[Chunk], options: SearchOptions) -> Match:
    """The match with the text of its neighbours, if the options ask for them."""
    if not options.expansion:
        return match
    near = [
        each.text
        for each in chunks
        if each.item.id == match.chunk.item.id and abs(each.number - match.chunk.number) <= options.expansion
    ]
    return replace(match, chunk=replace(match.chunk, text="\n\n".join(near)))
