"""Files that change in one step. Standard library only."""

import os
from pathlib import Path


def write_atomically(
    path: Path, content: bytes, *, folder: Path | None = None, mode: int = 0o666, is_synced: bool = False
) -> None:
    """Replace a file's content. Readers, also after a crash, find all of the old content or all of the new.

    folder: where the new content is written first, on the same file system (default: beside the file).
    mode: permissions of the file, less those that the umask takes.
    is_synced: wait until the content is on the disk, so that a power cut leaves no empty file.
    """
    new = (folder or path.parent) / f"{path.name}.{os.urandom(4).hex()}.new"
    try:
        with open(new, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
