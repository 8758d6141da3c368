"""The `gateway` field of requests: options of AI Gateway for one call."""

from typing import Annotated, Any

from pydantic import Field

from aiworker.http.body import Schema

MetadataValue = str | int | float | bool | None
Metadata = Annotated[dict[str, MetadataValue], Field(max_length=5)]
"""At most five entries, the limit of AI Gateway."""


class GatewayOptions(Schema):
    """Options of AI Gateway for a model call."""

    skip_cache: bool | None = None
    cache_ttl: Annotated[int | None, Field(ge=60, le=2_592_000)] = None
    """Seconds for which an answer may be served from the cache: a minute to a month, the limits of AI Gateway."""
    cache_key: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """Requests of one tenant, user, route and model with the same key share one cached answer, even if they differ."""
    metadata: Metadata | None = None

    def __bool__(self) -> bool:
        """Tell whether any option has an effect; one with its default value counts as left out."""
        return bool(self.skip_cache or self.cache_ttl or self.cache_key or self.metadata)

    def without_cache_key(self) -> "GatewayOptions":
        """Return the options for a further call of the same request: a cache key stands for one answer."""
        return self.model_copy(update={"cache_key": None})

    def options(self, cache_scope: str) -> dict[str, Any]:
        """Return `options.gateway` of `env.AI.run`.

        cache_scope: prefix of the cache key, so that callers, routes and models do not share answers.
        """
        options = {name: value for name, value in self.model_dump().items() if value}
        if self.cache_key:
            options["cache_key"] = f"{cache_scope} {self.cache_key}"
        names = {"skip_cache": "skipCache", "cache_ttl": "cacheTtl", "cache_key": "cacheKey"}
        return {names.get(name, name): value for name, value in options.items()}
