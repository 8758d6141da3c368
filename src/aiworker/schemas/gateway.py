"""What a request says to AI Gateway."""

from typing import Annotated, Any

from pydantic import Field

from aiworker.schemas import Schema

MetadataValue = str | int | float | bool | None


class GatewayOptions(Schema):
    skip_cache: bool | None = None
    cache_ttl: Annotated[int | None, Field(ge=60, le=2_592_000)] = None
    """Seconds for which an answer may be given again, from a minute to a month (AI Gateway's own bounds)."""
    cache_key: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """Requests with the same key share one answer, whatever they ask."""
    metadata: Annotated[dict[str, MetadataValue] | None, Field(max_length=5)] = None

    def options(self) -> dict[str, Any]:
        """As `options.gateway` of `env.AI.run` takes them."""
        given = self.model_dump(exclude_none=True)
        names = {"skip_cache": "skipCache", "cache_ttl": "cacheTtl", "cache_key": "cacheKey"}
        return {names.get(name, name): value for name, value in given.items()}
