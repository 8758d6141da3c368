"""What Vectorize refuses, with the codes and words it uses.

Sources: developers.cloudflare.com/vectorize/platform/limits and …/reference/metadata-filtering; codes and texts as
public repositories quote them from the service. Where none was found, the code is that of a body that does not parse
(40026).
"""

import json
from typing import Any, cast

MOST_DIMENSIONS = 1536
LONGEST_ID = 64
"""Bytes, of ids and of namespaces."""
LARGEST_METADATA = 10 * 1024
"""Bytes of compact JSON a vector."""
LARGEST_FILTER = 2048
"""Bytes of compact JSON."""
MOST_METADATA_INDEXES = 10
MOST_FROM_WORKER = 1000
MOST_OVER_HTTP = 5000
MOST_IDS = 20
"""Of one `getByIds`."""
LISTED = 100
MOST_LISTED = 1000
"""Ids on a page of an index's list."""
TOP_K = 5
MOST_TOP_K = 100
MOST_TOP_K_WITH_DATA = 50
"""With values or full metadata; 20 until 2026."""
INDEXED_BYTES = 64
"""Of a string that a metadata index holds."""
METRICS = ("cosine", "euclidean", "dot-product")
PROPERTY_TYPES = ("string", "number", "boolean")

NOT_FOUND = 3000
PARSE_VECTORS = 40023
PARSE_BODY = 40026


class VectorizeError(Exception):
    """A refusal: `code` and `error` of the body, and its HTTP status."""

    def __init__(self, code: int, error: str, status: int = 400) -> None:
        super().__init__(f"{code}: {error}")
        self.code = code
        self.error = error
        self.status = status


def check_id(vector_id: object) -> str:
    if not isinstance(vector_id, str) or not vector_id:
        raise VectorizeError(PARSE_VECTORS, "failed to parse vectors: id: expected a string that is not empty")
    size = len(vector_id.encode())
    if size > LONGEST_ID:
        raise VectorizeError(40008, f"id too long; max is {LONGEST_ID} bytes, got {size} bytes")
    return vector_id


def check_namespace(namespace: object) -> str | None:
    if namespace is None:
        return None
    if not isinstance(namespace, str):
        raise VectorizeError(PARSE_VECTORS, "failed to parse vectors: namespace: expected a string")
    size = len(namespace.encode())
    if size > LONGEST_ID:
        raise VectorizeError(40010, f"namespace too long; max is {LONGEST_ID} bytes, got {size} bytes")
    return namespace


def check_metadata(metadata: object, vector_id: str) -> dict[str, Any] | None:
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise VectorizeError(PARSE_VECTORS, "failed to parse vectors: metadata: expected an object")
    found = cast("dict[str, Any]", metadata)
    size = len(compact(found).encode())
    if size > LARGEST_METADATA:
        raise VectorizeError(
            40016, f'metadata too large for id="{vector_id}"; max is {LARGEST_METADATA} bytes, got {size} bytes'
        )
    for key in found:
        if not key or key.startswith("$") or "." in key or '"' in key:
            raise VectorizeError(
                PARSE_VECTORS, f"""invalid metadata key {key!r}: not empty, without . or ", not starting with $"""
            )
    return found


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
