"""Documents that repeat what the code says must say the same."""

import re

from aiworker.settings import DEFAULTS
from tools import ROOT
from tools.docs import openapi


def test_every_variable_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` +\| (.+?) +\|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    documented = {name: default.strip("`").replace(",", "") for name, default in rows}
    assert documented == {name: str(default) or "none" for name, default in DEFAULTS.items()}


def test_the_description_of_the_api_is_what_the_code_says() -> None:
    assert openapi.is_current(), "public/openapi.json is stale: run scripts/check"
