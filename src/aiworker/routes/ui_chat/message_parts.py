"""Parts of the messages that `useChat` sends, and the messages of `POST /chat` that they become."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator
from pydantic.alias_generators import to_camel

from aiworker.models.tool_calls import Json
from aiworker.routes.chat_schema import ADDRESS, NAME
from aiworker.routes.openai.chat_schema import Lenient

TOOL = "tool-"
"""Beginning of the types of parts that are calls of a tool; the tool's name follows."""
DYNAMIC = "dynamic-tool"
"""Type of parts that are calls of a tool whose name is in a field of its own."""
DATA = "data-"
"""Beginning of the types of parts that only the page's own code understands."""
IGNORED = ("reasoning", "source-url", "source-document", "reasoning-file", "custom")
"""Types of parts that no model gets again."""


class UiSchema(Lenient):
    model_config = ConfigDict(alias_generator=to_camel)


class TextPart(UiSchema):
    type: Literal["text"]
    text: str


class FilePart(UiSchema):
    type: Literal["file"]
    media_type: str
    url: str
    filename: str | None = None

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if not (url.startswith("data:") or ADDRESS.match(url)):
            raise ValueError("must be a data URI with the file itself, or its address (https://…)")
        return url

    def to_chat(self) -> Json:
        if self.media_type.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": self.url}}
        return {"type": "file", "file": {"filename": self.filename, "file_data": self.url}}


class StepPart(UiSchema):
    """The beginning of a model call's part of a message."""

    type: Literal["step-start"]


class SteeringPart(UiSchema):
    """Addition of the user while the model was writing."""

    type: Literal["steering-message"]
    parts: Annotated[list[Annotated[TextPart | FilePart, Field(discriminator="type")]], Field(fail_fast=True)]


class IgnoredPart(UiSchema):
    type: str

    @field_validator("type")
    @classmethod
    def _check_type(cls, kind: str) -> str:
        if kind not in IGNORED and not kind.startswith(DATA):
            raise ValueError("is no part of a message of the AI SDK")
        return kind


class ToolPart(UiSchema):
    """A call of a tool, and its result."""

    type: str
    tool_name: str = ""
    """Required for the type `dynamic-tool`; the others have it in `type`."""
    tool_call_id: Annotated[str, Field(min_length=1)]
    state: str
    input: object = None
    output: Any = None
    error_text: str = ""

    @model_validator(mode="after")
    def _check_name(self) -> "ToolPart":
        if not NAME.fullmatch(self.name):
            raise ValueError("The name of the tool must have up to 64 letters, digits, - and _")
        return self

    @property
    def name(self) -> str:
        return self.tool_name if self.type == DYNAMIC else self.type.removeprefix(TOOL)

    @property
    def result(self) -> str | None:
        """The tool's result for the model; None for a call without one."""
        match self.state:
            case "output-available":
                return self.output if isinstance(self.output, str) else json.dumps(self.output, ensure_ascii=False)
            case "output-error":
                return json.dumps({"error": self.error_text}, ensure_ascii=False)
            case "output-denied":
                return json.dumps({"error": "The user has not allowed this call."})
            case _:
                return None

    def to_call(self) -> Json:
        values: Any = self.input
        arguments = json.dumps(values if isinstance(values, dict) else {}, ensure_ascii=False)
        return {
            "id": self.tool_call_id,
            "type": "function",
            "function": {"name": self.name, "arguments": arguments},
        }


def _kind(part: object) -> str:
    # an instance, when a message is converted to JSON again
    kind = cast("dict[str, Any]", part).get("type") if isinstance(part, dict) else getattr(part, "type", None)
    named = {"text": "text-part", "file": "file-part", "step-start": "step-part", "steering-message": "steering-part"}
    if isinstance(kind, str) and (kind == DYNAMIC or kind.startswith(TOOL)):
        return "tool-part"
    return named.get(kind, "ignored-part") if isinstance(kind, str) else "ignored-part"


Part = Annotated[
    Annotated[TextPart, Tag("text-part")]
    | Annotated[FilePart, Tag("file-part")]
    | Annotated[StepPart, Tag("step-part")]
    | Annotated[SteeringPart, Tag("steering-part")]
    | Annotated[ToolPart, Tag("tool-part")]
    | Annotated[IgnoredPart, Tag("ignored-part")],
    Discriminator(_kind),
]


class UiMessage(UiSchema):
    id: str = ""
    role: Literal["system", "user", "assistant"]
    parts: Annotated[list[Part], Field(fail_fast=True)]

    def to_chat(self) -> Iterator[Json]:
        """Yield the messages of `POST /chat` that it becomes; none if no model reads any of its parts."""
        if self.role == "assistant":
            yield from _assistant(self.parts)
        elif content := _content(self.parts):
            yield {"role": self.role, "content": content}


def _assistant(parts: Sequence[Part]) -> Iterator[Json]:
    """Yield a message for each step, followed by the results of its tools."""
    step: list[Part] = []
    for part in parts:
        if isinstance(part, StepPart | SteeringPart):
            yield from _step(step)
            step = []
            if isinstance(part, SteeringPart) and (content := _content(part.parts)):
                yield {"role": "user", "content": content}
        else:
            step.append(part)
    yield from _step(step)


def _step(parts: Sequence[Part]) -> Iterator[Json]:
    text = "".join([part.text for part in parts if isinstance(part, TextPart)])
    # models refuse a call without a result
    calls = [part for part in parts if isinstance(part, ToolPart) and part.result is not None]
    if text or calls:
        yield {
            "role": "assistant",
            "content": text,
            **({"tool_calls": [each.to_call() for each in calls]} if calls else {}),
        }
    for call in calls:
        yield {"role": "tool", "tool_call_id": call.tool_call_id, "name": call.name, "content": call.result}


def _content(parts: Sequence[Part]) -> str | list[Json]:
    """Return parts if there is a file, else text: most native models take no parts. Empty if there is neither."""
    texts = [part.text for part in parts if isinstance(part, TextPart) and part.text]
    files = [part.to_chat() for part in parts if isinstance(part, FilePart)]
    if not files:
        return "\n".join(texts)
    return [*files, *({"type": "text", "text": text} for text in texts)]
