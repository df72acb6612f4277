# SPDX-License-Identifier: Apache-2.0
"""Sessions over a UNIX socket: everything works as over TCP, without TCP's options and without an address.
test_fronts_systemd.py has the drop-in for the units."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from conftest import ECHO, console
from lib.certs import Cert
from lib.fronts import UnixActivator
from lib.payload import seal, seal_jwe, target
from lib.process import wait_for
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, CLOSE, PING, PONG, Client, close_payload, encode_frame, upgrade_request

MIB = 1 << 20


def connect(path: Path, raw: bytes = b"") -> Client:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    sock.connect(str(path))
    client = Client(sock)
    client.send(raw)
    return client


def upgraded(path: Path, payload: str, before: bytes = b"", lines: bytes = b"") -> Client:
    request = upgrade_request(80, target(payload), {})
    client = connect(path, before + request[:-2] + lines + b"\r\n")
    head = client.read_head()
    assert head.status == 101, head.raw + client.read_all()
    return client


@pytest.fixture(scope="module")
def proxxy(settings: dict[str, Any]) -> Iterator[UnixActivator]:
    with UnixActivator(settings) as running:
        yield running


@contextmanager
def scripted(proxxy: UnixActivator, cert: Cert, key: str, script: Callable[[Connection], object]) -> Iterator[Client]:
    with Upstream(cert, script) as upstream, upgraded(proxxy.socket, seal(console(upstream.port), key)) as client:
        yield client


def last(proxxy: UnixActivator, words: str, count: int) -> dict[str, str]:
    """The fields of the count-th record with these words."""

    def records() -> list[str]:
        return [line for line in proxxy.log().splitlines() if words in line]

    wait_for(lambda: len(records()) >= count, 15, lambda: f"{count} records awaited:\n{proxxy.log()}")
    return dict(re.findall(r" ([a-z_]+)=(\S+)", records()[count - 1]))


def test_session_relays_and_ends_in_order(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    sent = os.urandom(5 * MIB)
    with UnixActivator(settings) as proxxy:
        with upgraded(proxxy.socket, seal(standin.console("qemu", ECHO), key)) as client:
            for at in range(0, len(sent), 100_000):
                client.send_frame(BINARY, sent[at : at + 100_000])
                assert client.read_data(len(sent[at : at + 100_000])) == sent[at : at + 100_000]
            client.send_frame(CLOSE, close_payload(1000))
            assert client.close_code() == (1000, "")
            assert client.at_end()
        record = last(proxxy, "Session ended", 1)
    assert record["peer"] == "unix" and "client" not in record
    assert record["outcome"] == "client-closed" and record["close_code"] == "1000"
    assert record["bytes_up"] == record["bytes_down"] == str(len(sent))


def test_answers_reach_a_client_that_still_sends(proxxy: UnixActivator) -> None:
    """A socket that is closed while it has unread input must not cost the client its answer."""
    for raw, status in (
        (b"GET /api/status HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * 100_000, 200),
        (b"\x16\x03\x01" + b"x" * 100_000, 400),
        (b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * 50_000, 431),
    ):
        with connect(proxxy.socket, raw) as client:
            head = client.read_head()
            assert head.status == status and client.read_body(head).endswith(b"}")
            assert client.at_end()


def test_back_pressure_downwards(proxxy: UnixActivator, cert: Cert, key: str) -> None:
    block, count = os.urandom(131072), 320  # 40 MiB

    def flood(c: Connection) -> None:
        c.accept_upgrade()
        for n in range(count):
            c.send(encode_frame(BINARY, n.to_bytes(4, "big") + block[4:]), 60)
        c.close_notify()

    with scripted(proxxy, cert, key, flood) as client:
        time.sleep(1)  # the client does not read, so all buffers fill up
        assert resident(proxxy) < 24 * MIB
        for n in range(count):
            payload = client.read_frame(30).payload
            assert payload[:4] == n.to_bytes(4, "big") and payload[4:] == block[4:]
        assert client.close_code() == (1000, "Console closed")


def resident(proxxy: UnixActivator) -> int:
    """The resident memory of the last session's process in bytes."""
    statm = Path(f"/proc/{proxxy.sessions()[-1]}/statm").read_text()
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_back_pressure_upwards(proxxy: UnixActivator, cert: Cert, key: str) -> None:
    release, data, got = threading.Event(), os.urandom(24 * MIB), list[bytes]()

    def slow(c: Connection) -> None:
        c.accept_upgrade()
        release.wait(20)
        got.append(c.read_data(len(data), 60))
        c.send_frame(BINARY, b"all")
        c.close_notify()

    with scripted(proxxy, cert, key, slow) as client:
        sender = threading.Thread(target=lambda: client.send(encode_frame(BINARY, data, mask=b"\0\0\0\0"), 60))
        sender.start()
        time.sleep(1)
        assert sender.is_alive() and resident(proxxy) < 24 * MIB  # it could not send everything
        release.set()
        sender.join()
        assert client.read_data(3, 30) == b"all"
        assert client.close_code(30) == (1000, "Console closed")
    assert got == [data]


@pytest.mark.parametrize("how", ["close", "half-close", "unread data", "inside a frame"])
def test_client_that_leaves_ends_its_session(settings: dict[str, Any], standin: StandIn, key: str, how: str) -> None:
    with UnixActivator(settings) as proxxy:
        other = upgraded(proxxy.socket, seal(standin.console("qemu", ECHO), key))
        client = upgraded(proxxy.socket, seal(standin.console("qemu", ECHO), key))
        if how == "unread data":  # closing then resets the connection
            client.send_frame(BINARY, b"x" * 1000)
            assert client.sock.recv(1, socket.MSG_PEEK)
        if how == "inside a frame":
            client.send(encode_frame(BINARY, b"x" * 1000, mask=b"abcd")[:300])
        if how == "half-close":
            client.sock.shutdown(socket.SHUT_WR)
            client.read_all()
        client.sock.close()
        proxxy.wait_sessions(1, 10)
        assert last(proxxy, "Session ended", 1)["outcome"] == "client-gone"
        other.send_frame(BINARY, b"still here")
        assert other.read_data(10) == b"still here"
        other.sock.close()


def test_client_that_leaves_while_proxmox_does_not_read(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """The session reads nothing from its client then, and still notices."""
    with UnixActivator({**settings, "PROXXY_PING_INTERVAL": 0}) as proxxy:
        with scripted(proxxy, cert, key, lambda c: (c.accept_upgrade(), c.hang())) as client:
            client.sock.settimeout(1)
            with pytest.raises(TimeoutError):
                client.sock.sendall(encode_frame(BINARY, b"z" * (32 * MIB), mask=b"\0\0\0\0"))
            client.sock.close()
            proxxy.wait_sessions(0, 15)
        assert last(proxxy, "Session ended", 1)["outcome"] == "client-gone"


def test_pings(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with UnixActivator({**settings, "PROXXY_PING_INTERVAL": 1}) as proxxy:
        with upgraded(proxxy.socket, seal(standin.console("qemu", ECHO), key)) as client:
            for _ in range(3):  # a client that answers stays
                assert client.read_frame(10)[2:] == (PING, b"")
                client.send_frame(PONG)
            client.send_frame(PING, b"client's")
            while (frame := client.read_frame(10)).opcode == PING:
                pass
            assert frame[2:] == (PONG, b"client's")
            assert client.close_code(20) == (1001, "Client did not answer a Ping")
        assert last(proxxy, "Session ended", 1)["outcome"] == "client-silent"


def test_sigterm_says_goodbye(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with UnixActivator(settings) as proxxy:
        with upgraded(proxxy.socket, seal(standin.console("qemu", ECHO), key)) as client:
            os.kill(proxxy.sessions()[0], signal.SIGTERM)
            assert client.close_code() == (1001, "Session was ended by the operator")
            client.send_frame(CLOSE, close_payload(1001))
            assert client.at_end()
        assert last(proxxy, "Session ended", 1)["close_code"] == "1001"


def test_front_tells_the_client(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """A UNIX socket is trusted by default, and by "unix" in the list."""
    header = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n"
    for source, before, lines, name in (
        ("proxy-protocol", header, b"", "203.0.113.7:56324"),
        ("x-forwarded-for", b"", b"X-Forwarded-For: 203.0.113.7, unix:\r\n", "203.0.113.7"),
        ("x-real-ip", b"", b"", None),
    ):
        told = {**settings, "PROXXY_CLIENT_ADDRESS": source}
        for changed in (told, {**told, "PROXXY_TRUSTED_PROXIES": "unix"}):
            with UnixActivator(changed) as proxxy:
                upgraded(proxxy.socket, seal(standin.console("qemu", ECHO), key), before, lines).sock.close()
                record = last(proxxy, "Session ended", 1)
                assert record["peer"] == "unix" and record.get("client") == name


def test_socket_that_is_not_trusted(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    changed = {"PROXXY_CLIENT_ADDRESS": "x-real-ip", "PROXXY_TRUSTED_PROXIES": "127.0.0.1"}
    with UnixActivator({**settings, **changed}) as proxxy:
        payload, lines = seal(standin.console("qemu", ECHO), key), b"X-Real-IP: 203.0.113.7\r\n"
        upgraded(proxxy.socket, payload, lines=lines).sock.close()
        assert "client" not in last(proxxy, "Session ended", 1)


@pytest.mark.parametrize(
    "changed, words",
    [
        ({}, "the peer has no address, and PROXXY_CLIENT_ADDRESS is peer"),
        ({"PROXXY_CLIENT_ADDRESS": "x-real-ip"}, "the proxy sent no X-Real-IP"),
    ],
)
def test_claim_for_an_address_is_refused(
    settings: dict[str, Any], standin: StandIn, key: str, changed: dict[str, str], words: str
) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key, client="0.0.0.0/0")
    with UnixActivator({**settings, **changed}) as proxxy:
        with connect(proxxy.socket, upgrade_request(80, target(payload), {})) as client:
            assert client.read_head().status == 403
        assert f"another client address; {words} peer=unix" in proxxy.wait_log("Request refused")
