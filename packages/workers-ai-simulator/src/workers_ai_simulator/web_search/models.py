"""A search of the web, and its results."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from workers_ai_simulator.gateway.errors import invalid
from workers_ai_simulator.gateway.options import GatewayOptions

MAX_QUERY_CHARACTERS, MAX_RESULTS = 1_024, 10
"""Source: developers.cloudflare.com/web-search/how-to-use (the types of the binding have 20 results)."""
PRICES = {"ceramic": 0.25 / 1000, "exa": 7 / 1000, "linkup": 5 / 1000}
"""Provider → dollars of a search. Source: developers.cloudflare.com/web-search/providers"""
DEFAULT_PROVIDER = "ceramic"
ALIAS = re.compile(r"[A-Za-z0-9_-]{1,64}")

NOTE = "This result is simulated: workers-ai-simulator does not search the web."


@dataclass(frozen=True)
class WebSearch:
    """A request."""

    query: str
    limit: int
    provider: str
    gateway: GatewayOptions

    @classmethod
    def from_json(cls, body: dict[str, Any], gateway_id: object) -> "WebSearch":
        """Read a request. Raises GatewayError 7001 for what the documentation rules out."""
        query, limit, provider = body.get("query"), body.get("limit", MAX_RESULTS), body.get("provider")
        if not isinstance(query, str) or not 1 <= len(query) <= MAX_QUERY_CHARACTERS:
            raise invalid(f"query: expected 1 to {MAX_QUERY_CHARACTERS} characters")
        if isinstance(limit, bool) or not isinstance(limit, int | float) or limit not in range(1, MAX_RESULTS + 1):
            raise invalid(f"limit: expected an integer from 1 to {MAX_RESULTS}")
        provider = DEFAULT_PROVIDER if provider is None else provider
        if provider not in PRICES:
            raise invalid(f"provider: Invalid enum value. Expected {' | '.join(PRICES)}")
        _check_alias(body.get("byokAlias"))
        gateway = GatewayOptions.from_json({"id": gateway_id, "provider": provider, "path": "websearch"})
        return cls(query, int(limit), provider, gateway)

    def items(self) -> list[dict[str, Any]]:
        """The results: always the same for a query."""
        name = hashlib.sha256(self.query.encode()).hexdigest()[:8]
        return [
            {
                "url": f"https://web-search.example/{name}/{number}",
                "title": f"Simulated result {number}: {self.query[:100]}",
                "description": f"{NOTE} The query was: {self.query[:200]}",
            }
            for number in range(1, self.limit + 1)
        ]


def _check_alias(alias: object) -> None:
    if alias is None:
        return
    if not isinstance(alias, str) or not ALIAS.fullmatch(alias):
        raise invalid("byokAlias: expected 1 to 64 letters, digits, - or _")
    # a named key is never replaced by credits; the gateways of this simulator store no keys
    raise invalid(f"byokAlias: no key {alias} is stored for this provider")
