"""Query of the REST API's list of logs, read as a search in the log store."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from starlette.datastructures import QueryParams

from workers_ai_simulator.gateway.errors import invalid
from workers_ai_simulator.gateway.models import LogSearch

MAX_PAGE_SIZE = 50
"""Not documented for logs; the maximum of the API's other lists."""

Condition = tuple[str, list[Any]]
"""SQL, and the values of its parameters."""

ORDERS = (
    "created_at", "provider", "model", "model_type", "success", "cached", "cost", "tokens_in", "tokens_out",
    "duration", "feedback",
)  # fmt: skip

KEYS = {
    **{name: name for name in ORDERS},
    **{name: name for name in ("id", "request_content_type", "response_content_type", "request_type", "event_id")},
    "user_agent": "user_agent",
    "tokens": "tokens_in + tokens_out",
}
"""Key of a filter → SQL."""

UNUSED_KEYS = ("authentication", "wholesale", "compatibilityMode", "dlp_action")
"""Keys of features that are not simulated: their values are null, and match no other value."""
NUMBERS = ("cost", "tokens", "tokens_in", "tokens_out", "duration", "feedback")
METADATA_KEYS = {"metadata.key": "key", "metadata.value": "CAST(value AS TEXT)"}
"""Key of a filter → SQL. Each matches any entry of a log's metadata: recordings show that a key and a value need not
belong to the same entry."""

COMPARISONS: dict[str, Callable[[str, int], str]] = {
    "eq": lambda column, count: f"{column} IN ({_places(count)})",
    "neq": lambda column, count: f"{column} IS NULL OR {column} NOT IN ({_places(count)})",
    "contains": lambda column, count: " OR ".join([f"instr(lower({column}), lower(?))"] * count),
    "lt": lambda column, count: " AND ".join([f"{column} < ?"] * count),
    "gt": lambda column, count: " AND ".join([f"{column} > ?"] * count),
}

EXACT = ("provider", "model", "model_type", "request_content_type", "response_content_type")
RANGES = {
    "cost": "cost",
    "duration": "duration",
    "tokens_in": "tokens_in",
    "tokens_out": "tokens_out",
    "total_tokens": "tokens_in + tokens_out",
}
"""Quantity, whose parameters are `min_…` and `max_…` → SQL."""


def search(query: QueryParams) -> LogSearch:
    """Search for the logs that the query asks for, with its page.

    Raises GatewayError 7001 for an invalid value.
    """
    page, per_page = _integer(query, "page", 1), _integer(query, "per_page", 20, MAX_PAGE_SIZE)
    conditions = [
        *((f"{name} = ?", [query[name]]) for name in EXACT if name in query),
        *((f"{name} = ?", [_boolean(query, name)]) for name in ("success", "cached") if name in query),
        *(
            (f"{sql} >= ?", [_float(f"min_{name}", query[f"min_{name}"])])
            for name, sql in RANGES.items()
            if f"min_{name}" in query
        ),
        *(
            (f"{sql} <= ?", [_float(f"max_{name}", query[f"max_{name}"])])
            for name, sql in RANGES.items()
            if f"max_{name}" in query
        ),
        *((f"created_at {sign} ?", [_milliseconds(query[name])]) for name, sign in DATES.items() if name in query),
        *([("feedback = ?", [1 if query["feedback"] == "1" else -1])] if "feedback" in query else []),
        *([("instr(lower(metadata), lower(?))", [query["search"]])] if "search" in query else []),
        *(_condition(each) for each in _filters(query)),
    ]
    where = " AND ".join(f"({sql})" for sql, _ in conditions) or "TRUE"
    values = [value for _, values in conditions for value in values]
    return LogSearch(where, values, _order(query), per_page, (page - 1) * per_page)


DATES = {"start_date": ">=", "end_date": "<="}


def _order(query: QueryParams) -> str:
    column = query.get("order_by", "created_at")
    direction = query.get("order_by_direction", query.get("direction", "desc"))
    if column not in ORDERS:
        raise invalid(f"order_by: Invalid enum value. Expected {' | '.join(ORDERS)}")
    if direction not in ("asc", "desc"):
        raise invalid("order_by_direction: Invalid enum value. Expected asc | desc")
    return f"{column} {direction}, number {direction}"


def _filters(query: QueryParams) -> list[dict[str, Any]]:
    """Filters `{key, operator, value}`, from JSON in `filters` or from the dotted names of Cloudflare's SDKs."""
    if "filters" in query:
        try:
            filters = json.loads(query["filters"])
        except ValueError:
            filters = None
        if not isinstance(filters, list):
            raise invalid("filters: Expected array")
        return [each if isinstance(each, dict) else {} for each in cast("list[Any]", filters)]
    keys, operators, texts = (query.getlist(f"filters.{part}") for part in ("key", "operator", "value"))
    values = [{"true": True, "false": False}.get(value, value) for value in texts]
    if len(keys) == 1:
        return [{"key": keys[0], "operator": "".join(operators), "value": values}]
    # the SDKs write all keys, then all operators, then all values: the n-th of each belong to one filter
    if not len(keys) == len(operators) == len(values):
        raise invalid("filters: Expected one key, operator and value each")
    parts = zip(keys, operators, values, strict=True)
    return [{"key": key, "operator": operator, "value": [value]} for key, operator, value in parts]


def _condition(log_filter: dict[str, Any]) -> Condition:
    key, operator, value = log_filter.get("key"), log_filter.get("operator"), log_filter.get("value")
    if key not in KEYS and key not in METADATA_KEYS and key not in UNUSED_KEYS:
        raise invalid(f"Invalid enum value. Expected {' | '.join((*KEYS, *METADATA_KEYS, *UNUSED_KEYS))}")
    if operator not in COMPARISONS:
        raise invalid(f"Invalid enum value. Expected {' | '.join(COMPARISONS)}")
    if not isinstance(value, list) or not value:
        raise invalid("value: Expected array")
    values = [_column_value(str(key), each) for each in cast("list[Any]", value)]
    column = METADATA_KEYS.get(key) or KEYS.get(key, "NULL")
    sql = COMPARISONS[operator](column, len(values))
    if key in METADATA_KEYS:
        sql = f"EXISTS (SELECT 1 FROM json_each(logs.metadata) WHERE {sql})"  # noqa: S608 - from the tables above
    return sql, values


def _column_value(key: str, value: object) -> Any:
    """The value of a filter in the type that its column has."""
    if value is not None and not isinstance(value, str | int | float):
        raise invalid("value: Expected string, number, boolean or null")
    if key == "created_at":
        return _milliseconds(str(value))
    if key in NUMBERS and isinstance(value, str):
        return _float(key, value)
    if key == "metadata.value" and not isinstance(value, str):
        return json.dumps(int(value) if isinstance(value, bool) else value)
    return value


def _places(count: int) -> str:
    return ", ".join("?" * count)


def _float(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise invalid(f"{name}: Expected number") from None


def _integer(query: QueryParams, name: str, default: int, maximum: int | None = None) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1 or (maximum is not None and int(text) > maximum):
        raise invalid(f"{name}: Number must be 1 {f'to {maximum}' if maximum else 'or more'}")
    return int(text)


def _boolean(query: QueryParams, name: str) -> bool:
    if query[name] not in ("true", "false"):
        raise invalid(f"{name}: Expected boolean")
    return query[name] == "true"


def _milliseconds(text: str) -> float:
    """Milliseconds since 1970, of a date in ISO 8601; without a time zone it is UTC."""
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("Invalid date") from None
    return date.replace(tzinfo=date.tzinfo or UTC).timestamp() * 1000


def page_of(items: Sequence[Any], query: QueryParams) -> tuple[Sequence[Any], int, int]:
    """Items on the page that the query asks for, with `page` and `per_page`."""
    page, per_page = _integer(query, "page", 1), _integer(query, "per_page", 20, MAX_PAGE_SIZE)
    return items[(page - 1) * per_page : page * per_page], page, per_page
