"""The body of `POST /chat`."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from aiworker.ai.catalogue import Model
from aiworker.schemas import Schema

LONGEST_PROMPT = 131_072
"""Characters. Source: the input schemas of Workers AI's text-generation models."""

Text = Annotated[str, Field(max_length=LONGEST_PROMPT)]


class Message(Schema):
    role: Literal["system", "user", "assistant", "tool"]
    content: Text


class Sampling(Schema):
    """The widest ranges that any model takes; the catalogue knows each model's own."""

    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    top_p: Annotated[float | None, Field(ge=0, le=2)] = None
    top_k: Annotated[int | None, Field(ge=1, le=50)] = None
    seed: Annotated[int | None, Field(ge=1, le=9_999_999_999)] = None
    repetition_penalty: Annotated[float | None, Field(ge=0, le=2)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None


class ChatRequest(Sampling):
    messages: Annotated[list[Message] | None, Field(min_length=1, fail_fast=True)] = None
    prompt: Annotated[Text | None, Field(min_length=1)] = None
    raw: bool = False
    """Do not put the prompt into the model's chat template."""
    model: str | None = None
    stream: bool = True

    @model_validator(mode="after")
    def _one_input(self) -> "ChatRequest":
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("Give either messages or prompt")
        if self.raw and self.prompt is None:
            raise ValueError("raw needs a prompt: messages are always put into the model's template")
        return self

    def sampling(self) -> dict[str, float]:
        """The sampling parameters that were given."""
        return self.model_dump(include=set(Sampling.model_fields), exclude_none=True)

    def inputs(self, model: Model) -> dict[str, Any]:
        """What the model is sent: only what was given, and messages where the model takes no prompt."""
        inputs = self.model_dump(exclude={"model", "raw"}, exclude_none=True)
        if self.raw:
            inputs["raw"] = True
        elif self.prompt is not None and model.dialect == "openai":
            inputs["messages"] = [{"role": "user", "content": inputs.pop("prompt")}]
        return inputs
