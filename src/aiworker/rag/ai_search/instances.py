"""The instance of AI Search that a tenant has: its name, its configuration, and its creation at the first upload."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from aiworker.context import Resources

PLAIN = re.compile(r"[a-z0-9_]+(?:-[a-z0-9_]+)*")
MAX_PLAIN_LENGTH = 30
"""Characters of a tenant's name that an instance can have in its own, of 32 altogether."""
DATA_TYPES = {"string": "text", "number": "number", "boolean": "boolean"}
"""Type of a property in RAG_PROPERTIES → that of a custom metadata field."""
CONFIG: Mapping[str, Any] = {
    "index_method": {"vector": True, "keyword": True},
    "fusion_method": "rrf",
    "retrieval_options": {"keyword_match_mode": "or"},
    # an answer from the cache may be older than the replacement of a document
    "cache": False,
}


def name(tenant: str) -> str:
    """Return the name of a tenant's instance; no two tenants have the same.

    It is `t-` and the tenant's name if an instance can have that, else `h-` and a hash.
    """
    if len(tenant) <= MAX_PLAIN_LENGTH and PLAIN.fullmatch(tenant):
        return f"t-{tenant}"
    return "h-" + hashlib.sha256(tenant.encode()).hexdigest()[:MAX_PLAIN_LENGTH]


_prepared: dict[str, list[dict[str, str]]] = {}
"""Name of an instance that this isolate has created or looked at → its custom metadata fields."""


async def prepare(resources: Resources, tenant: str) -> str:
    """Return the name of the tenant's instance, after creating it or giving it the fields of RAG_PROPERTIES.

    A change of the fields has AI Search index all documents of the tenant again.
    """
    instance = name(tenant)
    fields = [
        {"field_name": each, "data_type": DATA_TYPES[kind]} for each, kind in resources.settings.rag_properties.items()
    ]
    if _prepared.get(instance) == fields:
        return instance
    wanted = {"custom_metadata": fields}
    if not await resources.searches.create(instance, {**CONFIG, **wanted, "metadata": {"tenant": tenant}}):
        config = await resources.searches.config(instance)
        if _schema(config.get("custom_metadata") or []) != _schema(fields):
            await resources.searches.update(instance, wanted)
    _prepared[instance] = fields
    return instance


def unprepare(tenant: str) -> None:
    """Make the next upload create the tenant's instance again, after somebody has deleted it."""
    _prepared.pop(name(tenant), None)


def _schema(fields: list[dict[str, str]]) -> set[tuple[str, str]]:
    # AI Search stores names in lower case
    return {(each["field_name"].lower(), each["data_type"]) for each in fields}
