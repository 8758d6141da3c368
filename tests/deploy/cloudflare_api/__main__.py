"""`python -m tests.deploy.cloudflare_api --port P --edge-port E --data DIR`: the stand-in as a process."""

import argparse
import asyncio
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.deploy.cloudflare_api.application import application
from tests.deploy.cloudflare_api.edge import Edge
from tests.deploy.cloudflare_api.platform import Platform
from tests.deploy.cloudflare_api.store import Store
from tools import ROOT
from tools.dev import ports
from tools.dev.plan import ENVIRONMENT
from tools.dev.processes import Child, Children, adopt_orphans, end_orphans, stopping
from tools.setup.install import PYTHON


class Protocol(H11Protocol):
    """Gives the application its connection, so that it can hang up."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            extensions = {**scope.get("extensions", {}), "transport": transport}
            await app({**scope, "extensions": extensions}, receive, send)

        self.app = with_transport


class Server(uvicorn.Server):
    """Says when it is ready, and leaves signals to us: uvicorn raises them again before our children have ended."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(f"Ready on http://127.0.0.1:{self.config.port}/client/v4\n")
        sys.stdout.flush()


async def _serve(port: int, edge_port: int, data: Path, edge_script: str | None) -> None:
    simulator = f"127.0.0.1:{ports.claim()}"
    async with Children() as children:
        command = [str(PYTHON), "-m", "workers_ai_simulator", "--port", simulator.rpartition(":")[2]]
        command += ["--data", str(data / "simulator"), "--tokens-per-second", "0"]
        child = await children.start(command, ENVIRONMENT, ROOT)
        await _wait_until_ready(child)
        draining = asyncio.create_task(_drain(child))
        platform = Platform(data, Store(data / "account.sqlite"), Edge(data, edge_port, simulator), simulator)
        if edge_script:
            platform.change_settings(platform.settings.model_copy(update={"edge_script": edge_script}))
        config = uvicorn.Config(application(platform), port=port, log_level="warning", http=Protocol)
        server = Server(config)
        asking = asyncio.create_task(_end_when_asked(server))
        await server.serve()
        draining.cancel()
        asking.cancel()


async def _wait_until_ready(simulator: Child) -> None:
    async for line in simulator.lines():
        if "Ready on" in line:
            return
    sys.exit("The simulator has not started.")


async def _drain(child: Child) -> None:
    async for _ in child.lines():
        pass


async def _end_when_asked(server: uvicorn.Server) -> None:
    await stopping().wait()
    server.should_exit = True
    server.force_exit = True  # held requests would keep it waiting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--edge-port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--edge-script", help="the Worker on the edge (default: the one activated last)")
    options = parser.parse_args()
    data = options.data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    adopt_orphans()
    try:
        asyncio.run(_serve(options.port, options.edge_port, data, options.edge_script))
    finally:
        end_orphans()


if __name__ == "__main__":
    main()
