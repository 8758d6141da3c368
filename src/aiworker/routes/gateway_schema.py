"""What a request says to AI Gateway."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator, model_validator

from aiworker.http.body import Schema

MetadataValue = str | int | float | bool | None
Metadata = Annotated[dict[str, MetadataValue], Field(max_length=5)]
"""At most five entries, as AI Gateway takes them."""
LogId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""It becomes a part of an address."""


class GatewayOptions(Schema):
    skip_cache: bool | None = None
    cache_ttl: Annotated[int | None, Field(ge=60, le=2_592_000)] = None
    """Seconds for which an answer may be given again, from a minute to a month (AI Gateway's own bounds)."""
    cache_key: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """Requests of one tenant and user to one route and model share one answer under it, whatever they ask."""
    metadata: Metadata | None = None

    def without_cache_key(self) -> "GatewayOptions":
        """For further calls of one request: a key stands for one answer."""
        return self.model_copy(update={"cache_key": None})

    def options(self, sharing: str) -> dict[str, Any]:
        """As `options.gateway` of `env.AI.run` takes them. sharing: whose requests of which kind share a cache key."""
        given = self.model_dump(exclude_none=True)
        if self.cache_key:
            given["cache_key"] = f"{sharing} {self.cache_key}"
        names = {"skip_cache": "skipCache", "cache_ttl": "cacheTtl", "cache_key": "cacheKey"}
        return {names.get(name, name): value for name, value in given.items()}


class FeedbackRequest(Schema):
    """The body of `POST /feedback`: what is given replaces what the log has, null takes it away."""

    log_id: LogId
    """`x-gateway-log-id` of the answer that is rated."""
    feedback: int | None = None
    """1: good, -1: bad."""
    score: Annotated[float | None, Field(ge=0, le=100)] = None
    metadata: Metadata | None = None

    @field_validator("feedback")
    @classmethod
    def _is_good_or_bad(cls, feedback: int | None) -> int | None:
        if feedback not in (None, 1, -1):
            raise ValueError("must be 1, -1 or null")
        return feedback

    @model_validator(mode="after")
    def _says_something(self) -> "FeedbackRequest":
        if not self.model_fields_set & {"feedback", "score", "metadata"}:
            raise ValueError("Give feedback, score or metadata")
        return self

    def rating(self) -> dict[str, Any]:
        """As `patchLog` of the gateway takes it."""
        return self.model_dump(include=self.model_fields_set - {"log_id"})
