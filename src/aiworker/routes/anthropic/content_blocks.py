"""Content blocks of Anthropic's messages, and the messages of `POST /chat` that they become."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from aiworker.routes.chat_schema import ADDRESS
from aiworker.routes.openai.chat_schema import Json, Lenient

DEFAULT_IMAGE_TYPE = "image/jpeg"


def check_stored(kind: str) -> str:
    """Return the type of a source. Raises ValueError for a stored file, which this Worker does not have."""
    if kind == "file":
        raise ValueError("must not be file: no files are stored here")
    return kind


def check_content(kind: str, data: str | None, url: str | None) -> None:
    """Raise ValueError for a source without the field that its type requires."""
    if kind == "base64" and not data:
        raise ValueError("data is required")
    if kind == "url" and not (url and ADDRESS.match(url)):
        raise ValueError("url must be an address (https://…)")


class TextBlock(Lenient):
    type: Literal["text"]
    text: str


class ImageSource(Lenient):
    type: Annotated[Literal["base64", "url", "file"], AfterValidator(check_stored)]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"] | None = None
    data: str | None = None
    url: str | None = None

    @model_validator(mode="after")
    def _check_content(self) -> "ImageSource":
        check_content(self.type, self.data, self.url)
        return self

    @property
    def uri(self) -> str:
        """The address, or the image as a data URI."""
        return self.url or f"data:{self.media_type or DEFAULT_IMAGE_TYPE};base64,{self.data}"


class ImageBlock(Lenient):
    type: Literal["image"]
    source: ImageSource

    def to_part(self) -> Json:
        return {"type": "image_url", "image_url": {"url": self.source.uri}}


class DocumentSource(Lenient):
    type: Annotated[Literal["text", "base64", "url", "file"], AfterValidator(check_stored)]
    media_type: str = "application/pdf"
    data: str = ""
    url: str | None = None

    @model_validator(mode="after")
    def _check_content(self) -> "DocumentSource":
        check_content(self.type, self.data, self.url)
        return self

    @property
    def uri(self) -> str:
        """The address, or the file as a data URI."""
        return self.url or f"data:{self.media_type};base64,{self.data}"


class DocumentBlock(Lenient):
    type: Literal["document"]
    source: DocumentSource
    title: str | None = None
    context: str | None = None

    def to_parts(self) -> Iterator[Json]:
        if self.source.type == "text":
            texts = (self.title, self.context, self.source.data)
        else:
            texts = (self.context,)
            yield {"type": "file", "file": {"filename": self.title, "file_data": self.source.uri}}
        if text := "\n".join(filter(None, texts)):
            yield {"type": "text", "text": text}


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

    Results of tools become messages of their own, before the rest; images and files in them become part of the rest.
    """
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    parts: list[Json] = []
    calls: list[Json] = []
    for block in content:
        if isinstance(block, ToolResultBlock):
            yield _tool_message(block)
            parts += [each for each in _parts(block.content) if each["type"] != "text"]
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


def _parts(blocks: Iterable[Block] | str) -> list[Json]:
    parts: list[Json] = []
    for block in blocks:
        if isinstance(block, ImageBlock):
            parts.append(block.to_part())
        elif isinstance(block, DocumentBlock):
            parts += block.to_parts()
        elif isinstance(block, TextBlock | SearchResultBlock):
            parts.append({"type": "text", "text": block.text})
    return parts


def _joined(parts: list[Json]) -> str | list[Json]:
    """Return the content of a message: parts if there are images or files, else text, as most native models take."""
    if any(part["type"] != "text" for part in parts):
        return parts
    return "\n".join(part["text"] for part in parts)
