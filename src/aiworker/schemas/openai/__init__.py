"""The requests of the routes under /v1, field by field as OpenAI's reference has them; docs/openai.md has the table.

What a model here cannot do and what would change the answer is refused. What only concerns OpenAI's own business
(billing, storage, caching, abuse) is taken and has no effect.
"""

from typing import Any

from pydantic import AfterValidator

Ignored = Any
"""Taken, whatever it is."""


def only(*values: Any, because: str = "") -> AfterValidator:
    """A field may only have these values, or none."""

    def check(value: Any) -> Any:
        if value is None or any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in values):
            return value
        shown = " or ".join("empty" if each in ({}, []) else str(each).lower() for each in values) or "left out"
        raise ValueError(f"must be {shown}{f': {because}' if because else ''}")

    return AfterValidator(check)
