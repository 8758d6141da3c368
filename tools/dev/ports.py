"""Choice of ports for servers that are about to start."""

import errno
import random
import socket

CLAIMABLE = range(20000, 32768)
"""Ports below those that systems give to outgoing connections (Linux: from 32768; macOS and Windows: from 49152).

One of those may be in use by the time the server that is to listen on it has started.
"""

_claims: list[socket.socket] = []


def claim(host: str = "127.0.0.1") -> int:
    """Return a free TCP port of `host` that this function gives to nobody else while this process runs.

    A UDP socket with the same number is the claim: TCP is left to the server. Raises OSError if `host` is not an
    address of this machine, or if all ports are in use.
    """
    for port in random.sample(CLAIMABLE, len(CLAIMABLE)):
        claimed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claimed.bind(("127.0.0.1", port))
            check(host, port)
        except OSError as error:
            claimed.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            _claims.append(claimed)
            return port
    raise OSError(errno.EADDRINUSE, f"all of {CLAIMABLE.start} to {CLAIMABLE.stop - 1} are in use")


def next_free(host: str, first: int) -> int | None:
    """Return the first port from `first` on that is free now; None if none of a hundred is."""
    lowest = max(first, 1024)  # below, only root may listen
    for port in range(lowest, min(lowest + 100, 65536)):
        try:
            check(host, port)
        except OSError:
            continue
        return port
    return None


def check(host: str, port: int) -> None:
    """Raise OSError if a server could not listen on this port now."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
