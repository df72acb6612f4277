# SPDX-License-Identifier: Apache-2.0
"""How a session ends: by a Close or an end of TCP from either side, SIGTERM, or a violation. Other sessions go on."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
from conftest import ECHO, Open, console
from lib.activator import Activator
from lib.answers import reaches
from lib.certs import Cert
from lib.payload import seal, target
from lib.process import wait_for
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, Client, close_payload, encode_frame


def test_upstream_close_with_a_code_and_a_reason(scripted: Open) -> None:
    def close(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(CLOSE, close_payload(4001, "Auf Wiedersehen é"))
        assert c.close_code()[0] is not None

    assert scripted(close).close_code() == (4001, "Auf Wiedersehen é")


def test_upstream_close_with_a_code_alone(scripted: Open) -> None:
    def close(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(CLOSE, close_payload(1001))

    assert scripted(close).close_code() == (1001, "Upstream websocket closed")


def test_upstream_ends_without_a_close(opened: Open) -> None:
    """Proxmox ends every console this way in normal operation."""
    client, other = opened(), opened()
    client.send_frame(BINARY, b"x")
    assert client.read_data(1) == b"x"
    client.send_frame(BINARY, b"quit")
    assert client.close_code() == (1000, "Console closed")
    client.send_frame(CLOSE, close_payload(1000))
    assert client.at_end()
    other.send_frame(BINARY, b"still here")
    assert other.read_data(10) == b"still here"


def test_upstream_breaks_off_between_frames(scripted: Open) -> None:
    def broken(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, b"last")
        c.end()

    client = scripted(broken)
    assert client.read_data(4) == b"last"
    assert client.close_code() == (1011, "Proxmox: connection lost: without close_notify")


def test_upstream_breaks_off_inside_a_frame(scripted: Open, opened: Open) -> None:
    other = opened()

    def broken(c: Connection) -> None:
        c.accept_upgrade()
        c.send(encode_frame(BINARY, b"x" * 1000)[:500])
        c.close_notify()

    client = scripted(broken)
    # proxxy cannot send a Close inside a frame: it only ends TCP.
    assert client.read_all() == encode_frame(BINARY, b"x" * 1000)[:500]
    other.send_frame(BINARY, b"still here")
    assert other.read_data(10) == b"still here"


@pytest.mark.parametrize(
    "frame, code",
    [
        (encode_frame(CLOSE, b"", mask=b"abcd"), 1000),
        (encode_frame(CLOSE, close_payload(1000, "bye"), mask=b"abcd"), 1000),
        (encode_frame(CLOSE, close_payload(3333), mask=b"abcd"), 3333),
        (encode_frame(CLOSE, b"\x03", mask=b"abcd"), 1002),
        (encode_frame(CLOSE, close_payload(1005), mask=b"abcd"), 1002),
        (encode_frame(CLOSE, close_payload(999), mask=b"abcd"), 1002),
        (encode_frame(CLOSE, close_payload(1000, b"\xff\xfe"), mask=b"abcd"), 1007),
        (encode_frame(BINARY, b"unmasked"), 1002),
        (encode_frame(BINARY, b"reserved", rsv=4, mask=b"abcd"), 1002),
        (encode_frame(3, b"opcode", mask=b"abcd"), 1002),
        (encode_frame(11, b"opcode", mask=b"abcd"), 1002),
        (encode_frame(PING, b"x" * 126, mask=b"abcd"), 1002),
        (encode_frame(PING, b"", fin=0, mask=b"abcd"), 1002),
        (encode_frame(CONTINUATION, b"of nothing", mask=b"abcd"), 1002),
        (encode_frame(TEXT, b"a", fin=0, mask=b"abcd") + encode_frame(TEXT, b"b", mask=b"abcd"), 1002),
        (encode_frame(BINARY, b"x", length_bytes=2, mask=b"abcd"), 1002),
        (encode_frame(BINARY, b"x", length_bytes=8, mask=b"abcd"), 1002),
        (encode_frame(BINARY, b"", length=1 << 63, length_bytes=8, mask=b"abcd"), 1002),
    ],
)
def test_client_close_or_violation_ends_that_session_only(opened: Open, frame: bytes, code: int) -> None:
    client, other = opened(), opened()
    client.send(frame)
    assert client.close_code()[0] == code
    assert client.at_end()
    other.send_frame(BINARY, b"still here")
    assert other.read_data(10) == b"still here"


@pytest.mark.parametrize("how", ["close", "reset", "half a frame"])
def test_client_drop_ends_that_session_only(opened: Open, proxxy: Activator, how: str) -> None:
    proxxy.wait_sessions(0, timeout=20)  # sessions of the test before
    client, other = opened(), opened()
    if how == "half a frame":
        client.send(encode_frame(BINARY, b"x" * 1000, mask=b"abcd")[:300])
    if how == "reset":
        client.reset()
    else:
        client.sock.close()
    proxxy.wait_sessions(1)
    other.send_frame(BINARY, b"still here")
    assert other.read_data(10) == b"still here"


def test_client_close_reaches_upstream(opened: Open, standin: StandIn) -> None:
    client = opened()
    before = len(standin.closes)
    client.send_frame(BINARY, b"last words")
    client.send_frame(CLOSE, close_payload(1000))
    assert client.close_code() == (1000, "")
    for _ in range(100):
        if len(standin.closes) > before:
            break
        time.sleep(0.02)
    assert standin.closes[-1] == (1000, "")


def test_console_that_ends_without_a_byte(settings: dict[str, Any], scripted: Open) -> None:
    """If the guest is off, Proxmox answers 101 and then closes the connection cleanly.

    It does the same if the client's first message to a terminal has a wrong ticket.
    """

    def off(c: Connection) -> None:
        c.accept_upgrade()
        c.close_notify()

    def refuse(c: Connection) -> None:
        c.accept_upgrade()
        c.read_data(len(ticket))
        c.close_notify()

    ticket = b"root@pam:no ticket\n"
    words = "Console closed before it sent anything: the guest or its node is off"
    with Activator(settings) as proxxy:
        client = scripted(off, proxxy)
        assert client.close_code() == (1000, words)
        client.send_frame(CLOSE, close_payload(1000))
        client = scripted(refuse, proxxy)
        client.send_frame(BINARY, ticket)
        assert client.close_code() == (1000, words + ", or its terminal refused the user and ticket")
        client.send_frame(CLOSE, close_payload(1000))
        proxxy.wait_sessions(0)
        log = proxxy.log()
    assert log.count(f"Session ended: {words}") == log.count("outcome=console-empty") == log.count("bytes_down=0") == 2


@pytest.mark.parametrize("authenticated", [False, True])
def test_vnc_password_that_is_refused(settings: dict[str, Any], scripted: Open, authenticated: bool) -> None:
    """If the console ends right after the authentication, it refused the password. If the client sent more bytes
    before the end, the console accepted the password."""
    reason = b"" if authenticated else b"Authentication failed\0"

    def server(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, b"RFB 003.008\n")
        c.read_data(12)
        c.send_frame(BINARY, b"\x01\x02")
        c.read_data(1)
        c.send_frame(BINARY, bytes(16))
        c.read_data(16)
        c.send_frame(
            BINARY, (not authenticated).to_bytes(4, "big") + len(reason).to_bytes(4, "big") * bool(reason) + reason
        )
        if authenticated:
            c.read_data(1)
        c.close_notify()

    with Activator(settings) as proxxy:
        client = scripted(server, proxxy)
        assert client.read_data(12) == b"RFB 003.008\n"
        client.send_frame(BINARY, b"RFB 003.008\n")
        client.read_data(2)
        client.send_frame(BINARY, b"\x02")
        client.read_data(16)
        client.send_frame(BINARY, bytes(16))
        client.read_data(4 + (4 + len(reason) if reason else 0))
        if authenticated:
            client.send_frame(BINARY, b"\x01")
        assert client.close_code() == (
            (1000, "Console closed") if authenticated else (1008, "Console refused the VNC password")
        )
        client.sock.close()
        assert ("outcome=password-refused" in proxxy.wait_log("Session ended")) != authenticated


def test_upgrade_of_the_program_drops_nobody(
    settings: dict[str, Any], standin: StandIn, key: str, tmp_path: Any
) -> None:
    """A session goes on when the program's file is replaced."""
    with Activator(settings) as proxxy:
        copy = tmp_path / "proxxy-conn"
        copy.write_bytes(proxxy.binary.read_bytes())
        copy.chmod(0o755)
    os.environ["PROXXY_CONN"], before = str(copy), os.environ.get("PROXXY_CONN")
    try:
        with Activator(settings) as proxxy:
            client = Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key)))
            replacement = tmp_path / "new"
            replacement.write_bytes(copy.read_bytes())
            replacement.chmod(0o755)
            replacement.replace(copy)
            reaches(proxxy, standin.console("qemu", ECHO), key)
            client.send_frame(BINARY, b"old and well")
            assert client.read_data(12) == b"old and well"
            client.sock.close()
    finally:
        os.environ.pop("PROXXY_CONN")
        if before:
            os.environ["PROXXY_CONN"] = before


def test_close_while_connecting_is_answered(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings | {"PROXXY_CONNECT_TIMEOUT": 1}) as proxxy, Upstream(cert, lambda c: c.hang()) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port), key))) as client:
            client.send_frame(CLOSE, close_payload(1000))
            assert client.close_code() == (1000, "")


def test_sigterm_says_1001_to_both_sides(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            os.kill(proxxy.sessions()[0], signal.SIGTERM)
            assert client.close_code() == (1001, "Session was ended by the operator")
            client.send_frame(CLOSE, close_payload(1001))
            assert client.at_end()
        proxxy.wait_sessions(0)
        assert "outcome=terminated" in proxxy.wait_log("Session ended")
    wait_for(lambda: standin.closes and standin.closes[-1][0] == 1001, 5, "no Close at Proxmox's end")


def test_sigterm_while_connecting(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, lambda c: c.hang()) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port), key))) as client:
            wait_for(lambda: upstream.connections, 5, "never connected")
            os.kill(proxxy.sessions()[0], signal.SIGTERM)
            assert client.close_code() == (1001, "Session was ended by the operator")


def test_sigterm_under_load(settings: dict[str, Any], scripted: Open) -> None:
    """A session that never waits for I/O still checks for signals."""

    def flood(c: Connection) -> None:
        c.accept_upgrade()
        while True:
            c.send(encode_frame(BINARY, b"z" * 131072), 10)

    with Activator(settings) as proxxy:
        client = scripted(flood, proxxy)
        client.read_data(1 << 20)
        os.kill(proxxy.sessions()[0], signal.SIGTERM)
        assert client.close_code(10) == (1001, "Session was ended by the operator")


def test_client_that_never_answers_a_close_is_not_waited_for(
    settings: dict[str, Any], standin: StandIn, key: str
) -> None:
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"quit")
            assert client.close_code()[0] == 1000
            proxxy.wait_sessions(0, 8)


def test_client_that_drops_while_connecting_frees_everything(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, lambda c: c.hang()) as upstream:
        client = Client.upgraded(proxxy.port, target(seal(console(upstream.port), key)))
        wait_for(lambda: upstream.connections, 5, "never connected")
        client.sock.close()
        proxxy.wait_sessions(0, 3)
        assert "outcome=client-gone" in proxxy.wait_log("Session ended")


@pytest.mark.parametrize(
    "frame",
    [
        encode_frame(BINARY, b"masked", mask=b"abcd"),
        encode_frame(BINARY, b"reserved", rsv=1),
        encode_frame(5, b"opcode"),
        encode_frame(0, b"continuation of nothing"),
        encode_frame(PING, b"x" * 126),
        encode_frame(CLOSE, b"x"),
    ],
)
def test_upstream_that_breaks_the_protocol(scripted: Open, frame: bytes) -> None:
    def breaking(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, b"fine")
        c.send(frame)
        c.at_end(5)

    client = scripted(breaking)
    assert client.read_data(4) == b"fine"
    code, reason = client.close_code()
    assert code == 1011 and reason.startswith("Proxmox violated the WebSocket protocol")
