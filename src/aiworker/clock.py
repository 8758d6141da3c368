"""Times in UTC as texts in ISO 8601, which sort in order of time."""

import datetime


def now() -> str:
    """Return the present time."""
    return ago(datetime.timedelta())


def ago(duration: datetime.timedelta) -> str:
    """Return the time so long ago."""
    return (datetime.datetime.now(datetime.UTC) - duration).isoformat(timespec="microseconds")
