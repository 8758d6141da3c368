"""The simulator's two packages as they are published, and folders in which only these are installed."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from offline_python_workers.build import PYODIDE_WHEELS
from running_simulator import PACKAGE, end_with_parent
from tools import ROOT

EXAMPLES = PACKAGE / "examples"
NAME = "workers-ai-simulator"
COMMAND = f"node_modules/{NAME}/src/workers_ai_simulator/javascript/command.mjs"
UV = (sys.executable, "-m", "uv")
NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:1") | {
    "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
}  # fmt: skip
"""Variables with which a request to another machine fails."""
QUIET = ("--ip", "127.0.0.1", "--port", "0", "--inspector-port", "0", "--show-interactive-dev-session=false")
"""Options of wrangler dev for tests."""


@dataclass(frozen=True)
class BuiltPackages:
    wheel: Path
    tarball: Path


def build(folder: Path) -> BuiltPackages:
    """Build both packages in the folder. Skips the test without a network, unless an earlier build has been here."""
    wheel = build_wheel(folder, PACKAGE)
    _run(["npm", "pack", "--silent", "--pack-destination", str(folder), str(PACKAGE)], folder)
    [tarball] = folder.glob("*.tgz")
    return BuiltPackages(wheel, tarball)


def build_wheel(folder: Path, package: Path) -> Path:
    """Build the wheel of a package in the folder. Skips the test as `build` does."""
    before = {*folder.glob("*.whl")}
    built = _done([*UV, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(package)], folder)
    if "Failed to fetch" in built.stdout or "not found in the cache" in built.stdout:
        pytest.skip("uv reaches no package index, from which the build's own tool comes")
    assert built.returncode == 0, built.stdout
    [wheel] = {*folder.glob("*.whl")} - before
    return wheel


def _done(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False
    )


def _run(command: list[str], folder: Path) -> None:
    done = _done(command, folder)
    assert done.returncode == 0, done.stdout


def lay_out(packages: BuiltPackages, example: str, top: Path) -> Path:
    """Copy an example into `packages/` of a repository, in whose root folder what it needs is installed.

    The two packages are the built ones. wrangler and all else come from this project: nothing is downloaded.
    """
    project = top / "packages" / example
    shutil.copytree(EXAMPLES / example, project)
    with tarfile.open(packages.tarball) as archive:
        archive.extractall(top / "node_modules", filter="data")
    (top / "node_modules/package").rename(top / "node_modules" / NAME)
    for name in ("wrangler", "hono"):
        (top / "node_modules" / name).symlink_to(ROOT / "node_modules" / name)
    _run([sys.executable, "-m", "venv", "--without-pip", str(top / ".venv")], top)
    [site] = (top / ".venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(packages.wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return project


def copy_wrangler(modules: Path) -> None:
    """Copy wrangler and its miniflare to a node_modules that `lay_out` has made; the rest stays this project's."""
    (modules / "wrangler").unlink()
    for name in ("wrangler", "miniflare"):
        shutil.copytree(ROOT / "node_modules" / name, modules / name)
    for each in (ROOT / "node_modules").iterdir():
        if not (modules / each.name).exists():
            (modules / each.name).symlink_to(each)


def install(packages: BuiltPackages, example: str, top: Path, *python: str) -> Path:
    """Copy an example into a folder, and install what its package.json names with npm, and the wheel with uv.

    python: other Python packages, or their wheels, which are installed too.
    """
    project = top / example
    shutil.copytree(EXAMPLES / example, project)
    _run(["npm", "install", "--no-audit", "--no-fund", "--save-dev", str(packages.tarball)], project)
    _run([*UV, "venv", "--quiet", ".venv"], project)
    _run([*UV, "pip", "install", "--quiet", "--python", ".venv", str(packages.wheel), *python], project)
    return project


def install_python_modules(project: Path, *packages: str) -> None:
    """Install packages for Pyodide where a Python Worker has them. pip does: uv does not know the wheels' platform."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(project / "python_modules")]
    _run([*command, *PYODIDE_WHEELS, *packages], project)


def environment(project: Path) -> dict[str, str]:
    """Environment of a stranger without a network: nothing of this project's Python, a home without settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "npm_"))}
    return {**kept, **NO_NETWORK, "HOME": str(project.parent), "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1"}


def processes_of(folder: Path) -> dict[int, str]:
    """Command lines of the processes that run in a folder or below it, by their id."""
    processes: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve(strict=True).is_relative_to(folder):
                processes[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return processes


@dataclass
class Dev:
    """`workers-ai-simulator dev` in a project."""

    project: Path
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list[str])
    changed: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    def start(cls, project: Path, *arguments: str, command: tuple[str, ...] = ()) -> "Dev":
        """command: what to run in place of the npm package's command, which is found in the folder or above it."""
        program = command or ("node", str(next(top / COMMAND for top in project.parents if (top / COMMAND).exists())))
        simulator = ("--simulator-port", "0", "--tokens-per-second", "0", "--vectorize-delay", "0")
        dev = cls(
            project,
            subprocess.Popen(
                [*program, "dev", *QUIET, *simulator, *arguments],
                cwd=project, env=environment(project), text=True, start_new_session=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=end_with_parent,
            ),
        )  # fmt: skip
        threading.Thread(target=dev._read, daemon=True).start()
        return dev

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()

    @property
    def printed(self) -> str:
        return "".join(self.lines)

    def wait_for(self, pattern: str, seconds: float = 120) -> str:
        """First group of the pattern, as soon as it is printed. Fails if the process ends before."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not (match := re.search(pattern, self.printed)):
                assert self.process.poll() is None, self.printed
                assert self.changed.wait(1) or time.monotonic() < deadline, self.printed
        return match[1]

    def addresses(self) -> dict[str, str]:
        """Addresses of the Worker and of the simulator, as variables for an example's tests."""
        return {"WORKER": self.wait_for(r"Ready on (http://\S+)"), "SIMULATOR": self.wait_for(r"faults: (http://\S+)")}

    def close(self) -> None:
        """Kill what still runs in the project, also after a test that has failed."""
        for pid in processes_of(self.project):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self) -> int:
        """Send SIGTERM to the process alone, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def is_listening(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname or "", address.port or 0)) == 0


def run_tests(project: Path, addresses: dict[str, str], *command: str) -> None:
    """Run the example's own tests."""
    done = subprocess.run(
        command or ("node", "--test"),
        cwd=project, env={**environment(project), **addresses}, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
