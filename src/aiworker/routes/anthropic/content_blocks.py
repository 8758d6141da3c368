"""Content blocks of Anthropic's messages, and the messages of `POST /chat` that they become."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from aiworker.routes.openai.chat_schema import Json, Lenient

DEFAULT_IMAGE_TYPE = "image/jpeg"


class TextBlock(Lenient):
    type: Literal["text"]
    text: str


class ImageSource(Lenient):
    type: Literal["base64", "url", "file"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"] | None = None
    data: str | None = None

    @field_validator("type")
    @classmethod
    def _check_type(cls, kind: str) -> str:
        if kind != "base64":
            raise ValueError("must be base64, with the image itself: the Worker fetches no images")
        return kind

    @field_validator("data")
    @classmethod
    def _check_data(cls, data: str | None) -> str | None:
        if not data:
            raise ValueError("is required")
        return data


class ImageBlock(Lenient):
    type: Literal["image"]
    source: ImageSource

    def to_part(self) -> Json:
        url = f"data:{self.source.media_type or DEFAULT_IMAGE_TYPE};base64,{self.source.data}"
        return {"type": "image_url", "image_url": {"url": url}}


class DocumentSource(Lenient):
    type: Literal["text", "base64", "url", "file", "content"]
    data: str = ""

    @field_validator("type")
    @classmethod
    def _check_type(cls, kind: str) -> str:
        if kind != "text":
            raise ValueError("must be text: add files with POST /rag/documents, and ask POST /rag")
        return kind


class DocumentBlock(Lenient):
    type: Literal["document"]
    source: DocumentSource
    title: str | None = None
    context: str | None = None

    @property
    def text(self) -> str:
        return "\n".join(filter(None, (self.title, self.context, self.source.data)))


class SearchResultBlock(Lenient):
    type: Literal["search_result"]
    source: str
    title: str
    content: Annotated[list[TextBlock], Field(fail_fast=True)]

    @property
    def text(self) -> str:
        return "\n".join([self.title, self.source, *(block.text for block in self.content)])


class ThinkingBlock(Lenient):
    """The model's earlier reasoning. Models do not get it again."""

    type: Literal["thinking", "redacted_thinking"]


class ToolUseBlock(Lenient):
    type: Literal["tool_use"]
    id: Annotated[str, Field(min_length=1)]
    name: str
    input: dict[str, Any]


def _is_list(content: object) -> str:
    return "list[block]" if isinstance(content, list) else "str"


SystemBlocks = Annotated[
    Annotated[str, Tag("str")] | Annotated[list[TextBlock], Tag("list[block]"), Field(fail_fast=True)],
    Discriminator(_is_list),
]
ResultBlock = Annotated[TextBlock | ImageBlock | DocumentBlock | SearchResultBlock, Field(discriminator="type")]


class ToolResultBlock(Lenient):
    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(min_length=1)]
    content: Annotated[
        Annotated[str, Tag("str")] | Annotated[list[ResultBlock], Tag("list[block]"), Field(fail_fast=True)],
        Discriminator(_is_list),
    ] = ""
    is_error: bool = False


Block = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock
Content = Annotated[
    Annotated[str, Tag("str")]
    | Annotated[list[Annotated[Block, Field(discriminator="type")]], Tag("list[block]"), Field(fail_fast=True)],
    Discriminator(_is_list),
]
"""Content of a message: a text, or blocks."""


def message_to_chat(role: str, content: str | Sequence[Block]) -> Iterator[Json]:
    """Yield the messages of `POST /chat` that a message becomes.

    Results of tools become messages of their own, before the rest; images in them become part of the rest.
    """
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    parts: list[Json] = []
    calls: list[Json] = []
    for block in content:
        if isinstance(block, ToolResultBlock):
            yield _tool_message(block)
            parts += _parts(each for each in block.content if isinstance(each, ImageBlock))
        elif isinstance(block, ToolUseBlock):
            calls.append(_tool_call(block))
        elif not isinstance(block, ThinkingBlock):
            parts += _parts([block])
    if calls:
        yield {"role": role, "content": _joined(parts), "tool_calls": calls}
    elif parts or not any(isinstance(block, ToolResultBlock) for block in content):
        yield {"role": role, "content": _joined(parts)}


def _tool_message(block: ToolResultBlock) -> Json:
    content = block.content
    if not isinstance(content, str):
        content = "\n".join(part["text"] for part in _parts(content) if part["type"] == "text")
    return {
        "role": "tool",
        "tool_call_id": block.tool_use_id,
        "content": f"Error: {content}" if block.is_error else content,
    }


def _tool_call(block: ToolUseBlock) -> Json:
    function = {"name": block.name, "arguments": json.dumps(block.input, ensure_ascii=False)}
    return {"id": block.id, "type": "function", "function": function}


def _parts(blocks: Iterable[Block]) -> list[Json]:
    return [
        block.to_part() if isinstance(block, ImageBlock) else {"type": "text", "text": block.text}
        for block in blocks
        if isinstance(block, TextBlock | ImageBlock | DocumentBlock | SearchResultBlock)
    ]


def _joined(parts: list[Json]) -> str | list[Json]:
    """Return the content of a message: parts if there is an image, else text. Most native models take no parts."""
    if any(part["type"] == "image_url" for part in parts):
        return parts
    return "\n".join(part["text"] for part in parts)
