"""The client of the stand-in, for tests: starts and stops its process, and sets what a test needs."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import V8_FLAGS, unmeasured
from tests.deploy.cloudflare_api.faults import Kind, Moment
from tests.deploy.cloudflare_api.settings import ACCOUNT_ID, TOKEN, Permission, Plan, Settings, TokenKind
from tools import ROOT
from tools.dev import ports
from tools.dev.processes import end_with_parent
from tools.setup.install import VENV


@dataclass
class CloudflareAccount:
    """An account at the stand-in. A context manager: the process runs while it is open."""

    data: Path
    """Folder of all state, which outlives the process."""
    port: int = 0
    """Port of the API; 0 for a free one."""
    edge_port: int = 0
    token: str = TOKEN
    account_id: str = ACCOUNT_ID
    lines: list[str] = field(default_factory=list[str])
    """Output of the process."""
    _was_changed: bool = False
    """True if something may have been created that the journal does not show."""

    def __enter__(self) -> "CloudflareAccount":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process on its ports; all that it did before is there."""
        self._was_changed = self._was_changed or self.data.exists()
        self.port, self.edge_port = self.port or ports.claim(), self.edge_port or ports.claim()
        command = [sys.executable, "-m", "tests.deploy.cloudflare_api", "--port", str(self.port)]
        command += ["--edge-port", str(self.edge_port), "--data", str(self.data)]
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(), text=True, start_new_session=True, preexec_fn=end_with_parent,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()
        address = f"http://127.0.0.1:{self.port}/_control"
        self._client = httpx.Client(base_url=address, timeout=60, trust_env=False, verify=False)
        self._ready.wait(60)
        assert self._process.poll() is None, "The stand-in has not started:\n" + "\n".join(self.lines)

    def stop(self) -> None:
        """End the process, and the Worker on the edge with it."""
        self._client.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith("Ready on "):
                self._ready.set()
        self._ready.set()

    @property
    def base_url(self) -> str:
        """Return the value for CLOUDFLARE_API_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/client/v4"

    @property
    def edge_url(self) -> str:
        """Return the address at which the active version answers."""
        return f"http://127.0.0.1:{self.edge_port}"

    # ---- what has happened -----------------------------------------------------------------------

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """Requests so far (method, path, query, status), oldest first; `path` is a regular expression to find."""
        entries: list[dict[str, Any]] = self._ask("GET", "journal")["requests"]
        return [each for each in entries if method in ("", each["method"]) and re.search(path, each["path"])]

    def unknown_requests(self) -> list[str]:
        """Return the calls that the stand-in does not know, as `METHOD PATH`."""
        return self._ask("GET", "journal")["unknown"]

    def clear_requests(self) -> None:
        self._was_changed = self.was_changed
        self._ask("DELETE", "journal")

    @property
    def was_changed(self) -> bool:
        """Whether something may have been made in it, of what `reset` leaves."""
        writing = (each for each in self.requests() if each["method"] not in ("GET", "HEAD"))
        return self._was_changed or any(each["status"] < 400 for each in writing)

    def edge(self) -> dict[str, Any]:
        """Return what the edge serves: `condition`, `script`, `version_id`, and the `log` of the runtime."""
        return self._ask("GET", "edge")

    def wait_for_edge(self, version_id: str | None = None, seconds: float = 60) -> dict[str, Any]:
        """Wait until the edge serves a version, this one if it is given, and return what `edge` does."""
        deadline = time.monotonic() + seconds
        while True:
            edge = self.edge()
            if edge["condition"] == "ready" and version_id in (None, edge["version_id"]):
                return edge
            log = "\n".join(edge["log"])
            assert edge["condition"] != "failed", f"The edge cannot run the version:\n{log}"
            assert time.monotonic() < deadline, f"After {seconds} s the edge is {edge['condition']}:\n{log}"
            time.sleep(0.2)

    def reset(self) -> None:
        """Take back all that a test can set: settings, faults and the journal."""
        self.release()
        self.token = TOKEN
        self._set(**Settings().model_dump(mode="json"))
        self._ask("DELETE", "journal")

    # ---- what shall happen -----------------------------------------------------------------------

    def set_permissions(self, permissions: Iterable[Permission]) -> None:
        self._set(permissions=sorted(permissions))

    def drop_permission(self, *permissions: Permission) -> None:
        held: list[Permission] = self._ask("GET", "settings")["permissions"]
        self.set_permissions(set(held) - set(permissions))

    def set_token(self, token: str) -> None:
        """Replace the token by another one (forty characters or more): the old one is unknown from now on."""
        self._set(token=token)
        self.token = token

    def set_token_kind(self, kind: TokenKind) -> None:
        self._set(token_kind=kind)

    def set_plan(self, plan: Plan) -> None:
        self._set(plan=plan)

    def set_accounts(self, **names: str) -> None:
        """The accounts of the token: id → name."""
        self._set(accounts=[{"id": account, "name": name} for account, name in names.items()])

    def set_subdomain(self, label: str | None, account_id: str | None = None) -> None:
        """Register the label under workers.dev, or none."""
        subdomains: dict[str, str] = self._ask("GET", "settings")["subdomains"]
        subdomains.pop(account_id or self.account_id, None)
        self._set(subdomains=subdomains | ({account_id or self.account_id: label} if label else {}))

    def set_taken_subdomains(self, *labels: str) -> None:
        self._set(taken_subdomains=list(labels))

    def enable_r2(self, *, enabled: bool) -> None:
        self._set(r2_enabled=enabled)

    def set_max_databases(self, limit: int) -> None:
        """Set the number of D1 databases above which others are refused with 7406."""
        self._set(max_databases=limit)

    def serve_on_edge(self, script: str | None) -> None:
        """Have the edge serve this Worker; None: the one activated last."""
        self._set(edge_script=script)

    def fail(
        self, method: str, path: str, *, status: int = 500, body: Any = None, times: int = 1, moment: Moment = "before"
    ) -> None:
        """Answer the next requests that match with this. `path` is a regular expression, `method` may be `*`.

        moment: "after" lets the request take effect first.
        """
        error = {"success": False, "errors": [{"code": 10013, "message": "An unknown error has occurred."}]}
        self._fault("answer", method, path, status=status, body=body or error, times=times, moment=moment)

    def hang_up(self, method: str, path: str, *, times: int = 1, moment: Moment = "before") -> None:
        """Close the connection of the next requests that match, without an answer."""
        self._fault("hang_up", method, path, times=times, moment=moment)

    def hold(self, method: str, path: str, *, times: int = 1, moment: Moment = "before") -> None:
        """Let the next requests that match wait until `release`."""
        self._fault("hold", method, path, times=times, moment=moment)

    def wait_until_met(self, seconds: float = 150) -> None:
        """Wait until a request has met each of the faults."""
        deadline = time.monotonic() + seconds
        while not all(fault["seen"] for fault in self._ask("GET", "faults")):
            assert time.monotonic() < deadline, f"After {seconds} s no request has met the fault."
            time.sleep(0.1)

    def release(self) -> None:
        """Let held requests go on, and delete all faults."""
        self._ask("DELETE", "faults")

    def _fault(self, kind: Kind, method: str, path: str, **options: Any) -> None:
        self._ask("POST", "faults", {"kind": kind, "method": method, "path": path, **options})

    def _set(self, **settings: Any) -> None:
        self._ask("PATCH", "settings", settings)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        response = self._client.request(method, f"/{path}", json=body)
        response.raise_for_status()
        return response.json()


def _environment() -> dict[str, str]:
    """Return the environment in which the process finds the packages of this checkout and node."""
    modules = (str(ROOT), *(str(source) for source in ROOT.glob("packages/*/src")))
    path = (str(VENV / "bin"), os.environ["PATH"])
    paths = {"PYTHONPATH": os.pathsep.join(modules), "PATH": os.pathsep.join(path)}
    return {**unmeasured(), **V8_FLAGS, **paths}
