"""The arguments of every route's handler: the request, the Worker's settings and bindings. Workflows get Resources."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiworker.auth import log_ids
from aiworker.auth.access import Caller
from aiworker.auth.budget import RequestBudget
from aiworker.bindings import (
    Ai,
    Assets,
    Bucket,
    Budgets,
    Chat,
    Conversations,
    Database,
    Ingestions,
    ItemizedConversation,
    NoWeb,
    RateLimiter,
    SearchInstances,
    Streams,
    Unbound,
    VectorIndex,
    Web,
    unbound,
)
from aiworker.conversation_index import IndexedConversation
from aiworker.conversation_owner import ConversationOwner
from aiworker.errors import ApiError
from aiworker.http.messages import Request
from aiworker.log import RequestLog
from aiworker.mcp.client import Connections
from aiworker.models.breaker import Breaker
from aiworker.settings import Settings
from aiworker.tracing import NoTracer, Tracer


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Settings and bindings, with or without a request. Use of a missing binding raises ApiError `not_configured`."""

    settings: Settings
    ai: Ai = unbound("ai")
    assets: Assets = unbound("assets")
    bucket: Bucket = unbound("bucket")
    budgets: Budgets = unbound("budgets")
    conversations: Conversations = unbound("conversations")
    database: Database = unbound("database")
    vectors: VectorIndex = unbound("vectors")
    ingestions: Ingestions = unbound("ingestions")
    searches: SearchInstances = unbound("searches")
    web: Web = field(default_factory=NoWeb)
    breaker: Breaker = field(default_factory=Breaker)
    """Circuit breaker of this isolate."""
    mcp_connections: Connections = field(default_factory=Connections)
    """Sessions and tools of MCP_SERVERS, kept for this isolate."""
    log: RequestLog = field(default_factory=RequestLog)
    request_budget: RequestBudget = field(default_factory=RequestBudget)
    tracer: Tracer = field(default_factory=NoTracer)

    @property
    def cache_owner(self) -> str:
        """Scope of the gateway's cache keys; callers of one scope share answers. Empty for work without a client."""
        return ""

    def public_log_id(self, log_id: str) -> str:
        """Return the id of a gateway's log as the client gets it."""
        return log_id


@dataclass(frozen=True, kw_only=True)
class ClientResources(Resources):
    """Settings and bindings for work for a client, which may go on after the request."""

    caller: Caller

    @property
    def cache_owner(self) -> str:
        # cache keys are scoped per user, so that nobody can plant an answer for somebody else
        return self.caller.conversation_owner.prefix

    def public_log_id(self, log_id: str) -> str:
        return log_ids.sign(log_id, self.caller.tenant, self.settings.policy.log_secret)


@dataclass(frozen=True, kw_only=True)
class Context(ClientResources):
    """Everything that belongs to one request."""

    request: Request
    bindings: Mapping[str, bool]
    """Every binding of wrangler.jsonc → whether this Worker has it."""
    streams: Streams
    rate_limiters: Mapping[str, RateLimiter]
    """Name of a binding → its limiter; those that wrangler.jsonc does not have are left out."""
    versions: Mapping[str, str]
    """Versions of Python, Pyodide and the deployment, for /health."""
    isolate: Callable[[], Mapping[str, int]]
    """Returns the isolate's counters, for /health."""

    def own_log_id(self, public_id: str) -> str:
        """Return the gateway's own id. Raises ApiError `not_found` for one that another tenant has got."""
        log_id = log_ids.read(public_id, self.caller.tenant, self.settings.policy.log_secret)
        if log_id is None:
            raise ApiError("not_found", f"The gateway has no log {public_id[:100]}.")
        return log_id

    @property
    def request_id(self) -> str:
        return self.log.request_id

    def chat(self, chat_id: str) -> Chat:
        """Return the caller's chat of that id; one that is unknown has no answer."""
        return self.conversations.find_chat(self.caller.conversation_owner.prefix + chat_id)

    def conversation(self, conversation_id: str) -> ItemizedConversation:
        """Return the caller's conversation of that id; one that is unknown has an empty history."""
        return self.conversation_of(self.caller.conversation_owner, conversation_id)

    def conversation_of(self, owner: ConversationOwner, conversation_id: str) -> ItemizedConversation:
        """Return an owner's conversation of that id."""
        conversation = self.conversations.find(owner.prefix + conversation_id)
        if isinstance(self.database, Unbound):
            return conversation
        return IndexedConversation(conversation, self.database, owner, conversation_id)
