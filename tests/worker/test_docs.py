"""The examples of docs/api.md, as pasted."""

import re
import subprocess
from pathlib import Path

import pytest

from aiworker import openapi
from tools import ROOT
from tools.docs.tables import REGION

EXAMPLES = re.findall(r"^## (.*?)$|^```sh\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL | re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    """(section, script) of each: those of a section may need what the ones before have made."""
    types: dict[str, str] = {}
    section = ""
    for heading, script in EXAMPLES:
        section = heading or section
        if script:
            types[section] = types.get(section, "") + script
    return list(types.items())


@pytest.mark.parametrize(("section", "script"), examples(), ids=[section for section, _ in examples()])
def test_the_examples_of_a_section_work(base_url: str, tmp_path: Path, section: str, script: str) -> None:
    script = script.replace("http://localhost:8787", base_url)
    # every command must succeed, also as HTTP sees it
    command = ["bash", "-euc", f'curl() {{ command curl --fail-with-body --no-progress-meter "$@"; }}\n{script}']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    files = list(tmp_path.iterdir())
    assert done.stdout or files
    assert b'"error"' not in done.stdout
    assert all(file.stat().st_size for file in files)


def test_every_route_has_its_section() -> None:
    text = REGION.sub("", (ROOT / "docs/api.md").read_text())
    paths = {re.sub(r"\{.*?\}", "{id}", route.path) for route in openapi.documented_routes()}
    documented = {re.sub(r"\{.*?\}", "{id}", path) for path in re.findall(r"/[\w/{}]+", text)}
    assert {path for path in paths if not path.startswith("/v1")} - documented - {"/health", "/models"} == set()
