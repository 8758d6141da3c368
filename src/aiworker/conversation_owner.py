"""The owner of conversations. This module imports only the standard library, because scripts/keys uses it, too."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ConversationOwner:
    """The caller to whom conversations belong."""

    tenant: str | None
    """None for callers that may name any tenant, who have conversations of their own."""
    subject: str = ""
    """User of the tenant; `*` for callers without a key."""

    @property
    def prefix(self) -> str:
        """Beginning of the names of the owner's Durable Objects."""
        return "" if self.tenant is None else f"{self.tenant}/{self.subject}/"
