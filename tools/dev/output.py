"""The output of wrangler and the Worker, as scripts/dev shows it."""

import asyncio
import re
import sys

from tools import ROOT
from tools.dev import request_line
from tools.dev.long_steps import LongStep
from tools.dev.plan import Plan

READY = re.compile(r"Ready on (http://\S+)")
RELOADING = re.compile(r"Reloading local server")
RELOADED = re.compile(r"Local server updated and ready")
CRASHED = re.compile(r"The Workers runtime crashed unexpectedly")
NOISE = re.compile(
    r"""^\s*$                                       # wrangler spaces its paragraphs
    | ^\s*[├│┌└] | ^[─]+$ | wrangler\ \d           # tables and rules
    | Processing\ .*\ configuration: | "unsafe"\ fields\ are\ experimental
    | Your\ Worker\ has\ access\ to | ^Binding\s+Resource | ^env\.\S+\s
    | Attaching\ additional\ modules | Starting\ local\ server | Reloading\ local\ server
    | Scheduled\ Workers\ are\ not\ automatically | To\ manually\ trigger\ a\ scheduled\ event
    | curl\ "\S+/cdn-cgi/local/scheduled | For\ more\ details,\ see\ .*/cron-triggers/
    | Using\ (vars|secrets)\ defined\ in | Parsed\ \d+\ valid\ header\ rule
    """,
    re.VERBOSE,
)
"""Matches lines of wrangler that scripts/dev does not show."""
BINDING = re.compile(r"^env\.\S+\s")
"""Matches a line of wrangler's table of bindings, which shows the values of variables."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""Matches a change of colour. wrangler colours errors even for a pipe that wants none."""
ERROR = re.compile(r"^✘ \[ERROR\] (?:Uncaught PythonError: )?")
"""Matches the start of an error, whose further lines are empty or indented by two spaces."""
STACK = re.compile(r"^\s+(?:at\s.*|Error)$")
"""Matches a line of JavaScript's stack, which is that of the interpreter below a Python traceback."""
ERROR_SECONDS = 0.3
"""Time without a further line after which an error is complete."""
HOME = "/session/metadata/"
"""Folder of the Worker's modules inside the interpreter."""
PAGES = {"Console": "", "API": "/docs"}
"""Pages of the Worker: name → path."""


class Output:
    """The output of one run of wrangler, without NOISE."""

    def __init__(self, made: Plan, host: str, log: str) -> None:
        """log: `lines` or `json`, as scripts/dev takes it."""
        self._made = made
        self._host = host
        # another project's Worker logs no line for each request, so wrangler's are shown
        self._shown = _shown if made.project != ROOT else _shown_readably if log == "lines" else _shown_as_json
        self._unshown: list[str] | None = []
        """NOISE until the Worker is up; None afterwards."""
        self._error: list[str] = []
        """Lines of the error that is being read."""
        self._last_error = ""
        """The error that was shown last: workerd and wrangler both report an exception."""
        self._timer: asyncio.TimerHandle | None = None
        self._step = LongStep()
        self._step.start("Starting the Worker")

    def take(self, line: str) -> None:
        """Print a line, or what takes its place; nothing for NOISE."""
        line = COLOUR.sub("", line).replace(f"{HOME}python_modules/", "python_modules/").replace(HOME, self._sources)
        if ERROR.match(line) or (self._error and (line.startswith("  ") or not line)):
            self._take_error(line)
            return
        self._show_error()
        if ready := READY.search(line):
            self._announce(_address(ready[1], self._host))
        elif RELOADED.search(line):
            self._step.end()
            print("Reloaded", flush=True)
        elif RELOADING.search(line):
            self._last_error = ""
            self._step.start("Loading the Worker again")
        elif not NOISE.search(line):
            self._show(line)
        elif self._unshown is not None:
            self._unshown.append(line)

    @property
    def _sources(self) -> str:
        """The folder of the Worker's modules, from the project's: `src/`."""
        folder = self._made.main.parent.relative_to(self._made.project).as_posix()
        return "" if folder == "." else f"{folder}/"

    def _show(self, line: str) -> None:
        if request_line.is_request(line):
            self._last_error = ""
        if (shown := self._shown(line)) is not None:
            print(shown, flush=True)

    def _take_error(self, line: str) -> None:
        if ERROR.match(line):
            self._show_error()
            self._error = [ERROR.sub("", line)]
        elif line and not STACK.match(line):
            self._error.append(line.removeprefix("  "))
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(ERROR_SECONDS, self._show_error)

    def _show_error(self) -> None:
        """Print the error that has been read, unless it is the one that was shown last."""
        text = "\n".join(self._error).rstrip()
        self._error = []
        if text and text != self._last_error:
            self._last_error = text
            print(text if text.startswith(("Traceback", "  File")) else f"ERROR {text}", flush=True)

    def _announce(self, address: str) -> None:
        self._step.end()
        self._unshown = None
        pages = {name: address + path for name, path in PAGES.items()} if self._made.project == ROOT else {}
        if self._made.simulator:
            pages["Simulator"] = self._made.configuration["vars"]["SIMULATOR_URL"]
        print(f"Ready on {address}", *(f"  {name:<9} {page}" for name, page in pages.items()), sep="\n", flush=True)

    def end(self) -> None:
        """Show what has been read, and stop the lines about a step that is under way."""
        self._step.end()
        self._show_error()
        if self._timer:
            self._timer.cancel()

    def explain(self) -> None:
        """Print what may be the reason, if the Worker has ended before it was up."""
        if self._unshown:
            print(*(line for line in self._unshown if not BINDING.search(line)), sep="\n", file=sys.stderr)


def _shown(line: str) -> str:
    return re.sub(r"^\[wrangler:info\] ", "", line)


def _shown_as_json(line: str) -> str | None:
    return None if request_line.WRANGLER_LINE.match(line) else _shown(line)


def _shown_readably(line: str) -> str | None:
    return request_line.readable(line) or _shown_as_json(line)


def _address(announced: str, host: str) -> str:
    """Address to call: with the name `localhost` if the server listens there, else as wrangler announces it."""
    port = announced.rpartition(":")[2]
    return f"http://localhost:{port}" if host in ("127.0.0.1", "localhost", "0.0.0.0") else announced  # noqa: S104
