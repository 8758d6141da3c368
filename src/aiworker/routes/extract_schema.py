"""The body of `POST /extract`."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from aiworker.routes.chat_schema import JsonSchema, Message, Sampling, Text
from aiworker.routes.gateway_schema import GatewayOptions


class ExtractRequest(Sampling):
    wanted: JsonSchema = Field(alias="schema")
    """A JSON Schema (draft 2020-12) that the answer fits."""
    text: Annotated[Text | None, Field(min_length=1)] = None
    """What to extract from: data, whatever it says."""
    messages: Annotated[list[Message] | None, Field(min_length=1, fail_fast=True)] = None
    """In place of `text`: a conversation of the client's own making, with images for models that see."""
    instructions: Annotated[Text | None, Field(min_length=1)] = None
    """What to look for, and how to put it."""
    model: str | None = None
    """Any text-generation model with the ability json. EXTRACT_MODEL if it is left out."""
    gateway: GatewayOptions | None = None

    @model_validator(mode="after")
    def _one_input(self) -> "ExtractRequest":
        if (self.messages is None) == (self.text is None):
            raise ValueError("Give either text or messages")
        return self

    def texts(self) -> list[str]:
        """All that the client has the model read, but for the schema."""
        said = [text for message in self.messages or [] for text in message.texts]
        return [self.instructions or "", self.text or "", *said]

    def abilities(self) -> dict[str, str]:
        """What the model must be able to do → the field that asks for it."""
        has_image = any(message.has_image for message in self.messages or [])
        return {"json": "schema", **({"vision": "messages"} if has_image else {})}

    def turn(self) -> list[dict[str, Any]]:
        """The client's own messages."""
        return [message.to_json() for message in self.messages or []]
