"""The examples of docs/, as pasted."""

import re
import subprocess
from pathlib import Path

import pytest

from aiworker import openapi
from tools import ROOT
from tools.docs.tables import REGION

PAGES = ("api", "tutorial", "documents", "media", "tools")
"""Pages whose blocks `sh` are run. Blocks `bash` are not: they need another terminal or an account."""
BLOCK = re.compile(r"^## (.*?)$|^```(sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def sections(page: str) -> list[tuple[str, str, list[str]]]:
    """(name, script, lines that it prints) of each section of a page that has examples."""
    scripts: dict[str, tuple[str, list[str]]] = {}
    section = ""
    for match in BLOCK.finditer((ROOT / f"docs/{page}.md").read_text()):
        heading, language, block = match.groups()
        section = heading or section
        script, printed = scripts.get(section, ("", []))
        if language == "sh":
            scripts[section] = (script + block, printed)
        elif language == "text":
            scripts[section] = (script, [*printed, *block.splitlines()])
    return [(f"{page}: {name}", *example) for name, example in scripts.items()]


EXAMPLES = [
    *sections("api"),
    # the sections of these build on each other: each page is one script
    *(
        (page, "".join(script for _, script, _ in parts), [line for *_, lines in parts for line in lines])
        for page in PAGES[1:]
        for parts in [sections(page)]
    ),
]


@pytest.mark.parametrize(("name", "script", "printed"), EXAMPLES, ids=[name for name, *_ in EXAMPLES])
def test_the_examples_of_a_section_work(
    base_url: str, tmp_path: Path, name: str, script: str, printed: list[str]
) -> None:
    (tmp_path / "public").symlink_to(ROOT / "public")  # as in the clone's folder
    script = script.replace("http://localhost:8787", base_url)
    # every command must succeed, also as HTTP sees it
    command = ["bash", "-euc", f'curl() {{ command curl --fail-with-body --no-progress-meter "$@"; }}\n{script}']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=90, check=False)
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, output + done.stderr.decode(errors="replace")
    files = [each for each in tmp_path.iterdir() if not each.is_symlink()]
    assert done.stdout or files
    assert output.count('"error"') == script.count("command curl")
    assert '"state":"failed"' not in output
    assert all(file.stat().st_size for file in files)
    assert [line for line in printed if line not in output] == []


def test_every_route_has_its_section() -> None:
    text = REGION.sub("", (ROOT / "docs/api.md").read_text())
    paths = {re.sub(r"\{.*?\}", "{id}", route.path) for route in openapi.documented_routes()}
    documented = {re.sub(r"\{.*?\}", "{id}", path) for path in re.findall(r"/[\w/{}]+", text)}
    assert {path for path in paths if not path.startswith("/v1")} - documented - {"/health", "/models"} == set()
