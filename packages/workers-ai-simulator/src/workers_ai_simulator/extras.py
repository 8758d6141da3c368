"""The extras of the package: what installs a module that an option needs."""

import shlex
import sys


def install_command(extra: str) -> str:
    """The command that installs an extra for the Python that runs."""
    return f"{shlex.quote(sys.executable)} -m pip install 'workers-ai-simulator[{extra}]'"
