"""The extras of the package, and the command that installs one."""

import importlib.util
import shlex
import sys


def install_command(extra: str) -> str:
    """The command that installs an extra for the Python that runs: by pip, or by uv, whose environments have no pip."""
    python = shlex.quote(sys.executable)
    pip = f"{python} -m pip install" if importlib.util.find_spec("pip") else f"uv pip install --python {python}"
    return f"{pip} 'workers-ai-simulator[{extra}]'"
