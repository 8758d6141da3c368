"""Bindings that wrangler.jsonc lacks raise by themselves."""

import copy
from dataclasses import fields

import pyjson5
import pytest

from aiworker.auth.limits import RATES
from aiworker.bindings import BINDINGS, require, unbound
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.settings import Settings
from tools import ROOT


@pytest.mark.parametrize("field", BINDINGS)
def test_a_missing_binding_raises_at_its_first_use_and_says_how_to_add_it(field: str) -> None:
    resources = Resources(settings=Settings.read({}))
    binding = BINDINGS[field]
    with pytest.raises(ApiError) as caught:
        getattr(resources, field).run("@cf/any/model")
    assert caught.value.type == "not_configured"
    assert caught.value.message == (
        f"This Worker has no binding {binding.name}: add {binding.configuration} to wrangler.jsonc."
    )


def test_a_missing_binding_can_be_refused_before_its_first_use() -> None:
    with pytest.raises(ApiError, match="This Worker has no binding BUCKET"):
        require(unbound("bucket"))
    bound = object()
    assert require(bound) is bound


def test_python_may_look_for_its_own_methods() -> None:
    assert copy.copy(unbound("ai")) is not None


def test_every_binding_of_the_table_is_a_field_and_in_the_configuration() -> None:
    assert set(BINDINGS) <= {each.name for each in fields(Resources)}
    configuration = (ROOT / "wrangler.jsonc").read_text()
    for name, line in BINDINGS.values():
        assert name in str(pyjson5.loads(f"{{{line}}}"))
        assert f'"{name}"' in configuration
    assert not {each.name for each in BINDINGS.values()} & set(RATES.values())
