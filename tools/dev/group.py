"""Run a command; if the process that started this one is killed, end everything that the command has started.

python tools/dev/group.py COMMAND …     in a process group of its own, with `processes.end_with_parent`

A signal at the death of the parent reaches a single process. pywrangler, for example, starts wrangler, which would
stay.
"""

import os
import signal
import subprocess
import sys


def main() -> int:
    signal.signal(signal.SIGTERM, _end_group)
    status = subprocess.call(sys.argv[1:])
    return status if status >= 0 else 128 - status


def _end_group(_number: int, _frame: object) -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
