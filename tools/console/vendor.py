"""Copy the libraries of the console from the npm packages that package.json pins, byte for byte, to public/vendor/.

python -m tools.console.vendor

The console has no build step: browsers load these files as the packages publish them.
"""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tools import ROOT

VENDOR = ROOT / "public/vendor"
HIGHLIGHT = "@highlightjs/cdn-assets"
LANGUAGES = (
    "bash", "css", "diff", "go", "java", "javascript", "json", "python", "rust", "sql", "typescript", "xml", "yaml",
)  # fmt: skip
"""Languages whose code is highlighted. public/console/markdown.js names them, too."""

FILES: Mapping[str, str] = {
    "marked.js": "marked/lib/marked.esm.js",
    "marked.LICENSE.txt": "marked/LICENSE",
    "purify.js": "dompurify/dist/purify.min.js",
    "purify.LICENSE.txt": "dompurify/LICENSE",
    "highlight/core.js": f"{HIGHLIGHT}/es/core.min.js",
    "highlight/LICENSE.txt": f"{HIGHLIGHT}/LICENSE",
    **{f"highlight/{name}.js": f"{HIGHLIGHT}/es/languages/{name}.min.js" for name in LANGUAGES},
}
"""Path below public/vendor/ → path below node_modules/."""


def differences() -> list[str]:
    """Return the files that are missing, that belong to no package, or that differ from the package's."""
    present = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    same = {name for name in present & FILES.keys() if (VENDOR / name).read_bytes() == _source(name).read_bytes()}
    return sorted((present | FILES.keys()) - same)


def main() -> int:
    shutil.rmtree(VENDOR, ignore_errors=True)
    for name in FILES:
        (VENDOR / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_source(name), VENDOR / name)
    return 0


def _source(name: str) -> Path:
    return ROOT / "node_modules" / FILES[name]


if __name__ == "__main__":
    sys.exit(main())
