"""Measures of scripts/eval, and the labelled questions themselves."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiworker.rag.chunk import chunks
from tools.evaluation import chunkers, run
from tools.evaluation.run import Evidence, Question, Result

HEIGHT = Evidence("tower", "It is 41 metres high.")
YEAR = Evidence("history", "Built in 1868.")


def passage(document: str, text: str, **more: Any) -> dict[str, Any]:
    return {"document": document, "text": text, "title": "", "heading": "", **more}


TALL = passage("tower", "The light. It is 41\nmetres  high.", id="t1", score=0.9)
OLD = passage("history", "Built in 1868. Lit in 1869.", id="h1", score=0.5)
OTHER = passage("history", "It is 41 metres high.", id="h2", score=0.2)
HEIGHT_QUESTION = Question("height", "plain", "How high is it?", (HEIGHT,))


# ---- measures --------------------------------------------------------------------------------------------------------


def test_a_passage_counts_if_it_is_of_the_right_document_and_has_the_words() -> None:
    assert run.holds(TALL, HEIGHT)
    assert not run.holds(OTHER, HEIGHT)
    assert not run.holds(OLD, HEIGHT)


def test_evidence_that_stands_in_two_passages_counts_once() -> None:
    assert run.gains([HEIGHT, YEAR], [OTHER, TALL, TALL, OLD]) == [0, 1, 0, 1]


def test_one_passage_may_bring_several_pieces() -> None:
    both = [Evidence("history", "Built in 1868."), Evidence("history", "Lit in 1869.")]
    assert run.gains(both, [OLD]) == [2]


@pytest.mark.parametrize(
    ("gained", "wanted", "recall", "reciprocal_rank", "ndcg"),
    [
        ([1], 1, 1, 1, 1),
        ([0, 1], 1, 1, 0.5, 1 / math.log2(3)),
        ([0, 0, 0, 0, 1], 1, 1, 0.2, 1 / math.log2(6)),
        ([0, 0, 0, 0, 0, 1], 1, 0, 1 / 6, 1 / math.log2(7)),
        ([0] * 10 + [1], 1, 0, 1 / 11, 0),
        ([0, 0, 0], 1, 0, 0, 0),
        ([], 1, 0, 0, 0),
        ([1, 0, 1], 2, 1, 1, (1 + 1 / 2) / (1 + 1 / math.log2(3))),
        ([0, 1, 0, 0, 0, 1], 2, 0.5, 0.5, (1 / math.log2(3) + 1 / math.log2(7)) / (1 + 1 / math.log2(3))),
        ([2], 2, 1, 1, 1),
    ],
)
def test_measures_of_one_ranking(
    gained: list[int], wanted: int, recall: float, reciprocal_rank: float, ndcg: float
) -> None:
    assert run.recall(gained, wanted) == pytest.approx(recall)
    assert run.reciprocal_rank(gained) == pytest.approx(reciprocal_rank)
    assert run.ndcg(gained, wanted) == pytest.approx(ndcg)


def test_figures_are_the_mean_of_the_questions() -> None:
    second = Question("year", "plain", "How old is it?", (YEAR,))
    figures = run.figures([HEIGHT_QUESTION, second], {"height": [TALL], "year": [OTHER, OLD]})
    assert figures == {
        "recall@5": 1,
        "MRR": pytest.approx(0.75),
        "nDCG@10": pytest.approx((1 + 1 / math.log2(3)) / 2),
    }


def test_a_threshold_takes_good_passages_with_the_bad() -> None:
    nonsense = Question("nonsense", "unanswerable", "Who?", ())
    near = Question("near", "near_miss", "How wide is it?", ())
    rows = run.thresholds([HEIGHT_QUESTION, nonsense, near], {"height": [TALL], "nonsense": [OTHER], "near": [OLD]})
    by_score = {row["min_score"]: list(row.values())[1:] for row in rows}
    assert by_score[0.0] == [1, 0, 0, 0]
    assert by_score[0.3] == [1, 0, 1, 0]


# ---- answers ---------------------------------------------------------------------------------------------------------


def answer(text: str, *cited: int) -> dict[str, Any]:
    sources = [{**each, "number": number, "text": None} for number, each in enumerate((TALL, OLD), 1)]
    return {"answer": text, "sources": sources, "citations": list(cited)}


def judged(answer: dict[str, Any], question: Question = HEIGHT_QUESTION) -> run.Verdict:
    return run.judge(question, answer, {each["id"]: each["text"] for each in (TALL, OLD)})


def test_an_answer_that_cites_the_evidence() -> None:
    verdict = judged(answer("It is 41 metres high [1].", 1))
    assert verdict == run.Verdict(
        refused=False,
        sources_have_it=True,
        cites=True,
        cites_evidence=True,
        cites_only_evidence=True,
        is_supported=True,
    )


def test_an_answer_that_cites_other_passages_too() -> None:
    verdict = judged(answer("It is 41 metres high [1]. It was lit in 1869 [2].", 1, 2))
    assert (verdict.cites_evidence, verdict.cites_only_evidence, verdict.is_supported) == (True, False, True)


@pytest.mark.parametrize(
    "text",
    ["Elephants sleep in hammocks [1].", "It is 41 metres high [1]. Elephants sleep in hammocks [2].", "Yes [7]."],
)
def test_a_statement_that_its_source_does_not_make_is_not_supported(text: str) -> None:
    cited = [number for number in (1, 2) if f"[{number}]" in text]
    assert not judged(answer(text, *cited)).is_supported


def test_an_answer_without_citations_supports_nothing() -> None:
    verdict = judged(answer("It is 41 metres high."))
    assert (verdict.cites, verdict.cites_evidence, verdict.cites_only_evidence, verdict.is_supported) == (False,) * 4
    assert not verdict.refused


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ({"answer": "Anything.", "sources": [], "citations": []}, True),
        (answer("The passages do not contain this."), True),
        (answer("The passages don't say how high it is."), True),
        (answer("It does not say so, but it is 41 metres high [1].", 1), False),
        (answer("It is not small."), False),
    ],
)
def test_refusals_are_recognised(answer: dict[str, Any], refused: bool) -> None:
    assert judged(answer).refused is refused


# ---- recorded figures ------------------------------------------------------------------------------------------------

MEASURED = Result(
    models="simulated",
    documents=1,
    passages=1,
    questions=1,
    stages={name: {"recall@5": 0.8, "MRR": 0.7, "nDCG@10": 0.7} for name in run.STAGES},
    kinds={},
    answers={"answers that cite": 1.0},
    min_score=[],
)


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "recorded.json"
    monkeypatch.setattr(run, "RECORDED", file)
    return file


def test_recorded_figures_are_reached_by_the_run_that_was_recorded(recorded: Path) -> None:
    run.record(MEASURED)
    run.record(replace(MEASURED, models="real", stages={}))
    kept = json.loads(recorded.read_text())
    assert set(kept) == {"simulated", "real"}
    assert run.fallen(MEASURED, kept["simulated"]) == []


def test_a_figure_that_falls_is_named_with_both_values(recorded: Path) -> None:
    run.record(MEASURED)
    worse = replace(MEASURED, stages={**MEASURED.stages, "hybrid": {"recall@5": 0.8, "MRR": 0.6, "nDCG@10": 0.69}})
    kept = json.loads(recorded.read_text())["simulated"]
    assert run.fallen(worse, kept) == ["MRR of hybrid is 0.600, recorded is 0.700"]


# ---- the labelled set ------------------------------------------------------------------------------------------------


def test_the_set_is_large_enough() -> None:
    passages = sum(1 for text in run.documents().values() for _ in chunks(text))
    kinds = Counter(each.kind for each in run.questions())
    assert passages >= 100
    assert sum(kinds.values()) >= 80
    of_long_documents = {"table", "code", "list", "section"}
    assert set(kinds) == {"exact", "plain", "paraphrase", "follow_up", "near_miss", "unanswerable"} | of_long_documents
    assert min(kinds.values()) >= 5


def test_ids_are_unique() -> None:
    assert not [each for each, count in Counter(each.id for each in run.questions()).items() if count > 1]


def test_every_piece_of_evidence_is_whole_in_one_passage_and_in_no_other_document() -> None:
    passages = [
        {"document": document, "text": each.text} for document, text in run.documents().items() for each in chunks(text)
    ]
    for question in run.questions():
        for evidence in question.evidence:
            assert [each for each in passages if run.holds(each, evidence)], (question.id, evidence)
            elsewhere = [replace(evidence, document=each) for each in run.documents() if each != evidence.document]
            assert not [each for each in passages for other in elsewhere if run.holds(each, other)], question.id


def test_the_context_of_evidence_stands_in_its_document() -> None:
    texts = {name: run.even(text) for name, text in run.documents().items()}
    for question in run.questions():
        for evidence in question.evidence:
            assert all(run.even(each) in texts[evidence.document] for each in evidence.context), question.id


@pytest.mark.parametrize("name", chunkers.CHUNKERS)
def test_labels_hold_however_documents_are_cut(name: str) -> None:
    cut = chunkers.CHUNKERS[name].cut
    passages = [
        {"document": document, "text": text} for document, all_of in run.documents().items() for _, text in cut(all_of)
    ]
    for question in run.questions():
        for evidence in question.evidence:
            assert any(run.holds(each, evidence) for each in passages), (question.id, evidence)


def test_only_questions_without_an_answer_have_no_evidence() -> None:
    for question in run.questions():
        assert bool(question.evidence) is (question.kind not in ("near_miss", "unanswerable")), question.id
        assert bool(question.before) is (question.kind == "follow_up"), question.id


def test_recorded_figures_are_of_every_search() -> None:
    kept = json.loads(run.RECORDED.read_text())
    assert run.STAGES.keys() <= kept["simulated"].keys()
