"""wrangler and pywrangler, run as children that end with this process, however it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.deploy.errors import AGAIN, DeployError, codes_in, sentence_for
from tools.dev import group
from tools.dev.plan import ENVIRONMENT
from tools.dev.processes import end_with_parent
from tools.setup.install import VENV, WRANGLER

QUIET: Mapping[str, str] = {
    "WRANGLER_SEND_METRICS": "false",
    "WRANGLER_HIDE_BANNER": "true",
    "WRANGLER_WRITE_LOGS": "false",
    "NODE_COMPILE_CACHE": ENVIRONMENT["NODE_COMPILE_CACHE"],
    "PYWRANGLER_LOG": "warning",
    "NO_COLOR": "1",
    # wrangler must not ask questions: the configuration contains every decision
    "CI": "1",
    # with "debug", wrangler prints requests with their credentials, and no valid JSON
    "WRANGLER_LOG": "log",
}
OWN_ENVIRONMENT = "--env="
"""Keeps wrangler from reading CLOUDFLARE_ENV, also from .env: it would deploy this configuration under another name."""
REDIRECTING = ("WRANGLER_CI_", "WRANGLER_OUTPUT_")
"""Prefixes of wrangler's variables that give the Worker another name, or its output another place."""
ERROR = re.compile(r"\[ERROR\]\s*(.+?)(?:\n\s*\n|\Z)", re.DOTALL)
"""Matches the error message in the output of wrangler."""
NETWORK = re.compile(
    r"fetch failed|ECONN|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|socket hang up|other side closed", re.IGNORECASE
)


class CommandError(Exception):
    """A command has failed. `output` is all that it printed."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output

    def explained(self, action: str, permission: str) -> DeployError:
        """Return a DeployError for the user. action: purpose of the command. permission: permission that it needs."""
        sentence = sentence_for(codes_in(self.output), action, permission)
        if sentence is None and NETWORK.search(self.output):
            sentence = f"Cloudflare's API could not be reached to {action}: check the network, {AGAIN}"
        match = ERROR.search(self.output)
        words = " ".join((match[1] if match else self.output[-1_000:]).split())
        return DeployError(sentence or f"It was not possible to {action}: {words}")


class Commands:
    """Commands of one deployment, run in the project's folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        variables = {
            name: value
            for name, value in os.environ.items()
            # an empty variable counts as unset: workflows set it so if a secret is missing
            if (value or not name.startswith("CLOUDFLARE_")) and not name.startswith(REDIRECTING)
        }
        self._environment = {**variables, **QUIET, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def wrangler(self, *arguments: str | Path) -> str:
        """Return what `wrangler` prints. Raises CommandError if it fails."""
        return self._run("node", "--no-warnings", WRANGLER, *arguments, OWN_ENVIRONMENT)

    def pywrangler(self, *arguments: str | Path, **environment: str) -> str:
        """Return what `pywrangler` prints, which brings python_modules up to date before it runs wrangler.

        Raises CommandError if it fails.
        """
        return self._run(VENV / "bin/pywrangler", *arguments, OWN_ENVIRONMENT, **environment)

    def _run(self, *command: str | Path, **environment: str) -> str:
        process = subprocess.Popen(
            [sys.executable, group.__file__, *(str(part) for part in command)],
            cwd=self._root,
            env={**self._environment, **environment},
            text=True,
            start_new_session=True,
            preexec_fn=end_with_parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output, _ = process.communicate()
        except BaseException:  # Ctrl-C, SIGTERM
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode != 0:
            raise CommandError(output)
        return output
