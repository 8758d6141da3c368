"""Documents that repeat what the code says must say the same."""

import re

from aiworker.settings import DEFAULTS
from local import ROOT


def test_every_variable_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` +\| (.+?) +\|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    documented = {name: default.strip("`").replace(",", "") for name, default in rows}
    assert documented == {name: str(default) or "none" for name, default in DEFAULTS.items()}
