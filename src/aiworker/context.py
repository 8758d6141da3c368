"""What a route's handler gets: the request, the Worker's settings and its bindings. (A workflow has no request.)"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiworker.auth.access import Caller
from aiworker.auth.budget import RequestBudget
from aiworker.bindings import (
    Ai,
    Assets,
    Bucket,
    Budgets,
    Conversations,
    Database,
    Ingestions,
    RateLimiter,
    Streams,
    VectorIndex,
    unbound,
)
from aiworker.http.messages import Request
from aiworker.log import RequestLog
from aiworker.models.breaker import Breaker
from aiworker.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What there is without a request too. A missing binding raises ApiError `unavailable` at its first use."""

    settings: Settings
    ai: Ai = unbound("ai")
    assets: Assets = unbound("assets")
    bucket: Bucket = unbound("bucket")
    budgets: Budgets = unbound("budgets")
    conversations: Conversations = unbound("conversations")
    database: Database = unbound("database")
    vectors: VectorIndex = unbound("vectors")
    ingestions: Ingestions = unbound("ingestions")
    breaker: Breaker = field(default_factory=Breaker)
    """Models that keep failing, as this isolate has noticed."""
    log: RequestLog = field(default_factory=RequestLog)
    request_budget: RequestBudget = field(default_factory=RequestBudget)

    @property
    def cache_owner(self) -> str:
        """Scope of the gateway's cache keys that a client chooses; clients of the same scope share answers."""
        return ""


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """What there is for one request."""

    request: Request
    caller: Caller
    bindings: Mapping[str, bool]
    """Every binding of wrangler.jsonc → whether this Worker has it."""
    streams: Streams
    rate_limiters: Mapping[str, RateLimiter]
    """Cost of a route → its limiter; those that wrangler.jsonc does not have are left out."""
    versions: Mapping[str, str]
    """Versions of the platform, for /health."""
    isolate: Callable[[], Mapping[str, int]]
    """Returns the isolate's counters, for /health."""

    @property
    def cache_owner(self) -> str:
        # per user, as conversations are: nobody can plant an answer for somebody else
        return self.caller.conversation_key("")

    @property
    def request_id(self) -> str:
        return self.log.request_id
