"""API keys: made, listed and revoked in a project's .dev.vars, and uploaded as secrets of the deployed Worker.

Only the SHA-256 of a key is kept. This file runs on the system's Python: standard library and aiworker's own code only.
"""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiworker.auth.access import ADMIN, DEFAULT_TENANT, Key, parse_keys
from offline_python_workers.atomic import write_atomically

PREFIX = "aiw_"
"""Prefix of every key, by which people and scanners recognise a leaked one."""
KEY_BYTES = 32
FILE = ".dev.vars"
API_KEYS, TOKEN_SECRET = "API_KEYS", "TOKEN_SECRET"
MAX_SECRET_BYTES = 5_000
"""Largest secret in bytes. Source: developers.cloudflare.com/workers/platform/limits, "environment variable size"."""
DAY = 86_400


class CannotDo(Exception):  # noqa: N818 - a sentence for the user
    """The command cannot be carried out. The message says why."""


# ---- the commands ------------------------------------------------------------------------------------------------


def new(options: Namespace) -> int:
    """Make a key and print it to stdout, once. Raises CannotDo if the name is taken."""
    if ADMIN in options.scopes and options.tenant:
        raise CannotDo(f"A key with the scope {ADMIN} is for every tenant: leave out --tenant.")
    key = random_key()
    made = Key(
        name=options.name,
        sha256=sha256(key),
        scopes=frozenset(options.scopes),
        tenant=options.tenant or DEFAULT_TENANT,
        expires=int(time.time()) + options.days * DAY if options.days else None,
        daily_neurons=options.daily_neurons,
    )
    note = shadowing_note(options.project, _environment(options))
    with changing(options.project, _environment(options)) as variables:
        keys = variables.keys()
        if any(each.name == made.name for each in keys):
            raise CannotDo(f"There is a key {made.name} already. Revoke it first: scripts/keys revoke {made.name}")
        variables.set(API_KEYS, to_variable([*keys, made]))
        if not variables.get(TOKEN_SECRET):
            variables.set(TOKEN_SECRET, random_text(KEY_BYTES))
    _say(f"The key {made.name} may: {', '.join(sorted(made.scopes))}. It is shown this once:")
    print(key)
    trial = "" if _environment(options) else " Try it with scripts/dev --var AUTH_MODE=keys;"
    _say(f"Its SHA-256 is in {variables.file}.{trial} a deployed Worker knows it after {_push(options)}.")
    if note:
        _say(note)
    return 0


def shadowing_note(project: Path, environment: str = "") -> str:
    """Return what to do about .env before .dev.vars is first written; empty if nothing."""
    if environment or not (project / ".env").exists() or (project / FILE).exists():
        return ""
    return f"Note: with {FILE} there, scripts/dev does not read .env any more. Move its lines over."


def show(options: Namespace) -> int:
    """List the keys."""
    keys = read(options.project, _environment(options)).keys()
    if options.json:
        print(json.dumps([_to_json(key) for key in keys], indent=2))
        return 0
    if not keys:
        _say("There are no keys. Make one: scripts/keys new NAME")
        return 0
    rows = [("NAME", "TENANT", "EXPIRES", "NEURONS A DAY", "SCOPES"), *map(_row, keys)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def revoke(options: Namespace) -> int:
    """Delete a key. Raises CannotDo if there is none of that name."""
    with changing(options.project, _environment(options)) as variables:
        keys = variables.keys()
        kept = [key for key in keys if key.name != options.name]
        if len(kept) == len(keys):
            names = ", ".join(key.name for key in keys) or "none"
            raise CannotDo(f"There is no key {options.name}. The keys are: {names}.")
        variables.set(API_KEYS, to_variable(kept))
    _say(
        f"The key {options.name} is revoked here, and its tokens with it; on a deployed Worker after {_push(options)}."
    )
    return 0


def upload(project: Path, environment: str = "") -> dict[str, str]:
    """Return the secrets that the Worker of an environment needs.

    Raises CannotDo if there are none, or too many keys for one secret.
    """
    variables = read(project, environment)
    if not variables.keys() and not variables.get(API_KEYS):
        raise CannotDo("There is nothing to upload: no key has been made. Make one: scripts/keys new NAME")
    values = {API_KEYS: to_variable(variables.keys()), TOKEN_SECRET: variables.get(TOKEN_SECRET)}
    if len(values[API_KEYS].encode()) > MAX_SECRET_BYTES:
        raise CannotDo(f"These are too many keys: a secret has room for {MAX_SECRET_BYTES:,} bytes. Revoke some.")
    return {name: value for name, value in values.items() if value}


def push(options: Namespace, wrangler: Sequence[str]) -> int:
    """Upload the keys by `wrangler secret bulk`, as JSON on its standard input, so that no other file holds them."""
    values = upload(options.project, _environment(options))
    # an empty --env keeps CLOUDFLARE_ENV, of .env too, from giving these keys to another Worker
    name = ["--name", _worker(options)] if _environment(options) else []
    command = [*wrangler, "secret", "bulk", "--env=", *name]
    if options.dry_run:
        names = ", ".join(key.name for key in parse_keys(values.get(API_KEYS, ""))) or "none"
        sizes = ", ".join(f"{name} ({len(value.encode()):,} bytes)" for name, value in values.items())
        print(f"Would run in {options.project}: {' '.join(command)}")
        print(f"with, on its standard input, {sizes}.")
        print(f"The deployed Worker would then know these keys and no others: {names}.")
        return 0
    done = subprocess.run(command, cwd=options.project, input=json.dumps(values), text=True, check=False)
    if done.returncode != 0:
        _say("The keys were not uploaded. If the message above speaks of logging in: npx wrangler login")
        return 1
    return 0


def _environment(options: Namespace) -> str:
    return getattr(options, "env", "")


def _push(options: Namespace) -> str:
    return "scripts/keys push" + (f" --env {_environment(options)}" if _environment(options) else "")


def _worker(options: Namespace) -> str:
    """Return the name of the environment's Worker. Raises CannotDo if wrangler.jsonc does not have it."""
    from tools.deploy.target import DeployError, Target  # needs what install.py installs

    try:
        return Target.read(options.project, _environment(options)).worker
    except DeployError as error:
        raise CannotDo(str(error)) from error


# ---- the stored form of a key ---------------------------------------------------------------------------------------


def to_variable(keys: Sequence[Key]) -> str:
    """Return the keys as the Worker's variable API_KEYS, without default values: a secret has little room."""
    records = [
        {
            "name": key.name,
            "sha256": key.sha256,
            "scopes": sorted(key.scopes),
            **({} if key.tenant == DEFAULT_TENANT else {"tenant": key.tenant}),
            **({} if key.expires is None else {"expires": int(key.expires)}),
            **({} if key.daily_neurons is None else {"daily_neurons": key.daily_neurons}),
        }
        for key in keys
    ]
    return json.dumps(records, separators=(",", ":"))


def _to_json(key: Key) -> dict[str, object]:
    return {
        "name": key.name,
        "scopes": sorted(key.scopes),
        "tenant": None if ADMIN in key.scopes else key.tenant,
        "expires": None if key.expires is None else datetime.fromtimestamp(key.expires, UTC).isoformat(),
        "expired": _is_expired(key),
        "daily_neurons": key.daily_neurons,
    }


def _row(key: Key) -> tuple[str, ...]:
    until = "never" if key.expires is None else f"{datetime.fromtimestamp(key.expires, UTC):%Y-%m-%d %H:%M} UTC"
    return (
        key.name,
        "any" if ADMIN in key.scopes else key.tenant,
        f"{until} (expired)" if _is_expired(key) else until,
        "any" if key.daily_neurons is None else f"{key.daily_neurons:,g}",
        " ".join(sorted(key.scopes)),
    )


def _is_expired(key: Key) -> bool:
    return key.expires is not None and key.expires <= time.time()


def random_key() -> str:
    """Return a new API key: PREFIX and 256 random bits."""
    return PREFIX + random_text(KEY_BYTES)


def sha256(key: str) -> str:
    """Return the hexadecimal SHA-256 of a key, which is kept instead of the key."""
    return hashlib.sha256(key.encode()).hexdigest()


def random_text(size: int) -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()


# ---- .dev.vars ---------------------------------------------------------------------------------------------------


@dataclass
class Variables:
    """The text of .dev.vars. Only the lines of API_KEYS and TOKEN_SECRET are read and written."""

    text: str
    file: str = FILE
    """Name of the file, for messages."""

    def get(self, name: str) -> str:
        """Return the value of a variable; empty if it is not set. Raises CannotDo for an ambiguous line."""
        lines = self._lines(name)
        if len(lines) > 1:
            raise CannotDo(f"{self.file} has {len(lines)} lines of {name}: remove all but one.")
        if not lines:
            return ""
        value = lines[0][1].strip()
        quoted = re.fullmatch(r"""(['"`])(.*)\1""", value)
        if quoted is None and value[:1] in ("'", '"', "`"):
            raise CannotDo(f"In {self.file}, the value of {name} is not closed by the quotation mark that opens it.")
        return quoted[2] if quoted else value

    def set(self, name: str, value: str) -> None:
        # single quotes: dotenv takes their content as it is
        line = f"{name}='{value}'"
        [match] = self._lines(name) or [None]
        if match:
            self.text = self.text[: match.start()] + line + self.text[match.end() :]
        else:
            self.text += ("" if not self.text or self.text.endswith("\n") else "\n") + line + "\n"

    def keys(self) -> tuple[Key, ...]:
        """Return the keys. Raises CannotDo if scripts/keys did not write them."""
        try:
            return parse_keys(self.get(API_KEYS))
        except ValueError:
            raise CannotDo(
                f"In {self.file}, {API_KEYS} is not what scripts/keys writes. "
                "Mend it, or remove the line and make new keys."
            ) from None

    def _lines(self, name: str) -> list[re.Match[str]]:
        return list(re.finditer(rf"^[ \t]*(?:export[ \t]+)?{name}[ \t]*=([^\r\n]*)", self.text, re.MULTILINE))


def file_of(project: Path, environment: str = "") -> Path:
    """Return the file with the keys of an environment, such as `.dev.vars.staging`.

    Production's is `.dev.vars`, which scripts/dev reads, too.
    """
    return project / (f"{FILE}.{environment}" if environment else FILE)


def read(project: Path, environment: str = "") -> Variables:
    """Read the variables of an environment. Raises CannotDo if the file cannot be read."""
    file = file_of(project, environment)
    try:
        return Variables(file.read_bytes().decode(), file.name)
    except FileNotFoundError:
        return Variables("", file.name)
    except (OSError, UnicodeDecodeError) as error:
        raise CannotDo(f"{file.name} cannot be read: {error}.") from None


@contextlib.contextmanager
def changing(project: Path, environment: str = "") -> Generator[Variables]:
    """Yield the variables to change, and write them at the end of the block. One program does so at a time."""
    folder = os.open(project, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        variables = read(project, environment)
        yield variables
        _replace(file_of(project, environment).resolve(), variables.text)
    finally:
        os.close(folder)


def _replace(path: Path, text: str) -> None:
    """Write the file for its owner alone, all of it or nothing. Raises CannotDo if that fails."""
    try:
        write_atomically(path, text.encode(), mode=0o600, is_synced=True)
    except OSError as error:
        raise CannotDo(f"{FILE} cannot be written: {error}.") from None


def _say(text: str) -> None:
    """Print to stderr: stdout is for the key."""
    print(text, file=sys.stderr)
