"""The documents of a batch, found in its bytes."""

from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from aiworker.errors import ApiError
from aiworker.http.form_parts import FormPart, form_parts
from aiworker.http.payload_checks import WINDOW_BYTES
from aiworker.rag import batch_entries, paths
from aiworker.rag.batch_entries import MAX_DOCUMENTS, MAX_LINES
from tests.unit.stand_ins import payload


def refusal(work: Any, *arguments: Any) -> str:
    with pytest.raises(ApiError) as raised:
        work(*arguments)
    return raised.value.type


async def refusal_of(work: Awaitable[Any]) -> str:
    with pytest.raises(ApiError) as raised:
        await work
    return raised.value.type


# ---- lines ---------------------------------------------------------------------------------------------------------


def test_lines_have_the_number_that_an_editor_shows() -> None:
    content = b'{"a": 1}\r\n\n   \n{"b": 2}\n{"c": 3}'
    entries = batch_entries.of_lines(payload(content))
    assert [(each.number, content[each.start : each.start + each.size].strip()) for each in entries] == [
        (1, b'{"a": 1}'),
        (4, b'{"b": 2}'),
        (5, b'{"c": 3}'),
    ]


def test_a_batch_without_a_line_is_refused() -> None:
    for content in (b"", b"\n\n", b" \r\n \t"):
        assert refusal(batch_entries.of_lines, payload(content)) == "unprocessable"


def test_a_batch_of_too_many_lines_is_refused() -> None:
    assert len(batch_entries.of_lines(payload(b"{}\n" * MAX_DOCUMENTS))) == MAX_DOCUMENTS
    assert refusal(batch_entries.of_lines, payload(b"{}\n" * (MAX_DOCUMENTS + 1))) == "payload_too_large"
    assert refusal(batch_entries.of_lines, payload(b"{}" + b"\n" * (MAX_LINES + 1))) == "payload_too_large"


# ---- forms ---------------------------------------------------------------------------------------------------------


def form(*parts: tuple[str, bytes], line_end: bytes = b"\r\n") -> bytes:
    """A form with the boundary xyz. parts: heads and contents."""
    body = b"".join(b"--xyz" + line_end + head.encode() + line_end * 2 + content + line_end for head, content in parts)
    return body + b"--xyz--" + line_end


def file(name: str, content: bytes) -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="file"; filename="{name}"', content


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
async def test_files_and_texts_of_a_form_are_found(line_end: bytes) -> None:
    head = 'content-disposition: form-data; name="file"; filename="b.html"\ncontent-type: Text/HTML; charset="latin-1"'
    body = form(
        ('Content-Disposition: form-data; name="tenant"', b"acme"),
        file("guides/a.md", b"# A\r\n\r\n--xyzzy is no delimiter\r\n"),
        (head, b"\n<p>\n"),
        file("", b""),
        line_end=line_end,
    )
    entries, fields = await batch_entries.of_form(payload(body), "xyz")
    assert fields == {"tenant": "acme"}
    assert [(each.number, each.path, each.media_type, each.charset) for each in entries] == [
        (1, "guides/a.md", "", ""),
        (2, "b.html", "text/html", "latin-1"),
    ]
    contents = [body[each.start : each.start + each.size] for each in entries]
    assert contents == [b"# A\r\n\r\n--xyzzy is no delimiter\r\n", b"\n<p>\n"]


async def test_names_of_files_are_read_as_clients_write_them() -> None:
    names = {
        r"a \"b\".md": 'a "b".md',
        "a %22b%22 %41.md": 'a "b" %41.md',
        "a\"; filename*=UTF-8''%c3%bcber.md; x=\"": "über.md",
    }
    for written, name in names.items():
        [part] = await form_parts(payload(form(file(written, b"x"))), "xyz", 1)
        assert part == FormPart("file", part.start, 1, name)


@given(contents=some.lists(some.binary(max_size=80), min_size=1, max_size=5))
async def test_any_content_comes_back(contents: list[bytes]) -> None:
    kept = [content.replace(b"--xyz", b"") for content in contents]
    body = form(*(file("a", content) for content in kept))
    parts = await form_parts(payload(body), "xyz", 5)
    assert [body[part.start : part.start + part.size] for part in parts] == kept


async def test_a_file_longer_than_a_window_is_whole() -> None:
    body = form(file("long.txt", b"a" * (2 * WINDOW_BYTES)), file("next.txt", b"b"))
    assert [part.size for part in await form_parts(payload(body), "xyz", 2)] == [2 * WINDOW_BYTES, 1]


@pytest.mark.parametrize(
    "body",
    [b"", b"--xyz", b"no form", form(file("a", b"x"))[:-10], b"--xyz\r\n\r\nx\r\n--xyz--", b"--xyz\r\nx: y\r\n--xyz--"],
)
async def test_a_body_that_is_no_whole_form_is_refused(body: bytes) -> None:
    assert await refusal_of(form_parts(payload(body), "xyz", 5)) == "invalid_request"


async def test_a_form_without_files_is_refused() -> None:
    body = form(('Content-Disposition: form-data; name="tenant"', b"acme"))
    assert await refusal_of(batch_entries.of_form(payload(body), "xyz")) == "unprocessable"
    assert await refusal_of(batch_entries.of_form(payload(b"--xyz--"), "xyz")) == "unprocessable"


async def test_a_form_of_too_many_files_is_refused() -> None:
    too_many = [file("a", b"x")] * (MAX_DOCUMENTS + 1)
    assert len((await batch_entries.of_form(payload(form(*too_many[1:])), "xyz"))[0]) == MAX_DOCUMENTS
    assert await refusal_of(batch_entries.of_form(payload(form(*too_many)), "xyz")) == "payload_too_large"
    assert await refusal_of(batch_entries.of_form(payload(form(*too_many * 2)), "xyz")) == "invalid_request"


# ---- paths ---------------------------------------------------------------------------------------------------------


def test_a_path_becomes_an_id_that_is_its_own() -> None:
    assert paths.document_id("readme.md") == "readme.md"
    ids = [paths.document_id(path) for path in ("a/b.md", "a-b.md", "a.b.md", "ä/b.md", "語", "x" * 500, "-")]
    assert len(set(ids)) == len(ids)
    assert all(len(each) <= 64 and each[0].isalnum() for each in ids)
    assert ids[0].startswith("a-b.md-")


def test_a_path_is_normalized() -> None:
    assert paths.normalize("..\\./guides//linux/../a.md") == "guides/linux/a.md"
    assert paths.normalize("u\u0308ber.md") == "\u00fcber.md"
    assert paths.folder("guides/linux/a.md") == "guides/linux/"
    assert paths.folder("a.md") == ""
