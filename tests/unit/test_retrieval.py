"""The steps between the searches and the passages that are returned: fusion, selection, the part of a query."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from aiworker.rag.fusion import fuse, fuse_ranks
from aiworker.rag.passage import Passage, without_title
from aiworker.rag.query_text import MAX_TOKENS, fitting
from aiworker.rag.relevance import is_off_topic, is_relevant, known_share
from aiworker.rag.selection import MAX_JOINED, join_neighbours, limit_per_document
from aiworker.rag.text_pieces import tokens

# ---- fusion ----------------------------------------------------------------------------------------------------------


def test_a_passage_that_both_searches_find_comes_first() -> None:
    assert list(fuse({"a": 0.8, "b": 0.7, "c": 0.1}, {"d": 9.0, "b": 8.0})) == ["b", "d", "a", "c"]


def test_fused_scores_are_between_0_and_1() -> None:
    assert fuse({"a": 0.9, "b": -0.2}, {"a": 12.0, "c": 3.0}) == {"a": 1.0, "c": 0.125, "b": 0.0}


@pytest.mark.parametrize(
    ("cosines", "text_scores", "fused"),
    [
        ({}, {}, {}),
        ({"a": 0.3}, {}, {"a": 1.0}),
        ({}, {"a": 0.3}, {"a": 1.0}),
        ({"a": 0.5, "b": 0.5}, {}, {"a": 1.0, "b": 1.0}),
        ({}, {"a": 4.0, "b": 1.0}, {"a": 1.0, "b": 0.25}),
        ({"a": 0.3}, {"b": 0.0}, {"b": 0.5, "a": 0.5}),
    ],
)
def test_a_search_that_finds_little_takes_nothing_from_the_other(
    cosines: dict[str, float], text_scores: dict[str, float], fused: dict[str, float]
) -> None:
    assert fuse(cosines, text_scores) == fused


def test_a_reranker_moves_passages_and_does_not_decide_alone() -> None:
    assert fuse_ranks([["a", "b", "c"], ["c", "b", "a"]])[0] in ("a", "c")
    assert fuse_ranks([["a", "b", "c"], ["b", "a", "c"]])[:2] == ["a", "b"]
    assert fuse_ranks([["a", "b", "c", "d"], ["b", "c", "d", "a"]])[0] == "b"


def test_a_passage_that_the_reranker_leaves_out_stays() -> None:
    assert fuse_ranks([["a", "b"], ["b"]]) == ["b", "a"]


# ---- selection -------------------------------------------------------------------------------------------------------


def passage(
    chunk_id: str, text: str = "text", *, document: str = "", heading: str = "", rerank: float = 0.5
) -> Passage:
    document = document or chunk_id.rpartition("-")[0]
    number = int(chunk_id.rpartition("-")[2])
    scores = {"rerank": rerank}
    return Passage(chunk_id, document, "Title", None, heading, text, rerank, scores, 7, (number * 10, number * 10 + 12))


def ids(passages: Iterable[Passage]) -> list[str]:
    return [each.chunk_id for each in passages]


def test_a_document_has_so_many_passages_at_most() -> None:
    ranked = [passage("v-1"), passage("v-5"), passage("w-1"), passage("v-9")]
    assert ids(limit_per_document(ranked, 1)) == ["v-1", "w-1"]
    assert ids(limit_per_document(ranked, 2)) == ["v-1", "v-5", "w-1"]
    assert ids(limit_per_document(ranked, None)) == ids(ranked)


def test_neighbours_are_one_passage_at_the_place_of_the_better_one() -> None:
    ranked = [passage("v-4", "Four.", heading="B"), passage("w-1"), passage("v-3", "Three.", heading="A", rerank=0.1)]
    joined = join_neighbours(ranked, 5)
    assert ids(joined) == ["v-4", "w-1"]
    assert (joined[0].text, joined[0].heading, joined[0].score) == ("Three.\n\nFour.", "A", 0.5)
    assert (joined[0].page, joined[0].range) == (7, (30, 52))


def test_a_citation_is_of_one_page() -> None:
    ranked = [passage("v-0"), replace(passage("v-1"), page=8)]
    assert ids(join_neighbours(ranked, 5)) == ["v-0", "v-1"]


def test_neighbours_have_what_they_share_once() -> None:
    shared = "This sentence ends the first and begins the second."
    [joined] = join_neighbours([passage("v-0", f"Before. {shared}"), passage("v-1", f"{shared} After.")], 5)
    assert joined.text == f"Before. {shared} After."


@pytest.mark.parametrize("other", ["v-2", "w-1", "v1-1"])
def test_others_are_not_joined(other: str) -> None:
    assert ids(join_neighbours([passage("v-0"), passage(other)], 5)) == ["v-0", other]


def test_a_joined_passage_has_a_limit_and_others_follow_it() -> None:
    ranked = [passage(f"v-{number}") for number in range(MAX_JOINED + 2)]
    assert ids(join_neighbours(ranked, 5)) == ["v-0", f"v-{MAX_JOINED}"]


def test_the_count_is_of_joined_passages() -> None:
    ranked = [passage("v-0"), passage("v-1"), passage("w-7"), passage("x-3"), passage("w-8")]
    assert ids(join_neighbours(ranked, 2)) == ["v-0", "w-7"]
    assert join_neighbours(ranked, 1)[0].text == "text\n\ntext"
    assert join_neighbours([], 3) == []


def test_a_question_is_relevant_if_one_passage_reaches_the_floor() -> None:
    assert is_relevant([passage("v-0", rerank=0.001), passage("v-1", rerank=0.01)], 0.01)
    assert not is_relevant([passage("v-0", rerank=0.009)], 0.01)
    assert is_relevant([passage("v-0", rerank=0.0)], None)


FERRY = [
    passage("v-0", "The ferry climbed over the waves.", heading="Timetable"),
    passage("v-1", "Dogs sail free: KT-58."),
]


def near(*cosines: float) -> list[Passage]:
    return [replace(each, scores={"vector": cosine}) for each, cosine in zip(FERRY, cosines, strict=False)]


@pytest.mark.parametrize(
    ("question", "cosine", "floor", "off_topic"),
    [
        ("Who painted the Mona Lisa?", 0.2, 0.3, True),
        ("Who painted the Mona Lisa?", 0.3, 0.3, False),
        ("Who painted the Mona Lisa?", 0.2, None, False),
        ("Do dogs sail for free?", 0.2, 0.3, False),
        ("Do dogs sail on the ferry?", 0.2, 0.3, True),
        ("Do cats sail on the steamer?", 0.2, 0.3, True),
        ("climbing the ferry", 0.2, 0.3, False),
        ("KT-58", 0.2, 0.3, False),
        ("KT-59", 0.2, 0.3, True),
        ("What is this?", 0.2, 0.3, True),
        ("???", 0.2, 0.3, False),
        ("法国的首都", 0.2, 0.3, True),
    ],
)
def test_a_question_is_off_topic_if_neither_its_vector_nor_its_words_are_near(
    question: str, cosine: float, floor: float | None, off_topic: bool
) -> None:
    assert is_off_topic(question, near(-0.5, cosine), floor) is off_topic


def test_without_a_vector_search_no_question_is_off_topic() -> None:
    assert not is_off_topic("Who painted the Mona Lisa?", FERRY, 0.3)
    assert not is_off_topic("Who painted the Mona Lisa?", [], 0.3)
    assert is_off_topic("Who painted the Mona Lisa?", [*FERRY, *near(0.1)], 0.3)


def test_words_are_known_by_their_first_letters_in_one_passage() -> None:
    assert known_share("The timetable of climbers", ["A ferry", "Timetables for climbing"]) == 1.0
    assert known_share("ferry or steamer", ["The ferry", "A dog", "A steamer"]) == 1 / 2


# ---- titles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "text", "without"),
    [
        ("Ferry", "# Ferry\n\nIt sails.", ("", "It sails.")),
        ("Ferry › Fares", "## Fares\n\nTwo crowns.", ("Fares", "## Fares\n\nTwo crowns.")),
        ("Ferry", "# Ferry", ("", "# Ferry")),
        ("Ferryman", "Ferryman\nrows", ("Ferryman", "Ferryman\nrows")),
        ("", "Ferry\n\n", ("", "Ferry\n\n")),
    ],
)
def test_a_passage_has_its_document_s_title_once(heading: str, text: str, without: tuple[str, str]) -> None:
    assert without_title("Ferry", heading, text) == without


def test_a_document_without_a_title_loses_nothing() -> None:
    assert without_title("", "A › B", "\nText\nmore") == ("A › B", "\nText\nmore")


def test_a_path_is_title_and_headings() -> None:
    assert passage("v-0", heading="Title › Fares").path == "Title › Fares"
    assert passage("v-0", heading="Fares").path == "Title › Fares"
    assert passage("v-0").path == "Title"


# ---- the part of a query ---------------------------------------------------------------------------------------------

CHATTER = "It was a dark and stormy night and it was a long night and it was dark. "


def test_a_short_query_stays_as_it_is() -> None:
    assert fitting("  What does H-211 mean? ") == "  What does H-211 mean? "


def test_a_long_query_keeps_its_last_sentence_and_rarest_words() -> None:
    query = CHATTER * 60 + "The hub shows code H-211 beside the valve. " + CHATTER * 60 + "What should I replace?"
    part = fitting(query)
    assert tokens(part) <= MAX_TOKENS
    assert "H-211" in part
    assert part.endswith("What should I replace?")


@pytest.mark.parametrize("query", ["x" * 8192, "word " * 1600, "。" * 8192, "谁" * 8192, "a.b " * 2000, "\n" * 8192])
def test_any_query_becomes_one_that_fits(query: str) -> None:
    part = fitting(query)
    assert tokens(part) <= MAX_TOKENS
    assert part or not query.strip()
