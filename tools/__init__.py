"""Programs for developers, which are never deployed: a folder a tool."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder."""

sys.path += [
    str(source) for source in sorted(ROOT.glob("packages/*/src"))
]  # the packages of this checkout, uninstalled
