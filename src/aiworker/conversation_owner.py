"""To whom conversations belong. Without other packages: scripts/keys reads it, too."""

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
        """The beginning of the names of their objects."""
        return "" if self.tenant is None else f"{self.tenant}/{self.subject}/"
