"""Bounds on the number of a text's passages, which are known before any passage is made."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiworker.errors import ApiError
from aiworker.rag import ingest, passage_bounds, passage_store
from aiworker.rag.chunk import SIZE, chunks
from aiworker.rag.text_pieces import tokens
from tests.unit.stand_ins import payload
from tests.unit.test_ingest import PASSAGES, Machine, document, with_one_upload

LIMIT = 10
"""Passages of a document in these tests."""
TEXT = ("a b c d e f g h i j " * (LIMIT * SIZE // 10 + 1)).encode()
"""A text with more tokens than LIMIT passages have, by a few."""
LINES = st.sampled_from(
    [
        *("# A", "## B", "A\n---", "A\n===", "#", "plain", "- item", "```", "~~~", "|a|b|", "|-|-|", "a. b", "", "a:"),
        *("word " * 90, "x" * 400, "汉" * 400, "한" * 150, "|" + "a|" * 120, "# " + "t " * 200, "1" * 300),
    ]
)


@pytest.fixture(autouse=True)
def small_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage_bounds, "MAX_CHUNKS", LIMIT)


@given(st.lists(LINES | st.text(max_size=60), max_size=60).map("\n".join), st.sampled_from([0, 40]))
def test_a_text_has_as_many_passages_as_the_bounds_allow(text: str, overlap: int) -> None:
    content = text.encode()
    passages = len(list(chunks(text, SIZE, overlap)))
    assert passages <= passage_bounds.most(len(content), passage_bounds.marks(content))
    assert passages * passage_bounds.MIN_PASSAGE_BYTES <= len(content) + passage_bounds.MIN_PASSAGE_BYTES
    assert tokens(text) <= passages * SIZE


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_tokens_are_counted_wherever_the_windows_are_cut(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiworker.http.payload_checks.WINDOW_BYTES", size)
    monkeypatch.setattr(passage_bounds, "CHARACTERS_AT_A_STRETCH", max(7, size // 5))
    assert await passage_bounds.has_too_many(payload(TEXT * 2)) is (size > 1)
    for text in ("abcd" * LIMIT * SIZE, "12" * LIMIT * SIZE, "汉" * LIMIT * SIZE, "한국" * (LIMIT * SIZE // 6)):
        assert not await passage_bounds.has_too_many(payload(text.encode()))


@pytest.mark.parametrize(
    ("kind", "charset", "file"),
    [
        ("text/plain", "", "a b ".encode("utf-16") * 20_000),
        ("text/plain", "", "a b ".encode("utf-16-le") * 20_000),
        ("text/plain", "shift_jis", TEXT * 2),
        ("text/html", "", TEXT * 2),
        ("application/pdf", "", TEXT * 2),
        ("text/plain", "", b"\xff" * len(TEXT) * 2),
    ],
)
async def test_a_file_whose_bytes_say_nothing_is_left_to_the_ingestion(kind: str, charset: str, file: bytes) -> None:
    await passage_bounds.check_upload(kind, charset, payload(file), file[:100])


@pytest.mark.parametrize("kind", ["text/plain", "text/markdown", "text/x-python"])
async def test_a_file_of_too_many_passages_is_refused_before_it_is_stored(kind: str) -> None:
    with pytest.raises(ApiError, match="more than 10 passages") as refused:
        await passage_bounds.check_upload(kind, "UTF-8", payload(TEXT * 2), TEXT[:100])
    assert (refused.value.type, refused.value.param) == ("payload_too_large", "file")


async def test_no_passage_of_a_document_with_too_many_headings_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "SEGMENT_BYTES", 200)
    monkeypatch.setattr(ingest, "SEGMENTS_A_STEP", 1)
    machine = await with_one_upload()
    await _ingest_without_a_write(machine, monkeypatch)
    assert [key for key in machine.done if "measure" in key] == ["aaaa measure 0"]  # the next one has failed
    assert machine.rows("SELECT state FROM versions") == ["failed"]
    assert machine.rows("SELECT reason FROM versions") == [passage_bounds.too_many()]
    assert machine.vectors == {}


async def test_converted_text_of_too_many_passages_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    await machine.upload("aaaa", TEXT.decode() * 2, "2026-01-01")
    await _ingest_without_a_write(machine, monkeypatch)
    assert machine.rows("SELECT reason FROM versions") == [passage_bounds.too_many()]
    assert not [key for key in machine.files if key.endswith(ingest.MARKDOWN)]


async def _ingest_without_a_write(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def put_chunks(_: Any, __: Any, passages: Any, *___: Any) -> None:
        assert not passages

    monkeypatch.setattr(passage_store, "put_chunks", put_chunks)
    await machine.ingest("aaaa")


async def test_a_document_that_may_have_too_many_passages_and_has_not_is_cut_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passage_bounds, "MAX_CHUNKS", PASSAGES)
    monkeypatch.setattr(ingest, "SEGMENT_BYTES", 1_000)
    monkeypatch.setattr(ingest, "SEGMENTS_A_STEP", 1)
    machine = await with_one_upload()
    await machine.ingest("aaaa")
    measured = [each for key, each in machine.done.items() if "measure" in key]
    assert measured[-1]["count"] == PASSAGES
    assert measured[-1]["is_end"]
    assert measured == [each for key, each in machine.done.items() if "chunk" in key]
    assert machine.rows("SELECT count(*) FROM chunks") == [PASSAGES]


async def test_a_document_that_cannot_have_too_many_is_cut_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage_bounds, "MAX_CHUNKS", len(document("old")))
    machine = await with_one_upload()
    await machine.ingest("aaaa")
    assert machine.done["aaaa measure 0"] == {**ingest.START, "is_end": True}
