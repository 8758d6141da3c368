"""Check the licences of what aiworker ships and uses, and that every distribution is pinned.

python -m tools.check.licences   fail, with one line each, for a licence that is not accepted and for what is not pinned

Checked are all distributions of requirements/ (their licence is read from the installed package; those of the clients
that only tests run, and of the site's generator, are installed first), all npm packages of NPM_LOCKS, and the
files that are copied into this repository. What is shipped may only have a licence of SHIPPED; what is only used here,
one of USED, too.
docs/licences.md lists what is shipped. scripts/nightly runs this; reading the licences needs everything installed.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tools import ROOT
from tools.setup import install, lock

SHIPPED = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0"}
    | {"Unlicense", "Zlib"}
)
"""SPDX identifiers of licences that require at most their notice."""
USED = SHIPPED | {"AFL-2.1", "CNRI-Python", "LGPL-3.0-or-later", "MPL-2.0", "Python-2.0"}
"""Further licences that development tools may have. Nothing under them is copied, part of the Worker or distributed by
aiworker."""

CLASSIFIERS: Mapping[str, str] = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""Classifier of the Python Package Index, behind `License :: OSI Approved :: `, → SPDX identifier."""

READ_BY_HAND: Mapping[str, str] = {
    "click-default-group": "Unlicense",  # its file LICENSE dedicates it to the public domain
    "sqlite-fts4": "Apache-2.0",  # its metadata has the licence's name only
    "tiktoken": "MIT",  # its metadata has the licence's text
    "vadersentiment": "MIT",  # its metadata has the licence's name only
    "wordllama": "MIT",  # its metadata has the licence's text
}
"""Distribution → licence, where its metadata name none in a usual form."""


@dataclass(frozen=True)
class Copied:
    """A file, or a folder of files, that others wrote and this repository contains."""

    path: str
    name: str
    origin: str
    licence: str
    licence_files: tuple[str, ...]
    """Paths of the licences' texts, which are served beside the file."""


COPIED = (
    Copied(
        "public/data/cl100k_base.bin", "Token table cl100k_base", "npm: tiktoken", "MIT",
        ("public/data/cl100k_base.LICENSE.txt",),
    ),
    Copied(
        "public/vendor/marked.js", "marked: Markdown", "npm: marked", "MIT", ("public/vendor/marked.LICENSE.txt",),
    ),
    Copied(
        "public/vendor/purify.js", "DOMPurify", "npm: dompurify", "MPL-2.0 OR Apache-2.0",
        ("public/vendor/purify.LICENSE.txt",),
    ),
    Copied(
        "public/vendor/highlight/", "Highlight.js: the core and some languages", "npm: @highlightjs/cdn-assets",
        "BSD-3-Clause", ("public/vendor/highlight/LICENSE.txt",),
    ),
)  # fmt: skip

GROUP = re.compile(r"\(([^()]*)\)")
"""Innermost parentheses of an SPDX expression, in which AND binds closer than OR."""
ACCEPTED, REFUSED = "accepted", "refused"

PACKAGES = ("packages/workers-ai-simulator", "packages/offline-python-workers")
"""Packages of this repository that are published; their dependencies are installed with them."""


NPM_LOCKS = ("package-lock.json", "packages/aiworker-client/package-lock.json", "tools/docs/package-lock.json")


def worker_distributions() -> list[str]:
    """Names of the distributions in the Worker's upload, sorted."""
    return _locked("worker")


def package_dependencies(package: str) -> list[str]:
    """Names of the dependencies that a package of this repository declares, without its extras."""
    project = tomllib.loads((ROOT / package / "pyproject.toml").read_text())["project"]
    return sorted(_name(each) for each in project["dependencies"])


def licence(distribution: Distribution) -> str:
    """Return the SPDX expression of a distribution's licence; empty if its metadata name none."""
    metadata = distribution.metadata
    name = _name(metadata["Name"])
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    if expressions := metadata.get_all("License-Expression"):
        return expressions[0]
    approved = [each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or () if "OSI Approved" in each]
    known = [CLASSIFIERS[each] for each in approved if each in CLASSIFIERS]
    if approved and len(known) == len(approved):
        return " OR ".join(known)
    return (metadata.get_all("License") or [""])[0]


def is_accepted(expression: str, accepted: Iterable[str]) -> bool:
    """Return whether an SPDX expression can be met by accepted licences alone."""
    names = frozenset(accepted)
    if (group := GROUP.search(expression)) is not None:
        # a group is a single licence from here on, which is accepted or not
        verdict = ACCEPTED if is_accepted(group[1], names) else REFUSED
        return is_accepted(expression[: group.start()] + verdict + expression[group.end() :], names | {ACCEPTED})
    return any(all(name in names for name in choice.split(" AND ")) for choice in expression.split(" OR "))


def installed(folders: Sequence[Path]) -> dict[str, Distribution]:
    """Return the installed distributions of these folders by name."""
    return {_name(each.metadata["Name"]): each for each in distributions(path=[str(folder) for folder in folders])}


def python_problems(locks: Mapping[str, Sequence[str]], environment: Mapping[str, Distribution]) -> list[str]:
    """Return a line for each locked distribution whose licence is unknown or not accepted.

    locks: name of a lock → its distributions. Distributions that only another system or Python needs are not installed
    here, and therefore not checked.
    """
    shipped = {*worker_distributions(), *(each for package in PACKAGES for each in package_dependencies(package))}
    names = sorted({name for lock_names in locks.values() for name in lock_names} & environment.keys())
    lines = [_problem(name, licence(environment[name]), is_shipped=name in shipped) for name in names]
    missing = sorted(shipped - environment.keys())
    return [line for line in lines if line] + [f"{name}: it is shipped, and not installed here" for name in missing]


def npm_problems(packages: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a line for each package of package-lock.json that is not pinned, or whose licence is not accepted.

    No npm package is shipped: the files of COPIED are.
    """
    lines: list[str] = []
    for path, package in packages.items():
        if path and "integrity" not in package:
            lines.append(f"{path}: it has no hash in package-lock.json")
        if path:
            lines.append(_problem(path, package.get("license", ""), is_shipped=False))
    return [line for line in lines if line]


def copied_problems() -> list[str]:
    """Return a line for each copied file that is missing, or without its licence or its row in docs/licences.md."""
    page = (ROOT / "docs/licences.md").read_text()
    paths = [path for each in COPIED for path in (each.path, *each.licence_files)]
    lines = [f"{path}: it is missing" for path in paths if not (ROOT / path).exists()]
    lines += [f"{path}: docs/licences.md does not name it" for path in paths if path not in page]
    return lines + [line for each in COPIED if (line := _problem(each.path, each.licence, is_shipped=True))]


def pin_problems() -> list[str]:
    """Return a line for each lock that does not fit pyproject.toml, and for each distribution without a hash."""
    lines = [
        f"requirements/{name}.txt: not what pyproject.toml lists" for name in lock.LOCKS if not lock.is_current(name)
    ]
    for name in lock.LOCKS:
        requirements = re.split(r"\n(?=\S)", lock.path(name).read_text())[1:]
        loose = [each.split()[0] for each in requirements if "==" not in each or "--hash=sha256:" not in each]
        lines += [f"requirements/{name}.txt: {each} has no version or no hash" for each in loose]
    return lines


def main() -> int:
    apart = [install.install_clients(), install.install_docs()]
    folders = [Path(each) for each in sys.path if each.endswith("site-packages")]
    folders += [folder for python in apart for folder in python.parent.parent.glob("lib/python*/site-packages")]
    locks = {name: _locked(name) for name in lock.LOCKS}
    environment = installed([*folders, install.BUILT / "worker-packages"])
    npm = npm_packages()
    problems = [*python_problems(locks, environment), *npm_problems(npm), *copied_problems(), *pin_problems()]
    print(
        "\n".join(problems)
        or f"{len(environment)} distributions and {len(npm)} npm packages: licences and pins are fine."
    )
    return 1 if problems else 0


def npm_packages() -> dict[str, dict[str, str]]:
    """Return the packages of all locks of npm."""
    locks = {path: json.loads((ROOT / path).read_text())["packages"] for path in NPM_LOCKS}
    return {f"{path}:{name}": each for path, packages in locks.items() for name, each in packages.items() if name}


def _problem(name: str, expression: str, *, is_shipped: bool) -> str:
    if is_accepted(expression, SHIPPED if is_shipped else USED):
        return ""
    use = "shipped" if is_shipped else "used here"
    return f"{name}: {expression[:60] or 'an unknown licence'} is not accepted for what is {use}"


def _locked(name: str) -> list[str]:
    return sorted(set(re.findall(r"^([a-z0-9-]+)==", lock.path(name).read_text(), re.MULTILINE)))


def _name(requirement: str) -> str:
    """Return the normalised name of a distribution, of a requirement or as it spells itself."""
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>!~;\[ ]", requirement, maxsplit=1)[0]).lower()


if __name__ == "__main__":
    sys.exit(main())
