"""What of a stored object a request wants, by its conditional and range headers (RFC 9110, sections 13 and 14).

R2 can read these headers too. But a tag without quotes is an error to it, a range beyond the end is the whole object,
and If-Range it does not know.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from aiworker.http.messages import Request

HEADERS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range")
"""Without any of these, a request wants all of it."""

DATE = "%a, %d %b %Y %H:%M:%S GMT"
RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)
"""One range. Several are answered with the whole object, as any server may."""


@dataclass(frozen=True)
class Wanted:
    status: int
    """200 all, 206 a part, 304 nothing new, 412 the condition does not hold, 416 the range lies outside."""
    start: int = 0
    length: int = 0
    """Bytes; 0 unless the status is 200 or 206."""


def wanted(request: Request, etag: str, modified: datetime, size: int) -> Wanted:
    """
    etag: strong, with its quotes.
    modified: whole seconds, in UTC.
    """
    failed = _failed_condition(request, etag, modified)
    if failed:
        return Wanted(failed)
    found = RANGE.fullmatch(request.header("range") or "")
    if request.method != "GET" or found is None or not _range_holds(request, etag, modified):
        return Wanted(200, 0, size)
    return _part(found[1], found[2], size)


def http_date(moment: datetime) -> str:
    return moment.strftime(DATE)


def _failed_condition(request: Request, etag: str, modified: datetime) -> int | None:
    """412 or 304; None if all conditions hold. A tag outweighs a date."""
    match, none_match = request.header("if-match"), request.header("if-none-match")
    unmodified_since, modified_since = _date(request, "if-unmodified-since"), _date(request, "if-modified-since")
    if match is not None:
        if not _lists(match, etag):
            return 412
    elif unmodified_since and modified > unmodified_since:
        return 412
    if none_match is not None:
        # here a weak tag is as good as a strong one
        return 304 if _lists(none_match.replace("W/", ""), etag) else None
    return 304 if modified_since and modified <= modified_since else None


def _range_holds(request: Request, etag: str, modified: datetime) -> bool:
    """Whether the object is still the one of which the client has a part."""
    same = request.header("if-range")
    return same is None or same.strip() == etag or _date(request, "if-range") == modified


def _part(first: str, last: str, size: int) -> Wanted:
    if not first and not last:
        return Wanted(200, 0, size)
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:  # no range at all
            return Wanted(200, 0, size)
    return Wanted(206, start, end - start) if start < end else Wanted(416)


def _lists(tags: str, etag: str) -> bool:
    return tags.strip() == "*" or etag in re.findall(r'(?:W/)?"[^"]*"', tags)


def _date(request: Request, name: str) -> datetime | None:
    """A date that cannot be read is as good as none."""
    with suppress(ValueError):
        return datetime.strptime(request.header(name) or "", DATE).replace(tzinfo=UTC)
    return None
