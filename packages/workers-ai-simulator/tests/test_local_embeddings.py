"""Embeddings computed by fastembed: with a stand-in for it, and where it is installed, with fastembed and a tiny model.

The real weights of bge are tried nowhere: no test may download them.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from running_simulator import end_with_parent
from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.embeddings.answers import embed
from workers_ai_simulator.embeddings.local import NAMES, EmbeddingsError, LocalEmbeddings, model_ids
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.extras import install_command

SMALL, BASE, LARGE = NAMES
M3 = "@cf/baai/bge-m3"
ARGUMENTS = ["--port", "0", "--end-with-stdin"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **more}


# ---- which models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        ("bge", [SMALL, BASE, LARGE]),
        ("bge-base", [BASE]),
        ("bge-base-en-v1.5", [BASE]),
        ("BAAI/bge-base-en-v1.5", [BASE]),
        (BASE, [BASE]),
        ("bge-large, bge-small,bge-large", [LARGE, SMALL]),
    ],
)
def test_models_have_several_names(names: str, ids: list[str]) -> None:
    assert model_ids(names) == ids


@pytest.mark.parametrize("names", ["", "bge-m3", "e5", "bge-base,", M3])
def test_a_model_unknown_to_fastembed_is_refused(names: str) -> None:
    with pytest.raises(EmbeddingsError, match="is none of lexical, minilm"):
        model_ids(names)


# ---- with a stand-in for fastembed ---------------------------------------------------------------------------------


class StandIn:
    """The part of `fastembed.TextEmbedding` that is used; all texts of a model get one vector, not of unit length."""

    known: list[dict[str, Any]]
    opened: list[tuple[str, str | None, bool]]
    is_cached: bool
    can_download: bool

    def __init__(self, model_name: str, cache_dir: str | None = None, local_files_only: bool = False) -> None:
        self.opened.append((model_name, cache_dir, local_files_only))
        if not (self.is_cached if local_files_only else self.can_download):
            raise ValueError(f"Could not load model {model_name} from any source.")
        self._model = next(each for each in self.known if each["model"] == model_name)

    def embed(self, documents: Iterable[str]) -> Iterator[Any]:
        for each in documents:
            each.encode()  # as a tokenizer does
            yield np.full(self._model["dim"], 3.0 if self._model.get("pooling") == "MEAN" else -3.0, np.float32)

    @classmethod
    def list_supported_models(cls) -> list[dict[str, Any]]:
        return cls.known

    @classmethod
    def add_custom_model(cls, model: str, **parts: Any) -> None:
        assert model not in [each["model"] for each in cls.known]
        cls.known.append({"model": model, **parts})


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    file: dict[str, Any] = {"model_file": "model_optimized.onnx", "additional_files": []}
    StandIn.known = [
        {"model": name, "dim": MODELS[model_id].dimensions, "sources": {"hf": f"Qdrant/{name}"}, **file}
        for model_id, name in NAMES.items()
    ]
    StandIn.opened, StandIn.is_cached, StandIn.can_download = [], True, True
    descriptions = SimpleNamespace(PoolingType=SimpleNamespace(MEAN="MEAN"), ModelSource=dict)
    monkeypatch.setitem(sys.modules, "fastembed", SimpleNamespace(TextEmbedding=StandIn))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "fastembed.common.model_description", descriptions)  # type: ignore[arg-type]
    return StandIn


def test_vectors_are_fastembed_s_scaled_to_unit_length(stand_in: type[StandIn]) -> None:
    local = LocalEmbeddings([SMALL, BASE, LARGE])
    for model_id in NAMES:
        answer = embed(MODELS[model_id], {"text": ["a", "half an emoji: \ud83d"]}, local.vectors)
        dimensions = MODELS[model_id].dimensions
        assert dimensions
        assert (answer["shape"], answer["pooling"]) == ([2, dimensions], "mean")
        assert np.allclose(answer["data"], dimensions**-0.5)


def test_each_pooling_is_a_model_of_its_own(stand_in: type[StandIn]) -> None:
    local = LocalEmbeddings([SMALL])
    answers = [embed(MODELS[SMALL], {"text": "a", "pooling": each}, local.vectors) for each in ("mean", "cls")]
    assert [answer["data"][0][0] > 0 for answer in answers] == [True, False]
    added = stand_in.known[-1]
    assert (added["pooling"], added["normalization"], added["model_file"]) == ("MEAN", True, "model_optimized.onnx")
    assert added["sources"] == {"hf": "Qdrant/BAAI/bge-small-en-v1.5"}


def test_a_model_is_loaded_once_and_from_the_cache_folder(stand_in: type[StandIn], tmp_path: Path) -> None:
    local = LocalEmbeddings([SMALL], tmp_path)
    for _ in range(3):
        embed(MODELS[SMALL], {"text": "a", "pooling": "cls"}, local.vectors)
    assert stand_in.opened == [("BAAI/bge-small-en-v1.5", str(tmp_path), True)]


def test_weights_missing_in_the_cache_are_downloaded_with_a_note(
    stand_in: type[StandIn], capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in.is_cached = False
    answer = embed(MODELS[SMALL], {"text": "a", "pooling": "cls"}, LocalEmbeddings([SMALL]).vectors)
    assert answer["shape"] == [1, 384]
    assert [offline for _, _, offline in stand_in.opened] == [True, False]
    assert "BAAI/bge-small-en-v1.5, which may have to be downloaded first" in capfd.readouterr().err


def test_weights_that_cannot_be_loaded_fail_this_call_only(stand_in: type[StandIn], tmp_path: Path) -> None:
    stand_in.is_cached = stand_in.can_download = False
    local = LocalEmbeddings([SMALL], tmp_path)
    with pytest.raises(UpstreamError) as caught:
        embed(MODELS[SMALL], {"text": "a"}, local.vectors)
    assert (caught.value.status, caught.value.code) == (500, 8007)
    assert f"BAAI/bge-small-en-v1.5 is not in {tmp_path} and could not be downloaded" in caught.value.description
    stand_in.can_download = True
    assert embed(MODELS[SMALL], {"text": "a"}, local.vectors)["shape"] == [1, 384]


def test_other_models_stay_lexical(stand_in: type[StandIn]) -> None:
    local = LocalEmbeddings([SMALL])
    for model_id in (BASE, M3):
        assert embed(MODELS[model_id], {"text": "a"}, local.vectors) == embed(MODELS[model_id], {"text": "a"})
    assert stand_in.opened == []


@pytest.mark.parametrize(
    ("inputs", "code"), [({}, 5006), ({"text": ""}, 5006), ({"text": " a" * 513}, 3030), ({"text": ["a"] * 101}, 5006)]
)
def test_inputs_are_refused_before_anything_is_loaded(
    stand_in: type[StandIn], inputs: dict[str, Any], code: int
) -> None:
    with pytest.raises(UpstreamError) as caught:
        embed(MODELS[SMALL], inputs, LocalEmbeddings([SMALL]).vectors)
    assert (caught.value.code, stand_in.opened) == (code, [])


# ---- the start -----------------------------------------------------------------------------------------------------


def started(*arguments: str, program: str = "") -> subprocess.CompletedProcess[str]:
    start = ["-c", program] if program else ["-m", "workers_ai_simulator"]
    return subprocess.run(
        [sys.executable, *start, *ARGUMENTS, *arguments],
        env=environment(), text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def test_without_the_extra_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['fastembed'] = None; from workers_ai_simulator.__main__ import main; main()"
    done = started("--embeddings", "bge", program=program)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"--embeddings needs fastembed: {install_command('embeddings')}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--embeddings", "e5"], "'e5' is none of lexical, minilm"),
        (["--embeddings-cache", "weights"], "--embeddings-cache needs --embeddings"),
    ],
)
def test_wrong_options_end_the_start(arguments: list[str], words: str) -> None:
    done = started(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


# ---- with fastembed ------------------------------------------------------------------------------------------------

needs_fastembed = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("fastembed", "onnx")),
    reason="needs fastembed, and onnx to make a model for it: pip install fastembed==0.9.1 onnx",
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "paris", "france", "bread", "water"]
FIRST = WORDS.index("[CLS]")


def tiny_model(folder: Path) -> Any:
    """A model with bge-small's inputs and files. Returns the table whose rows are the vectors of the tokens."""
    onnx = importlib.import_module("onnx")
    helper, tensors = onnx.helper, onnx.TensorProto
    table = np.random.default_rng(1).standard_normal((len(WORDS), 384)).astype(np.float32)
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(name, tensors.INT64, ["texts", "tokens"]) for name in names]
    output = helper.make_tensor_value_info("last_hidden_state", tensors.FLOAT, ["texts", "tokens", 384])
    node = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    graph = helper.make_graph([node], "tiny", inputs, [output], [onnx.numpy_helper.from_array(table, "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model_optimized.onnx")
    tokenizers = importlib.import_module("tokenizers")
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in {
        "config.json": {"pad_token_id": 0},
        "tokenizer_config.json": {"model_max_length": 512, "pad_token": "[PAD]"},
        "special_tokens_map.json": {"pad_token": "[PAD]"},
    }.items():
        (folder / name).write_text(json.dumps(content))
    return table


@pytest.fixture
def cache(tmp_path: Path) -> tuple[Path, Any]:
    """A cache like that of a download of bge-small, but with other weights; and these weights."""
    repository = tmp_path / "models--Qdrant--bge-small-en-v1.5-onnx-Q"
    snapshot = repository / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    return tmp_path, tiny_model(snapshot)


def unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


@needs_fastembed
def test_fastembed_pools_as_the_inputs_say(cache: tuple[Path, Any]) -> None:
    folder, table = cache
    local = LocalEmbeddings([SMALL], folder)
    texts = {"text": ["paris france", "bread"]}
    by_mean = embed(MODELS[SMALL], texts, local.vectors)["data"]
    tokens = [[FIRST, WORDS.index("paris"), WORDS.index("france"), 3], [FIRST, WORDS.index("bread"), 3]]
    assert np.allclose(by_mean, [unit(table[each].mean(axis=0)) for each in tokens], atol=1e-5)
    by_first = embed(MODELS[SMALL], {**texts, "pooling": "cls"}, local.vectors)["data"]
    assert np.allclose(by_first, [unit(table[FIRST])] * 2, atol=1e-5)
    assert embed(MODELS[SMALL], {"text": "half: \ud83d"}, local.vectors)["shape"] == [1, 384]


@needs_fastembed
def test_a_simulator_answers_with_fastembed_s_vectors_and_says_so(cache: tuple[Path, Any]) -> None:
    folder, table = cache
    command = [sys.executable, "-m", "workers_ai_simulator", *ARGUMENTS, "--embeddings", "bge-small"]
    with subprocess.Popen(
        [*command, "--embeddings-cache", str(folder)],
        env=environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=end_with_parent,
    ) as process:  # fmt: skip
        assert process.stdout
        url = process.stdout.readline().removeprefix("Ready on ").strip()
        with httpx.Client(base_url=url, timeout=60) as http:
            body = {"inputs": {"text": "water", "pooling": "cls"}, "options": {}}
            answer = http.post("/run", json=body, headers={"cf-consn-model-id": SMALL}).json()
            about = http.get("/simulator").json()
    assert np.allclose(answer["data"], [unit(table[FIRST])], atol=1e-5)
    assert about["local_embeddings"] == {SMALL: "BAAI/bge-small-en-v1.5"}
