"""What a route is given: the request, the Worker's settings, and what it is bound to. (A workflow has no request.)"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiworker.auth.access import Caller
from aiworker.auth.budget import Spending
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
)
from aiworker.errors import ApiError
from aiworker.http.messages import Request
from aiworker.log import RequestLog
from aiworker.models.breaker import Breaker
from aiworker.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What there is without a request too. A binding that wrangler.jsonc does not have is None."""

    settings: Settings
    ai: Ai | None = None
    assets: Assets | None = None
    bucket: Bucket | None = None
    budgets: Budgets | None = None
    conversations: Conversations | None = None
    database: Database | None = None
    vectors: VectorIndex | None = None
    ingestions: Ingestions | None = None
    breaker: Breaker = field(default_factory=Breaker)
    """What the isolate knows of models that keep failing."""
    log: RequestLog = field(default_factory=RequestLog)
    spending: Spending = field(default_factory=Spending)

    @property
    def cache_owner(self) -> str:
        """Who shares answers that the gateway's cache has under a key of the client's choice."""
        return ""

    def the_ai(self) -> Ai:
        """Raises ApiError `unavailable` if the Worker has no AI binding."""
        if self.ai is None:
            raise _unbound("AI", '"ai": {"binding": "AI"}')
        return self.ai

    def the_assets(self) -> Assets:
        """Raises ApiError `unavailable` if the Worker has no static files."""
        if self.assets is None:
            raise _unbound("ASSETS", '"assets": {"binding": "ASSETS", "directory": "public"}')
        return self.assets

    def the_bucket(self) -> Bucket:
        """Raises ApiError `unavailable` if the Worker has no R2 bucket."""
        if self.bucket is None:
            raise _unbound("BUCKET", '"r2_buckets": [{"binding": "BUCKET", "bucket_name": "aiworker"}]')
        return self.bucket

    def the_budgets(self) -> Budgets:
        """Raises ApiError `unavailable` if the Worker has no Durable Objects for them."""
        if self.budgets is None:
            objects = '"durable_objects": {"bindings": [{"name": "BUDGETS", "class_name": "Budget"}]}'
            raise _unbound("BUDGETS", objects)
        return self.budgets

    def the_conversations(self) -> Conversations:
        """Raises ApiError `unavailable` if the Worker has no Durable Objects for them."""
        if self.conversations is None:
            objects = '"durable_objects": {"bindings": [{"name": "CONVERSATIONS", "class_name": "Conversation"}]}'
            raise _unbound("CONVERSATIONS", objects)
        return self.conversations

    def the_database(self) -> Database:
        """Raises ApiError `unavailable` if the Worker has no D1 database."""
        if self.database is None:
            raise _unbound("DB", '"d1_databases": [{"binding": "DB", "database_name": "aiworker"}]')
        return self.database

    def the_vectors(self) -> VectorIndex:
        """Raises ApiError `unavailable` if the Worker has no index of vectors."""
        if self.vectors is None:
            raise _unbound("VECTORIZE", '"vectorize": [{"binding": "VECTORIZE", "index_name": "aiworker-passages"}]')
        return self.vectors

    def the_ingestions(self) -> Ingestions:
        """Raises ApiError `unavailable` if the Worker has no workflow for documents."""
        if self.ingestions is None:
            name = '"name": "aiworker-ingestion", "class_name": "Ingestion"'
            raise _unbound("INGESTIONS", f'"workflows": [{{"binding": "INGESTIONS", {name}}}]')
        return self.ingestions


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    request: Request
    caller: Caller
    bindings: Mapping[str, bool]
    """Every binding of wrangler.jsonc → whether this Worker has it."""
    streams: Streams
    rate_limiters: Mapping[str, RateLimiter]
    """By what a route costs; those that wrangler.jsonc does not have are missing."""
    versions: Mapping[str, str]
    """Of the platform, for /health."""
    isolate: Callable[[], Mapping[str, int]]
    """What goes on in this isolate now, likewise."""

    @property
    def cache_owner(self) -> str:
        return self.caller.conversation("")  # as of conversations: nobody plants an answer for another user

    @property
    def request_id(self) -> str:
        return self.log.request_id


def _unbound(name: str, configuration: str) -> ApiError:
    return ApiError("unavailable", f"This Worker has no binding {name}: add {configuration} to wrangler.jsonc.")
