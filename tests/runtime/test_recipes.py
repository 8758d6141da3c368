"""The recipes of docs/extend.md, as pasted into a fresh checkout."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.checkout import copy_checkout
from tests.conftest import unmeasured
from tools import ROOT

RECIPES = {
    part.partition("\n")[0]: "".join(re.findall(r"^```sh\n(.*?)^```$", part, re.DOTALL | re.MULTILINE))
    for part in re.split(r"^## ", (ROOT / "docs/extend.md").read_text(), flags=re.MULTILINE)[1:]
}
"""Heading → script, whose last line is a test of what it has added."""


@pytest.mark.nightly
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_works(recipe: str, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    copy_checkout(folder)
    done = subprocess.run(
        ["bash", "-euc", RECIPES[recipe]], cwd=folder, text=True, capture_output=True, timeout=280, check=False,
        env=unmeasured(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)


@pytest.mark.nightly
@pytest.mark.timeout(1500)
def test_all_recipes_together_pass_the_fast_loop(tmp_path: Path) -> None:
    changes = "\n".join(re.sub(r"^scripts/test .*$", "", each, flags=re.MULTILINE) for each in RECIPES.values())
    copy_checkout(tmp_path)
    done = subprocess.run(
        ["bash", "-euc", f"git init -q && git add --all\n{changes}\nscripts/test --fast"], cwd=tmp_path, text=True,
        capture_output=True, timeout=1400, check=False, env=unmeasured(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
