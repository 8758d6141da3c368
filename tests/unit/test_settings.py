"""The Worker's variables as they arrive: texts of .dev.vars, numbers of JSON."""

from typing import Any

import pytest
from pydantic import ValidationError

from aiworker.errors import ApiError
from aiworker.settings import DEFAULTS, FIELDS, VARIABLES, Settings, accepted_values


@pytest.mark.parametrize("value", [5, 5.0, "5", "5.0"])
def test_a_number_may_be_a_javascript_float_or_a_text(value: Any) -> None:
    assert Settings.read({"MAX_TEXTS": value}).max_texts == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_TEXTS", 0),
        ("MAX_TEXTS", 1.5),
        ("MAX_TEXTS", True),
        ("MAX_TEXTS", ""),
        ("MAX_TEXTS", "9" * 5_000),
        ("MAX_BODY_BYTES", -1),
        ("AUTH_MODE", "Public"),
        ("AUTH_MODE", True),
        ("BREAKER", False),
        ("LOG_PROMPTS", "all"),
        ("GUARD", "neither"),
        ("GATEWAY_ID", None),
        ("PUBLIC_SCOPES", "chat write"),
        ("CHAT_FALLBACKS", "@cf/baai/bge-m3"),
        ("RAG_MIN_COSINE", 1.1),
        ("RAG_MIN_COSINE", "nan"),
        ("RAG_MIN_COSINE", [0.3]),
        ("RAG_PROPERTIES", "language"),
        ("RAG_PROPERTIES", " ".join(f"p{number}:string" for number in range(11))),
    ],
)
def test_a_value_that_its_variable_does_not_take_is_refused_with_those_it_takes(name: str, value: Any) -> None:
    with pytest.raises(ApiError) as raised:
        Settings.read({name: value})
    assert raised.value.type == "unavailable"
    assert raised.value.message == f"The Worker's variable {name} must be {accepted_values(name).replace('`', '')}."


def test_the_alias_at_fault_is_named() -> None:
    with pytest.raises(ApiError, match=r"MODEL_ALIASES .* gpt-4o=none is not such a pair\."):
        Settings.read({"MODEL_ALIASES": "tts-1=SPEAK_MODEL gpt-4o=none"})


def test_unknown_variables_are_ignored_and_no_field_is_read_by_its_own_name() -> None:
    assert Settings.read({"CHAT_MDEL": "x", "max_texts": 5}) == Settings.read({})


def test_no_upload_may_be_larger_than_all_uploads() -> None:
    settings = Settings.read({"MAX_UPLOAD_BYTES": 9, "MAX_AUDIO_BYTES": 5})
    assert (settings.max_image_bytes, settings.max_audio_bytes, settings.max_document_bytes) == (9, 5, 9)


def test_an_alias_of_a_variable_follows_it() -> None:
    settings = Settings.read({"CHAT_MODEL": "@cf/openai/gpt-oss-20b"})
    assert settings.model_aliases["gpt-4o-mini"] == settings.models["CHAT_MODEL"] == "@cf/openai/gpt-oss-20b"


def test_settings_are_frozen_and_do_not_show_secrets() -> None:
    settings = Settings.read({"TOKEN_SECRET": "x" * 32})
    with pytest.raises(ValidationError):
        settings.max_texts = 5  # pyright: ignore[reportAttributeAccessIssue]
    assert "xxx" not in repr(settings)


def test_every_variable_has_a_default_a_description_and_values() -> None:
    assert tuple(DEFAULTS) == VARIABLES
    for name, field in FIELDS.items():
        assert field.description
        assert accepted_values(name)
