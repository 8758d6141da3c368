"""Conditional and range requests for a stored object."""

from datetime import UTC, datetime

import pytest

from aiworker.http.preconditions import Selection, Version, http_date, response_headers, select
from tests.unit.stand_ins import FakeRequest

DATE = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
VERSION = Version('"tag"', DATE, 100, "image/png")
BEFORE, AFTER = "Fri, 20 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Selection(200, 0, 100)),
        ({"range": "bytes=0-9"}, Selection(206, 0, 10)),
        ({"range": "bytes=90-"}, Selection(206, 90, 10)),
        ({"range": "bytes=-5"}, Selection(206, 95, 5)),
        ({"range": "bytes=-500"}, Selection(206, 0, 100)),
        ({"range": "bytes=100-"}, Selection(416)),
        ({"range": "bytes=-0"}, Selection(416)),
        ({"range": "bytes=9-0"}, Selection(200, 0, 100)),
        ({"range": "bytes=0-1,5-6"}, Selection(200, 0, 100)),
        ({"range": "bytes=0-9", "if_range": '"tag"'}, Selection(206, 0, 10)),
        ({"range": "bytes=0-9", "if_range": '"other"'}, Selection(200, 0, 100)),
        ({"range": "bytes=0-9", "if_range": http_date(DATE)}, Selection(206, 0, 10)),
        ({"if_none_match": 'W/"tag"'}, Selection(304)),
        ({"if_none_match": '"other"', "if_modified_since": AFTER}, Selection(200, 0, 100)),
        ({"if_modified_since": AFTER}, Selection(304)),
        ({"if_modified_since": BEFORE}, Selection(200, 0, 100)),
        ({"if_modified_since": "yesterday"}, Selection(200, 0, 100)),
        ({"if_match": '"other"'}, Selection(412)),
        ({"if_match": "*"}, Selection(200, 0, 100)),
        ({"if_unmodified_since": BEFORE}, Selection(412)),
    ],
)
def test_headers_select_what_is_sent(headers: dict[str, str], expected: Selection) -> None:
    assert select(FakeRequest("GET", "/images/key", b"", **headers), VERSION) == expected


def test_ranges_are_for_get_only() -> None:
    assert select(FakeRequest("HEAD", "/images/key", range="bytes=0-9"), VERSION) == Selection(200, 0, 100)


def test_the_response_describes_what_it_holds() -> None:
    cacheable = {"etag": '"tag"', "last-modified": "Sat, 21 Nov 2026 12:00:00 GMT", "accept-ranges": "bytes"}
    whole = response_headers(Selection(200, 0, 100), VERSION)
    assert whole == {**cacheable, "content-type": "image/png", "content-length": "100"}
    part = response_headers(Selection(206, 90, 10), VERSION)
    assert (part["content-range"], part["content-length"]) == ("bytes 90-99/100", "10")
    assert response_headers(Selection(304), VERSION) == cacheable
    assert response_headers(Selection(416), VERSION) == {"content-range": "bytes */100"}
