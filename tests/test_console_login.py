# SPDX-License-Identifier: Apache-2.0
"""proxxy logs in to the console, so that the client needs neither VNC password nor ticket."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Iterator

import pytest
from conftest import TERMINAL, console
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from lib.activator import Activator
from lib.certs import Cert
from lib.payload import seal, seal_jwe, target
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, CLOSE, PING, PONG, TEXT, CONTINUATION, Client, close_payload, encode_frame

PASSWORD = "s3cr3t&p"
VERSION = b"RFB 003.008\n"
OK = bytes(4)
AFTER = b"\x01" + b"everything behind the handshake" * 1000

Script = Callable[[Connection], object]


@pytest.fixture
def login(relay: Activator, cert: Cert, key: str) -> Iterator[Callable[..., Client]]:
    """login(script, …) returns a client of a session with that console and a payload that has the password."""
    upstreams: list[Upstream] = []
    clients: list[Client] = []

    def open_console(script: Script, activator: Activator = relay, **members: Any) -> Client:
        upstreams.append(Upstream(cert, script))
        upstreams[-1].__enter__()
        members = {"password": PASSWORD, **members}
        payload = seal_jwe(console(upstreams[-1].port, **members), key)
        clients.append(Client.upgraded(activator.port, target(payload)))
        return clients[-1]

    yield open_console
    for client in clients:
        client.sock.close()
    for upstream in upstreams:
        upstream.__exit__()


def expected_response(challenge: bytes, password: str = PASSWORD) -> bytes:
    """VNC Authentication: DES with each byte of the key reversed bit by bit (RFC 6143 section 7.2.2)."""
    reverse = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode()[:8].ljust(8, b"\0"))
    encryptor = Cipher(algorithms.TripleDES(reverse), modes.ECB()).encryptor()
    return encryptor.update(challenge) + encryptor.finalize()


def answer_vnc(c: Connection, split: Callable[[Connection, bytes], None] | None = None) -> None:
    """The console's part of the handshake up to the result; every message is checked."""
    send = split or (lambda c, data: c.send_frame(BINARY, data))
    send(c, VERSION)
    assert c.read_data(12) == VERSION
    send(c, b"\x01\x02")
    assert c.read_data(1) == b"\x02"
    challenge = os.urandom(16)
    send(c, challenge)
    assert c.read_data(16) == expected_response(challenge)
    send(c, OK)


def vnc_console(c: Connection) -> None:
    c.accept_upgrade()
    answer_vnc(c)
    received = c.read_data(len(AFTER))
    assert received == AFTER
    c.send_frame(BINARY, received[::-1])
    c.close_code()


def client_handshake(client: Client, version: bytes = VERSION) -> None:
    """The client's part, up to before ClientInit."""
    assert client.read_data(12) == VERSION
    client.send_frame(BINARY, version)
    if version >= b"RFB 003.007\n":
        assert client.read_data(2) == b"\x01\x01"  # one type: None
        client.send_frame(BINARY, b"\x01")
        if version >= VERSION:
            assert client.read_data(4) == OK
    else:
        assert client.read_data(4) == b"\0\0\0\x01"


@pytest.mark.parametrize("version", [b"RFB 003.003\n", b"RFB 003.007\n", VERSION])
def test_vnc_client_needs_no_password(login: Callable[..., Client], version: bytes) -> None:
    client = login(vnc_console)
    client_handshake(client, version)
    client.send_frame(BINARY, AFTER)
    assert client.read_data(len(AFTER)) == AFTER[::-1]


def test_everything_in_one_frame(login: Callable[..., Client]) -> None:
    """What follows the handshake in the client's frame, at every offset from the mask key, is relayed."""
    for extra in range(5):
        early = VERSION + b"\x01" + AFTER + b"x" * extra

        def one_frame(c: Connection, extra: int = extra) -> None:
            c.accept_upgrade()
            answer_vnc(c)
            assert c.read_data(len(AFTER) + extra) == AFTER + b"x" * extra
            c.send_frame(BINARY, b"done")
            c.close_code()

        client = login(one_frame)
        client.send_frame(TEXT if extra % 2 else BINARY, early)
        assert client.read_data(12 + 2 + 4 + 4) == VERSION + b"\x01\x01" + OK + b"done"


def test_fragments_and_pings_during_the_handshake(login: Callable[..., Client]) -> None:
    client = login(vnc_console)
    client.send_frame(PING, b"early")
    client.send_frame(BINARY, VERSION[:5], fin=0)
    client.send_frame(PING, b"inside")
    client.send_frame(CONTINUATION, VERSION[5:] + b"\x01" + AFTER[:7], fin=0)
    client.send_frame(CONTINUATION, b"", fin=0)
    client.send_frame(CONTINUATION, AFTER[7:])
    frames = [client.read_frame() for _ in range(5)]
    assert [frame.payload for frame in frames if frame.opcode == PONG] == [b"early", b"inside"]
    assert b"".join(frame.payload for frame in frames if frame.opcode == BINARY) == VERSION + b"\x01\x01" + OK
    assert client.read_data(len(AFTER)) == AFTER[::-1]


def test_console_sends_byte_by_byte_and_data_behind_the_result(login: Callable[..., Client]) -> None:
    def bytewise(c: Connection, data: bytes) -> None:
        for byte in data if data != OK else data[:3]:
            c.send(encode_frame(BINARY, bytes([byte])))
        if data == OK:  # the rest of the result's frame is the console's
            c.send(encode_frame(BINARY, data[3:] + b"behind"))

    def script(c: Connection) -> None:
        c.accept_upgrade()
        answer_vnc(c, bytewise)
        assert c.read_data(1) == b"\x01"
        c.send_frame(BINARY, b", more")
        c.close_code()

    client = login(script)
    client_handshake(client)
    client.send_frame(BINARY, b"\x01")
    assert client.read_data(12) == b"behind, more"


def end_of(client: Client, timeout: float = 5) -> tuple[int | None, str]:
    """Returns the Close that the client got, and leaves, so that the session need not wait for an answer."""
    said = client.close_code(timeout)
    client.sock.close()
    return said


def test_nothing_of_a_console_that_refuses_reaches_the_client(login: Callable[..., Client]) -> None:
    client = login(refuse(b"\0\0\x0f\xff" + b"its own words " * 300))
    assert client.read_frame().opcode == CLOSE


def refuse(words: bytes) -> Script:
    def script(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, VERSION)
        c.read_data(12)
        c.send_frame(BINARY, b"\x01\x02")
        c.read_data(1)
        c.send_frame(BINARY, bytes(16))
        c.read_data(16)
        c.send_frame(BINARY, b"\0\0\0\x01" + words)
        c.close_notify()

    return script


def test_refused_password(login: Callable[..., Client], relay: Activator) -> None:
    words = b"Authentication failed"
    client = login(refuse(len(words).to_bytes(4, "big") + words))
    assert end_of(client) == (1008, "Console refused the VNC password")
    relay.wait_log("Console refused the VNC password: it said: Authentication failed")
    words = b'busy" outcome=done ' + PASSWORD.encode()  # not in the log, nor what looks like a field
    assert end_of(login(refuse(len(words).to_bytes(4, "big") + words))) == (1008, "Console refused the VNC password")
    relay.wait_log("Console refused the VNC password: it gave no reason")
    words = b'busy" outcome=done'
    assert end_of(login(refuse(len(words).to_bytes(4, "big") + words))) == (1008, "Console refused the VNC password")
    relay.wait_log("Console refused the VNC password: it said: busy? outcome?done")
    client = login(refuse(b""))  # QEMU may close before the reason
    assert end_of(client) == (1008, "Console refused the VNC password")
    client = login(refuse(b"\xff\xff\xff\xff" + b"endless" * 100))
    frame = client.read_frame()  # the Close is the first frame: the client gets nothing of the console's words
    assert frame.opcode == CLOSE and frame.payload[2:] == b"Console refused the VNC password"
    client.sock.close()


def sends(*messages: bytes, end: str = "close_notify") -> Script:
    def script(c: Connection) -> None:
        c.accept_upgrade()
        for message in messages:
            c.send_frame(BINARY, message)
        if messages:
            c.read_data(12)
        getattr(c, end)()

    return script


@pytest.mark.parametrize(
    "script, code, words",
    [
        (sends(), 1000, "Console closed before it sent anything: the guest or its node is off"),
        (sends(end="end"), 1011, "Proxmox: connection lost: during the login"),
        (sends(VERSION), 1011, "Proxmox: its console did not do the login"),
        (sends(VERSION, end="end"), 1011, "Proxmox: connection lost: during the login"),
        (sends(b"HTTP/1.1 400"), 1011, "Proxmox: its console did not do the login"),
        (sends(VERSION, b"\x01\x13", end="hang"), 1011, "Proxmox: its console did not do the login"),
    ],
)
def test_console_that_does_not_do_the_login(
    login: Callable[..., Client], script: Script, code: int, words: str
) -> None:
    got = end_of(login(script))
    assert got[0] == code and got[1].startswith(words), got


def test_fragmented_console(login: Callable[..., Client]) -> None:
    def script(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, VERSION, fin=0)
        c.close_code()

    assert end_of(login(script)) == (
        1011,
        "Proxmox violated the WebSocket protocol: a fragmented message during the login",
    )


def test_silent_console_is_given_up(settings: dict[str, Any], login: Callable[..., Client]) -> None:
    def silent(c: Connection) -> None:
        c.accept_upgrade()
        c.hang()

    with Activator({**settings, "PROXXY_CONNECT_TIMEOUT": 1}) as proxxy:
        client = login(silent, activator=proxxy)
        assert end_of(client) == (1011, "Proxmox: no answer in time: its console does not answer")


@pytest.mark.parametrize("what", ["silent", "pings"])
def test_client_that_does_not_answer_is_given_up(
    settings: dict[str, Any], login: Callable[..., Client], what: str
) -> None:
    def script(c: Connection) -> None:
        c.accept_upgrade()
        answer_vnc(c)
        c.hang()

    with Activator({**settings, "PROXXY_REQUEST_TIMEOUT": 1}) as proxxy:
        client = login(script, activator=proxxy)
        assert client.read_data(12) == VERSION
        end = time.monotonic() + 3
        while what == "pings" and time.monotonic() < end:
            try:
                client.send_frame(PING, b"x")
                time.sleep(0.01)
            except OSError:
                break
        assert end_of(client) == (1002, "Client did not do the VNC handshake: it did not answer in 1 s")


@pytest.mark.parametrize("answer", [b"GET / HTTP/1", VERSION + b"\x02"])
def test_client_that_violates_the_handshake(login: Callable[..., Client], answer: bytes) -> None:
    def script(c: Connection) -> None:
        c.accept_upgrade()
        answer_vnc(c)
        c.hang()

    client = login(script)
    client.send_frame(BINARY, answer)
    code, words = end_of(client)
    assert code == 1002 and words.startswith("Client did not do the VNC handshake: "), words


@pytest.mark.parametrize("when", ["before the console", "during its own handshake"])
def test_client_that_leaves(login: Callable[..., Client], relay: Activator, when: str) -> None:
    ended: list[bool] = []

    def script(c: Connection) -> None:
        c.accept_upgrade()
        if when == "during its own handshake":
            answer_vnc(c)
        ended.append(c.at_end(10))

    client = login(script)
    if when == "during its own handshake":
        assert client.read_data(12) == VERSION
        client.send_frame(CLOSE, close_payload(1000))
        assert end_of(client) == (1000, "")
    else:
        client.sock.close()
    relay.wait_log("client-closed" if when == "during its own handshake" else "client-gone")


def test_password_in_the_old_format_is_not_read(relay: Activator, cert: Cert, key: str) -> None:
    """The original's format has no such member: its payloads work as before."""

    def script(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, VERSION)
        assert c.read_data(4) == b"mine"
        c.close_code()

    with Upstream(cert, script) as upstream:
        payload = seal(console(upstream.port, password=PASSWORD, protocol="term", user="a@pve"), key)
        with Client.upgraded(relay.port, target(payload)) as client:
            assert client.read_data(12) == VERSION
            client.send_frame(BINARY, b"mine")


def test_terminal(standin: StandIn, relay: Activator, key: str) -> None:
    members = standin.console("lxc", TERMINAL)
    user = members["ticket"].split("=")[1]
    payload = seal_jwe({**members, "protocol": "term", "user": user}, key)
    with Client.upgraded(relay.port, target(payload)) as client:
        client.send_frame(BINARY, b"1:80:24:")
        client.send_frame(BINARY, b"0:14:echo $((6*7))\n")
        data = client.read_data(2)
        assert data != b"OK"  # the first bytes are the terminal's
        while b"42" not in data:
            data += client.read_data(1)


def test_terminal_that_refuses(standin: StandIn, relay: Activator, key: str) -> None:
    payload = seal_jwe({**standin.console("lxc", TERMINAL), "protocol": "term", "user": "eve@pve"}, key)
    with Client.upgraded(relay.port, target(payload)) as client:
        assert end_of(client, 10) == (1008, "Console refused the terminal's login")


@pytest.mark.parametrize("answer", [b"NO", b"O\n", b"error"])
def test_terminal_without_ok(login: Callable[..., Client], answer: bytes) -> None:
    def script(c: Connection) -> None:
        c.accept_upgrade()
        assert c.read_data(11).startswith(b"a@pve!b:")
        c.send_frame(BINARY, answer)
        c.close_code()

    client = login(script, protocol="term", user="a@pve!b")
    assert end_of(client) == (1011, "Proxmox: its console did not do the login: its terminal did not answer OK")


def test_ok_and_output_in_one_frame(login: Callable[..., Client]) -> None:
    sent = console(1)["vncticket"]

    def script(c: Connection) -> None:
        c.accept_upgrade()
        line = f"a@pve:{sent}\n".encode()
        assert c.read_data(len(line)) == line
        c.send_frame(BINARY, b"OKlogin: ")
        assert c.read_data(8) == b"1:80:24:"
        c.close_notify()

    client = login(script, protocol="term", user="a@pve")
    client.send_frame(BINARY, b"1:80:24:")
    assert client.read_data(7) == b"login: "
    assert end_of(client) == (1000, "Console closed")
