"""Real embeddings, computed on this machine by fastembed with the weights of bge, which Workers AI serves too."""

import importlib
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.embeddings.vectors import mixed
from workers_ai_simulator.errors import UpstreamError

FAMILY = "bge"
OTHER_CHOICES = ("lexical", "minilm", "server", "server=MODEL")
"""Values of --embeddings other than these models."""
NAMES = {
    "@cf/baai/bge-small-en-v1.5": "BAAI/bge-small-en-v1.5",
    "@cf/baai/bge-base-en-v1.5": "BAAI/bge-base-en-v1.5",
    "@cf/baai/bge-large-en-v1.5": "BAAI/bge-large-en-v1.5",
}
"""Id in Workers AI → name in fastembed 0.9.1, which has no bge-m3."""

MEAN_NAME = "workers-ai-simulator/{}-mean"
"""Name in fastembed of the same weights with mean pooling, Workers AI's default: fastembed's own bge models pool by
the first token, `cls`."""


class TextEmbedding(Protocol):
    """The part of fastembed's class of that name that is used here."""

    def embed(self, documents: Iterable[str]) -> Iterable[NDArray[np.float32]]: ...


class EmbeddingsError(ValueError):
    """The embeddings cannot be computed, for the reason in the message."""


def model_ids(names: str) -> list[str]:
    """Ids of the models named, each by `bge`, `bge-base`, `BAAI/bge-base-en-v1.5` or its id; separated by commas.

    Raises EmbeddingsError for an unknown name.
    """
    ids_of = {
        name: [model_id for model_id in NAMES if _matches(name, model_id)] for name in map(str.strip, names.split(","))
    }
    if unknown := [name for name, ids in ids_of.items() if not ids]:
        short = [model_id.removeprefix("@cf/baai/").removesuffix("-en-v1.5") for model_id in NAMES]
        choices = ", ".join([*OTHER_CHOICES, FAMILY, *short])
        raise EmbeddingsError(f"--embeddings: {unknown[0]!r} is none of {choices}")
    return list(dict.fromkeys(model_id for ids in ids_of.values() for model_id in ids))


def _matches(name: str, model_id: str) -> bool:
    short = model_id.removeprefix("@cf/baai/")
    return name in (FAMILY, model_id, NAMES[model_id], short, short.removesuffix("-en-v1.5"))


class LocalEmbeddings:
    """Computes vectors for some of the models. Weights are downloaded, if need be, and loaded at first use."""

    def __init__(self, model_ids: Sequence[str], cache: Path | None = None) -> None:
        """`cache`: folder of the weights; by default fastembed's, `$FASTEMBED_CACHE_PATH` or a temporary folder.

        Raises ModuleNotFoundError without fastembed.
        """
        self._fastembed: Any = importlib.import_module("fastembed")
        self._descriptions: Any = importlib.import_module("fastembed.common.model_description")
        self._ids = tuple(model_ids)
        self._cache = str(cache) if cache else None
        self._loaded: dict[str, TextEmbedding] = {}
        self._loading = threading.Lock()

    def about(self) -> dict[str, str]:
        """Ids of the models → their names in fastembed."""
        return {model_id: NAMES[model_id] for model_id in self._ids}

    def vectors(self, model: Model, texts: list[str], pooling: str) -> NDArray[np.float32]:
        """One vector of unit length a row, for each text; simulated ones for models that are not computed here.

        Raises UpstreamError 8007 with status 500 if the weights cannot be loaded.
        """
        if model.id not in self._ids:
            return mixed(model, texts, pooling)
        embedding = self._model(NAMES[model.id], pooling)
        # JSON texts may contain unpaired surrogates, which tokenizers refuse
        readable = [each.encode(errors="replace").decode() for each in texts]
        rows = np.array(list(embedding.embed(readable)), np.float32)
        assert rows.shape == (len(texts), model.dimensions), f"{NAMES[model.id]} gives vectors of {rows.shape}"
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _model(self, name: str, pooling: str) -> TextEmbedding:
        pooled_name = name if pooling == "cls" else MEAN_NAME.format(name.partition("/")[2])
        with self._loading:  # two calls at once download the weights only once
            if pooled_name not in self._loaded:
                if pooled_name != name:
                    self._add_mean_pooling(name, pooled_name)
                self._loaded[pooled_name] = self._load(name, pooled_name)
            return self._loaded[pooled_name]

    def _load(self, name: str, pooled_name: str) -> TextEmbedding:
        try:
            return self._open(pooled_name, local_files_only=True)
        except Exception:  # any kind of exception; the download reports its own error if it does not help either
            print(f"Loading {name}, which may have to be downloaded first …", file=sys.stderr, flush=True)
        try:
            return self._open(pooled_name)
        except Exception as error:
            cache = self._cache or "fastembed's cache"
            reason = f"{name} is not in {cache} and could not be downloaded: {error}"
            raise UpstreamError(500, 8007, reason) from error

    def _open(self, pooled_name: str, **options: bool) -> TextEmbedding:
        return cast("TextEmbedding", self._fastembed.TextEmbedding(pooled_name, cache_dir=self._cache, **options))

    def _add_mean_pooling(self, name: str, pooled_name: str) -> None:
        """Add a model to fastembed, with the weights of another but mean pooling."""
        known: list[dict[str, Any]] = self._fastembed.TextEmbedding.list_supported_models()
        if any(each["model"] == pooled_name for each in known):
            return
        model = next(each for each in known if each["model"] == name)
        self._fastembed.TextEmbedding.add_custom_model(
            pooled_name,
            pooling=self._descriptions.PoolingType.MEAN,
            normalization=True,
            sources=self._descriptions.ModelSource(hf=model["sources"]["hf"]),
            dim=model["dim"],
            model_file=model["model_file"],
            additional_files=model["additional_files"],
        )
