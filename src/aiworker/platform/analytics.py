"""Data points in Analytics Engine: the binding `ANALYTICS`."""

from collections.abc import Sequence
from typing import Any

from aiworker.platform.javascript import js_object


class AnalyticsDataset:
    """aiworker.bindings.Analytics over an Analytics Engine data set."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def write(self, index: str, texts: Sequence[str], numbers: Sequence[float]) -> None:
        point = {"indexes": [index], "blobs": list(texts), "doubles": list(numbers)}
        self._binding.writeDataPoint(js_object(point))
