"""Ranges of passages in their document's text."""

import re
from itertools import pairwise

import pytest

from aiworker.rag import ingest
from aiworker.rag.chunk import Path, SegmentChunks
from aiworker.rag.passage import Range, page_of
from aiworker.rag.passage_ranges import passage_ranges
from aiworker.rag.segments import SEGMENT_BYTES, next_segment
from aiworker.rag.source_text import fenced, with_page_headings
from tests.unit.test_ingest import Machine
from tools import ROOT

TEXTS = [
    path
    for folder in ("docs", "tools/evaluation/corpus")
    for path in sorted((ROOT / folder).glob("*.*"))
    if path.suffix in (".md", ".txt")
]


def letters(text: str) -> str:
    return "".join(text.split())


def located(content: bytes) -> list[tuple[str, Range | None]]:
    """Return the passages of a text, each with its range, as an ingestion cuts it."""
    passages: list[tuple[str, Range | None]] = []
    start, fence = 0, ""
    path: Path = ()
    while start < len(content):
        part = content[start : start + SEGMENT_BYTES]
        segment = next_segment(part, fence, is_last=start + len(part) == len(content))
        cutter = SegmentChunks(segment.text, path, len(passages))
        chunks = list(cutter)
        path = cutter.path
        texts = [each.text for each in chunks]
        passages += zip(texts, passage_ranges(part[: segment.size].decode(), texts, start), strict=True)
        start, fence = start + segment.size, segment.fence
    return passages


@pytest.mark.parametrize("text", TEXTS, ids=[path.name for path in TEXTS])
def test_each_passage_is_found_and_no_letter_is_missed(text: object) -> None:
    content = (ROOT / str(text)).read_bytes()
    end = 0
    for passage, place in located(content):
        assert place is not None, passage
        source = content[place[0] : place[1]].decode()
        assert letters(source) in letters(passage)
        assert not content[end : place[0]].strip()
        end = place[1]
    assert not content[end:].strip()


def test_a_passage_that_repeats_the_end_of_the_one_before_begins_there() -> None:
    sentences = "".join(f"Sentence number {number} of many. " for number in range(200))
    places = [place for _, place in located(sentences.encode())]
    for first, second in pairwise(places):
        assert first
        assert second
        assert first[0] < second[0] < first[1] < second[1]


def test_bytes_are_counted_not_characters() -> None:
    text = "Ærø 日本 \U0001f6a2\n\n" + "# Ærø\n\nFähre."
    [place] = passage_ranges(text, ["# Ærø\n\nFähre."], offset=100)
    assert place
    assert text.encode()[place[0] - 100 : place[1] - 100].decode() == "# Ærø\n\nFähre."


def test_text_without_spaces_that_repeats_itself_is_located_in_order() -> None:
    places = list(passage_ranges("ab" * 50, ["ab" * 20, "ab" * 20, "ab" * 10]))
    assert places == [(0, 40), (40, 80), (80, 100)]


def test_a_part_of_code_is_located_without_the_fence_that_is_added() -> None:
    code = "\n".join(f"def function_{number}():\n    return {number}" for number in range(300))
    chunks = list(SegmentChunks(fenced(code, "python"), [], 0))
    places = list(passage_ranges(code, [each.text for each in chunks]))
    assert len(places) > 3
    assert all(places)
    parts = [code[place[0] : place[1]] for place in places if place]
    assert letters("".join(parts)) == letters(code)


def test_pages_are_located_without_the_heading_that_is_changed() -> None:
    markdown = (
        "# a.pdf\n## Metadata\n- Pages=2\n\n## Contents\n### Page 1\n\nThe first page.\n\n### Page 2\n\nThe second."
    )
    text = with_page_headings(markdown, "a.pdf", is_first=True, is_last=True)
    chunks = list(SegmentChunks(text, [], 0))
    places = list(passage_ranges(markdown, [each.text for each in chunks]))
    assert [markdown[place[0] : place[1]] for place in places if place] == ["The first page.", "The second."]
    assert [page_of("application/pdf", each.heading) for each in chunks] == [1, 2]
    assert page_of("text/markdown", chunks[0].heading) is None


def test_a_passage_that_is_not_in_the_text_has_no_range() -> None:
    assert list(passage_ranges("One. Two.", ["One.", "Three.", "Two."])) == [(0, 4), None, (5, 9)]


async def test_an_ingestion_stores_the_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "SEGMENT_BYTES", 1_000)
    machine = Machine()
    text = "".join(f"# Part {number}\n\nThe pengüin of part {number}.\n\n" for number in range(100))
    await machine.upload("aaaa", text, "2026-01-01")
    await machine.ingest("aaaa")
    rows = machine.database.execute("SELECT text, first_byte, end_byte FROM chunks ORDER BY number").fetchall()
    assert len(rows) == 100
    for row in rows:
        source = text.encode()[row["first_byte"] : row["end_byte"]].decode()
        assert re.sub(r"\s+", " ", source) == re.sub(r"\s+", " ", row["text"])
