"""The bodies of `POST /translate`, `/classify` and `/summarize`."""

from typing import Annotated

from pydantic import AliasChoices, Field

from aiworker.http.body import Schema
from aiworker.routes.embed_schema import Text, Texts
from aiworker.routes.gateway_schema import GatewayOptions


class TranslateRequest(Schema):
    text: Texts
    target_lang: str
    """A language of the model's: by default, code or English name of one of M2M100's hundred."""
    source_lang: str = "en"
    model: str | None = None
    """Any translation model of GET /models; TRANSLATE_MODEL if it is left out."""
    gateway: GatewayOptions | None = None


class ClassifyRequest(Schema):
    text: Texts
    model: str | None = None
    """Any text-classification model of GET /models; CLASSIFY_MODEL if it is left out."""
    gateway: GatewayOptions | None = None


class SummarizeRequest(Schema):
    text: Annotated[Text, Field(validation_alias=AliasChoices("text", "input_text"))]
    """Also taken as `input_text`, which is Workers AI's name for it."""
    max_length: Annotated[int, Field(ge=1)] = 256
    """Tokens of the summary, at most."""
    model: str | None = None
    """Any text-generation or summarization model of GET /models; SUMMARIZE_MODEL if it is left out."""
    gateway: GatewayOptions | None = None
