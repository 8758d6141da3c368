"""Data of Vectorize: indexes, and the vectors in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

Scalar = str | float | bool | None
"""Value of a property in a metadata index."""
IndexedMetadata = Mapping[str, Scalar]
"""Property → value, for the properties that have a metadata index."""


@dataclass(frozen=True)
class Index:
    """An index of vectors, with the last write that is applied. Times are ISO 8601 in UTC."""

    name: str
    dimensions: int
    metric: str
    description: str
    created: str
    modified: str
    processed_mutation: str | None
    processed_at: str | None


@dataclass(frozen=True)
class Record:
    """One vector as it was written."""

    id: str
    values: Floats
    namespace: str | None
    metadata: dict[str, Any] | None
    indexed: IndexedMetadata
    """Metadata in the metadata indexes that existed when the vector was written."""
