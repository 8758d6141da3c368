"""The Worker's bindings: one adapter for each, made once for each isolate."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from aiworker.auth.limits import LIMITERS, RATES
from aiworker.bindings import BINDINGS
from aiworker.context import Resources
from aiworker.mcp.client import Connections
from aiworker.models.breaker import Breaker
from aiworker.platform.ai import WorkersAi
from aiworker.platform.ai_search import AiSearchInstances
from aiworker.platform.analytics import AnalyticsDataset
from aiworker.platform.assets import StaticAssets
from aiworker.platform.d1 import D1Database
from aiworker.platform.durable_objects import BudgetObjects, ConversationObjects
from aiworker.platform.environment import binding, has, settings, versions
from aiworker.platform.isolate import isolate
from aiworker.platform.r2 import R2Bucket
from aiworker.platform.rate_limits import RateLimitBinding
from aiworker.platform.vectorize import VectorizeIndex
from aiworker.platform.web import WebClient
from aiworker.platform.workflows import IngestionWorkflow

ADAPTERS: Mapping[str, Callable[[Any], Any]] = {
    "ai": WorkersAi,
    "assets": StaticAssets,
    "bucket": R2Bucket,
    "budgets": BudgetObjects,
    "conversations": ConversationObjects,
    "database": D1Database,
    "ingestions": IngestionWorkflow,
    "searches": AiSearchInstances,
    "vectors": VectorizeIndex,
}
"""Field of Resources → adapter over its binding."""


@functools.cache
def present() -> Mapping[str, bool]:
    """Return every binding of a full deployment → whether this Worker has it."""
    return {name: has(name) for name in (*(each.name for each in BINDINGS.values()), *RATES.values())}


@functools.cache
def adapters() -> Mapping[str, Any]:
    """Return the fields of Resources that all requests of the isolate share; those without a binding are left out."""
    bound = {field: adapter for field, adapter in ADAPTERS.items() if has(BINDINGS[field].name)}
    return {field: adapter(binding(BINDINGS[field].name)) for field, adapter in bound.items()} | {
        "breaker": Breaker(),
        "mcp_connections": Connections(),
        "web": WebClient(),
    }


def resources() -> Resources:
    """Return the resources of work without a request. Raises ApiError if the settings are wrong."""
    return Resources(settings=settings(), **adapters())


def request_adapters(caller: Any) -> Mapping[str, Any]:
    """Return `adapters`, in which AI's calls end when the caller (a Request or an AbortController) does."""
    shared = adapters()
    return {**shared, "ai": shared["ai"].for_caller(caller)} if "ai" in shared else shared


@functools.cache
def request_constants() -> Mapping[str, Any]:
    """Return the fields of Context that are the same in each request of the isolate, beside `adapters`."""
    return {
        "bindings": present(),
        "isolate": isolate.counters,
        "rate_limiters": rate_limiters(),
        "versions": versions(),
    }


@functools.cache
def rate_limiters() -> Mapping[str, RateLimitBinding]:
    """Return the name of a binding → its limiter; those that the Worker does not have are left out."""
    return {name: RateLimitBinding(binding(name)) for name in LIMITERS if has(name)}


@functools.cache
def analytics() -> AnalyticsDataset | None:
    """Return the Analytics Engine data set, which is optional; None if wrangler.jsonc has none."""
    return AnalyticsDataset(binding("ANALYTICS")) if has("ANALYTICS") else None
