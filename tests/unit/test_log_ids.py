"""Ids of a gateway's logs, which each belong to a tenant."""

import pytest

from aiworker.auth import log_ids
from aiworker.auth.access import Caller
from aiworker.errors import ApiError
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeRequest, a_context

ID = "01JADMCQQQBWH3NXZ5GCRN98DP"
SECRET = "a secret of the Worker"


def test_an_id_is_read_by_its_tenant_and_by_callers_of_all_tenants() -> None:
    signed = log_ids.sign(ID, "acme", SECRET)
    assert signed.startswith(f"{ID}-")
    assert log_ids.read(signed, "acme", SECRET) == ID
    assert log_ids.read(signed, None, SECRET) == ID
    assert log_ids.sign(ID, None, SECRET) == ID
    assert log_ids.read(ID, None, SECRET) == ID


@pytest.mark.parametrize(
    "text",
    [
        ID,
        f"{ID}-",
        f"{ID}-{'0' * 24}",
        log_ids.sign(ID, "globex", SECRET),
        log_ids.sign(ID, "acme", "another secret"),
        log_ids.sign(ID[:-1], "acme", SECRET).replace("-", "P-"),
        log_ids.sign(ID, "acme", SECRET).upper(),
        f"{log_ids.sign(ID, 'acme', SECRET)}\n",
        "",
        "../" + log_ids.sign(ID, "acme", SECRET),
    ],
)
def test_no_other_id_is_read(text: str) -> None:
    assert log_ids.read(text, "acme", SECRET) is None
    context = a_context(
        FakeRequest("POST", "/feedback"), Settings.read(VARIABLES), None, Caller("a", frozenset(), "acme")
    )
    with pytest.raises(ApiError) as caught:
        context.own_log_id(text * 100)
    assert caught.value.type == "not_found"
    assert len(caught.value.message) < 200
