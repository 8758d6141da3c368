"""The body of `POST /v1/embeddings`."""

from typing import Annotated, Literal, cast

from pydantic import Discriminator, Field, Tag

from aiworker.http.body import Schema
from aiworker.models.gateway_options import GatewayOptions
from aiworker.routes.embed import Text
from aiworker.routes.openai.fields import Ignored

MAX_TOKENS = 8_192
MAX_INPUTS = 2_048
"""Of one request, by OpenAI's reference; so is the number above, of one text."""

Tokens = Annotated[list[int], Field(min_length=1, max_length=MAX_TOKENS, fail_fast=True)]
"""Of one text, in the encoding cl100k_base."""


def _kind(value: object) -> str:
    """Of a list, as its first item has it: then it is the others that are at fault."""
    if not isinstance(value, list):
        return "str"
    match next(iter(cast("list[object]", value)), None):
        case int() | float():
            return "list[int]"
        case list():
            return "list[list[int]]"
        case _:
            return "list[str]"


Input = Annotated[
    Annotated[Text, Tag("str")]
    | Annotated[list[Text], Field(min_length=1, fail_fast=True), Tag("list[str]")]
    | Annotated[Tokens, Tag("list[int]")]
    | Annotated[list[Tokens], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True), Tag("list[list[int]]")],
    Discriminator(_kind),
]
"""One text or many, each of them as text or as tokens."""


class EmbeddingsRequest(Schema):
    model: Annotated[str, Field(min_length=1)]
    input: Input
    encoding_format: Literal["float", "base64"] | None = None
    """float, if it is left out."""
    dimensions: Annotated[int | None, Field(ge=1)] = None
    """Only the model's own number."""
    gateway: GatewayOptions | None = None
    """Not OpenAI's, but as in `POST /embed`."""
    user: Ignored = None

    def by_field(self) -> dict[str, str | list[int]]:
        """Each text, or its tokens, under the name of the field that it is."""
        match self.input:
            case [str() | list(), *_] as many:
                return {f"input.{number}": each for number, each in enumerate(many)}
            case one:
                return {"input": cast("str | list[int]", one)}
