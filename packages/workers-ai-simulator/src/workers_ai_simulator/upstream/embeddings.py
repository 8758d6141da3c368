"""Embeddings by models of the user's server, each in place of models of Workers AI with the same number of
dimensions."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import httpx
import numpy as np

from workers_ai_simulator.catalogue import MODELS, Model
from workers_ai_simulator.embeddings.vectors import ComputeVectors, Vectors
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.upstream.discovery import ModelsError, ModelServer, api_key_headers, tls_context
from workers_ai_simulator.upstream.kinds import hint
from workers_ai_simulator.upstream.reply import reason

EMBEDS = ("embed", "bge", "minilm", "e5-", "gte-", "arctic")
"""Parts of the names of models that embed."""
SAME_WEIGHTS = {
    "@cf/baai/bge-m3": "bge-m3",
    "@cf/baai/bge-large-en-v1.5": "bge-large",
    "@cf/baai/bge-base-en-v1.5": "bge-base",
    "@cf/baai/bge-small-en-v1.5": "bge-small",
    "@cf/google/embeddinggemma-300m": "embeddinggemma",
    "@cf/qwen/qwen3-embedding-0.6b": "qwen3-embedding",
}
"""Id in Workers AI → part of the names of the same model elsewhere."""
COMMON = "nomic-embed-text"
"""A common model of Ollama's, with 768 dimensions, to suggest in messages."""
PROBE = "width"
READ_SECONDS = 300.0
"""Time that the server has to load its model and to answer."""


class ServerEmbeddings:
    """Computes vectors by the server for the models that have one as wide there."""

    def __init__(self, server: ModelServer, name: str = "") -> None:
        """`name`: the server's model to use; by default those that embed, by their names.

        Raises ModelsError if it has none whose vectors are as wide as those of a model of Workers AI.
        """
        self._server = server
        self._client = httpx.Client(
            headers=api_key_headers(),
            timeout=httpx.Timeout(READ_SECONDS, connect=5),
            trust_env=False,
            verify=tls_context(),
        )
        candidates = [name] if name else [each for each in server.listed if _embeds(each)]
        widths = {each: self._width(each) for each in candidates}
        self.names = _names(widths)
        """Id in Workers AI → the server's model in its place."""
        if not self.names:
            raise ModelsError(_nothing_fits(server, widths))

    def about(self) -> dict[str, Any]:
        """`{url, server, models}`, for the simulator's own API."""
        return {"url": self._server.url, "server": self._server.kind.name, "models": self.names}

    def label(self, model: Model) -> str:
        """Name of the model that answers in place of this one, for people; empty if it is simulated."""
        name = self.names.get(model.id)
        return self._server.label(name) if name else ""

    def lines(self) -> Iterable[str]:
        """Sentences about what is real, for people."""
        for model_id, name in self.names.items():
            yield f"Embeddings of {model_id}: {self._server.label(name)}, {MODELS[model_id].dimensions} dimensions"
        yield "Vectors of another model do not fit these: index texts anew that were indexed without this option."

    def vectors(self, otherwise: ComputeVectors) -> ComputeVectors:
        """Computation of vectors, by `otherwise` for models that have none here."""

        def compute(model: Model, texts: list[str], pooling: str) -> Vectors:
            name = self.names.get(model.id)
            return otherwise(model, texts, pooling) if name is None else self._rows(model, name, texts)

        return compute

    def close(self) -> None:
        self._client.close()

    def _rows(self, model: Model, name: str, texts: list[str]) -> Vectors:
        """One row of unit length for each text. Raises UpstreamError 8007."""
        # JSON texts may contain unpaired surrogates, which UTF-8 has not
        readable = [each.encode(errors="replace").decode() for each in texts]
        rows = np.array(self._embed(name, readable, _failure(self._server, name)), np.float32)
        if rows.shape != (len(texts), model.dimensions):
            raise _failure(self._server, name)(f"its vectors are {rows.shape}, not {(len(texts), model.dimensions)}")
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)

    def _width(self, name: str) -> int:
        """Number of dimensions of a model's vectors; 0 if it does not embed."""
        try:
            [row] = self._embed(name, [PROBE], ModelsError)
        except (ModelsError, ValueError):
            return 0
        return len(row)

    def _embed(self, name: str, texts: list[str], failure: Callable[[str], Exception]) -> list[list[float]]:
        content = {"model": name, "input": texts, "encoding_format": "float"}
        try:
            response = self._client.post(f"{self._server.base}/embeddings", json=content)
        except httpx.HTTPError as error:
            raise failure(str(error) or type(error).__name__) from None
        if response.status_code != 200:
            raise failure(f"status {response.status_code}, {reason(response.content)}")
        rows = _vectors(response)
        if rows is None:
            raise failure(f"these are no embeddings: {reason(response.content)}")
        return rows


def _vectors(response: httpx.Response) -> list[list[float]] | None:
    """The vectors of a list of embeddings, in the order of the texts; None for an answer that is none."""
    try:
        entries = sorted(response.json()["data"], key=lambda each: each["index"])
        rows = [each["embedding"] for each in entries]
    except (ValueError, LookupError, TypeError):
        return None
    return cast("list[list[float]]", rows) if all(isinstance(each, list) for each in rows) else None


def _embeds(name: str) -> bool:
    return any(part in name.lower() for part in EMBEDS) and "rerank" not in name.lower()


def _names(widths: dict[str, int]) -> dict[str, str]:
    """For each embedding model of Workers AI, the best of the server's models with vectors as wide."""
    names: dict[str, str] = {}
    for model in MODELS.values():
        fitting = [name for name, width in widths.items() if width and width == model.dimensions]
        if model.task != "embeddings" or not fitting:
            continue
        same = SAME_WEIGHTS.get(model.id, "\0")
        names[model.id] = next((name for name in fitting if same in name.lower()), fitting[0])
    return names


def _nothing_fits(server: ModelServer, widths: dict[str, int]) -> str:
    wanted = "384 (bge-small), 768 (bge-base, embeddinggemma) and 1024 (bge-large, bge-m3, qwen3-embedding)"
    spoken = ", ".join(f"{name}: {width or 'none'}" for name, width in widths.items()) or "it lists no such model"
    advice = f" {server.kind.how_to_fetch(COMMON)}" if server.kind.downloads else ""
    return (
        f"{server.kind.name} at {server.url} has no embeddings as wide as Workers AI's, which are {wanted}. "
        f"Dimensions of its models: {spoken}.{advice}"
    )


def _failure(server: ModelServer, name: str) -> Callable[[str], UpstreamError]:
    def failure(why: str) -> UpstreamError:
        sentence = f"Embeddings of {name} by {server.kind.name} at {server.url} failed: {why}"
        return UpstreamError(502, 8007, " ".join(filter(None, [sentence, hint(server.kind, why, name)])))

    return failure
