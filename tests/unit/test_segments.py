"""How a long text is cut into segments, and their passages."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiworker.rag import chunk, text_pieces
from aiworker.rag.chunk import Chunk, Path, SegmentChunks, chunks
from aiworker.rag.segments import SEGMENT_BYTES, Segment, next_segment

PARAGRAPH = "The ferry leaves at seven, and comes back when the tide allows it. " * 4


def segments(text: str, size: int) -> list[Segment]:
    content, fence, cut = text.encode(), "", list[Segment]()
    while True:
        segment = next_segment(content[:size], fence, is_last=len(content) <= size)
        cut.append(segment)
        content, fence = content[segment.size :], segment.fence
        if not content:
            return cut


def passages(text: str, size: int) -> list[Chunk]:
    rows: list[Chunk] = []
    path: Path = ()
    for segment in segments(text, size):
        cutter = SegmentChunks(segment.text, path, len(rows))
        rows += cutter
        path = cutter.path
    return rows


def test_a_segment_ends_before_a_heading() -> None:
    text = f"# Ferries\n\n{PARAGRAPH}\n\n## North\n\n{PARAGRAPH}\n\n## South\n\n{PARAGRAPH}"
    first, *_ = segments(text, len(text) - 40)
    assert first.text == text[: text.index("## South")]


def test_a_segment_without_a_heading_ends_at_an_empty_line() -> None:
    text = f"{PARAGRAPH}\n\n{PARAGRAPH}\n \r\n{PARAGRAPH}"
    first, second = segments(text, len(text) - 40)
    assert first.text + second.text == text
    assert first.text.endswith("\n \r\n")


def test_passages_of_a_later_segment_know_the_headings_above_and_their_number() -> None:
    text = f"# Ferries\n\n## North\n\n{PARAGRAPH}\n\n" + f"{PARAGRAPH}\n\n" * 20
    rows = passages(text, 1_000)
    assert {each.heading for each in rows} == {"Ferries › North"}
    assert [each.number for each in rows] == list(range(len(rows)))


def test_short_code_is_not_cut_and_the_heading_in_it_is_none() -> None:
    code = "```python\n# no heading\n\nprint(1)\n```\n"
    text = f"{PARAGRAPH}\n\n{PARAGRAPH}\n\n{code}\n\n{PARAGRAPH}"
    for size in range(text.index("```") + 5, text.index("```") + len(code) - 5):
        assert any(code in segment.text for segment in segments(text, size))


def test_long_code_goes_on_behind_its_fence() -> None:
    text = "~~~sql\n" + "select 1; -- # one\n\n" * 200 + "~~~\n\nThe end.\n"
    first, *others = segments(text, 1_000)
    assert first.fence == "~~~sql"
    assert all(each.text.startswith("~~~sql\nselect") for each in others[:-1])
    assert others[-1].text.endswith("~~~\n\nThe end.\n")
    assert passages(text, 1_000)[-1].text.endswith("The end.")


def test_a_character_is_not_cut() -> None:
    for size in (10, 11, 12, 13):
        cut = segments("渡轮票价为十二元" * 10 + "👋" * 9, size)
        assert "".join(each.text for each in cut) == "渡轮票价为十二元" * 10 + "👋" * 9


def test_bytes_that_are_no_utf_8_do_not_stop_it() -> None:
    assert next_segment(b"\x80" * 100, "", is_last=False).size > 0


LINES = st.sampled_from(
    [
        "# One",
        "## Two",
        "",
        "",
        "a word or two",
        "| a | b |",
        "|---|---|",
        "```py",
        "```",
        "~~~",
        "- item",
        "é" * 30,
        "\t",
    ]
)


@given(lines=st.lists(LINES, max_size=60), size=st.integers(40, 300))
def test_every_letter_is_in_one_segment_and_in_some_passage(lines: list[str], size: int) -> None:
    text = "\n".join(lines)
    cut = segments(text, size)
    assert sum(each.size for each in cut) == len(text.encode())
    fences = ["", *(each.fence for each in cut)]
    own = [
        each.text.removeprefix(f"{fence}\n") if fence else each.text for each, fence in zip(cut, fences, strict=False)
    ]
    assert "".join(own) == text
    in_passages = "".join("".join(each.text.split()) for each in passages(text, size))
    assert in_passages.count("é") >= text.count("é")


@given(lines=st.lists(LINES, max_size=40))
def test_a_text_of_one_segment_has_the_same_passages(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert passages(text, 100_000) == list(chunks(text))


@pytest.mark.parametrize(
    "line", ["# a", "a\n===", "a:\n", "- a", "1. a", "|a", "```", "a", "# [a](b", "ﷺ", "。", "\u200d", "a-"]
)
def test_no_text_is_counted_again_and_again(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Thousands of small headings once took a second for a segment: each was counted with all before it."""
    counted = 0

    def counting(count: Callable[..., int]) -> Callable[..., int]:
        def wrapper(text: str, *others: int) -> int:
            nonlocal counted
            counted += len(text)
            return count(text, *others)

        return wrapper

    for name in ("tokens", "tokens_up_to"):
        monkeypatch.setattr(chunk, name, counting(getattr(chunk, name)))
    text = f"{line}\n" * (SEGMENT_BYTES // (len(line) + 1))
    assert list(SegmentChunks(text, (), 0))
    assert counted < 8 * len(text)


def test_a_passage_is_made_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others get their turn between two passages."""
    counted: list[str] = []

    def counting(text: str) -> int:
        counted.append(text)
        return text_pieces.tokens(text)

    monkeypatch.setattr(chunk, "tokens", counting)
    cutter = iter(SegmentChunks("# a\n\nrain\n\n" * 1_000, (), 0))
    next(cutter)
    assert len(counted) < 20
    assert len(list(cutter)) == 999
