"""Types of fields for the requests under /v1, which have every field of OpenAI's reference; docs/openai.md lists them.

A field without which the answer would be of no use is refused unless it asks for nothing (`Only`). One that would only
change the answer is ignored, and the response names it (`IgnoredUnless`); so are fields that are not known. One that
only concerns OpenAI's billing, storage, caching or abuse detection is accepted without effect (`Ignored`).
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from aiworker.http.body import EVENT_STREAM, JSON, Schema
from aiworker.models.catalogue import Model
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


class IgnoredUnless:
    """Annotation of a field that is accepted with any value; the response names it if it asks for something."""

    def __init__(self, *values: Any) -> None:
        """values: values without an effect, beside null and false."""
        self.values = (None, False, *values)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, _: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": [*TYPES.values()], "description": "Accepted with any value; ignored."}


class OpenAIRequest(Schema):
    """Base of the requests under /v1. Unknown fields are ignored: clients send those of other servers."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, frozen=True)

    def ignored_parameters(self) -> list[str]:
        fields = {
            field.alias or name: (getattr(self, name), each.values)
            for name, field in type(self).model_fields.items()
            for each in field.metadata
            if isinstance(each, IgnoredUnless)
        }
        ignored = [name for name, (value, values) in fields.items() if value not in values]
        return [*ignored, *(name for name, value in (self.model_extra or {}).items() if value is not None)]

    def ignored_by(self, model: Model) -> list[str]:  # noqa: ARG002 - for subclasses
        """Return the names of present parameters that this model does not take and `POST /chat` does not have."""
        return []


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
