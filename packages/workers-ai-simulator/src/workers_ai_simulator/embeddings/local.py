"""Real embeddings: the weights of bge, which Workers AI serves too, computed on this machine by fastembed."""

import importlib
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from workers_ai_simulator.embeddings.lexical import lexical
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.models import Model

FAMILY = "bge"
NAMES = {
    "@cf/baai/bge-small-en-v1.5": "BAAI/bge-small-en-v1.5",
    "@cf/baai/bge-base-en-v1.5": "BAAI/bge-base-en-v1.5",
    "@cf/baai/bge-large-en-v1.5": "BAAI/bge-large-en-v1.5",
}
"""Ids of Workers AI → names in fastembed 0.9.1, which does not know bge-m3."""

MEAN = "workers-ai-simulator/{}-mean"
"""The name in fastembed of the same weights with the mean of all tokens, Workers AI's default: what fastembed itself
knows as bge takes the first token, `cls`."""


class TextEmbedding(Protocol):
    """What is needed of fastembed's class."""

    def embed(self, documents: Iterable[str]) -> Iterable[NDArray[np.float32]]: ...


class EmbeddingsError(ValueError):
    """No such embeddings can be had; the message says why."""


def chosen(said: str) -> list[str]:
    """The ids of the models meant by `bge`, `bge-base`, `BAAI/bge-base-en-v1.5` or an id; several with commas.

    Raises EmbeddingsError if there is none of that name.
    """
    wanted = [each.strip() for each in said.split(",")]
    found = {each: [model_id for model_id in NAMES if _is_meant(each, model_id)] for each in wanted}
    if unknown := [each for each, ids in found.items() if not ids]:
        raise EmbeddingsError(f"{unknown[0]!r} is none of {FAMILY}, {', '.join(NAMES.values())}")
    return list(dict.fromkeys(model_id for ids in found.values() for model_id in ids))


def _is_meant(said: str, model_id: str) -> bool:
    short = model_id.removeprefix("@cf/baai/")
    return said in (FAMILY, model_id, NAMES[model_id], short, short.removesuffix("-en-v1.5"))


class LocalEmbeddings:
    """Computes the vectors of the models chosen. Weights are loaded at the first use, and before that downloaded.

    `cache` is where they are kept; by default where fastembed keeps them: `$FASTEMBED_CACHE_PATH`, else a folder of the
    system's for temporary files.
    """

    def __init__(self, model_ids: Sequence[str], cache: Path | None = None) -> None:
        """Raises ModuleNotFoundError without fastembed."""
        self._fastembed: Any = importlib.import_module("fastembed")
        self._descriptions: Any = importlib.import_module("fastembed.common.model_description")
        self._ids = tuple(model_ids)
        self._cache = str(cache) if cache else None
        self._loaded: dict[str, TextEmbedding] = {}
        self._loading = threading.Lock()

    def about(self) -> dict[str, str]:
        """The models and their names in fastembed."""
        return {model_id: NAMES[model_id] for model_id in self._ids}

    def vectors(self, model: Model, texts: list[str], pooling: str) -> NDArray[np.float32]:
        """One vector of unit length for each text; of a model that was not chosen, the lexical one.

        Raises UpstreamError 8007 with status 500 if the weights cannot be had.
        """
        if model.id not in self._ids:
            return lexical(model, texts, pooling)
        embedding = self._model(NAMES[model.id], pooling)
        # half an emoji may be in a JSON text, and in none that a tokenizer takes
        readable = [each.encode(errors="replace").decode() for each in texts]
        rows = np.array(list(embedding.embed(readable)), np.float32)
        assert rows.shape == (len(texts), model.dimensions), f"{NAMES[model.id]} gives vectors of {rows.shape}"
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _model(self, name: str, pooling: str) -> TextEmbedding:
        wanted = name if pooling == "cls" else MEAN.format(name.partition("/")[2])
        with self._loading:  # of two that ask at once, one downloads
            if wanted not in self._loaded:
                if wanted != name:
                    self._add_mean(name, wanted)
                self._loaded[wanted] = self._load(name, wanted)
            return self._loaded[wanted]

    def _load(self, name: str, wanted: str) -> TextEmbedding:
        try:
            return self._opened(wanted, local_files_only=True)
        except Exception:  # of many kinds; what it was the download will say, if it does not mend it
            print(f"Loading {name}, which may have to be downloaded first …", file=sys.stderr, flush=True)
        try:
            return self._opened(wanted)
        except Exception as error:
            where = self._cache or "fastembed's cache"
            described = f"{name} is not in {where} and could not be downloaded: {error}"
            raise UpstreamError(500, 8007, described) from error

    def _opened(self, wanted: str, **options: bool) -> TextEmbedding:
        return cast("TextEmbedding", self._fastembed.TextEmbedding(wanted, cache_dir=self._cache, **options))

    def _add_mean(self, name: str, wanted: str) -> None:
        """Tells fastembed of the model that has the weights of another and pools them by their mean."""
        known: list[dict[str, Any]] = self._fastembed.TextEmbedding.list_supported_models()
        if any(each["model"] == wanted for each in known):
            return
        model = next(each for each in known if each["model"] == name)
        self._fastembed.TextEmbedding.add_custom_model(
            wanted,
            pooling=self._descriptions.PoolingType.MEAN,
            normalization=True,
            sources=self._descriptions.ModelSource(hf=model["sources"]["hf"]),
            dim=model["dim"],
            model_file=model["model_file"],
            additional_files=model["additional_files"],
        )
