"""Errors of AI Search, with the codes and words of its documentation.

Source: developers.cloudflare.com/ai-search/troubleshooting/api-error-codes. Code 7000, for errors that have none there,
is the simulator's own.
"""

from collections.abc import Mapping

from workers_ai_simulator.errors import UpstreamError

KINDS: Mapping[str, tuple[int, int]] = {
    "ai_search_not_found": (7002, 404),
    "invalid_model": (7010, 400),
    "job_not_found": (7021, 404),
    "ai_search_with_this_name_already_exist": (7022, 400),
    "missing_user_query": (7039, 400),
    "item_not_found": (7041, 404),
    "job_cannot_be_cancelled": (7046, 400),
    "one_or_more_instance_searches_failed": (7049, 500),
    "file_exceeds_maximum_size": (7054, 413),
    "file_field_is_required": (7055, 400),
    "invalid_metadata_format": (7056, 400),
    "invalid_metadata_filter": (7058, 400),
    "unsupported_file_type": (7060, 400),
    "invalid_retrieval_type": (7070, 400),
    "filename_exceeds_maximum_length": (7072, 400),
    "too_many_multi_search_instances": (7074, 400),
}
"""Message → its code and HTTP status."""


class AiSearchError(UpstreamError):
    """Refusal of a call of AI Search; its message is one of KINDS."""

    def __init__(self, message: str) -> None:
        code, status = KINDS[message]
        super().__init__(status, code, message, "AiSearchError")


class InvalidField(UpstreamError):  # noqa: N818 - named after what is wrong
    """Refusal of a field's value: the field, and the values that it takes."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(400, 7000, f"{field}: expected {expected}", "AiSearchError")


class UnindexableError(Exception):
    """A file that cannot be indexed; the message is the error of its item."""
