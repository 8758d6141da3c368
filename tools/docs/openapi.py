"""Write public/openapi.json, the description of the API that `GET /openapi.json` answers with.

python -m tools.docs.openapi            write it if it is not what the code says
python -m tools.docs.openapi --check    fail if it is not

Made here and not in the Worker, where it would take more than a second of CPU of some client's request.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from tools import ROOT
from tools.setup.install import BUILT

SOURCE = ROOT / "src"
FILE = ROOT / "public/openapi.json"
ALIGNED = ("paths", "schemas")
"""Objects of which each member has a line of its own, so that a change of one route is a change of few lines."""


def text() -> str:
    """The whole file, as the code has it now."""
    if str(SOURCE) not in sys.path:
        sys.path.insert(0, str(SOURCE))
    from aiworker.openapi import document

    return _written(document()) + "\n"


def is_current() -> bool:
    return _is(text())


def _is(content: str) -> bool:
    return FILE.exists() and FILE.read_text() == content


def main() -> int:
    current = text()
    if _is(current):
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{FILE.relative_to(ROOT)} is not what the code says: run scripts/check.")
        return 1
    _replace(FILE, current)
    print(f"{FILE.relative_to(ROOT)} is written.")
    return 0


def _written(value: Any, name: str = "") -> str:
    """JSON without spaces, with line breaks around the members of objects down to those of ALIGNED."""
    if name not in ("", "components", *ALIGNED):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    named: dict[str, Any] = value
    members = [f"{json.dumps(key)}:{_written(each, '-' if name in ALIGNED else key)}" for key, each in named.items()]
    return "{\n" + ",\n".join(members) + "\n}"


def _replace(file: Path, content: str) -> None:
    # of this process alone, and not in the folder that wrangler watches
    whole = BUILT / f"openapi-{os.getpid()}.new"
    whole.write_text(content)
    os.replace(whole, file)  # noqa: PTH105 - atomic: wrangler may be reading it


if __name__ == "__main__":
    sys.exit(main())
