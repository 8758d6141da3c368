"""The Worker's languages against the simulator's, which were written down apart from each other's code."""

import pytest

from aiworker.errors import ApiError
from aiworker.models import languages
from workers_ai_simulator import language as simulated


def test_both_know_the_same_languages() -> None:
    assert len(languages.M2M100) == 100
    assert languages.M2M100 == simulated.LANGUAGES
    assert languages.INDIC == simulated.INDIC_LANGUAGES


@pytest.mark.parametrize(
    ("language", "code"), [("fr", "fr"), ("French", "fr"), ("western frisian", "fy"), ("ZH", "zh")]
)
def test_a_language_has_a_code_and_a_name(language: str, code: str) -> None:
    assert languages.to_m2m100(language, "target_lang") == code


def test_a_script_belongs_to_an_indic_language() -> None:
    assert languages.to_indic("HIN_deva", "target_lang") == "hin_Deva"
    with pytest.raises(ApiError) as raised:
        languages.to_indic("hin_Dev", "target_lang")
    assert "Did you mean hin_deva?" in raised.value.message
