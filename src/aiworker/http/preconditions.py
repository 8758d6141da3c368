"""Conditional and range requests for a stored object: which bytes are sent (RFC 9110, sections 13 and 14).

R2 can read these headers too, but it refuses an etag without quotes, answers a range beyond the end with the whole
object, and ignores If-Range.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from aiworker.http.messages import Request

HEADERS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range")
"""Headers that select: a request without any of them gets the whole object."""

DATE = "%a, %d %b %Y %H:%M:%S GMT"
RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)
"""A single range. Several are answered with the whole object, as any server may."""


@dataclass(frozen=True)
class Version:
    """The metadata of a stored object, known before its content is read."""

    etag: str
    """Strong etag, with its quotes."""
    modified: datetime
    """Time of the upload in UTC, in whole seconds."""
    size: int
    """Number of bytes."""
    content_type: str


@dataclass(frozen=True)
class Selection:
    """The status of the response, and the bytes that it sends."""

    status: int
    """200 for the whole object, 206 for a range, 304 not modified, 412 condition failed, 416 range outside."""
    start: int = 0
    length: int = 0
    """Number of bytes; 0 unless the status is 200 or 206."""

    @property
    def has_content(self) -> bool:
        return self.status in (200, 206)


def select(request: Request, version: Version) -> Selection:
    """Return the bytes of this version that the request selects."""
    failed = _failed_condition(request, version.etag, version.modified)
    if failed:
        return Selection(failed)
    match = RANGE.fullmatch(request.header("range") or "")
    if request.method != "GET" or match is None or not _is_range_valid(request, version.etag, version.modified):
        return Selection(200, 0, version.size)
    return _range(match[1], match[2], version.size)


def response_headers(selection: Selection, version: Version) -> dict[str, str]:
    """Return the headers of the response with these bytes."""
    if selection.status == 416:
        return {"content-range": f"bytes */{version.size}"}
    headers = {"etag": version.etag, "last-modified": http_date(version.modified), "accept-ranges": "bytes"}
    if selection.has_content:
        headers |= {"content-type": version.content_type, "content-length": str(selection.length)}
    if selection.status == 206:
        last = selection.start + selection.length - 1
        headers["content-range"] = f"bytes {selection.start}-{last}/{version.size}"
    return headers


def http_date(moment: datetime) -> str:
    """Return a time in UTC as HTTP's headers have it."""
    return moment.strftime(DATE)


def _failed_condition(request: Request, etag: str, modified: datetime) -> int | None:
    """Return 412 or 304; None if all conditions hold. An etag takes precedence over a date."""
    match, none_match = request.header("if-match"), request.header("if-none-match")
    unmodified_since, modified_since = _date(request, "if-unmodified-since"), _date(request, "if-modified-since")
    if match is not None:
        if not _includes(match, etag):
            return 412
    elif unmodified_since and modified > unmodified_since:
        return 412
    if none_match is not None:
        # this condition compares weakly (RFC 9110, section 13.1.2)
        return 304 if _includes(none_match.replace("W/", ""), etag) else None
    return 304 if modified_since and modified <= modified_since else None


def _is_range_valid(request: Request, etag: str, modified: datetime) -> bool:
    """Tell whether the object is still the version of which the client has a part (`if-range`)."""
    condition = request.header("if-range")
    return condition is None or condition.strip() == etag or _date(request, "if-range") == modified


def _range(first: str, last: str, size: int) -> Selection:
    """Return the bytes from `first` to `last`, or the last ones where `first` is empty."""
    if not first and not last:
        return Selection(200, 0, size)
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:  # an invalid range is ignored
            return Selection(200, 0, size)
    return Selection(206, start, end - start) if start < end else Selection(416)


def _includes(tags: str, etag: str) -> bool:
    """Tell whether the etag is in the list of a header; `*` is any."""
    return tags.strip() == "*" or etag in re.findall(r'(?:W/)?"[^"]*"', tags)


def _date(request: Request, name: str) -> datetime | None:
    """Return the date of a header; None if there is none that can be read."""
    with suppress(ValueError):
        return datetime.strptime(request.header(name) or "", DATE).replace(tzinfo=UTC)
    return None
