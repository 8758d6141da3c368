"""Run a Python Worker in workerd without a network. Edit its modules and it reloads; Ctrl-C ends it.

The folder of the Worker has a wrangler.jsonc, and the npm packages `wrangler` and `pyodide` in node_modules. Everything
after `--` is passed to `wrangler dev`. State and compiled files are kept in the folder's .offline-python-workers.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import watchfiles

from offline_python_workers import build, configuration, stage
from offline_python_workers.atomic import write_atomically
from offline_python_workers.configuration import Configuration, ConfigurationError

OFFLINE = {
    "WRANGLER_SEND_METRICS": "false",
    # otherwise wrangler would fetch the Request.cf object from the network at every start
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",
}
"""Environment of wrangler."""
SECONDS_TO_STOP = 5.0
"""Time between SIGTERM and SIGKILL."""
SDK = "workers-runtime-sdk==1.9.5"
"""Package with the module `workers`."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="offline-python-workers",
        usage="%(prog)s [-h] [--config FILE] [--packages DIR] [folder] [-- OPTION …]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="folder of the Worker (default: this one)")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration, in JSON with comments; its paths count from the Worker's folder (default: wrangler.jsonc)",
    )
    parser.add_argument(
        "--packages",
        type=Path,
        metavar="DIR",
        help="packages for Pyodide, the SDK among them, as pip or pywrangler installs them (default: python_modules)",
    )
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:end])
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        worker = Worker.read(options.folder.resolve(), options.packages, options.config)
        worker.prepare()
        return worker.serve(sys.argv[end + 1 :])
    except (ConfigurationError, subprocess.CalledProcessError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@dataclass(frozen=True)
class Worker:
    """A Worker, and the folder in which its run is laid out."""

    folder: Path
    file: Path
    """The configuration's file."""
    configuration: Configuration
    packages: Path
    """Packages as they were installed."""

    @classmethod
    def read(cls, folder: Path, packages: Path | None = None, file: Path | None = None) -> "Worker":
        """Read the Worker of a folder. Raises ConfigurationError if it cannot be run."""
        file = (file or folder / "wrangler.jsonc").resolve()
        own = configuration.read(file)
        installed = (packages or folder / "python_modules").resolve()
        if not (installed / "workers").is_dir():
            raise ConfigurationError(f"{installed} lacks the SDK. Run: {_install_command(installed)}")
        return cls(folder, file, own, installed)

    @property
    def _made(self) -> Path:
        return self.folder / ".offline-python-workers"

    @property
    def _main(self) -> Path:
        return self.folder / self.configuration["main"]

    @property
    def _run(self) -> Path:
        return self._made / "run"

    def prepare(self) -> None:
        """Lay out the run. The interpreter is compiled once, the packages again after each change of them."""
        self._made.mkdir(exist_ok=True)
        pyodide = _pyodide_version(self.folder)
        self._make("interpreter", pyodide)
        self._make("packages", f"{pyodide} {self.packages} {_last_change(self.packages)}")
        shutil.rmtree(self._run, ignore_errors=True)
        excluded = self.configuration.get("python_modules", {}).get("exclude", [])
        classes = configuration.configured_classes(self.configuration)
        made = (self._made / "interpreter", self._made / "packages")
        stage.lay_out(self._run, self._main, classes, *made, excluded=excluded, project=self.folder)
        for file in (*self.folder.glob(".dev.vars*"), *self.folder.glob(".env*")):
            if file.is_file():
                (self._run / file.name).symlink_to(file)  # wrangler reads them beside the configuration
        self._write_configuration(self.configuration)

    def _write_configuration(self, own: Configuration) -> None:
        local = configuration.on_local_runtime(own, self.folder)
        write_atomically(self._run / "wrangler.json", json.dumps(local).encode(), folder=self._made, mode=0o600)

    def _make(self, name: str, made_from: str) -> None:
        folder, stamp = self._made / name, self._made / f"{name}.made-from"
        if stamp.exists() and stamp.read_text() == made_from:
            return
        print(f"Compiling the {name} …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        if name == "packages":
            shutil.copytree(self.packages, folder)
        command = build.packages(folder) if name == "packages" else build.interpreter(folder)
        subprocess.run(command, cwd=self.folder, check=True)
        stamp.write_text(made_from)

    def serve(self, options: list[str]) -> int:
        """Run `wrangler dev` until it ends or this program is interrupted. Returns its exit status."""
        usual = {"--persist-to": str(self._made / "state"), "--show-interactive-dev-session": "false"}
        names = {option.partition("=")[0] for option in options}
        defaults = [f"{name}={value}" for name, value in usual.items() if name not in names]
        command = ["npx", "wrangler", "dev", "--config", str(self._run / "wrangler.json"), *defaults, *options]
        wrangler = subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, **OFFLINE}, stdin=subprocess.DEVNULL, start_new_session=True
        )
        stop = threading.Event()
        watch = threading.Thread(target=self._stage_edits, args=(stop,))
        watch.start()
        try:
            return wrangler.wait()
        finally:
            stop.set()
            _end_group(wrangler)
            watch.join()

    def _stage_edits(self, stop: threading.Event) -> None:
        classes = configuration.configured_classes(self.configuration)
        for changes in watchfiles.watch(self._main.parent, self.file, stop_event=stop):
            if any(path == str(self.file) for _, path in changes):
                classes = self._restage_configuration() or classes
            stage.update(self._run, self._main, classes)

    def _restage_configuration(self) -> dict[str, str] | None:
        """Follow an edit of the configuration. Returns the classes it names; None if it cannot be run, and says why."""
        try:
            edited = configuration.read(self.file)
        except ConfigurationError as error:
            print(error, file=sys.stderr)
            return None
        self._write_configuration(edited)
        return configuration.configured_classes(edited)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started: npx, wrangler and workerd are three."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_STOP)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _pyodide_version(folder: Path) -> str:
    """Version of the npm package pyodide that a Worker's folder has. Raises ConfigurationError if it has none."""
    for parent in (folder, *folder.parents):
        manifest = parent / "node_modules/pyodide/package.json"
        if manifest.is_file():
            return str(json.loads(manifest.read_text())["version"])
    raise ConfigurationError(f"{folder} lacks the npm package pyodide: npm install pyodide@314.0.7 wrangler")


def _install_command(packages: Path) -> str:
    """The command that installs the SDK for Pyodide, in the version that this package is tested with."""
    return shlex.join([sys.executable, "-m", "pip", "install", "--target", str(packages), *build.PYODIDE_WHEELS, SDK])


def _last_change(folder: Path) -> float:
    """Time of the last change of a file or folder in `folder`, in seconds since 1970."""
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


if __name__ == "__main__":
    sys.exit(main())
