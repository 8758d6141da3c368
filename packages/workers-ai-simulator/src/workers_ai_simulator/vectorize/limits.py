"""Limits of Vectorize, and the checks of ids, namespaces and metadata.

Sources: developers.cloudflare.com/vectorize/platform/limits and …/reference/metadata-filtering.
"""

import json
from typing import Any, cast

from workers_ai_simulator.vectorize.errors import UNPARSABLE_VECTORS, VectorizeError, unparsable_vectors

MAX_DIMENSIONS = 1536
MAX_ID_BYTES = 64
"""Bytes of an id or a namespace."""
MAX_METADATA_BYTES = 10 * 1024
"""Bytes of a vector's metadata as compact JSON."""
MAX_FILTER_BYTES = 2048
"""Bytes of a filter as compact JSON."""
MAX_METADATA_INDEXES = 10
MAX_VECTORS_FROM_WORKER = 1000
"""Vectors, or ids to delete, of one call of a binding."""
MAX_VECTORS_OVER_HTTP = 5000
"""Vectors, or ids to delete, of one call of the REST API."""
MAX_IDS = 20
"""Ids of one `getByIds`."""
DEFAULT_LIST_COUNT = 100
MAX_LIST_COUNT = 1000
"""Ids on a page of an index's list."""
DEFAULT_TOP_K = 5
MAX_TOP_K = 100
MAX_TOP_K_WITH_DATA = 50
"""Matches with values or full metadata; 20 until 2026."""
MAX_INDEXED_BYTES = 64
"""Bytes of a string that a metadata index stores."""
METRICS = ("cosine", "euclidean", "dot-product")
PRESETS = {
    "@cf/baai/bge-small-en-v1.5": (384, "cosine"),
    "@cf/baai/bge-base-en-v1.5": (768, "cosine"),
    "@cf/baai/bge-large-en-v1.5": (1024, "cosine"),
    "openai/text-embedding-ada-002": (1536, "cosine"),
    "cohere/embed-multilingual-v2.0": (768, "cosine"),
}
"""Embedding model → dimensions and metric of an index for its vectors."""
PROPERTY_TYPES = ("string", "number", "boolean")


def check_id(vector_id: object) -> str:
    """The id. Raises VectorizeError 40023 if it is no string or empty, 40008 if it is too long."""
    if not isinstance(vector_id, str) or not vector_id:
        raise unparsable_vectors("id: expected a string that is not empty")
    size = len(vector_id.encode())
    if size > MAX_ID_BYTES:
        raise VectorizeError(40008, f"id too long; max is {MAX_ID_BYTES} bytes, got {size} bytes")
    return vector_id


def check_namespace(namespace: object) -> str | None:
    """The namespace, None for none. Raises VectorizeError 40023 if it is no string, 40010 if it is too long."""
    if namespace is None:
        return None
    if not isinstance(namespace, str):
        raise unparsable_vectors("namespace: expected a string")
    size = len(namespace.encode())
    if size > MAX_ID_BYTES:
        raise VectorizeError(40010, f"namespace too long; max is {MAX_ID_BYTES} bytes, got {size} bytes")
    return namespace


def check_metadata(metadata: object, vector_id: str) -> dict[str, Any] | None:
    """The metadata, None for none.

    Raises VectorizeError 40023 if it is no object or has an invalid key, 40016 if it is too large.
    """
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise unparsable_vectors("metadata: expected an object")
    checked = cast("dict[str, Any]", metadata)
    size = len(compact_json(checked).encode())
    if size > MAX_METADATA_BYTES:
        raise VectorizeError(
            40016, f'metadata too large for id="{vector_id}"; max is {MAX_METADATA_BYTES} bytes, got {size} bytes'
        )
    for key in checked:
        if not key or key.startswith("$") or "." in key or '"' in key:
            raise VectorizeError(
                UNPARSABLE_VECTORS, f"""invalid metadata key {key!r}: not empty, without . or ", not starting with $"""
            )
    return checked


def compact_json(value: object) -> str:
    """JSON without white space, whose size the limits count."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
