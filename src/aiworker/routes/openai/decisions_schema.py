"""The request of `POST /v1/decisions`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from aiworker.errors import ApiError
from aiworker.models.decisions import MAX_IMAGES
from aiworker.models.gateway_options import GatewayOptions
from aiworker.routes.decide_schema import check_data_uri
from aiworker.routes.openai.fields import Ignored, OpenAIRequest


class TextPart(OpenAIRequest):
    type: Literal["input_text", "output_text"]
    text: str


class RefusalPart(OpenAIRequest):
    type: Literal["refusal"]
    refusal: str


class JsonPart(OpenAIRequest):
    type: Literal["input_json"]
    data: Any


class ImagePart(OpenAIRequest):
    type: Literal["input_image"]
    image_url: Annotated[str, AfterValidator(check_data_uri)]
    detail: Ignored = None


Part = Annotated[TextPart | RefusalPart | JsonPart | ImagePart, Field(discriminator="type")]
Parts = Annotated[list[Part], Field(min_length=1, fail_fast=True)]


class Message(OpenAIRequest):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | Parts

    def parts(self) -> list[Part]:
        return self.content if isinstance(self.content, list) else []


class Call(OpenAIRequest):
    type: Literal["function_call", "custom_tool_call"]
    name: str
    call_id: str
    arguments: str | None = None
    input: str | None = None

    def parts(self) -> list[Part]:
        return []


class CallOutput(OpenAIRequest):
    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: str
    output: str | Parts

    def parts(self) -> list[Part]:
        return self.output if isinstance(self.output, list) else []


Instructions = str | Parts


class Predicate(OpenAIRequest):
    type: Literal["predicate"]
    instructions: Instructions
    name: str | None = None

    def to_question(self) -> dict[str, Any]:
        return {"type": "noul"}

    def to_answer(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": self.type, "probability": answer["noul"]}


class ChoiceOption(OpenAIRequest):
    value: str | bool
    description: str | None = None

    @property
    def key(self) -> str:
        """The option's name for the model. A boolean and the text of the same word have different ones."""
        return f"{self.value} " if isinstance(self.value, bool) else self.value or " "


class Choice(OpenAIRequest):
    type: Literal["choice"]
    instructions: Instructions
    choices: Annotated[list[ChoiceOption], Field(min_length=2, max_length=255, fail_fast=True)]
    name: str | None = None

    @field_validator("choices")
    @classmethod
    def _check_unique(cls, choices: list[ChoiceOption]) -> list[ChoiceOption]:
        if len({each.key for each in choices}) < len(choices):
            raise ValueError("must be unique")
        return choices

    def to_question(self) -> dict[str, Any]:
        return {"type": "choice", "criteria": {each.key: each.description for each in self.choices}}

    def to_answer(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        values = {each.key: each.value for each in self.choices}
        return {
            "type": self.type,
            "choice": values[answer["choice"]],
            "confidence": answer["confidence"] or 0,
            "probabilities": [
                {"value": values[key], "probability": each} for key, each in answer["probabilities"].items()
            ],
        }


class ScoreLevel(OpenAIRequest):
    label: str
    description: str | None = None


class Score(OpenAIRequest):
    type: Literal["score"]
    instructions: Instructions
    levels: Annotated[list[ScoreLevel], Field(min_length=2, max_length=10, fail_fast=True)]
    name: str | None = None

    def to_question(self) -> dict[str, Any]:
        levels = [f"{each.label}: {each.description}" if each.description else each.label for each in self.levels]
        return {"type": "score", "criteria": levels}

    def to_answer(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "type": self.type,
            "score": answer["score"],
            "confidence": answer["confidence"] or 0,
            "probabilities": [
                {"value": number, "label": each.label, "probability": answer["probabilities"][str(number)]}
                for number, each in enumerate(self.levels)
            ],
        }


Question = Annotated[Predicate | Choice | Score, Field(discriminator="type")]
Item = Message | Call | CallOutput


class DecisionsRequest(OpenAIRequest):
    model: Annotated[str, Field(min_length=1)]
    input: str | Annotated[list[Item], Field(min_length=1, fail_fast=True)]
    questions: Annotated[list[Question], Field(min_length=1, max_length=400, fail_fast=True)]
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    safety_identifier: Ignored = None
    gateway: GatewayOptions | None = None
    """This Worker's own parameter, as in `POST /decide`."""

    def images(self) -> list[str]:
        """Return the images of the input, in order. Raises ApiError for more than MAX_IMAGES."""
        items = self.input if isinstance(self.input, list) else []
        parts = [part for each in items for part in each.parts()]
        images = [part.image_url for part in parts if isinstance(part, ImagePart)]
        if len(images) > MAX_IMAGES:
            text = f"input may have {MAX_IMAGES} images, not {len(images)}."
            raise ApiError("invalid_request", text, param="input")
        return images

    def state(self) -> Any:
        """Return the input as the model takes it: a text, or a list of messages and calls."""
        if isinstance(self.input, str):
            return self.input
        match self.input:
            case [Message(role="user", content=content)]:
                return _plain(content)
            case items:
                return [_item(each) for each in items]

    def to_questions(self) -> dict[str, dict[str, Any]]:
        """Return the questions in the platform's form, under ids by their number."""
        return {
            f"q{number}": {"instructions": _text(each.instructions), **each.to_question()}
            for number, each in enumerate(self.questions)
        }


def _item(item: Item) -> dict[str, Any]:
    if isinstance(item, Message):
        return {"role": item.role, "content": _plain(item.content)}
    if isinstance(item, CallOutput):
        return {"type": item.type, "call_id": item.call_id, "output": _plain(item.output)}
    return {"type": item.type, "call_id": item.call_id, "name": item.name, "arguments": item.arguments or item.input}


def _plain(content: str | list[Part]) -> Any:
    """Return the content: a text, or the list of texts and JSON values of its parts, without images."""
    if isinstance(content, str):
        return content
    values = [_value(part) for part in content if not isinstance(part, ImagePart)]
    return "\n".join(values) if all(isinstance(each, str) for each in values) else values


def _value(part: Part) -> Any:
    if isinstance(part, JsonPart):
        return part.data
    return part.refusal if isinstance(part, RefusalPart) else part.text if isinstance(part, TextPart) else ""


def _text(instructions: str | list[Part]) -> Any:
    return _plain(instructions)
