"""Ids of AI Gateway's logs as clients get them: `ID-SIGNATURE`, where the signature binds the id to a tenant.

The gateway itself has one list of logs for all tenants. Callers without a tenant, who may do everything, get bare ids.
"""

import hashlib
import hmac
import re

SIGNATURE_LENGTH = 24
"""Hexadecimal digits: 96 bits."""
LOG_ID = re.compile(rf"([A-Za-z0-9_-]{{1,64}}?)(?:-([0-9a-f]{{{SIGNATURE_LENGTH}}}))?")


def sign(log_id: str, tenant: str | None, secret: str) -> str:
    """Return the id for a caller of this tenant; unchanged if it is None."""
    return log_id if tenant is None else f"{log_id}-{_signature(log_id, tenant, secret)}"


def read(text: str, tenant: str | None, secret: str) -> str | None:
    """Return the gateway's own id; None unless it was signed for this tenant, or the tenant is None."""
    match = LOG_ID.fullmatch(text)
    if match is None:
        return None
    is_own = tenant is None or hmac.compare_digest(match[2] or "", _signature(match[1], tenant, secret))
    return match[1] if is_own else None


def _signature(log_id: str, tenant: str, secret: str) -> str:
    text = f"gateway log {log_id} {tenant}".encode()
    return hmac.digest(secret.encode(), text, hashlib.sha256).hex()[:SIGNATURE_LENGTH]
