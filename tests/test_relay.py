# SPDX-License-Identifier: Apache-2.0
"""The relay at its limits: one direction waits for the other, slow readers, data before a Close, floods."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import threading
import time
from typing import Any, Iterator

import pytest
from conftest import console
from lib.activator import Activator
from lib.certs import Cert
from lib.payload import seal, target
from lib.process import wait_for
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, CLOSE, PING, PONG, Client, close_payload, encode_frame, upgrade_request, xor

MASK = b"\1\2\3\4"
SLOW_BUFFER = 16 * 1024  # bytes that a slow peer's kernel buffers


class Session:
    """One session: a client and a scripted Proxmox."""

    def __init__(self, proxxy: Activator, cert: Cert, key: str, script: Any, receive_buffer: int = 0) -> None:
        self.proxxy = proxxy
        self.upstream = Upstream(cert, script)
        self.upstream.__enter__()
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(("127.0.0.1", proxxy.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client = Client(sock)
        self.client.send(upgrade_request(proxxy.port, target(seal(console(self.upstream.port), key)), {}))
        assert self.client.read_head().status == 101

    def close(self) -> None:
        self.client.sock.close()
        self.upstream.__exit__()


@pytest.fixture
def session(cert: Cert, key: str) -> Iterator[Any]:
    sessions: list[Session] = []

    def begin(proxxy: Activator, script: Any, receive_buffer: int = 0) -> Session:
        sessions.append(Session(proxxy, cert, key, script, receive_buffer))
        return sessions[-1]

    yield begin
    for one in sessions:
        one.close()


def ended(proxxy: Activator) -> dict[str, str]:
    """Returns the fields of the last "Session ended" record."""
    line = [line for line in proxxy.wait_log("Session ended", 15).splitlines() if "Session ended" in line][-1]
    return dict(re.findall(r"(\w+)=(\S+)", line))


# --- one direction waits for the other -------------------------------------------------------


def test_pongs_that_wait_for_the_clients_frame_do_not_hold_data_for_ever(
    settings: dict[str, Any], session: Any
) -> None:
    """Pongs fill the queue behind the client's unfinished frame. When the frame is complete, the console's data arrives
    at once."""
    begun = threading.Event()

    def ping(c: Connection) -> None:
        c.accept_upgrade()
        begun.wait(5)
        time.sleep(0.2)
        for n in range(8):
            c.send_frame(PING, bytes([n]) * 125)
        c.send_frame(BINARY, b"data")
        frames = [c.read_frame() for _ in range(9)]
        assert [f.payload for f in frames if f.opcode == PONG] == [bytes([n]) * 125 for n in range(8)]
        c.close_code()

    with Activator(settings | {"PROXXY_PING_INTERVAL": 0}) as proxxy:
        client = session(proxxy, ping).client
        frame = encode_frame(BINARY, b"hello", mask=MASK)
        client.send(frame[:7])
        begun.set()
        time.sleep(0.6)
        started = time.monotonic()
        client.send(frame[7:])
        assert client.read_data(4) == b"data"
        assert time.monotonic() - started < 0.5
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code() == (1000, "")


@pytest.mark.parametrize("end", ["close_notify", "reset"])
def test_console_that_ended_waits_for_no_room_for_its_pongs(settings: dict[str, Any], session: Any, end: str) -> None:
    """Pongs fill the queue behind the client's frame, which never becomes complete; then the console ends."""
    begun = threading.Event()

    def ping_and_leave(c: Connection) -> None:
        c.accept_upgrade()
        begun.wait(5)
        time.sleep(0.2)
        for n in range(9):
            c.send_frame(PING, bytes([n]) * 125)
        c.send_frame(BINARY, b"data")
        if end == "close_notify":
            c.close_notify()
        else:
            time.sleep(0.2)
            c.reset()

    with Activator(settings | {"PROXXY_PING_INTERVAL": 0}) as proxxy:
        client = session(proxxy, ping_and_leave).client
        client.send(encode_frame(BINARY, b"hello", mask=MASK)[:7])
        begun.set()
        assert client.read_data(4) == b"data"
        assert client.close_code()[0] == {"close_notify": 1000, "reset": 1011}[end]
        client.sock.close()
        assert ended(proxxy)["bytes_down"] == "4"


# --- data before a Close ---------------------------------------------------------------------


def whole_frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Returns opcode and payload of a client's first frame, and the bytes after it; None when it is incomplete."""
    size = {126: 2, 127: 8}.get(data[1] & 0x7F, 0) if len(data) > 1 else 0
    begin = 2 + size + 4
    if len(data) < begin:
        return None
    end = begin + (int.from_bytes(data[2 : 2 + size], "big") if size else data[1] & 0x7F)
    if len(data) < end:
        return None
    return data[0] & 0x0F, xor(data[begin:end], data[begin - 4 : begin]), data[end:]


@pytest.mark.parametrize("round", range(5))
def test_paste_and_close_into_a_drawing_console_arrive(settings: dict[str, Any], session: Any, round: int) -> None:
    got = bytearray()
    codes: list[int | None] = []

    def draw(c: Connection) -> None:
        """Sends and receives in one thread: two threads cannot use one TLS connection at once."""
        c.accept_upgrade()
        picture = encode_frame(BINARY, b"p" * 30000)
        drawn, received, left = time.monotonic(), b"", b""
        while True:
            if not left and time.monotonic() - drawn > 0.016:
                drawn, left = time.monotonic(), picture
            c.sock.settimeout(0.002)
            with contextlib.suppress(TimeoutError):
                received += c.sock.recv(4096)
            with contextlib.suppress(TimeoutError):
                left = left[c.sock.send(left) :] if left else left
            while frame := whole_frame(received):
                opcode, payload, received = frame
                if opcode == CLOSE:
                    codes.append(struct.unpack(">H", payload[:2])[0])
                    c.sock.settimeout(10)
                    while c.sock.recv(4096):  # close() with unread bytes sends a reset, which acknowledges nothing
                        pass
                    return
                got.extend(payload)

    paste = os.urandom(200_000)
    with Activator(settings) as proxxy:
        client = session(proxxy, draw).client
        client.read_frame()
        client.send(encode_frame(BINARY, paste, mask=MASK) + encode_frame(CLOSE, close_payload(1000), mask=MASK))
        assert client.close_code() == (1000, "")
        client.sock.close()
        wait_for(lambda: codes, 10, lambda: f"no Close, {len(got)} bytes")
        assert codes == [1000] and got == paste, f"{len(got)} bytes, then {codes}"
        assert ended(proxxy)["bytes_up"] == "200000"


def test_frame_that_still_comes_in_pieces_is_finished_before_the_close(settings: dict[str, Any], session: Any) -> None:
    """The console closes while the client is sending a frame. The rest of the frame takes longer than the closing
    handshake would wait for a silent client."""
    got: list[Any] = []

    def close(c: Connection) -> None:
        c.accept_upgrade()
        c.read(6)  # the frame has begun
        c.send_frame(CLOSE, close_payload(4999))
        got.append(c.read(24, 15))
        got.append(c.close_code())

    with Activator(settings) as proxxy:
        client = session(proxxy, close).client
        frame = encode_frame(BINARY, b"x" * 24, mask=MASK)
        client.send(frame[:6])
        assert client.close_code()[0] == 4999
        for at in range(6, len(frame)):
            client.send(frame[at : at + 1])
            time.sleep(0.2)
        client.send_frame(CLOSE, close_payload(4999), mask=MASK)
        client.sock.close()
        wait_for(lambda: len(got) == 2, 5, lambda: f"Proxmox has {got}")
        assert got == [frame[6:], (4999, "")]
        assert ended(proxxy)["bytes_up"] == "24"


def test_slow_client_gets_the_consoles_last_words(settings: dict[str, Any], session: Any) -> None:
    """The client reads 20 kB/s and sends mouse events after the console has closed. The console's last data takes
    seconds, and arrives with the Close."""
    words = os.urandom(90_000)
    closed_console = threading.Event()

    def last_words(c: Connection) -> None:
        c.accept_upgrade()
        for at in range(0, len(words), 30_000):
            c.send_frame(BINARY, words[at : at + 30_000])
        c.close_notify()
        closed_console.set()

    with Activator(settings) as proxxy:
        client = session(proxxy, last_words, SLOW_BUFFER // 2).client
        got, buffer, closed = bytearray(), bytearray(), None
        client.sock.settimeout(5)
        # A console that closes with unread mouse events sends a reset, and proxxy's kernel drops the last data.
        assert closed_console.wait(5)
        while closed is None:
            chunk = client.sock.recv(1000)
            assert chunk, f"cut off after {len(got)} bytes"
            buffer += chunk
            try:
                client.sock.sendall(encode_frame(BINARY, b"mouse!", mask=MASK))
            except OSError:
                pass
            time.sleep(0.05)
            while len(buffer) >= 4:
                length = buffer[1] & 0x7F
                head = 2 if length < 126 else 4
                if length == 126:
                    length = int.from_bytes(buffer[2:4], "big")
                if len(buffer) < head + length:
                    break
                payload = bytes(buffer[head : head + length])
                if buffer[0] & 15 == CLOSE:
                    closed = payload
                elif buffer[0] & 15 == BINARY:
                    got += payload
                del buffer[: head + length]
        assert got == words, f"{len(got)} bytes, then {closed!r}"
        assert closed == close_payload(1000, "Console closed")
        client.sock.close()
        record = ended(proxxy)
        assert record["bytes_down"] == "90000" and record["close_code"] == "1000"


def test_record_does_not_say_what_the_client_never_got(settings: dict[str, Any], session: Any) -> None:
    """The client reads nothing, so proxxy gives it up. The record has no Close code and counts only delivered bytes."""

    def last_words(c: Connection) -> None:
        c.accept_upgrade()
        for _ in range(300):
            c.send_frame(BINARY, b"w" * 30_000)
        c.close_notify()

    with Activator(settings) as proxxy:
        one = session(proxxy, last_words, SLOW_BUFFER // 2)
        time.sleep(1)
        os.kill(proxxy.sessions()[0], signal.SIGTERM)
        started = time.monotonic()
        proxxy.wait_sessions(0, 9)
        assert time.monotonic() - started < 7.9  # TimeoutStopSec=8
        record = ended(proxxy)
        assert "close_code" not in record
        one.client.sock.settimeout(1)
        received = 0
        try:
            while chunk := one.client.sock.recv(1 << 20):
                received += len(chunk)
        except OSError:
            pass
        assert int(record["bytes_down"]) <= received + 1000


# --- SIGTERM and time limits during a flood --------------------------------------------------

FLOODS = {
    "tiny frames": encode_frame(BINARY, b"x") * 20000,
    "empty frames": encode_frame(BINARY, b"") * 20000,
    "Pings": encode_frame(PING, b"") * 20000,
    "large Pings": encode_frame(PING, b"p" * 125) * 1000,
    "large frames": encode_frame(BINARY, b"z" * 131072) * 2,
}
END_SECONDS = 5  # a flood lasts until the session ends


@pytest.mark.parametrize("kind", [*FLOODS, "tiny records"])
@pytest.mark.parametrize("end", ["SIGTERM", "session_max"])
def test_a_flood_delays_no_end(settings: dict[str, Any], session: Any, kind: str, end: str) -> None:
    """SIGTERM and session_max end a session of the real program during a flood. This can take a second or more on a
    loaded machine, because the client in Python first reads all earlier bytes. tests/unit/session/test_relay.c, with
    a simulated clock, shows that the relay itself takes at most 100 ms.
    """
    flood = FLOODS.get(kind, encode_frame(BINARY, b"x"))

    def flooding(c: Connection) -> None:
        c.accept_upgrade()
        c.sock.settimeout(10)
        while True:
            c.sock.sendall(flood)

    limits = {"PROXXY_SESSION_MAX": 2} if end == "session_max" else {}
    with Activator(settings | limits) as proxxy:
        began = time.monotonic()
        client = session(proxxy, flooding).client
        reader = Drain(client.sock)
        if end == "SIGTERM":
            time.sleep(0.7)
            due = time.monotonic()
            os.kill(proxxy.sessions()[0], signal.SIGTERM)
        else:
            due = began + 2
        at = reader.wait_for_close()
        client.sock.close()
        assert at - due < END_SECONDS, f"heard after {at - due:.2f} s"


def test_a_flood_of_the_clients_delays_no_end(settings: dict[str, Any], session: Any) -> None:
    """As above, the test shows that the session ends, not how soon."""

    def hold(c: Connection) -> None:
        c.accept_upgrade()
        while c.sock.recv(1 << 20):
            pass

    flood = (encode_frame(BINARY, b"x", mask=MASK) + encode_frame(BINARY, b"", mask=MASK)) * 5000
    with Activator(settings) as proxxy:
        client = session(proxxy, hold).client
        reader = Drain(client.sock)

        def send() -> None:
            try:
                while not reader.closed_at:
                    client.sock.sendall(flood)
            except OSError:
                pass

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(0.7)
        due = time.monotonic()
        os.kill(proxxy.sessions()[0], signal.SIGTERM)
        at = reader.wait_for_close()
        client.sock.shutdown(socket.SHUT_RDWR)
        sender.join()
        assert at - due < END_SECONDS, f"heard after {at - due:.2f} s"


class Drain:
    """Reads as fast as it can and records when the Close arrives. It recognizes the Close by its reason."""

    def __init__(self, sock: socket.socket) -> None:
        self.closed_at = 0.0
        self._sock = sock
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        tail = b""
        self._sock.settimeout(15)
        try:
            while chunk := self._sock.recv(1 << 20):
                tail = tail[-200:] + chunk
                if b"Session " in tail[-200:]:
                    self.closed_at = time.monotonic()
                    return
        except OSError:
            pass

    def wait_for_close(self) -> float:
        self._thread.join()
        assert self.closed_at, "no Close"
        return self.closed_at


# --- codes towards Proxmox -------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent, told, heard",
    [
        (encode_frame(CLOSE, close_payload(4321, "mine")), 4321, 4321),
        (encode_frame(CLOSE, close_payload(1012)), 1012, 1012),
        (encode_frame(CLOSE), 1000, 1000),
        (encode_frame(BINARY, b"x", rsv=1), 1011, 1002),
        (encode_frame(CLOSE, close_payload(1005)), 1011, 1002),
    ],
)
def test_proxmox_hears_its_own_code(settings: dict[str, Any], session: Any, sent: bytes, told: int, heard: int) -> None:
    codes: list[int | None] = []

    def script(c: Connection) -> None:
        c.accept_upgrade()
        c.send(encode_frame(BINARY, b"before") + sent)
        codes.append(c.close_code()[0])

    with Activator(settings) as proxxy:
        client = session(proxxy, script).client
        assert client.read_data(6) == b"before"
        assert client.close_code()[0] == told
        client.send_frame(CLOSE, close_payload(told))
        wait_for(lambda: codes, 5, "no Close at Proxmox's end")
        assert codes == [heard]


def test_data_before_a_violation_reaches_a_slow_proxmox(settings: dict[str, Any], session: Any) -> None:
    got: list[bytes] = []

    def slow(c: Connection) -> None:
        c.accept_upgrade()
        time.sleep(1)
        got.append(c.read_data(4_000_000, 20))
        assert c.close_code() == (1001, "")
        got.append(b"closed")

    sent = os.urandom(4_000_000)
    frames = b"".join(encode_frame(BINARY, sent[at : at + 100_000], mask=MASK) for at in range(0, len(sent), 100_000))
    with Activator(settings) as proxxy:
        client = session(proxxy, slow).client
        client.send(frames + encode_frame(BINARY, b"offence", rsv=4, mask=MASK), 20)
        assert client.close_code(20)[0] == 1002
        wait_for(lambda: len(got) == 2, 10, "cut off")
        assert got[0] == sent
