"""`scripts/keys`, run as a command."""

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from aiworker.auth.access import SCOPES, parse_keys
from tools import ROOT
from tools.keys import keys

A_KEY = re.compile(r"aiw_[A-Za-z0-9_-]{43}")


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # by a Python without site-packages: it must need no set-up
    command = [sys.executable, "-S", "-E", str(ROOT / "scripts/keys"), "--project", str(project), *arguments]
    return subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)


def variables(project: Path) -> dict[str, str]:
    variables = re.findall(r"^(\w+)='(.*)'$", (project / ".dev.vars").read_text(), re.MULTILINE)
    return dict(variables)


def kept(project: Path) -> list[dict[str, Any]]:
    return json.loads(variables(project)["API_KEYS"])


def made(project: Path, name: str, *, days: int | None = None, tenant: str | None = None, **more: Any) -> None:
    """Make a key in this process."""
    defaults: dict[str, Any] = {"scopes": ["chat"], "daily_neurons": None}
    keys.new(Namespace(project=project, name=name, days=days, tenant=tenant, **(defaults | more)))


def test_a_key_is_shown_once_and_kept_as_its_hash(tmp_path: Path) -> None:
    done = run(tmp_path, "new", "web", "--days", "30", "--tenant", "acme", "--daily-neurons", "500")
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert A_KEY.fullmatch(key)
    assert done.stdout == f"{key}\n"
    assert key not in done.stderr
    assert "scripts/keys push" in done.stderr
    text = (tmp_path / ".dev.vars").read_text()
    assert key not in text
    [known] = parse_keys(variables(tmp_path)["API_KEYS"])
    assert known.sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert (known.name, known.tenant, known.daily_neurons) == ("web", "acme", 500)
    assert known.scopes == SCOPES.keys() - {"admin", "rag:write"}
    assert len(variables(tmp_path)["TOKEN_SECRET"]) == 43
    assert stat.S_IMODE((tmp_path / ".dev.vars").stat().st_mode) == 0o600


def test_the_secret_of_tokens_is_made_once(tmp_path: Path) -> None:
    made(tmp_path, "one")
    before = variables(tmp_path)["TOKEN_SECRET"]
    made(tmp_path, "two")
    assert variables(tmp_path)["TOKEN_SECRET"] == before
    assert [each["name"] for each in kept(tmp_path)] == ["one", "two"]


def test_other_lines_of_the_file_stay(tmp_path: Path) -> None:
    others = (
        "A=\"two\nlines\"\n# API_KEYS='[]' of last year\r\nexport B=x  # mine\n\n  API_KEYS = '[]'\nLAST='no line end'"
    )
    (tmp_path / ".dev.vars").write_bytes(others.encode())
    made(tmp_path, "web")
    text = (tmp_path / ".dev.vars").read_bytes().decode()
    left = re.sub(r"^\s*(API_KEYS|TOKEN_SECRET).*\n", "", text, flags=re.MULTILINE)
    assert left == re.sub(r"^\s*API_KEYS.*\n", "", others, flags=re.MULTILINE) + "\n"
    assert [each["name"] for each in kept(tmp_path)] == ["web"]


def test_a_link_stays_a_link_and_its_file_is_closed_to_others(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("A=1\n")
    (tmp_path / ".dev.vars").symlink_to(elsewhere)
    made(tmp_path, "web")
    assert (tmp_path / ".dev.vars").is_symlink()
    assert "web" in elsewhere.read_text()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [".dev.vars", "elsewhere"]


def test_keys_are_listed_for_people_and_for_programs(tmp_path: Path) -> None:
    assert run(tmp_path, "list").stdout == ""
    assert json.loads(run(tmp_path, "list", "--json").stdout) == []
    made(tmp_path, "web", days=1)
    made(tmp_path, "boss", scopes=["admin"])
    listed = run(tmp_path, "list").stdout.splitlines()
    assert re.match(r"NAME +TENANT +EXPIRES", listed[0])
    assert re.match(r"web +default +\d{4}-\d\d-\d\d \d\d:\d\d UTC +any +chat$", listed[1])
    assert re.match(r"boss +any +never +any +admin$", listed[2])
    web, boss = json.loads(run(tmp_path, "list", "--json").stdout)
    assert (web["name"], web["tenant"], web["expired"], boss["tenant"]) == ("web", "default", False, None)
    assert "sha256" not in web


def test_a_revoked_key_is_gone_and_no_other(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made(tmp_path, name)
    done = run(tmp_path, "revoke", "one")
    assert (done.returncode, done.stdout) == (0, "")
    assert [each["name"] for each in kept(tmp_path)] == ["two"]
    assert run(tmp_path, "revoke", "two").returncode == 0
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "COMMAND"),
        (("make", "x"), 2, "invalid choice"),
        (("new",), 2, "NAME"),
        (("new", "a/b"), 2, "'a/b' is no name"),
        (("new", "-a"), 2, "NAME"),
        (("new", "a" * 65), 2, "is no name"),
        (("new", "it's"), 2, "is no name"),
        (("new", "a", "--scopes", "chat,all"), 2, "all is no scope; there are chat, embed"),
        (("new", "a", "--scopes", ""), 2, "is no scope"),
        (("new", "a", "--tenant", "a b"), 2, "is no name"),
        (("new", "a", "--days", "0"), 2, "whole number from 1"),
        (("new", "a", "--days", "1.5"), 2, "whole number from 1"),
        (("new", "a", "--daily-neurons", "-1"), 2, "--daily-neurons"),
        (("new", "a", "--scopes", "admin", "--tenant", "acme"), 1, "every tenant"),
        (("new", "taken"), 1, "There is a key taken already"),
        (("revoke", "nobody"), 1, "There is no key nobody. The keys are: taken."),
    ],
    ids=str,
)
def test_impossible_arguments_are_refused_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    made(tmp_path, "taken")
    before = (tmp_path / ".dev.vars").read_bytes()
    done = run(tmp_path, *arguments)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert (tmp_path / ".dev.vars").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"API_KEYS='[{]'\n", "API_KEYS is not what scripts/keys writes"),
        (b"API_KEYS='{}'\n", "API_KEYS is not what scripts/keys writes"),
        (b'API_KEYS=\'[{"name": "x"}]\'\n', "API_KEYS is not what scripts/keys writes"),
        (b"API_KEYS='[]\n", "not closed by the quotation mark"),
        (b"API_KEYS='[]'\nAPI_KEYS='[]'\n", "2 lines of API_KEYS"),
        (b"A=\xff\n", ".dev.vars cannot be read"),
        (None, ".dev.vars cannot be read"),
    ],
)
def test_a_broken_file_is_left_as_it_is(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / ".dev.vars"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    for arguments in (("new", "web"), ("revoke", "web"), ("list",), ("push", "--dry-run")):
        done = run(tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert content is None or file.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [".dev.vars"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = run(tmp_path, "new", "web")
    assert done.returncode == 1
    assert ".dev.vars cannot be written" in done.stderr
    assert done.stdout == ""


def test_a_path_that_is_not_a_folder_is_named(tmp_path: Path) -> None:
    done = run(tmp_path / "nowhere", "new", "web")
    assert done.returncode == 1
    assert "is no folder" in done.stderr


def test_a_file_that_is_not_read_any_more_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n")
    assert "does not read .env any more" in run(tmp_path, "new", "one").stderr
    assert ".env" not in run(tmp_path, "new", "two").stderr


# ---- push --------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_it_would_do_and_no_secret(tmp_path: Path) -> None:
    made(tmp_path, "web")
    done = run(tmp_path, "push", "--dry-run")
    assert done.returncode == 0
    assert "wrangler" in done.stdout
    assert "secret bulk" in done.stdout
    assert re.search(r"API_KEYS \(\d+ bytes\), TOKEN_SECRET \(43 bytes\)", done.stdout)
    assert "these keys and no others: web." in done.stdout
    assert variables(tmp_path)["TOKEN_SECRET"] not in done.stdout + done.stderr
    assert kept(tmp_path)[0]["sha256"] not in done.stdout + done.stderr


def test_the_secrets_go_to_wrangler_s_standard_input(tmp_path: Path) -> None:
    made(tmp_path, "web")
    stand_in = tmp_path / "wrangler.py"
    stand_in.write_text("import sys, pathlib; pathlib.Path('seen').write_text(str(sys.argv[1:]) + sys.stdin.read())")
    command = [sys.executable, str(stand_in)]
    assert keys.push(Namespace(project=tmp_path, dry_run=False), command) == 0
    seen = (tmp_path / "seen").read_text()
    assert seen.startswith("['secret', 'bulk', '--env=']")
    assert json.loads(seen.removeprefix("['secret', 'bulk', '--env=']")) == variables(tmp_path)


def test_an_upload_that_fails_is_said_to_have_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "web")
    assert keys.push(Namespace(project=tmp_path, dry_run=False), [sys.executable, "-c", "exit(3)"]) == 1
    assert "were not uploaded" in capsys.readouterr().err


def test_when_the_last_key_is_revoked_that_can_be_uploaded_too(tmp_path: Path) -> None:
    assert "no key has been made" in run(tmp_path, "push", "--dry-run").stderr
    made(tmp_path, "web")
    run(tmp_path, "revoke", "web")
    assert keys.upload(tmp_path)["API_KEYS"] == "[]"


def test_more_keys_than_a_secret_can_hold_are_refused(tmp_path: Path) -> None:
    for number in range(60):
        made(tmp_path, f"key-{number}")
    done = run(tmp_path, "push", "--dry-run")
    assert done.returncode == 1
    assert "5,000 bytes" in done.stderr


def test_the_file_is_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ".dev.vars*" in ignored
