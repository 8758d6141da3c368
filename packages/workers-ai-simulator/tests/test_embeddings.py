"""Embeddings and reranking: inputs, answers and errors of each model."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from running_simulator import SOURCE
from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.embeddings import stored_kind
from workers_ai_simulator.embeddings.answers import embed, rerank
from workers_ai_simulator.embeddings.lexical import stem, words
from workers_ai_simulator.embeddings.vectors import SIMULATED, Kind, lexical
from workers_ai_simulator.errors import NotSimulated, UpstreamError

SMALL = "@cf/baai/bge-small-en-v1.5"
BASE = "@cf/baai/bge-base-en-v1.5"
LARGE = "@cf/baai/bge-large-en-v1.5"
M3 = "@cf/baai/bge-m3"
QWEN = "@cf/qwen/qwen3-embedding-0.6b"
GEMMA = "@cf/google/embeddinggemma-300m"
PLAMO = "@cf/pfnet/plamo-embedding-1b"
RERANKER = "@cf/baai/bge-reranker-base"

QUESTION = "What is the capital of France?"
ANSWER = "Paris is the capital of France."
OTHER = "Sourdough bread needs flour, water and patience."


def run(model: str, **inputs: Any) -> dict[str, Any]:
    return embed(MODELS[model], inputs)


def vectors(*texts: str, model: str = BASE, **inputs: Any) -> Any:
    return np.array(run(model, text=list(texts), **inputs)["data"])


def closeness(one: str, other: str, model: str = BASE) -> float:
    first, second = vectors(one, other, model=model)
    return float(first @ second)


def refusal(model: str, inputs: dict[str, Any]) -> UpstreamError:
    function = rerank if model == RERANKER else embed
    with pytest.raises(UpstreamError) as caught:
        function(MODELS[model], inputs)
    return caught.value


@pytest.mark.parametrize(
    ("model", "dimensions", "pooling"),
    [
        *((SMALL, 384, "mean"), (BASE, 768, "mean"), (LARGE, 1024, "mean"), (M3, 1024, "cls")),
        *((QWEN, 1024, None), (GEMMA, 768, None), (PLAMO, 2048, None)),
    ],
)
def test_every_model_answers_in_its_own_shape(model: str, dimensions: int, pooling: str | None) -> None:
    answer = run(model, text=[QUESTION, ANSWER])
    assert answer["shape"] == [2, dimensions]
    assert [len(row) for row in answer["data"]] == [dimensions, dimensions]
    assert answer.get("pooling") == pooling
    assert set(answer) == {"shape", "data"} | ({"pooling"} if pooling else set[str]())


def test_one_text_is_a_list_of_one() -> None:
    assert run(BASE, text=QUESTION) == run(BASE, text=[QUESTION])


def test_vectors_are_float32_of_unit_length() -> None:
    rows = vectors(QUESTION, "a", "!!!", " ", "👋🏽", "東京", "the of and", "\ud83d", "x" * 500)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert (rows == rows.astype(np.float32)).all()
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_another_process_gives_the_same_vectors() -> None:
    program = (
        "import json\n"
        "from workers_ai_simulator.embeddings.answers import embed\n"
        "from workers_ai_simulator.catalogue import MODELS\n"
        f"print(json.dumps(embed(MODELS[{BASE!r}], {{'text': {QUESTION!r}}})))"
    )
    environment = {"PYTHONPATH": str(SOURCE), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == run(BASE, text=QUESTION)


def test_a_text_does_not_depend_on_those_around_it() -> None:
    assert (vectors(OTHER, QUESTION)[1] == vectors(QUESTION)[0]).all()


def test_shared_words_are_close_and_others_nearly_orthogonal() -> None:
    assert closeness(QUESTION, ANSWER) > 0.6
    assert abs(closeness(QUESTION, OTHER)) < 0.15
    assert abs(closeness(QUESTION, OTHER, model=SMALL)) < 0.2


def test_stop_words_alone_make_nothing_close() -> None:
    assert abs(closeness("What is the price of the house?", "Where is the end of the rope?")) < 0.25


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("computers", "computing"), ("cities", "city"), ("happily", "happiness"), ("running", "runs")),
        *(("Straße", "STRASSE"), ("Naïve café", "naive cafe"), ("ﬁnal", "final"), ("हिन्दी भाषा", "हिन्दी में भाषा")),
        *(("東京の天気", "東京都の天気予報"), ("Жук жук", "жук"), ("recieve the parcel", "receive the parcel")),
    ],
)
def test_forms_and_spellings_of_the_same_words_are_close(one: str, other: str) -> None:
    assert closeness(one, other) > 0.45


def test_a_typo_leaves_some_similarity() -> None:
    assert 0.1 < closeness("recieve", "receive") < 0.9


def test_letters_with_combining_marks_stay_whole() -> None:
    assert words("がぎ 한국 Ça") == ["が", "ぎ", "한국", "ca"]


def test_texts_in_scripts_without_spaces_differ() -> None:
    assert abs(closeness("東京の天気", "猫が好き")) < 0.2


@pytest.mark.parametrize(
    ("word", "root"),
    [("running", "run"), ("class", "class"), ("classes", "class"), ("virus", "virus"), ("string", "string")],
)
def test_suffixes_are_removed_but_not_lookalikes(word: str, root: str) -> None:
    assert stem(word) == root


def test_the_order_of_words_matters_a_little() -> None:
    assert 0.9 < closeness("dog bites man", "man bites dog") < 0.9999


def test_a_repeated_word_does_not_outweigh_the_others() -> None:
    assert closeness("cloud cloud cloud cloud cloud cloud llama", "llama") > 0.28


@pytest.mark.parametrize(
    "instruction",
    [
        "Represent this sentence for searching relevant passages: ",
        "Instruct: Given a web search query, retrieve relevant passages\nQuery:",
        "task: search result | query: ",
        "title: none | text: ",
    ],
)
def test_an_instruction_before_the_text_is_ignored(instruction: str) -> None:
    assert closeness(instruction + QUESTION, QUESTION) > 0.999


def test_an_instruction_alone_is_a_text() -> None:
    assert closeness("Represent this sentence for searching relevant passages:", "Searching sentences") > 0.5


def test_vectors_of_the_two_poolings_do_not_mix() -> None:
    mean, cls = vectors(QUESTION)[0], vectors(QUESTION, pooling="cls")[0]
    assert abs(float(mean @ cls)) < 0.2
    assert run(BASE, text="a", pooling="cls")["pooling"] == "cls"
    assert (vectors(QUESTION, pooling="mean")[0] == mean).all()


def test_vectors_of_models_with_the_same_dimensions_do_not_mix() -> None:
    assert abs(float(vectors(QUESTION, model=LARGE)[0] @ vectors(QUESTION, model=M3)[0])) < 0.2


def test_qwen_s_queries_and_documents_are_rows_in_this_order() -> None:
    answer = run(QWEN, documents=[ANSWER, OTHER], queries=QUESTION, instruction="Find the passage")
    assert answer["shape"] == [3, 1024]
    query, right, wrong = np.array(answer["data"])
    assert query @ right > 0.6 > 0.2 > query @ wrong
    assert answer["data"][1:] == run(QWEN, text=[ANSWER, OTHER])["data"]


def test_bge_m3_scores_contexts_best_first() -> None:
    answer = run(M3, query=QUESTION, contexts=[{"text": OTHER}, {"text": ANSWER}])
    assert set(answer) == {"response"}
    assert [each["id"] for each in answer["response"]] == [1, 0]
    query, best = vectors(QUESTION, ANSWER, model=M3)
    assert answer["response"][0]["score"] == pytest.approx(float(query @ best), abs=1e-5)


def test_bge_m3_without_a_query_embeds_the_contexts() -> None:
    answer = run(M3, contexts=[{"text": OTHER}, {"text": ANSWER}])
    assert answer == {
        "response": run(M3, text=[OTHER, ANSWER])["data"],
        "shape": [2, 1024],
        "pooling": "cls",
    }


def test_a_long_text_is_cut_on_request() -> None:
    long = "word " * 9000
    assert refusal(M3, {"text": long}).description == "Sequence too long: 9000 > 8192"
    assert run(M3, text=long, truncate_inputs=True)["shape"] == [1, 1024]
    assert refusal(M3, {"text": long, "truncate_inputs": False}).code == 3030


def test_a_text_that_just_fits_is_taken() -> None:
    assert run(BASE, text=" a" * 512)["shape"] == [1, 768]
    assert refusal(BASE, {"text": " a" * 513}).description == "Sequence too long: 513 > 512"
    assert run(BASE, text="|  " * 512)["shape"] == [1, 768]  # empty cells of a table: spaces are no tokens
    assert run(BASE, text=["a"] * 100)["shape"] == [100, 768]
    assert run(GEMMA, text=["a"] * 100)["shape"] == [100, 768]


def test_a_context_window_of_one_text_is_no_limit_of_the_batch() -> None:
    assert run(QWEN, text=[" a" * 8000] * 2)["shape"] == [2, 1024]


def test_a_batch_that_is_too_long_together_is_3030() -> None:
    error = refusal(M3, {"text": [" a" * 8000] * 8})
    assert (error.status, error.code) == (400, 3030)
    assert error.description == "Max context reached 64000 tokens but model supports only 60000"


@pytest.mark.parametrize(
    ("model", "inputs", "reason"),
    [
        (BASE, {}, "required properties at '/' are 'text'"),
        (BASE, {"text": None}, "required properties at '/' are 'text'"),
        (BASE, {"text": []}, "required properties at '/' are 'text'"),
        (BASE, {"text": ""}, "'/text' length must be >= 1"),
        (BASE, {"text": ["a", ""]}, "'/text/1' length must be >= 1"),
        (BASE, {"text": 5}, "Type mismatch of '/text', 'number' not in 'string'"),
        (BASE, {"text": {"a": 1}}, "Type mismatch of '/text', 'object' not in 'string'"),
        (BASE, {"text": ["a", None]}, "Type mismatch of '/text/1', 'null' not in 'string'"),
        (BASE, {"text": [["a"]]}, "Type mismatch of '/text/0', 'array' not in 'string'"),
        (BASE, {"text": ["a"] * 101}, "'/text' has 101 items, with a maximum of 100"),
        (GEMMA, {"text": ["a"] * 101}, "a maximum of 100"),
        (QWEN, {"queries": ["a"] * 33}, "'/queries' has 33 items, with a maximum of 32"),
        (QWEN, {"documents": ""}, "'/documents' length must be >= 1"),
        (QWEN, {"instruction": "a"}, "required properties at '/' are 'text'"),
        (QWEN, {"text": "a", "instruction": 5}, "Type mismatch of '/instruction'"),
        (GEMMA, {"queries": "a"}, "required properties at '/' are 'text'"),
        (BASE, {"text": "a", "pooling": "max"}, "enum max not in mean,cls"),
        (BASE, {"text": "a", "pooling": 5}, "Type mismatch of '/pooling', 'number' not in 'string'"),
        (M3, {}, "oneOf at '/' not met, 0 matches"),
        (M3, {"query": "a"}, "required properties at '/' are 'contexts'"),
        (M3, {"text": "a", "contexts": [{"text": "a"}]}, "oneOf at '/' not met, 2 matches"),
        (M3, {"contexts": "a"}, "Type mismatch of '/contexts', 'string' not in 'array'"),
        (M3, {"contexts": []}, "required properties at '/' are 'contexts'"),
        (M3, {"contexts": ["a"]}, "Type mismatch of '/contexts/0', 'string' not in 'object'"),
        (M3, {"contexts": [{"text": "a"}, {}]}, "required properties at '/contexts/1' are 'text'"),
        (M3, {"query": "", "contexts": [{"text": "a"}]}, "'/query' length must be >= 1"),
        (RERANKER, {"query": "a"}, "required properties at '/' are 'contexts'"),
        (RERANKER, {"contexts": [{"text": "a"}]}, "required properties at '/' are 'query'"),
        (RERANKER, {"query": "a", "contexts": [{"text": ""}]}, "'/contexts/0/text' length must be >= 1"),
        (RERANKER, {"query": "a", "contexts": [{"text": 5}]}, "Type mismatch of '/contexts/0/text'"),
        (RERANKER, {"query": "a", "contexts": [{"text": "a"}], "top_k": 0}, "'/top_k' must be >= 1"),
        (RERANKER, {"query": "a", "contexts": [{"text": "a"}], "top_k": 1.5}, "'number' not in 'integer'"),
        (RERANKER, {"query": "a", "contexts": [{"text": "a"}], "top_k": "1"}, "'string' not in 'number'"),
    ],
)
def test_inputs_are_refused_as_upstream_refuses_them(model: str, inputs: dict[str, Any], reason: str) -> None:
    error = refusal(model, inputs)
    assert (error.status, error.code) == (400, 5006)
    assert reason in error.description


def test_the_batch_form_says_that_it_is_not_simulated() -> None:
    with pytest.raises(NotSimulated):
        run(BASE, requests=[{"text": "a"}])


# ---- kinds of vectors ----------------------------------------------------------------------------------------------


PARAPHRASE = ("May I bring my dog?", "Pets are welcome on board.", "The museum opens at ten o'clock.")


@pytest.mark.parametrize("model", [SMALL, BASE, LARGE, M3, QWEN, GEMMA, PLAMO])
def test_a_paraphrase_without_a_common_word_is_closer_than_another_text(model: str) -> None:
    question, same, other = PARAPHRASE
    assert closeness(question, same, model) > closeness(question, other, model) + 0.05


def test_lexical_vectors_know_words_alone() -> None:
    question, same, _ = lexical(MODELS[BASE], list(PARAPHRASE), "mean")
    assert abs(float(question @ same)) < 0.15
    answer = embed(MODELS[BASE], {"text": list(PARAPHRASE)}, lexical)
    assert np.allclose(answer["data"], lexical(MODELS[BASE], list(PARAPHRASE), "mean"))


def test_the_reranker_knows_meaning_unless_it_is_lexical() -> None:
    question, same, other = PARAPHRASE
    inputs = {"query": question, "contexts": [{"text": other}, {"text": same}]}
    scores = {
        kind: {each["id"]: each["score"] for each in rerank(MODELS[RERANKER], inputs, kind)["response"]}
        for kind in SIMULATED
    }
    assert scores["mixed"][1] > 2 * scores["mixed"][0]
    assert scores["lexical"][1] < 2 * scores["lexical"][0]


def test_the_packages_of_the_models_are_loaded_with_the_first_text_only() -> None:
    program = (
        "import sys, workers_ai_simulator.server, workers_ai_simulator.inference.service\n"
        "print(sorted({'tokenizers', 'wordllama', 'vaderSentiment', 'requests'} & sys.modules.keys()))"
    )
    environment = {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().strip() == "[]"


@pytest.mark.parametrize(
    ("stored", "has_vectors", "wanted", "kind", "says"),
    [
        (None, False, None, "mixed", ""),
        (None, False, "lexical", "lexical", ""),
        (None, True, None, "lexical", "are of words alone"),
        (None, True, "lexical", "lexical", ""),
        ("lexical", True, None, "lexical", "are of words alone"),
        ("mixed", True, None, "mixed", ""),
        ("mixed", True, "lexical", "lexical", "were made by mixed embeddings"),
        ("nonsense", True, None, "lexical", "are of words alone"),
    ],
)
def test_a_data_folder_goes_on_with_the_embeddings_that_it_was_filled_with(
    tmp_path: Path, stored: str | None, has_vectors: bool, wanted: Kind | None, kind: str, says: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    if has_vectors:
        (folder / stored_kind.VECTORS).touch()
    if stored:
        (folder / stored_kind.NAME).write_text(stored)
    chosen, notice = stored_kind.choose(folder, wanted)
    assert chosen == kind
    assert says in notice
    assert bool(notice) is bool(says)


def test_a_second_start_finds_the_kind_of_the_first(tmp_path: Path) -> None:
    assert stored_kind.choose(tmp_path, None) == ("mixed", "")
    stored_kind.store(tmp_path, "mixed")
    (tmp_path / stored_kind.VECTORS).touch()
    assert stored_kind.choose(tmp_path, None) == ("mixed", "")


def test_without_a_folder_nothing_is_written() -> None:
    assert stored_kind.choose(None, None) == ("mixed", "")
    assert stored_kind.choose(None, "lexical") == ("lexical", "")


# ---- reranking -----------------------------------------------------------------------------------------------------


def ranking(query: str, *contexts: str, **inputs: Any) -> list[dict[str, Any]]:
    body = {"query": query, "contexts": [{"text": each} for each in contexts], **inputs}
    return rerank(MODELS[RERANKER], body)["response"]


def test_the_best_context_comes_first_under_its_index() -> None:
    response = ranking(QUESTION, OTHER, "France is in Europe.", ANSWER)
    assert [each["id"] for each in response] == [2, 1, 0]
    assert response[0]["score"] > 0.9
    assert response[2]["score"] < 0.1
    assert all(0 < each["score"] < 1 for each in response)


def test_reranking_orders_as_the_embeddings_do() -> None:
    contexts = [OTHER, "The capital", "France is in Europe.", ANSWER, "Capital letters are large."]
    query, *rows = vectors(QUESTION, *contexts, model=LARGE)
    by_cosine = sorted(range(len(rows)), key=lambda number: -float(query @ rows[number]))
    assert [each["id"] for each in ranking(QUESTION, *contexts)][:3] == by_cosine[:3]


def test_equal_contexts_keep_their_order_and_top_k_cuts() -> None:
    assert [each["id"] for each in ranking(QUESTION, ANSWER, ANSWER, ANSWER)] == [0, 1, 2]
    assert [each["id"] for each in ranking(QUESTION, OTHER, ANSWER, top_k=1)] == [1]
    assert len(ranking(QUESTION, OTHER, ANSWER, top_k=9)) == 2


def test_texts_too_long_for_the_reranker_are_cut() -> None:
    filler = "flour " * 600
    assert ranking(QUESTION, filler + QUESTION) == ranking(QUESTION, filler + ANSWER)
