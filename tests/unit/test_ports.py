import socket

import pytest

from tools.dev import ports


def test_a_claimed_port_is_free_for_a_server() -> None:
    port = ports.claim()
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))


def test_a_port_is_claimed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "CLAIMABLE", ports.CLAIMABLE[:200])
    claimed = [ports.claim() for _ in range(100)]
    assert len(set(claimed)) == 100


def test_a_port_that_a_server_listens_on_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", taken := ports.claim()))
        server.listen()
        monkeypatch.setattr(ports, "CLAIMABLE", range(taken, taken + 1))
        with pytest.raises(OSError, match="in use"):
            ports.claim()


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OSError, match="assign"):
        ports.claim("192.0.2.1")  # documentation address, RFC 5737
