"""What a route is given: the request, the Worker's settings, and what it is bound to."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiworker.bindings import Ai, Bucket, Conversations, Streams
from aiworker.errors import ApiError
from aiworker.http import Request
from aiworker.settings import Settings


@dataclass(frozen=True)
class Context:
    request: Request
    request_id: str
    settings: Settings
    bindings: Mapping[str, bool]
    """Every binding of wrangler.jsonc → whether this Worker has it."""
    ai: Ai | None
    bucket: Bucket | None
    conversations: Conversations | None
    streams: Streams
    versions: Mapping[str, str]
    """Of the platform, for /health."""

    def the_ai(self) -> Ai:
        """Raises ApiError `unavailable` if the Worker has no AI binding."""
        if self.ai is None:
            raise _unbound("AI", '"ai": {"binding": "AI"}')
        return self.ai

    def the_bucket(self) -> Bucket:
        """Raises ApiError `unavailable` if the Worker has no R2 bucket."""
        if self.bucket is None:
            raise _unbound("BUCKET", '"r2_buckets": [{"binding": "BUCKET", "bucket_name": "aiworker"}]')
        return self.bucket

    def the_conversations(self) -> Conversations:
        """Raises ApiError `unavailable` if the Worker has no Durable Objects for them."""
        if self.conversations is None:
            objects = '"durable_objects": {"bindings": [{"name": "CONVERSATIONS", "class_name": "Conversation"}]}'
            raise _unbound("CONVERSATIONS", objects)
        return self.conversations


def _unbound(name: str, configuration: str) -> ApiError:
    return ApiError("unavailable", f"This Worker has no binding {name}: add {configuration} to wrangler.jsonc.")
