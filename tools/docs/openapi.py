"""Write public/openapi.json, the description of the API that `GET /openapi.json` answers with.

python -m tools.docs.openapi            write it if it differs from the code
python -m tools.docs.openapi --check    fail if it differs

The Worker does not make it itself: that would cost some request more than a second of CPU.
"""

import json
import sys
from typing import Any

from offline_python_workers.atomic import write_atomically
from tools import ROOT
from tools.setup.install import BUILT

SOURCE = ROOT / "src"
FILE = ROOT / "public/openapi.json"
ALIGNED = ("paths", "schemas")
"""Objects whose members have a line each, so that a change of one route changes few lines."""


def text() -> str:
    """Return the text of the file that the code describes."""
    if str(SOURCE) not in sys.path:
        sys.path.insert(0, str(SOURCE))
    from aiworker.openapi import document

    return _to_json(document()) + "\n"


def is_current() -> bool:
    return _is(text())


def _is(content: str) -> bool:
    return FILE.exists() and FILE.read_text() == content


def main() -> int:
    current = text()
    if _is(current):
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{FILE.relative_to(ROOT)} differs from the code: run scripts/check.")
        return 1
    # wrangler may be reading the file, and watches its folder
    write_atomically(FILE, current.encode(), folder=BUILT)
    print(f"{FILE.relative_to(ROOT)} is written.")
    return 0


def _to_json(value: Any, name: str = "") -> str:
    """Return JSON without spaces, with a line for each member of the objects down to those of ALIGNED."""
    if name not in ("", "components", *ALIGNED):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    named: dict[str, Any] = value
    members = [f"{json.dumps(key)}:{_to_json(each, '-' if name in ALIGNED else key)}" for key, each in named.items()]
    return "{\n" + ",\n".join(members) + "\n}"


if __name__ == "__main__":
    sys.exit(main())
