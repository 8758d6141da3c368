"""Bounds of bodies that JavaScript parses."""

from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.http.payload_checks import (
    MAX_FIELDS,
    MAX_PUNCTUATION,
    WINDOW_BYTES,
    check_form_parts,
    check_punctuation,
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


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=xyz", 'multipart/form-data; BOUNDARY="xyz"'])
def test_parts_of_a_form_are_counted(content_type: str) -> None:
    part = b"\r\n--xyz\r\n\r\n" + b"a" * (2 * WINDOW_BYTES // MAX_FIELDS)
    check_form_parts(payload(part * MAX_FIELDS + b"\r\n--xyz--"), content_type)
    with pytest.raises(ApiError) as caught:
        check_form_parts(payload(part * (MAX_FIELDS + 1) + b"\r\n--xyz--"), content_type)
    assert caught.value.type == "invalid_request"


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_boundary_on_the_edge_of_a_window_counts_once(cut: int) -> None:
    boundary = b"\r\n--xyz"
    before = b"a" * (WINDOW_BYTES - cut)
    content = before + boundary + boundary * MAX_FIELDS
    check_form_parts(payload(content), "multipart/form-data; boundary=xyz")
    with pytest.raises(ApiError):
        check_form_parts(payload(content + boundary), "multipart/form-data; boundary=xyz")


def test_a_form_without_a_boundary_is_left_to_the_parser() -> None:
    check_form_parts(payload(b"\r\n--" * 1000), "multipart/form-data")


def test_a_body_over_the_limit_is_not_read() -> None:
    assert small_body(payload(b"abc"), 3) == b"abc"
    with pytest.raises(ApiError) as caught:
        small_body(payload(b"abcd"), 3)
    assert caught.value.type == "payload_too_large"
