"""A record, on this machine, of an upload whose smoke test did not finish, or whose rollback failed."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.setup.install import BUILT


@dataclass(frozen=True)
class Upload:
    """An upload when it was started."""

    tag: str
    """The tag of the version that was to be made (`Bundle.tag`)."""
    before: str | None
    """Id of the version to go back to; None for the first one."""


class Unfinished:
    """The unfinished upload of one Worker, if there is one."""

    def __init__(self, root: Path, account: str, worker: str) -> None:
        self._file = root / BUILT.name / "deployed" / account / f"{worker}.unfinished.json"

    def start(self, upload: Upload) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(asdict(upload)))

    def read(self) -> Upload | None:
        with contextlib.suppress(FileNotFoundError):
            try:
                return Upload(**json.loads(self._file.read_text()))
            except (ValueError, TypeError):  # an incomplete file: the deployment is uploaded once more
                return Upload("", None)
        return None

    def end(self) -> None:
        self._file.unlink(missing_ok=True)
