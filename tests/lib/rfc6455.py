# SPDX-License-Identifier: Apache-2.0
"""Helpers for the cases of test_rfc6455.py: frames to send, valid or not; a session of which the test plays both ends;
and functions that read and check what each end receives.

proxxy is two endpoints with a relay between: a server to the browser, a client to Proxmox. The RFC's
requirements apply to each connection separately (section 5.8); comments explain what the relay does on purpose.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Iterator, NamedTuple

import pytest
from conftest import console

from .activator import Activator
from .certs import Cert
from .payload import seal, target
from .pve_frames import xor
from .upstream import Connection, Upstream
from .wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    TIMEOUT,
    Client,
    Frame,
    Peer,
    encode_frame,
)

CLIENT, PROXMOX = "client", "proxmox"
PROXMOX_FRAME_MAX = 131072  # bytes of payload that Proxmox takes in one frame
MASK = b"\x37\xfa\x21\x3d"  # from section 5.7
PAUSE = 0.003  # seconds, so that proxxy reads two writes separately
OPCODES = {TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}


class Sent(NamedTuple):
    """A frame to send, valid or not; see encode_frame()."""

    opcode: int
    payload: bytes = b""
    fin: int = 1
    rsv: int = 0
    length: int | None = None
    length_bytes: int | None = None
    mask: bytes = MASK  # of a client's frame
    mask_is_wrong: bool = False  # a client's frame without a mask, or a server's frame with one

    def encode(self, sender: str) -> bytes:
        masked = (sender == CLIENT) != self.mask_is_wrong
        lengths = {"length": self.length, "length_bytes": self.length_bytes}
        mask = self.mask if masked else None
        return encode_frame(self.opcode, self.payload, fin=self.fin, rsv=self.rsv, mask=mask, **lengths)


class Case(NamedTuple):
    section: str
    name: str
    sent: Any
    expected: Any = None
    sender: str = ""
    chop: int = 0  # bytes of each write; 0: everything in one write
    cut: int = 0  # bytes of the first write; the rest follows a moment later

    def __str__(self) -> str:
        return "-".join(filter(None, [self.section, self.name, self.sender and f"by-{self.sender}"]))


EVERY: list[Case] = []


def over(*cases: Case) -> pytest.MarkDecorator:
    """Run the test for each case, and add the cases to the count."""
    EVERY.extend(cases)
    return pytest.mark.parametrize("case", cases, ids=str)


def by_both(section: str, name: str, *sent: Sent, **options: int) -> list[Case]:
    return [Case(section, name, sent, sender=sender, **options) for sender in (CLIENT, PROXMOX)]


def pattern(size: int) -> bytes:
    """Returns pseudo-random bytes; the same size gives the same bytes."""
    return random.Random(size).randbytes(size)


def in_parts(data: bytes, size: int) -> list[bytes]:
    return [data[n : n + size] for n in range(0, len(data), size)]


def fragments(opcode: int, *payloads: bytes) -> list[Sent]:
    """Returns one message as frames: a fragment for each payload."""
    last = len(payloads) - 1
    return [Sent(CONTINUATION if n else opcode, p, fin=int(n == last)) for n, p in enumerate(payloads)]


UTF8 = {
    "ASCII": b"Hello-UTF-8!!",
    "Greek": "κόσμε".encode(),
    "two-byte-bounds": b"\xc2\x80\xdf\xbf",
    "three-byte-bounds": b"\xe0\xa0\x80\xef\xbf\xbf",
    "four-byte-bounds": b"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    "around-the-surrogates": b"\xed\x9f\xbf\xee\x80\x80",
    "replacement-character": b"\xef\xbf\xbd",
    "noncharacters": b"\xef\xbf\xbe\xf0\x9f\xbf\xbf\xf4\x8f\xbf\xbe",
}
NOT_UTF8 = {
    "lone-continuation-80": b"\x80",
    "lone-continuation-bf": b"\xbf",
    "lone-lead-c3": b"ab\xc3",
    "lead-then-ASCII": b"\xc3a",
    "cut-three-bytes": b"\xe2\x82",
    "cut-four-bytes": b"\xf0\x9f\x98",
    "overlong-slash-in-two": b"\xc0\xaf",
    "overlong-slash-in-three": b"\xe0\x80\xaf",
    "overlong-slash-in-four": b"\xf0\x80\x80\xaf",
    "overlong-NUL": b"\xc0\x80",
    "largest-overlong-in-two": b"\xc1\xbf",
    "largest-overlong-in-three": b"\xe0\x9f\xbf",
    "largest-overlong-in-four": b"\xf0\x8f\xbf\xbf",
    "first-surrogate": b"\xed\xa0\x80",
    "last-surrogate": b"\xed\xbf\xbf",
    "surrogate-pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "above-10FFFF": b"\xf4\x90\x80\x80",
    "lead-f5": b"\xf5\x80\x80\x80",
    "five-bytes": b"\xf8\x88\x80\x80\x80",
    "six-bytes": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "after-valid": "κόσμε".encode() + b"\xed\xa0\x80edited",
}


# --- the two ends ----------------------------------------------------------------------------


class Ends(NamedTuple):
    """Both ends of one session, which one thread plays."""

    client: Client
    proxmox: Connection

    def near_and_far(self, sender: str) -> tuple[Peer, Peer]:
        return (self.client, self.proxmox) if sender == CLIENT else (self.proxmox, self.client)


class Sessions:
    """One proxxy and one Proxmox for the whole module; the test gets each of Proxmox's connections."""

    def __init__(self, proxxy: Activator, cert: Cert, key: str) -> None:
        self.port = proxxy.port
        self.upstream = Upstream(cert, self._hand_over)
        self._key = key
        self._arrived: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._over = threading.Event()

    def _hand_over(self, proxmox: Connection) -> None:
        over = self._over
        self._arrived.put(proxmox)
        over.wait()

    def end(self) -> None:
        """Ends the last session: its thread in the Proxmox server may return."""
        self._over.set()

    def target(self, port: int) -> str:
        return target(seal(console(port), self._key))

    def open(self) -> Ends:
        """Opens a session: the client is upgraded, Proxmox has not answered yet."""
        self._arrived, self._over = queue.SimpleQueue(), threading.Event()
        client = Client.upgraded(self.port, self.target(self.upstream.port))
        return Ends(client, self._arrived.get(timeout=TIMEOUT))


@pytest.fixture(scope="module")
def sessions(settings: dict[str, Any], cert: Cert, key: str) -> Iterator[Sessions]:
    """Only under Activator: frames do not depend on what spawned the session."""
    with Activator(settings) as proxxy:
        sessions = Sessions(proxxy, cert, key)
        with sessions.upstream:
            yield sessions
            sessions.end()


@pytest.fixture
def unanswered(sessions: Sessions) -> Iterator[Ends]:
    ends = sessions.open()
    yield ends
    for end in ends:
        end.sock.close()
    sessions.end()


@pytest.fixture
def ends(unanswered: Ends) -> Ends:
    unanswered.proxmox.accept_upgrade()
    return unanswered


def hear_frame(peer: Peer) -> tuple[Frame, bytes]:
    """Reads the next frame and checks it against all rules for a single frame; returns it and its mask key."""
    masked = isinstance(peer, Connection)  # proxxy is a client to Proxmox: section 5.1
    first, second = peer.read(2)
    size = {126: 2, 127: 8}.get(second & 0x7F, 0)
    length = int.from_bytes(peer.read(size), "big") if size else second & 0x7F
    opcode = first & 0x0F
    assert bool(second & 0x80) == masked, "section 5.1"
    assert first & 0x70 == 0, "section 5.2: no extension was agreed on"
    assert size == (0 if length < 126 else 2 if length < 65536 else 8), "section 5.2: the shortest length"
    assert opcode == CONTINUATION or opcode in OPCODES, "section 5.2"
    assert opcode < CLOSE or (first & 0x80 and length <= 125), "section 5.5"
    if masked:
        assert first & 0x80 and opcode and length <= PROXMOX_FRAME_MAX, "Proxmox cannot stand it"
    mask = peer.read(4) if masked else bytes(4)
    return Frame(first >> 7, 0, opcode, xor(peer.read(length), mask)), mask


def hear(peer: Peer) -> list[Frame]:
    """Reads all frames up to and including the Close."""
    frames: list[Frame] = []
    while not frames or frames[-1].opcode != CLOSE:
        frames.append(hear_frame(peer)[0])
    return frames


def hear_data(peer: Peer, size: int) -> bytes:
    """Reads that many bytes of data, in any number of frames."""
    data = b""
    while len(data) < size:
        frame = hear_frame(peer)[0]
        assert frame.opcode in (CONTINUATION, TEXT, BINARY)
        data += frame.payload
    return data


@contextmanager
def sending(peer: Peer, case: Case, *more: Sent) -> Iterator[None]:
    """Send from a thread, because a large message is sent only as fast as the other end reads it."""
    raw = b"".join(frame.encode(case.sender) for frame in (*case.sent, *more))
    writes = [raw[: case.cut], raw[case.cut :]] if case.cut else in_parts(raw, case.chop or len(raw))

    def send() -> None:
        for write in writes:
            peer.send(write)
            if case.cut:
                time.sleep(PAUSE)

    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send)
        yield
        sent.result()
