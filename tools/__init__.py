"""Programs for developers, which are never deployed: a folder for each tool."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder."""

# the Worker's modules and the packages of this checkout, which are not installed
sys.path += [str(source) for source in (ROOT / "src", *sorted(ROOT.glob("packages/*/src")))]
