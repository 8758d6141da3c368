"""docs/openai.md says of every parameter of OpenAI's clients what becomes of it, and the schemas know it."""

import re
from typing import Any, get_args

import pytest
from openai.types import (
    completion_create_params,
    embedding_create_params,
    image_edit_params,
    image_generate_params,
    moderation_create_params,
)
from openai.types.audio import speech_create_params, transcription_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.conversations import conversation_create_params
from openai.types.responses import response_create_params

from aiworker.http.body import Schema
from aiworker.routes.openai.audio import SpeechRequest, TranscriptionRequest
from aiworker.routes.openai.chat_schema import ChatCompletionRequest, CompletionRequest
from aiworker.routes.openai.conversations import ConversationRequest
from aiworker.routes.openai.embeddings import EmbeddingsRequest
from aiworker.routes.openai.fields import Ignored, IgnoredUnless
from aiworker.routes.openai.images import ImageEditRequest, ImagesRequest
from aiworker.routes.openai.moderations import ModerationRequest
from aiworker.routes.openai.responses_schema import ResponsesRequest
from tools import ROOT

DOCUMENT = (ROOT / "docs/openai.md").read_text()
UNKNOWN = {
    "chunking_strategy", "include", "keywords", "known_speaker_names", "known_speaker_references", "languages",
}  # fmt: skip
"""Ignored and named as any unknown field is."""

FILES = {"file", "image", "mask", "markup"}
"""Files of forms."""

ROUTES: list[tuple[str, type[Schema], Any]] = [
    ("## Chat completions", ChatCompletionRequest, chat_create_params.CompletionCreateParamsBase),
    ("## Completions", CompletionRequest, completion_create_params.CompletionCreateParamsBase),
    ("## Responses", ResponsesRequest, response_create_params.ResponseCreateParamsBase),
    ("## Embeddings", EmbeddingsRequest, embedding_create_params.EmbeddingCreateParams),
    ("## Images", ImagesRequest, image_generate_params.ImageGenerateParamsBase),
    ("`POST /v1/images/edits`", ImageEditRequest, image_edit_params.ImageEditParamsBase),
    ("## Moderations", ModerationRequest, moderation_create_params.ModerationCreateParams),
    ("## Conversations", ConversationRequest, conversation_create_params.ConversationCreateParams),
    (
        "`POST /v1/audio/transcriptions`",
        TranscriptionRequest,
        transcription_create_params.TranscriptionCreateParamsBase,
    ),
    ("`POST /v1/audio/speech`", SpeechRequest, speech_create_params.SpeechCreateParams),
]


def documented(heading: str) -> dict[str, str]:
    """Parameter → what becomes of it, of the table behind the heading."""
    table = re.search(r"(?:^\|.*\n)+", DOCUMENT.split(f"\n{heading}\n")[1], re.MULTILINE)
    assert table
    rows = [row.split("|") for row in table[0].splitlines() if row.startswith("| `")]
    return {name: row[2].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}


@pytest.mark.parametrize(("heading", "schema", "parameters"), ROUTES, ids=[schema.__name__ for _, schema, _ in ROUTES])
def test_every_parameter_is_known_and_documented(heading: str, schema: type[Schema], parameters: Any) -> None:
    of_clients = set(parameters.__annotations__)
    fields = {(field.alias or name).removesuffix("[]") for name, field in schema.model_fields.items()}
    assert set(documented(heading)) >= of_clients
    assert fields | UNKNOWN | FILES >= of_clients
    assert set(documented(heading)) >= fields - {"gateway", "raw"}


@pytest.mark.parametrize(("heading", "schema", "_"), ROUTES, ids=[schema.__name__ for _, schema, _ in ROUTES])
def test_parameters_documented_as_ignored_accept_any_value(heading: str, schema: type[Schema], _: Any) -> None:
    for name, fate in documented(heading).items():
        field = next((each for key, each in schema.model_fields.items() if key == name), None)
        if field and fate in ("ignored", "ignored, named", "refused"):
            is_ignored = [field.annotation, *field.metadata] == [*get_args(Ignored)]
            is_named = any(isinstance(each, IgnoredUnless) for each in field.metadata)
            actual = "ignored" if is_ignored else "ignored, named" if is_named else "refused"
            assert actual == fate or name == "dimensions", name
