"""The documentation as a site, by Zensical: pages of docs/ and some of other folders, with search and checked links.

The pages are copied to a folder, where links to anything but pages lead to the repository. Without the address of a
repository, such links become plain text.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from posixpath import relpath

from tools import ROOT
from tools.docs import links
from tools.docs.links import Link
from tools.setup import install

CONFIGURATION = ROOT / "tools/docs/zensical.toml"
STAGED = install.BUILT / "site"
"""Folder of the configuration, of the copied pages (`docs`) and of the site made from them (`html`)."""
HTML = STAGED / "html"

DIAGRAMS = install.DOCS_NPM / "node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"
"""Program that draws diagrams. Without it, pages would load one from another site."""

ELSEWHERE: Mapping[str, str] = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "aiworker-client.md": "packages/aiworker-client/README.md",
    "react-example.md": "examples/react-vite/README.md",
    "simulator.md": "packages/workers-ai-simulator/README.md",
    "simulator-tape.md": "packages/workers-ai-simulator/docs/tape.md",
    "offline-python-workers.md": "packages/offline-python-workers/README.md",
}
"""Page of the site → file outside of docs/ that it is made from."""


def sources() -> dict[str, str]:
    """Return page of the site → path of its file from the repository's root."""
    own = {file.name: f"docs/{file.name}" for file in sorted((ROOT / "docs").glob("*.md"))}
    return {**own, **ELSEWHERE}


def repository() -> str | None:
    """Return the address of the repository's files, as a workflow of GitHub knows it; None elsewhere."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_SHA")
    server, name, commit = (os.environ.get(each) for each in names)
    return f"{server}/{name}/blob/{commit}" if server and name and commit else None


@dataclass(frozen=True)
class Site:
    """Where the links of pages lead on the site."""

    pages: Mapping[str, str]
    """Path from the repository's root → page."""
    titles: Mapping[str, str]
    """Page → title in the navigation."""
    address: str | None
    """Address of the repository's files, if it is known."""

    @classmethod
    def make(cls, address: str | None) -> "Site":
        return cls(
            {source: page for page, source in sources().items()}, {page: title for title, page in navigation()}, address
        )

    def page(self, page: str) -> str:
        """Return the text of a page with links as the site needs them."""
        source = sources()[page]
        text = (ROOT / source).read_text()
        parts: list[str] = []
        end = 0
        for match, link in links.links(source, text):
            parts += [text[end : match.start()], self._link(match["text"], link)]
            end = match.end()
        script = f'\n<script src="{DIAGRAMS.name}"></script>\n' if "\n```mermaid\n" in text else ""
        return "".join([*parts, text[end:], script])

    def _link(self, text: str, link: Link) -> str:
        anchor = f"#{link.anchor}" if link.anchor else ""
        if page := self.pages.get(link.path):
            is_name = text == f"[{Path(link.path).name}]"  # names of files are for readers of the repository
            return f"{f'[{self.titles[page]}]' if is_name else text}({page}{anchor})"
        if text.startswith("!"):
            return f"{text}({relpath(link.path, 'docs')})"
        return f"{text}({self.address}/{link.path}{anchor})" if self.address else text[1:-1]


def stage(folder: Path, address: str | None) -> None:
    """Fill a new folder with the configuration, the pages and the pictures of docs/."""
    docs = folder / "docs"
    docs.mkdir(parents=True)
    shutil.copy(CONFIGURATION, folder)
    site = Site.make(address)
    for page in sources():
        (docs / page).write_text(site.page(page))
    for file in [*(ROOT / "docs").glob("*.png"), CONFIGURATION.with_name("site.css")]:
        shutil.copy(file, docs)


def navigation() -> Iterator[tuple[str, str]]:
    """Yield the title and the page of each entry of the navigation."""
    rooms: list[dict[str, list[dict[str, str]]]] = tomllib.loads(CONFIGURATION.read_text())["project"]["nav"]
    for room in rooms:
        for entries in room.values():
            for entry in entries:
                yield from entry.items()


def build(python: Path) -> int:
    """Build the site into HTML, strictly. Returns the exit status. python: of the environment that has Zensical."""
    shutil.rmtree(STAGED, ignore_errors=True)
    stage(STAGED, repository())
    shutil.copy(DIAGRAMS, STAGED / "docs")
    command = [str(python.with_name("zensical")), "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=STAGED, stdout=sys.stderr, check=False).returncode
