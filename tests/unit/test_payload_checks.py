"""Bounds of bodies that JavaScript parses."""

import pytest

from aiworker.errors import ApiError
from aiworker.http.payload_checks import (
    MAX_FIELDS,
    MAX_PUNCTUATION,
    WINDOW_BYTES,
    WINDOWS_AT_A_STRETCH,
    check_punctuation,
    delimiter_ends,
    small_body,
)
from tests.unit.stand_ins import another_task, payload


async def test_base64_of_any_size_has_no_punctuation() -> None:
    await check_punctuation(payload(b'{"image": "' + b"QUJD" * WINDOW_BYTES + b'"}'))


@pytest.mark.parametrize("mark", [b'"', b",", b":", b"[", b"{"])
async def test_punctuation_is_counted_across_windows(mark: bytes) -> None:
    spread = (b"a" * (2 * WINDOW_BYTES // MAX_PUNCTUATION) + mark) * MAX_PUNCTUATION
    await check_punctuation(payload(spread))
    with pytest.raises(ApiError) as caught:
        await check_punctuation(payload(spread + mark))
    assert caught.value.type == "payload_too_large"


DELIMITER = b"--xyz"


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
async def test_parts_of_a_form_are_counted_whatever_ends_a_line(line_end: bytes) -> None:
    part = line_end + b"--xyz\r\nx: y\r\n\r\n" + b"a" * (2 * WINDOW_BYTES // MAX_FIELDS)
    await delimiter_ends(payload(part * MAX_FIELDS + b"\r\n--xyz--"), DELIMITER, MAX_FIELDS)
    with pytest.raises(ApiError) as caught:
        await delimiter_ends(payload(part * (MAX_FIELDS + 1) + b"\r\n--xyz--"), DELIMITER, MAX_FIELDS)
    assert caught.value.type == "invalid_request"


@pytest.mark.parametrize("cut", range(1, 8))
async def test_a_boundary_on_the_edge_of_a_window_counts_once(cut: int) -> None:
    boundary = b"\r\n--xyz"
    before = b"a" * (WINDOW_BYTES - cut)
    content = before + boundary + boundary * MAX_FIELDS
    await delimiter_ends(payload(content), DELIMITER, MAX_FIELDS)
    with pytest.raises(ApiError):
        await delimiter_ends(payload(content + boundary), DELIMITER, MAX_FIELDS)


async def test_others_get_their_turn_while_a_large_form_is_searched() -> None:
    windows = 10 * WINDOWS_AT_A_STRETCH
    with another_task() as other:
        await delimiter_ends(payload(bytes(windows * WINDOW_BYTES)), DELIMITER, MAX_FIELDS)
    assert other.turns >= 10


def test_a_body_over_the_limit_is_not_read() -> None:
    assert small_body(payload(b"abc"), 3) == b"abc"
    with pytest.raises(ApiError) as caught:
        small_body(payload(b"abcd"), 3)
    assert caught.value.type == "payload_too_large"
