# SPDX-License-Identifier: Apache-2.0
"""A client or a Proxmox that reads slowly loses no byte, and the session's memory stays small."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any

import pytest
from conftest import Open
from lib.activator import Activator
from lib.upstream import Connection
from lib.wire import BINARY, encode_frame

MIB = 1 << 20


def test_slow_client_gets_every_byte(scripted: Open, proxxy: Activator) -> None:
    """The console sends 80 MiB, of which the original program lost 24."""
    block = os.urandom(131072)
    count = 80 * MIB // len(block)

    def flood(c: Connection) -> None:
        c.accept_upgrade()
        c.sock.settimeout(60)
        for n in range(count):
            c.send(encode_frame(BINARY, n.to_bytes(4, "big") + block[4:]), 60)
        c.close_notify()

    client = scripted(flood)
    time.sleep(1.5)  # the client does not read, so all buffers fill up
    memory = resident(proxxy)
    for n in range(count):
        frame = client.read_frame(30)
        assert frame.payload[:4] == n.to_bytes(4, "big") and frame.payload[4:] == block[4:]
    assert client.close_code() == (1000, "Console closed")
    assert memory < 24 * MIB


def resident(proxxy: Activator) -> int:
    """Returns the resident memory of the last session's process in bytes."""
    pid = proxxy.sessions()[-1]
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_slow_upstream_means_bounded_memory(scripted: Open, proxxy: Activator) -> None:
    release = threading.Event()
    size = 32 * MIB
    data = os.urandom(size)
    got: list[bytes] = []

    def slow(c: Connection) -> None:
        c.accept_upgrade()
        release.wait(20)
        got.append(c.read_data(size, 60))
        c.send_frame(BINARY, b"all")
        c.close_notify()

    client = scripted(slow)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    sender = threading.Thread(target=lambda: client.send(encode_frame(BINARY, data, mask=b"\0\0\0\0"), 60))
    sender.start()
    time.sleep(1.5)
    assert sender.is_alive()  # back-pressure: it could not send everything
    assert resident(proxxy) < 24 * MIB
    release.set()
    sender.join()
    assert client.read_data(3, 30) == b"all"
    assert client.close_code(30) == (1000, "Console closed")
    assert got == [data]


def test_client_that_leaves_while_upstream_does_not_read_is_noticed(settings: dict[str, Any], scripted: Open) -> None:
    with Activator(settings | {"PROXXY_PING_INTERVAL": 0}) as proxxy:
        client = scripted(lambda c: (c.accept_upgrade(), c.hang()), proxxy)
        client.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            client.sock.sendall(encode_frame(BINARY, b"z" * (32 << 20), mask=b"\0\0\0\0"))
        client.reset()
        proxxy.wait_sessions(0, 8)
        assert "outcome=client-gone" in proxxy.wait_log("Session ended")
