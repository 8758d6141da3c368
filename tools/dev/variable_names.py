"""Names of the Worker's variables, and a sentence for one that it does not read, which is most often a slip."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from tools.dev.variables import FOR_TESTS

ASSIGNMENT = re.compile(
    r"""^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)
    (?:\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:\#.*)?$""",
    re.MULTILINE | re.VERBOSE,
)
"""An assignment in .dev.vars, which wrangler reads with the npm package dotenv. Source: LINE in its lib/main.js."""


def known() -> frozenset[str]:
    """Return the names of the variables that the Worker reads."""
    from aiworker.settings import VARIABLES  # imported here, since it takes a moment and is seldom needed

    return frozenset({*VARIABLES, *FOR_TESTS})


def complaint(names: Iterable[str], where: str) -> str | None:
    """Return a sentence about the first unknown name, with the nearest known one. None if all names are known.

    where: source of the names, such as ".dev.vars".
    """
    unknown = next((name for name in names if name not in known()), None)
    if unknown is None:
        return None
    nearest = difflib.get_close_matches(unknown.upper(), sorted(known()), n=1)
    advice = f"did you mean {nearest[0]}?" if nearest else "docs/configuration.md lists those that there are."
    return f"{where}: {unknown} is no variable of aiworker; {advice}"


def in_file(file: Path) -> list[str]:
    """Return the names that a .dev.vars assigns; none if there is no such file."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError):  # wrangler and scripts/keys report what is wrong with it
        return []
    return ASSIGNMENT.findall(text)


def value_in_file(file: Path, name: str) -> str | None:
    """Return the value of a variable that a .dev.vars assigns on one line; None if it assigns none."""
    if name not in in_file(file):
        return None
    assignments = re.findall(
        rf"""^\s*(?:export\s+)?{re.escape(name)}\s*[=:]\s*(?:'([^']*)'|"([^"]*)"|`([^`]*)`|([^#\r\n]*))""",
        file.read_text(),
        re.MULTILINE,
    )
    return "".join(assignments[-1]).strip() if assignments else None
