"""The folder of --data. It is created if it is missing, and locked: two simulators would not see each other's
writes."""

import os
import sys
import time
from pathlib import Path

LOCK = "lock"
"""File in the folder that is locked as long as a simulator uses the folder; its text says which one."""
PATIENCE = 2.0
"""Seconds to wait for the lock: a simulator that was told to end may still be ending."""
INTERVAL = 0.05
"""Seconds between two attempts to lock."""


class DataFolderError(Exception):
    """The folder cannot be used, for the reason in the message."""


class DataFolder:
    """A folder that is this process's own. The kernel releases the lock when the process ends, even by SIGKILL."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        """Make the folder and lock it. Raises DataFolderError."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
            raise DataFolderError(
                f"--data: the folder {path} cannot be made or written: {why}. Name another: --data DIR"
            ) from None
        until = time.monotonic() + patience
        while not _lock(self._file):
            if time.monotonic() > until:
                holder = os.pread(self._file, 1000, 0).decode(errors="replace").strip() or "another one"
                os.close(self._file)
                raise DataFolderError(
                    f"--data: a simulator uses {path} already: {holder}. Stop it, or name another folder: --data DIR"
                )
            time.sleep(INTERVAL)
        self.note("")

    def note(self, url: str) -> None:
        """Write the simulator's process id and address into the lock file, for others that find the folder locked."""
        os.ftruncate(self._file, 0)
        os.write(self._file, f"process {os.getpid()}{f', {url}' if url else ''}\n".encode())
        os.lseek(self._file, 0, os.SEEK_SET)


if sys.platform == "win32":

    def _lock(_: int) -> bool:
        return True  # there is no flock

else:
    import fcntl

    def _lock(file: int) -> bool:
        """Lock the open file. Returns whether it is locked now, or cannot be, as in some network file systems."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
