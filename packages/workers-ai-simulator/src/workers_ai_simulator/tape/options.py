"""The tape's options on the command line, and the account that is recorded. It imports nothing slow."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

Mode = Literal["record", "replay", "record-missing"]
MODES: dict[Mode, str] = {
    "record": "send the models' calls to Cloudflare, with the account and the token of $CLOUDFLARE_ACCOUNT_ID and "
    "$CLOUDFLARE_API_TOKEN, and write each with its answer into this folder",
    "replay": "answer the models' calls from this folder, and refuse all that are not there",
    "record-missing": "answer the models' calls from this folder, and record those that are not there",
}
"""Mode → its help. The name of the option is the mode's."""
ACCOUNT, TOKEN, URL = "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_BASE_URL"
CLOUDFLARE = "https://api.cloudflare.com/client/v4"


class Credentials(NamedTuple):
    """Account and token of the real service, and its address."""

    account: str
    token: str
    url: str
    """Address of the REST API, up to `/client/v4`."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of the tape, of which one may be given."""
    modes = parser.add_mutually_exclusive_group()
    for mode, about in MODES.items():
        modes.add_argument(f"--{mode}", type=Path, metavar="DIR", help=about)


def credentials(needed_by: str, environment: Mapping[str, str] = os.environ) -> Credentials:
    """The account and its token. Raises ValueError, with a sentence, if a variable is missing."""
    missing = [name for name in (ACCOUNT, TOKEN) if not environment.get(name)]
    if missing:
        raise ValueError(
            f"{needed_by} calls Cloudflare: set {' and '.join(missing)}. The token needs the permission Workers AI."
        )
    return Credentials(environment[ACCOUNT], environment[TOKEN], environment.get(URL) or CLOUDFLARE)
