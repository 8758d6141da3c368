"""Opens the tape that the command line names."""

import argparse
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from workers_ai_simulator.tape.errors import TapeError
from workers_ai_simulator.tape.options import ACCOUNT, MODES, TOKEN, Credentials, Mode, credentials
from workers_ai_simulator.tape.secrets import Secrets
from workers_ai_simulator.tape.store import TapeFolder
from workers_ai_simulator.tape.tape import Tape

if TYPE_CHECKING:  # the service needs an extra, which those who replay need not install
    from pathlib import Path

    from workers_ai_simulator.tape.service import Service

EXCLUDED = ("models", "embeddings", "speech")
"""Options of models that would answer in place of the tape."""


def open_tape(options: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Tape | None:
    """The tape that the options name; None if they name none.

    Raises ValueError, with a sentence, for options and variables that are wrong or missing; TapeError and OSError for
    a folder that cannot be used; ModuleNotFoundError if the extra `record` is not installed.
    """
    named: list[tuple[Mode, Path]] = [
        (mode, path) for mode in MODES if (path := getattr(options, mode.replace("-", "_")))
    ]
    if not named:
        return None
    [(mode, path)] = named
    for other in EXCLUDED:
        if getattr(options, other):
            name = other.replace("_", "-")
            raise ValueError(f"--{mode} and --{name} cannot be used together: the tape answers for all models")
    service = None if mode == "replay" else _service(credentials(f"--{mode}", environment))
    folder = TapeFolder(path)
    try:
        folder.open(is_new=service is not None)
    except TapeError as error:
        raise TapeError(f"--{mode}: {error}") from None
    if service:
        print(f"Recording in {path}: the models' calls go to {service.url}.", file=sys.stderr, flush=True)
    secrets = Secrets([environment.get(ACCOUNT, ""), environment.get(TOKEN, "")])
    return Tape(mode, folder, service, secrets, options.tokens_per_second)


def _service(account: Credentials) -> "Service":
    from workers_ai_simulator.tape.service import Service

    return Service(account.url, account.account, account.token)
