"""pytest plugin that reports a run file by file instead of with dots.

It writes a line when the last test of a file has ended, a line for each failure at once, and a line that names the
running tests when nothing was written for `QUIET_SECONDS`. Lines are never rewritten, so that a terminal and a log of
CI show the same. Before pytest's own summary it lists the files that took longest. With -v or -q, pytest's own output
stays as it is.

Works with pytest-xdist and without. To be used with `-o console_output_style=classic`.
"""

import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable

import pytest

QUIET_SECONDS = 20.0
"""Time without a line after which the running tests are named."""
MAX_NAMED = 3
"""Number of running tests that such a line names."""
MAX_SLOWEST = 15
"""Number of files in the list of those that took longest."""
PHASES = ("setup", "call", "teardown")
"""Values of `when` in reports of tests that have run. The report of a crashed process has another one."""


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    is_worker = hasattr(config, "workerinput")
    if reporter and not is_worker and config.get_verbosity() == 0 and not config.option.collectonly:
        reporter.showfspath = False
        config.pluginmanager.register(Progress(reporter), "progress")


class Progress:
    """State of a test run, and the pytest hooks that keep it up to date."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._began = self._last_written = time.monotonic()
        self._planned: Counter[str] = Counter()
        """Number of tests by file."""
        self._outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Number of tests by outcome, by file. A test whose teardown fails has two."""
        self._seconds: defaultdict[str, float] = defaultdict(float)
        """Duration by file, with setup and teardown."""
        self._running: dict[str, float] = {}
        """Start of each running test, by its id."""
        self._ended: dict[str, set[str]] = defaultdict(set)
        """Ids of the tests that have ended, by file."""
        self._over = threading.Event()
        # a test in this process has standard output captured while it runs, so the watcher writes to a duplicate
        self._terminal = os.dup(1)
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    # ---- events -------------------------------------------------------------------------------------------------

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._plan(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        self._plan(ids)

    def _plan(self, ids: Iterable[str]) -> None:
        self._planned = Counter(map(_file, ids)) or self._planned

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if not self._watcher.is_alive() and not self._over.is_set():
            self._watcher.start()
        self._running[nodeid] = time.monotonic()

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, tuple[str, str, object], tuple[str, str, object]]:
        category, _, word = yield
        return category, "", word

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = _file(report.nodeid)
        self._seconds[file] += report.duration
        if report.failed or report.when == "call" or (report.when == "setup" and report.skipped):
            self._outcomes[file][_outcome(report)] += 1
        if report.failed:
            self._write(f"FAILED {report.nodeid}", red=True)
        if report.when not in PHASES:
            self._end(report.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._end(nodeid)

    def _end(self, nodeid: str) -> None:
        file = _file(nodeid)
        self._running.pop(nodeid, None)
        self._ended[file].add(nodeid)
        if len(self._ended[file]) == self._planned[file]:
            outcomes = ", ".join(f"{number} {outcome}" for outcome, number in self._outcomes[file].items())
            self._write(f"{file}: {outcomes} in {self._seconds[file]:.1f} s")

    def pytest_sessionfinish(self) -> None:
        self._over.set()

    def pytest_terminal_summary(self) -> None:
        slowest = sorted(self._seconds.items(), key=lambda each: -each[1])[:MAX_SLOWEST]
        if len(slowest) > 1:
            self._reporter.section("slowest files", "=")
            for file, seconds in slowest:
                self._reporter.write_line(f"{seconds:7.1f} s  {self._planned[file]:4} tests  {file}")

    # ---- output -------------------------------------------------------------------------------------------------

    def _line(self, text: str) -> str:
        """A line with the time, the numbers of files and tests that have ended, and the text."""
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        files = sum(len(self._ended[file]) == number for file, number in self._planned.items())
        tests = sum(map(len, self._ended.values()))
        of_files, of_tests = str(len(self._planned)), str(self._planned.total())
        counts = f"{files:{len(of_files)}}/{of_files} files {tests:{len(of_tests)}}/{of_tests} tests"
        self._last_written = time.monotonic()
        return f"[{minutes:2}:{seconds:02} {counts}] {text}"

    def _write(self, text: str, **markup: bool) -> None:
        self._reporter.write_line(self._line(text), **markup)
        self._reporter.flush()

    def _watch(self) -> None:
        while not self._over.wait(1):
            if time.monotonic() - self._last_written >= QUIET_SECONDS and self._running:
                now = time.monotonic()
                named = [f"{nodeid} ({now - began:.0f} s)" for nodeid, began in list(self._running.items())]
                line = self._line(f"running: {', '.join(named[:MAX_NAMED])}")
                os.write(self._terminal, f"{line}\n".encode())


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _outcome(report: pytest.TestReport) -> str:
    if report.failed and report.when != "call":
        return "error"
    return "xfailed" if hasattr(report, "wasxfail") else report.outcome
