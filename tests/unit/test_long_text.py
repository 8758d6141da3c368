"""Long texts of JSON bodies, which are found in their bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from aiworker.errors import ApiError
from aiworker.http.body import Schema, parse_payload_with_text
from aiworker.http.long_text import LONG_BYTES, MAX_STRINGS, long_strings
from aiworker.http.payload_checks import WINDOW_BYTES
from tests.unit.stand_ins import payload


class Note(Schema):
    text: str
    title: str = ""
    number: int = 0


async def parsed(body: bytes) -> tuple[Note, Any]:
    return await parse_payload_with_text(Note, payload(body), "text")


async def refusal(body: bytes) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await parsed(body)
    return raised.value


@pytest.mark.parametrize("before", range(3 * WINDOW_BYTES - 6, 3 * WINDOW_BYTES + 3))
@pytest.mark.parametrize("end", ['"', "\\", '\\"', "a"])
async def test_a_long_text_is_found_wherever_windows_end(before: int, end: str) -> None:
    text = "a" * before + end + "b"
    body = json.dumps({"title": "one", "text": text, "number": 2**60})
    note, long_text = await parsed(body.encode())
    assert (note.title, note.number, len(note.text)) == ("one", 2**60, 16)
    assert long_text.read() == text.encode()


@given(some.lists(some.text(alphabet='a"\\\n', max_size=6), min_size=1, max_size=8), some.integers(0, 7))
async def test_long_strings_are_those_that_a_parser_finds(texts: list[str], which: int) -> None:
    texts[which % len(texts)] += "a" * LONG_BYTES
    body = json.dumps(texts).encode()
    [place] = await long_strings(payload(body))
    assert json.loads(body[place.start : place.stop]) == texts[which % len(texts)]


async def test_a_short_text_is_read_as_before() -> None:
    note, long_text = await parsed(b'{"text": "short"}')
    assert (note.text, long_text) == ("short", None)


LONG = b"a" * LONG_BYTES


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"text": "short", "title": "%b"}' % LONG, "Only text may have more"),
        (b'{"text": "%b", "title": "%b"}' % (LONG, LONG), "Only text may have more"),
        (b'{"text": "%b", "text": "short"}' % LONG, "Only text may have more"),
        (b'{"text": "%b", "number": "%b"}' % (LONG, LONG), "number"),
        (b'{"text": "%b", "other": 1}' % LONG, "other"),
        (b'{"text": "%b' % LONG, "JSON"),
        (b'{"text": "%b\\u00"}' % LONG, "text must be a JSON string in UTF-8"),
    ],
)
async def test_an_error_beside_a_long_text_is_named(body: bytes, words: str) -> None:
    error = await refusal(body)
    assert error.type == "invalid_request"
    assert words in error.message
    assert len(error.message) < 300


async def test_strings_are_counted() -> None:
    error = await refusal(b'{"text": "%b", "title": [%b""]}' % (LONG, b'"",' * MAX_STRINGS))
    assert error.type == "payload_too_large"
