"""Asynchronous batches that wait for their answers to be fetched, in memory."""

import uuid
from dataclasses import dataclass
from typing import Any

MAX_BATCHES = 1000
"""Batches stored at once; the oldest is dropped first. Upstream does not say how long it stores them."""


@dataclass
class Batch:
    """Requests queued together for one model."""

    model: str
    requests: list[dict[str, Any]]
    polled: bool = False
    """True once its answers have been requested."""


class BatchStore:
    """Batches by their request ids."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}

    def add(self, batch: Batch) -> str:
        """Store the batch. Returns its new request id."""
        request_id = str(uuid.uuid4())
        self._batches[request_id] = batch
        if len(self._batches) > MAX_BATCHES:
            del self._batches[next(iter(self._batches))]
        return request_id

    def find(self, request_id: str) -> Batch | None:
        return self._batches.get(request_id)
