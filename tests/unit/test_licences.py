"""The check of licences and pins."""

from pathlib import Path

import pytest

from tools.check import licences


@pytest.mark.parametrize(
    ("expression", "accepted"),
    [
        ("MIT", True),
        ("GPL-2.0-or-later", False),
        ("", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT AND ISC", True),
        ("(AFL-2.1 OR BSD-3-Clause)", True),
        ("GPL-2.0-only AND (Apache-2.0 OR MIT)", False),
        ("ISC AND (GPL-2.0-only OR MIT)", True),
        ("(ISC AND (GPL-2.0-only OR AGPL-3.0-only)) OR GPL-2.0-only", False),
    ],
)
def test_an_expression_is_accepted_if_accepted_licences_meet_it(expression: str, *, accepted: bool) -> None:
    assert licences.is_accepted(expression, licences.SHIPPED) is accepted


def distribution(folder: Path, name: str, *metadata: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *metadata]))


def test_a_licence_that_is_not_accepted_is_named(tmp_path: Path) -> None:
    mit = "Classifier: License :: OSI Approved :: MIT License"
    gpl = "Classifier: License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)"
    distribution(tmp_path, "fine", "License-Expression: MIT")
    distribution(tmp_path, "also_fine", mit)
    distribution(tmp_path, "either", mit, gpl)
    distribution(tmp_path, "copyleft", "License-Expression: GPL-2.0-or-later")
    distribution(tmp_path, "weak", "License-Expression: MPL-2.0")
    distribution(tmp_path, "silent")
    environment = licences.installed([tmp_path])
    problems = licences.python_problems({"development": ["also-fine", *environment, "not-installed"]}, environment)
    named = [line.partition(":")[0] for line in problems if "not installed" not in line]
    assert named == ["copyleft", "either", "silent"]


def test_a_shipped_distribution_must_be_installed() -> None:
    lines = licences.python_problems({}, {})
    assert "pydantic: it is shipped, and not installed here" in lines
    assert "pillow: it is shipped, and not installed here" in lines


def test_npm_packages_need_a_hash_and_a_licence() -> None:
    packages = {
        "": {},
        "node_modules/fine": {"integrity": "sha512-…", "license": "MIT"},
        "node_modules/loose": {"license": "MIT"},
        "node_modules/copyleft": {"integrity": "sha512-…", "license": "AGPL-3.0-only"},
        "node_modules/silent": {"integrity": "sha512-…"},
    }
    lines = licences.npm_problems(packages)
    assert [line.partition(":")[0] for line in lines] == [
        "node_modules/loose", "node_modules/copyleft", "node_modules/silent",
    ]  # fmt: skip


def test_copied_files_and_pins_are_as_they_should_be() -> None:
    assert licences.npm_problems(licences.npm_packages()) == []
    assert licences.copied_problems() == []
    assert licences.pin_problems() == []
