"""Packages in a local run: the same as in a deployment."""

from pathlib import Path

import pytest

from offline_python_workers import compiled, stage

FILES = (
    "pydantic/main.py",
    "pydantic/v1/main.py",
    "pydantic/mypy.py",
    "pydantic/__pycache__/main.cpython-314.pyc",
    "pydantic-2.14.3.dist-info/METADATA",
    "deeper/pydantic/v1/main.py",
)


@pytest.mark.parametrize(
    ("excluded", "kept"),
    [
        ((), {*FILES}),
        (("**/*.pyc",), {*FILES}),
        (("pydantic/v1/**", "*.dist-info/**", "pydantic/mypy.py"), {FILES[0], FILES[3], FILES[5]}),
        (("**/v1/**",), {*FILES} - {FILES[1], FILES[5]}),
    ],
)
def test_modules_that_are_not_uploaded_are_missing_locally(
    tmp_path: Path, excluded: tuple[str, ...], kept: set[str]
) -> None:
    packages, main = tmp_path / "packages", tmp_path / "src/entry.py"
    for name in FILES:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("")
    main.parent.mkdir()
    main.write_text("")
    interpreter = tmp_path / "interpreter"
    interpreter.mkdir()
    for name in stage.INTERPRETER_FILES:
        (interpreter / name).write_text("")
    stage.lay_out(tmp_path / "run", main, {}, interpreter, packages, None, excluded)
    packed = compiled.unpack((tmp_path / "run/packages.pack").read_bytes())
    assert {path for path, _ in packed} == kept
