"""The body of `POST /v1/embeddings`."""

from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator

from aiworker.schemas import Schema, parse_object
from aiworker.schemas.embed import EmbedRequest, Texts, as_list
from aiworker.schemas.gateway import GatewayOptions
from aiworker.schemas.openai import Ignored
from aiworker.schemas.openai.chat import NO_TOKENIZER


class EmbeddingsRequest(Schema):
    model: Annotated[str, Field(min_length=1)]
    input: Texts
    """One text or many. Lists of tokens are refused: nobody here knows what they stand for."""
    encoding_format: Literal["float", "base64"] | None = None
    """float, if it is left out."""
    dimensions: Annotated[int | None, Field(ge=1)] = None
    """Only the model's own number."""
    gateway: GatewayOptions | None = None
    """Not OpenAI's, but as in `POST /embed`."""
    user: Ignored = None

    @field_validator("input", mode="before")
    @classmethod
    def _no_tokens(cls, given: Any) -> Any:
        items = cast("list[Any]", given) if isinstance(given, list) else []
        if any(isinstance(each, int | list) for each in items):
            raise ValueError(NO_TOKENIZER)
        return cast("Any", given)

    def to_embed(self) -> EmbedRequest:
        """The same as a request to `POST /embed`."""
        return parse_object(EmbedRequest, {"text": as_list(self.input), "gateway": self.gateway})
