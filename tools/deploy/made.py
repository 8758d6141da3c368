"""A record, on this machine, of what scripts/deploy has created in an account, and `--remove` may delete."""

import json
from pathlib import Path

from offline_python_workers.atomic import write_atomically
from tools.deploy.errors import DeployError
from tools.setup.install import BUILT

WORKER, WORKFLOW = "Worker", "Workflow"
"""Kinds, beside those of tools.deploy.resources."""


class Made:
    """Resources that deployments of one Worker have created."""

    def __init__(self, root: Path, account: str, worker: str) -> None:
        self._file = root / BUILT.name / "deployed" / account / f"{worker}.json"

    def add(self, kind: str, name: str) -> None:
        self._write([*self.read(), (kind, name)])

    def remove(self, kind: str, name: str) -> None:
        self._write([each for each in self.read() if each != (kind, name)])

    def read(self) -> list[tuple[str, str]]:
        """Return pairs of kind and name in the order in which they were created."""
        if not self._file.exists():
            return []
        try:
            return [(kind, name) for kind, name in json.loads(self._file.read_text())]
        except (ValueError, TypeError) as error:
            raise DeployError(
                f"{self._file} is damaged: delete it. scripts/deploy --remove --all then removes what it listed."
            ) from error

    def _write(self, created: list[tuple[str, str]]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file, json.dumps(list(dict.fromkeys(created)), indent=2).encode())
