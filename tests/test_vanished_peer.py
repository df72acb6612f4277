# SPDX-License-Identifier: Apache-2.0
"""Peers that vanish without a FIN or an RST, and peers that only stop reading, on a network that can be cut.

To test a pause of ten minutes:
PROXXY_TEST_PAUSE=600 /usr/bin/python3 -m pytest -s tests/test_vanished_peer.py -k pauses --timeout 900
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from typing import Any, Callable, Iterator

import pytest
from conftest import console
from lib.activator import Activator
from lib.certs import Authority, Cert
from lib.payload import seal, target
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, PING, PONG, Client, encode_frame, upgrade_request
from lib.wirecut import HERE, THERE, Network

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="network namespaces need root")
PAUSE = float(os.environ.get("PROXXY_TEST_PAUSE", 6))
UPSTREAM_SECONDS = 60


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


class Anywhere(Activator):
    """An activator that listens on the network's near end."""

    def command(self) -> list[Any]:
        return [word.replace("127.0.0.1:", f"{HERE}:") if isinstance(word, str) else word for word in super().command()]


def connect(network: Network, proxxy: Activator, cert: Cert, key: str, port: int, host: str = "127.0.0.1") -> Client:
    """Opens a console from the far end; returns the client."""
    sock = network.run(socket.socket)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    sock.settimeout(5)
    sock.connect((HERE, proxxy.port))
    client = Client(sock)
    client.send(upgrade_request(proxxy.port, target(seal(console(port, host), key)), {}))
    assert client.read_head().status == 101
    return client


def hold(c: Connection) -> None:
    c.accept_upgrade()
    c.sock.settimeout(None)
    while c.sock.recv(65536):
        pass


def draw(c: Connection) -> None:
    """A console that sends data without pause."""
    c.accept_upgrade()
    c.sock.settimeout(None)
    for n in range(1 << 30):
        c.sock.sendall(encode_frame(BINARY, struct.pack(">I", n) * 2500))


def tcp_info(proxxy: Activator) -> dict[str, int]:
    """Returns TCP_INFO of the session's connection to the client, from a copy of its socket."""
    pids = proxxy.sessions()
    assert len(pids) == 1, proxxy.log()
    pid = pids[0]
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    fd = libc.syscall(438, pidfd, 0, 0)  # pidfd_getfd(2)
    os.close(pidfd)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    with socket.socket(fileno=fd) as copy:
        raw = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    state, _, retransmits, probes, backoff = raw[:5]
    words = struct.unpack("24I", raw[8:104])
    return {
        "state": state, "retransmits": retransmits, "probes": probes, "backoff": backoff,
        "unacked": words[4], "last_data_sent": words[9], "last_ack_recv": words[12],
    }  # fmt: skip


# If Proxmox goes on sending after proxxy's Close, proxxy reads for up to LINGER_MS.
@pytest.mark.parametrize("script, goodbye", [(hold, 0.0), (draw, 3.0)], ids=["quiet", "drawing"])
def test_client_that_vanishes_is_noticed_within_two_pings(
    network: Network,
    settings: dict[str, Any],
    cert: Cert,
    key: str,
    script: Callable[[Connection], None],
    goodbye: float,
) -> None:
    interval = 3
    with Upstream(cert, script) as upstream, Anywhere(settings | {"PROXXY_PING_INTERVAL": interval}) as proxxy:
        client = connect(network, proxxy, cert, key, upstream.port)
        if script is draw:
            client.read_data(100_000)
        time.sleep(0.5)
        network.pull()
        gone = time.monotonic()
        time.sleep(interval)
        print("\nvanished:", tcp_info(proxxy))
        log = proxxy.wait_log("Session ended", 3 * interval)
        assert time.monotonic() - gone < 2 * interval + goodbye + 0.7
        assert "outcome=client-silent" in log and "close_code" not in log
        proxxy.wait_sessions(0)


def test_short_outage_ends_no_session(network: Network, settings: dict[str, Any], cert: Cert, key: str) -> None:
    """The network is cut for less than a Ping interval while the console sends data."""
    interval = 8
    with Upstream(cert, draw) as upstream, Anywhere(settings | {"PROXXY_PING_INTERVAL": interval}) as proxxy:
        client = connect(network, proxxy, cert, key, upstream.port)
        client.read_data(100_000)
        client.send_frame(BINARY, b"key")
        time.sleep(0.2)
        network.pull()
        time.sleep(0.75 * interval)
        network.plug()
        client.sock.settimeout(interval)
        client.read_data(2_000_000)
        assert len(proxxy.sessions()) == 1


def test_client_that_pauses_stays(network: Network, settings: dict[str, Any], cert: Cert, key: str) -> None:
    """The client reads nothing for many Ping intervals while the console sends data. Then it reads on, and no byte is
    missing."""
    with Upstream(cert, draw) as upstream, Anywhere(
        settings | {"PROXXY_PING_INTERVAL": 1 if PAUSE < 60 else 20}
    ) as proxxy:
        client = connect(network, proxxy, cert, key, upstream.port)
        client.read_data(10_000)
        end = time.monotonic() + PAUSE
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, max(2.0, PAUSE / 10)))
            print("\npaused:", tcp_info(proxxy), end="")
        for n in range(1, 500):
            while (frame := client.read_frame()).opcode == PING:
                client.send_frame(PONG)
            assert frame.payload == struct.pack(">I", n) * 2500
        client.sock.close()


# After 44 s keepalive is about to end the connection; unacknowledged data stops keepalive.
@pytest.mark.parametrize("typing", [1e9, 0, 44], ids=["nobody types", "someone types", "someone types late"])
def test_proxmox_that_vanishes_is_noticed_within_a_minute(
    network: Network, settings: dict[str, Any], authority: Authority, key: str, typing: float
) -> None:
    far = authority.leaf("far", ips=(THERE,))

    def stay(c: Connection) -> None:
        c.accept_upgrade()
        c.hang()

    with network.run(lambda: Upstream(far, stay, address=THERE)) as upstream, Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port, THERE), key))) as client:
            client.send_frame(BINARY, b"x")
            time.sleep(0.5)
            network.pull()
            gone = time.monotonic()
            while "Session ended" not in proxxy.log() and time.monotonic() < gone + UPSTREAM_SECONDS + 10:
                if time.monotonic() > gone + typing:
                    client.send_frame(BINARY, b"x")
                client.sock.settimeout(0.5)
                try:
                    frame = client.read_frame(0.5)
                except TimeoutError:
                    continue
                if frame.opcode != PING:
                    break
                client.send_frame(PONG)
            noticed = time.monotonic() - gone
            assert 20 < noticed < UPSTREAM_SECONDS
            print(f"\nnoticed after {noticed:.1f} s: {frame.payload[2:].decode()}")
            assert frame.payload[:2] == struct.pack(">H", 1011), frame
