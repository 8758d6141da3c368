"""Types of fields for the requests under /v1, which have every field of OpenAI's reference; docs/openai.md lists them.

A field that no model here supports and that would change the result is refused (`Only`). A field that only concerns
OpenAI's billing, storage, caching or abuse detection is accepted without effect (`Ignored`).
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from aiworker.http.body import EVENT_STREAM, JSON
from aiworker.routing import EVENTS, Returns, Shape

TYPES: Mapping[type, str] = {
    str: "string",
    int: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}
"""Python's types → their names in JSON Schema."""

Ignored = Annotated[
    Any,
    WithJsonSchema({"type": [*TYPES.values()], "description": "Accepted with any value, without effect."}),
]


class Only:
    """Annotation of a field that accepts only some values, or null."""

    def __init__(self, *values: Any, because: str = "") -> None:
        """because: the reason, for the error's message."""
        self._values = values
        self._because = because

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        values = [*self._values, None]
        return {"type": list(dict.fromkeys(TYPES[type(each)] for each in values)), "enum": values}

    def _check(self, value: Any) -> Any:
        if value is None or any(
            value == each and isinstance(value, bool) == isinstance(each, bool) for each in self._values
        ):
            return value
        shown = " or ".join("empty" if each in ({}, []) else str(each).lower() for each in self._values) or "left out"
        raise ValueError(f"must be {shown}{f': {self._because}' if self._because else ''}")


DESCRIPTION = "As in OpenAI's reference."
OPENAI_OBJECT: Shape = {"type": "object", "description": DESCRIPTION}
JSON_REPLY = Returns({JSON: OPENAI_OBJECT}, DESCRIPTION)
STREAM_OR_JSON = Returns({JSON: OPENAI_OBJECT, EVENT_STREAM: EVENTS}, DESCRIPTION)
