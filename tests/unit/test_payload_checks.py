"""Bounds of bodies that JavaScript parses."""

from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.http.payload_checks import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_PUNCTUATION,
    WINDOW_BYTES,
    check_punctuation,
    file_name_insertions,
    form_heads,
    small_body,
)


class Bytes:
    """A Payload reduced to the methods that the checks call."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = content

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._content[start:end]


def payload(content: bytes) -> Any:
    return Bytes(content)


def test_base64_of_any_size_has_no_punctuation() -> None:
    check_punctuation(payload(b'{"image": "' + b"QUJD" * WINDOW_BYTES + b'"}'))


@pytest.mark.parametrize("mark", [b'"', b",", b":", b"[", b"{"])
def test_punctuation_is_counted_across_windows(mark: bytes) -> None:
    spread = (b"a" * (2 * WINDOW_BYTES // MAX_PUNCTUATION) + mark) * MAX_PUNCTUATION
    check_punctuation(payload(spread))
    with pytest.raises(ApiError) as caught:
        check_punctuation(payload(spread + mark))
    assert caught.value.type == "payload_too_large"


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_parts_of_a_form_are_counted_whatever_ends_a_line(line_end: bytes) -> None:
    part = line_end + b"--xyz\r\nx: y\r\n\r\n" + b"a" * (2 * WINDOW_BYTES // MAX_FIELDS)
    form_heads(payload(part * MAX_FIELDS + b"\r\n--xyz--"), "xyz")
    with pytest.raises(ApiError) as caught:
        form_heads(payload(part * (MAX_FIELDS + 1) + b"\r\n--xyz--"), "xyz")
    assert caught.value.type == "invalid_request"


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_boundary_on_the_edge_of_a_window_counts_once(cut: int) -> None:
    boundary = b"\r\n--xyz"
    before = b"a" * (WINDOW_BYTES - cut)
    content = before + boundary + boundary * MAX_FIELDS
    form_heads(payload(content), "xyz")
    with pytest.raises(ApiError):
        form_heads(payload(content + boundary), "xyz")


HEAD = b"content-disposition: form-data; name=a; x="


@pytest.mark.parametrize("before", [b"", b"\r\n", b"preamble"])
@pytest.mark.parametrize(
    "head", [HEAD + b"x" * MAX_HEAD_BYTES, b"\r\n" + HEAD * MAX_HEAD_BYTES, b"a:b\n" * MAX_HEAD_BYTES]
)
def test_a_part_with_a_long_head_is_refused(before: bytes, head: bytes) -> None:
    for content in (head, head + b"\r\n\r\nx\r\n--xyz--\r\n"):
        with pytest.raises(ApiError) as caught:
            form_heads(payload(before + b"--xyz\r\n" + content), "xyz")
        assert caught.value.type == "payload_too_large"


def test_many_parts_with_middling_heads_are_refused() -> None:
    part = b"--xyz\r\n" + HEAD + b"x" * (MAX_HEAD_BYTES // 90) + b"\r\n\r\nx\r\n"
    form_heads(payload(part * 80 + b"--xyz--" + bytes(MAX_HEAD_BYTES)), "xyz")
    with pytest.raises(ApiError):
        form_heads(payload(part * 95 + b"--xyz--"), "xyz")


def test_a_form_without_its_boundary_or_with_a_broken_end_is_left_to_the_parser() -> None:
    for content in (b"\r\n--" * 1000, b"--xyz", b"--xyz\r\nno head", b""):
        form_heads(payload(content), "xyz")


def test_a_body_over_the_limit_is_not_read() -> None:
    assert small_body(payload(b"abc"), 3) == b"abc"
    with pytest.raises(ApiError) as caught:
        small_body(payload(b"abcd"), 3)
    assert caught.value.type == "payload_too_large"


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        (b'form-data; name="file"', b'form-data; name="file"; filename=":unnamed:"'),
        (b"form-data; name=file", b'form-data; name=file; filename=":unnamed:"'),
        (b'form-data; name="file"; filename=""', b'form-data; name="file"; filename=":unnamed:"'),
        (b'form-data; name="file"; filename="a.wav"', None),
        (b"form-data; name=\"file\"; filename*=UTF-8''a.wav", None),
        (b'form-data; filename="name=file"', None),
        (b'form-data; name="model"', None),
        (b'form-data; name="filename"', None),
    ],
)
def test_a_file_without_a_name_gets_one(disposition: bytes, expected: bytes | None) -> None:
    head = b"Content-Disposition: " + disposition + b"\r\nX: y\r\n\r\n"
    content = b"--xyz\r\n" + head + b"abc\r\n--xyz\r\n" + head + b"def\r\n--xyz--"
    changed = content
    for index, text in reversed(file_name_insertions(form_heads(payload(content), "xyz"), ("file",))):
        changed = changed[:index] + text.encode() + changed[index:]
    assert changed == content.replace(disposition, expected or disposition)
