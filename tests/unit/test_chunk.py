"""How documents are cut into passages."""

import itertools
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiworker.rag.chunk import Chunk, chunks
from aiworker.rag.markdown_blocks import blocks
from aiworker.rag.text_pieces import tokens

SENTENCE = "The lock is freed when the owner has gone away for good. "
WORDS = "word " * 30


def cut(markdown: str, size: int = 60, overlap: int = 0) -> list[Chunk]:
    return list(chunks(markdown, size, overlap))


def texts(markdown: str, size: int = 60, overlap: int = 0) -> list[str]:
    return [chunk.text for chunk in cut(markdown, size, overlap)]


def headings(markdown: str, size: int = 60) -> list[str]:
    return [chunk.heading for chunk in cut(markdown, size)]


def solid(text: str) -> str:
    return "".join(text.split())


# ---- headings ------------------------------------------------------------------------------------------------------


def test_a_passage_knows_the_headings_above_it() -> None:
    guide = f"# Install\n\n{WORDS}\n\n## Linux\n\n{WORDS}\n\n### From source\n\n{WORDS}\n\n## macOS\n\n{WORDS}"
    passages = cut(guide)
    assert [chunk.heading for chunk in passages] == [
        "Install",
        "Install › Linux",
        "Install › Linux › From source",
        "Install › macOS",
    ]
    assert [chunk.number for chunk in passages] == [0, 1, 2, 3]
    assert passages[3].text.startswith("## macOS\n\nword")


def test_text_before_any_heading_has_none() -> None:
    assert headings("Hello.\n\n# One\n\nText.") == ["", "One"]


def test_sections_of_the_same_level_are_not_mixed_however_small() -> None:
    assert texts("# A\n\nfirst\n\n# B\n\nsecond") == ["# A\n\nfirst", "# B\n\nsecond"]


def test_a_small_subsection_stays_with_the_section_that_it_is_in() -> None:
    assert texts("# A\n\nfirst\n\n## B\n\nsecond") == ["# A\n\nfirst\n\n## B\n\nsecond"]


def test_a_heading_without_text_goes_with_what_follows() -> None:
    passages = cut(f"# A\n\n{WORDS}\n\n## B\n\n## C\n\n{WORDS}")
    assert [chunk.heading for chunk in passages] == ["A", "A › C"]
    assert passages[1].text.startswith("## B\n\n## C\n\nword")


def test_a_heading_is_never_the_last_of_a_passage_with_text() -> None:
    passages = texts(f"# A\n\n{'word ' * 20}\n\n## B\n\n```\n{'code ' * 45}\n```")
    assert [text.split("\n")[0] for text in passages] == ["# A", "## B"]


@pytest.mark.parametrize(
    ("markdown", "heading"),
    [
        ("Title\n=====\n\ntext", "Title"),
        ("Top\n===\n\nPart\n----\n\ntext", "Top › Part"),
        ("## Title ##\n\ntext", "Title"),
        ("# C#\n\ntext", "C#"),
        ("# **Bold** [link](http://x.org) `code`\n\ntext", "Bold link code"),
        ("#hashtag\n\ntext", ""),
        ("####### seven\n\ntext", ""),
        ("```\n# comment\n```\n\ntext", ""),
        ("~~~\n```\n# comment\n~~~\n\ntext", ""),
        ("> # quoted\n\ntext", ""),
        ("    # indented\n\ntext", ""),
        ("Regards\n--\nBob", ""),
        ("two lines\nand a rule\n---\ntext", ""),
        ("---\ntitle: Guide\ntags: a\n---\n\ntext", ""),
        ("<h1>Title</h1>\n\ntext", ""),
    ],
)
def test_headings_are_recognised(markdown: str, heading: str) -> None:
    passages = cut(markdown)
    assert passages[-1].heading == heading
    assert solid(markdown) == solid("".join(chunk.text for chunk in passages))


def test_a_path_too_long_loses_its_upper_parts() -> None:
    long = "# " + "above " * 60 + "\n\n## " + "below " * 20 + "\n\n### " + "inner " * 20 + "\n\ntext"
    heading = cut(long, size=400)[0].heading
    assert "inner" in heading
    assert "above" not in heading
    assert tokens(heading) <= 64
    assert tokens(cut("# " + "x" * 5000 + "\n\ntext", size=400)[-1].heading) <= 64


# ---- sentences, lists, code, tables ----------------------------------------------------------------------------------


def test_paragraphs_are_cut_between_sentences() -> None:
    passages = texts(SENTENCE * 20)
    assert len(passages) > 3
    assert all(text.endswith(".") and text.startswith("The lock") for text in passages)


@pytest.mark.parametrize(
    "sentence",
    [
        "Dr. Smith, e.g. on Monday, paid 3.50 for No. 7 and left.",
        'He said "Really? no!" and went away.',
        "Das gilt z.B. bzw. usw. auch für Hrn. Maier nicht.",
    ],
)
def test_a_full_stop_need_not_end_a_sentence(sentence: str) -> None:
    passages = texts(f"{sentence} " * 20, size=40)
    assert len(passages) > 3
    assert all(text == " ".join([sentence] * text.count(sentence)) for text in passages)


def test_chinese_and_japanese_sentences_need_no_spaces() -> None:
    passages = texts("这是第一个句子。他说「好。」然后走了！" * 20)
    assert len(passages) > 3
    assert all(text.endswith(("。", "」", "！")) and not text.startswith("」") for text in passages)


def test_a_paragraph_that_fits_is_not_cut() -> None:
    assert texts(f"{'a ' * 40}\n\n{'b ' * 30}") == [("a " * 40).strip(), ("b " * 30).strip()]


def test_the_overlap_is_whole_sentences_of_the_same_section() -> None:
    numbered = " ".join(f"This is the sentence of number {number}." for number in range(40))
    passages = texts(f"# A\n\n{numbered}\n\n# B\n\nOther.", overlap=25)
    for before, after in itertools.pairwise(passages[:-1]):
        start = after[: after.index(".") + 1]
        assert start in before
        assert start.startswith("This is")
    assert passages[-1] == "# B\n\nOther."


def test_a_list_stays_with_the_line_that_introduces_it() -> None:
    items = "\n".join(f"- item {number} of the list" for number in range(8))
    passages = texts(f"{'word ' * 40}\n\nYou need:\n\n{items}")
    assert passages[1] == f"You need:\n\n{items}"


def test_a_long_list_is_cut_between_items() -> None:
    items = [f"{number}. item {number}\n   - nested" for number in range(60)]
    passages = texts("\n".join(items))
    assert len(passages) > 5
    assert all(text.lstrip()[0] in "-0123456789" and text.endswith(("nested", *"0123456789")) for text in passages)


def test_code_that_fits_is_kept_whole() -> None:
    code = "```py\n" + "call(1)\n" * 8 + "```"
    assert code in texts(f"{WORDS}\n\n{code}\n\n{WORDS}")


def test_long_code_is_cut_at_lines_and_its_fences_repeated() -> None:
    passages = texts("```py\n" + "".join(f"    call({number})\n" for number in range(60)) + "```")
    assert len(passages) > 3
    assert all(text.startswith("```py\n    call(") and text.endswith(")\n```") for text in passages)


def test_an_open_fence_reaches_to_the_end() -> None:
    assert texts("```\n# comment\n\ntext") == ["```\n# comment\n\ntext"]


def test_a_long_table_repeats_its_header() -> None:
    table = "| name | size |\n|---|---|\n" + "".join(f"| file{number} | {number} |\n" for number in range(60))
    passages = texts(f"Files:\n\n{table}")
    assert passages[0].startswith("Files:\n\n| name |")
    assert all(text.startswith("| name | size |\n|---|---|\n| file") for text in passages[1:])


# ---- text as it comes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   ", "\n\n \t\n", "\ufeff"])
def test_nothing_gives_no_passage(text: str) -> None:
    assert cut(text) == []


def test_without_sentences_it_is_cut_at_spaces() -> None:
    passages = texts("alphabet " * 500)
    assert {word for text in passages for word in text.split()} == {"alphabet"}


@pytest.mark.parametrize("letter", ["👨‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301\u0323", "한"])
def test_without_spaces_it_is_cut_between_what_is_seen_as_letters(letter: str) -> None:
    for shift in range(4):
        passages = texts("a" * shift + letter * 400, size=50)
        assert len(passages) > 3
        assert all(text.lstrip("a").replace(letter, "") == "" for text in passages)


def test_windows_line_ends_are_line_ends() -> None:
    assert headings("# A\r\n\r\ntext\r\n# B\r\ntext") == ["A", "B"]


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (15, 0), (100, 50), (100, -1)])
def test_sizes_that_make_no_sense_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="size must be"):
        chunks("text", size, overlap)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("The quick brown fox jumps over the lazy dog.", 13),
        ("getElementById(x)", 7),
        ("汉字テスト", 5),
        ("한글", 6),
        ("naïve 2024", 4),
        ("  ", 0),
    ],
)
def test_estimated_token_counts(text: str, count: int) -> None:
    assert tokens(text) == count


LINES = st.sampled_from(
    [
        "# One",
        "## Two ##",
        "Title\n===",
        "- item",
        "  1. nested",
        "```",
        "~~~py",
        "| a | b |",
        "|---|---|",
        "> quote",
        "",
        "---",
        "a: b",
        "<div>",
        SENTENCE,
        WORDS,
        "Intro:",
        "x" * 300,
        "汉字。" * 50,
        "👨\u200d👩\u200d👧\u200d👦" * 30,
        "    code",
    ]
)


@settings(max_examples=300)
@example("x" * 300 + "\n---\n```", (16, 0))
@given(
    st.lists(LINES | st.text(max_size=80), max_size=40).map("\n".join), st.sampled_from([(16, 0), (40, 0), (60, 20)])
)
def test_nothing_is_lost_and_no_passage_is_too_long(markdown: str, limits: tuple[int, int]) -> None:
    size, overlap = limits
    passages = list(chunks(markdown, size, overlap))
    rest = iter(solid("\n".join(chunk.text for chunk in passages)))
    assert all(letter in rest for letter in solid(markdown.lstrip("\ufeff"))), "a letter is missing, or out of order"
    assert set(solid("".join(chunk.text for chunk in passages))) <= set(solid(markdown))
    assert all(chunk.text.strip() and tokens(chunk.text) <= size and tokens(chunk.heading) <= 64 for chunk in passages)
    assert passages == list(chunks(markdown, size, overlap))


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["# A", SENTENCE, WORDS, "- item", "plain", ""]), max_size=30).map("\n".join))
def test_passages_without_overlap_repeat_nothing(markdown: str) -> None:
    assert solid("".join(texts(markdown))) == solid(markdown)


LENGTH = 200_000
PARAGRAPH = f"## Section\n\n{SENTENCE * 5}\n\n- item\n- item\n\n```\ncode\n```\n\n| a |\n|---|\n| 1 |\n\n"


@pytest.mark.parametrize(
    "unit",
    [
        *'#|(![`"x >*-=~',
        "汉",
        "\u0301",
        "🇩🇪",
        ". ",
        "a\n",
        "|\n",
        "```\n",
        "# a\n",
        "- a\n",
        "a|b\n-|-\n",
        "\n ",
        SENTENCE,
        PARAGRAPH,
    ],
)
def test_time_is_linear_whatever_comes(unit: str) -> None:
    for start in ("", "```\n", "# "):
        text = start + unit * (LENGTH // len(unit))
        began = time.process_time()
        passages = cut(text, size=320, overlap=40)
        assert time.process_time() - began < 4, "it takes a fraction of a second, if time is linear"
        assert all(len(chunk.text) <= 320 * 84 for chunk in passages)


@pytest.mark.parametrize("marks", ["-", "-|", "|", ":-", "-:| "])
def test_a_line_that_is_nearly_the_rule_of_a_table_is_read_once(marks: str) -> None:
    text = "a|b\n" + marks * (32_000 // len(marks)) + "x"
    began = time.process_time()
    assert not any(block.head for block in blocks(text))
    assert time.process_time() - began < 1, "it took 5 s, and a Worker 47, when each place to divide it was tried"
