"""The command `workers-ai-simulator`."""

import argparse
import socket
import sys
from pathlib import Path

import uvicorn

from workers_ai_simulator.server import Simulator
from workers_ai_simulator.vectorize.store import VectorStore


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="workers-ai-simulator",
        description="Workers AI on this machine, for the real bindings of Cloudflare Workers.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8788, help="default 8788; 0: any free one")
    parser.add_argument(
        "--tokens-per-second", type=float, default=60, metavar="N",
        help="pace of streamed text (default 60; 0: as fast as it goes)",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="DIR", help="where vectors are kept (default: in memory only)")
    parser.add_argument(
        "--vectorize-delay", type=float, default=1, metavar="SECONDS",
        help="until a write to Vectorize shows (default 1; upstream it takes a few)",
    )  # fmt: skip
    options = parser.parse_args()
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it each answer waits 40 ms
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except OSError as error:
            sys.exit(
                f"Port {options.port} of {options.host} cannot be used: {error.strerror}. Choose another: --port 0"
            )
        host, port = listener.getsockname()
        database = options.data / "vectorize.sqlite" if options.data else None
        vectors = VectorStore(database, options.vectorize_delay)
        app = Simulator(vectors, options.tokens_per_second).app()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        listener.listen(128)
        print(f"Ready on http://{host}:{port}", flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
