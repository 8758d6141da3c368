"""Errors of the tape, and of the service that is recorded."""

from workers_ai_simulator.errors import UpstreamError

NOT_ON_TAPE = 601
"""Code of a call that is not on the tape. Upstream never sends it."""


class TapeError(Exception):
    """Files of a tape that cannot be read. The message names each of them with its fault."""


class NotOnTape(UpstreamError):  # noqa: N818 - a statement about the tape, not about the request
    """Refusal of a call that is not on the tape that is replayed. Status 400, so that clients do not try again."""

    def __init__(self, description: str) -> None:
        super().__init__(400, NOT_ON_TAPE, description, "NotOnTape")


class ServiceFailed(UpstreamError):  # noqa: N818 - a statement about the service, not about the request
    """The service did not answer, or what it answered cannot be read: status 502, code 8007. It is not recorded."""

    def __init__(self, description: str) -> None:
        super().__init__(502, 8007, description)


class ServiceStreamBrokenError(ConnectionAbortedError):
    """The service's stream broke off. The simulator's breaks off as well, and nothing is recorded."""
