# SPDX-License-Identifier: Apache-2.0
"""Conformance to RFC 6455, case by case: the Autobahn testsuite's categories, the opening handshake and
masking, for what a client sends and for what Proxmox sends. Each case names the section that it checks;
`/usr/bin/python3 tests/test_rfc6455.py` counts them.

proxxy is two endpoints with a relay between: a server to the browser, a client to Proxmox. The RFC's
obligations hold for each connection alone (section 5.8); what a relay does on purpose is said where it is.
"""

from __future__ import annotations

import base64
import hashlib
import queue
import random
import re
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Iterator, NamedTuple

import pytest
from conftest import console
from lib.activator import Activator
from lib.certs import Cert
from lib.payload import seal, target
from lib.process import free_port
from lib.pve_frames import xor
from lib.upstream import WEBSOCKET_GUID, Connection, Upstream
from lib.wire import (
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
    close_payload,
    encode_frame,
)

CLIENT, PROXMOX = "client", "proxmox"
KIB, MIB = 1 << 10, 1 << 20
PROXMOX_FRAME_MAX = 131072  # bytes of payload that Proxmox takes in one frame
MASK = b"\x37\xfa\x21\x3d"  # section 5.7's
PAUSE = 0.003  # seconds, so that two writes are two reads
OPCODES = {TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}
SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}  # section 7.4 and IANA's registry


class Sent(NamedTuple):
    """A frame to send, right or wrong; see encode_frame()."""

    opcode: int
    payload: bytes = b""
    fin: int = 1
    rsv: int = 0
    length: int | None = None
    length_bytes: int | None = None
    mask: bytes = MASK  # of a client's frame
    mask_is_wrong: bool = False  # a client's frame without, or a server's with

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
    chop: int = 0  # bytes of each write, 0: everything in one
    cut: int = 0  # bytes of the first write, the rest comes a moment later

    def __str__(self) -> str:
        return "-".join(filter(None, [self.section, self.name, self.sender and f"by-{self.sender}"]))


EVERY: list[Case] = []


def over(*cases: Case) -> pytest.MarkDecorator:
    """Run a test for each case, and have the cases counted."""
    EVERY.extend(cases)
    return pytest.mark.parametrize("case", cases, ids=str)


def by_both(section: str, name: str, *sent: Sent, **options: int) -> list[Case]:
    return [Case(section, name, sent, sender=sender, **options) for sender in (CLIENT, PROXMOX)]


def pattern(size: int) -> bytes:
    """The same bytes each time, in which each place is different."""
    return random.Random(size).randbytes(size)


def in_parts(data: bytes, size: int) -> list[bytes]:
    return [data[n : n + size] for n in range(0, len(data), size)]


# --- the two ends ----------------------------------------------------------------------------


class Ends(NamedTuple):
    """Both ends of one session, for one thread to play."""

    client: Client
    proxmox: Connection

    def near_and_far(self, sender: str) -> tuple[Peer, Peer]:
        return (self.client, self.proxmox) if sender == CLIENT else (self.proxmox, self.client)


class Sessions:
    """One proxxy and one Proxmox for the whole module; Proxmox's connections are handed to the test."""

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
        """The last session is over: its Proxmox may go."""
        self._over.set()

    def target(self, port: int) -> str:
        return target(seal(console(port), self._key))

    def open(self) -> Ends:
        """A session whose client is upgraded, and whose Proxmox still has to answer."""
        self._arrived, self._over = queue.SimpleQueue(), threading.Event()
        client = Client.upgraded(self.port, self.target(self.upstream.port))
        return Ends(client, self._arrived.get(timeout=TIMEOUT))


@pytest.fixture(scope="module")
def sessions(settings: dict[str, Any], cert: Cert, key: str) -> Iterator[Sessions]:
    """Under the Activator alone: frames are the same whoever spawned the session."""
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
    """The next frame and its mask key, held against all that one frame must be."""
    masked = isinstance(peer, Connection)  # whoever speaks to Proxmox is a client: section 5.1
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
    """All frames up to the Close, which is the last."""
    frames: list[Frame] = []
    while not frames or frames[-1].opcode != CLOSE:
        frames.append(hear_frame(peer)[0])
    return frames


def hear_data(peer: Peer, size: int) -> bytes:
    """That many bytes of data, in as many frames as it takes."""
    data = b""
    while len(data) < size:
        frame = hear_frame(peer)[0]
        assert frame.opcode in (CONTINUATION, TEXT, BINARY)
        data += frame.payload
    return data


@contextmanager
def sending(peer: Peer, case: Case, *more: Sent) -> Iterator[None]:
    """Send from a thread, as a large message leaves only as fast as the other end reads it."""
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


# --- 1 to 6, 9 and 10: what must arrive ------------------------------------------------------

SIZES = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537, 131071, 131072, 131073]


def sizes() -> Iterator[Case]:
    for opcode in (TEXT, BINARY):
        for size in SIZES:
            yield from by_both("5.2", f"{OPCODES[opcode]}-of-{size}-bytes", Sent(opcode, pattern(size)))


def chopped() -> Iterator[Case]:
    """A frame means the same however TCP cuts it."""
    chops = {0: 1, 1: 1, 125: 1, 126: 1, 1000: 1, 65535: 997, 65536: 64, 131073: 1460}
    headers = {5: {CLIENT: 6, PROXMOX: 2}, 126: {CLIENT: 8, PROXMOX: 4}, 65536: {CLIENT: 14, PROXMOX: 10}}
    for size, chop in chops.items():
        yield from by_both("5.2", f"{size}-bytes-in-writes-of-{chop}", Sent(BINARY, pattern(size)), chop=chop)
    for size, of_sender in headers.items():
        for sender, header in of_sender.items():
            for cut in range(1, header + 1):
                name = f"header-of-{size}-bytes-cut-after-{cut}"
                yield Case("5.2", name, (Sent(BINARY, pattern(size)),), sender=sender, cut=cut)


def masked() -> Iterator[Case]:
    keys = [bytes(4), b"\xff\xff\xff\xff", b"\1\0\0\0", b"\0\0\0\1", b"\x80\x40\x20\x10", b"\x37\xfa\x21\x3d"]
    for mask in keys:
        for size in (0, 1, 7, 1000, 262147):
            name = f"mask-key-{mask.hex()}-on-{size}-bytes"
            yield Case("5.3", name, (Sent(BINARY, pattern(size), mask=mask),), sender=CLIENT)


def pings() -> Iterator[Case]:
    bodies = {
        "empty": b"",
        "text": b"Hello, world!",
        "not-UTF-8": b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff",
        "of-124-bytes": pattern(124),
        "of-125-bytes": pattern(125),
    }
    for name, body in bodies.items():
        yield from by_both("5.5.2", f"ping-{name}", Sent(PING, body))
        yield from by_both("5.5.3", f"pong-{name}-unasked", Sent(PONG, body))
    ten, many = ([Sent(PING, b"payload-%d" % n) for n in range(count)] for count in (10, 500))
    yield from by_both("5.5.2", "ping-of-125-bytes-byte-by-byte", Sent(PING, pattern(125)), chop=1)
    yield from by_both("5.5.3", "ping-after-unasked-pong", Sent(PONG, b"unasked"), Sent(PING, b"asked"))
    stray = Sent(PONG, b"payload-0")
    yield from by_both("5.5.3", "pong-that-answers-nothing-between-pings", *ten[:2], stray, *ten[2:])
    yield from by_both("5.5.2", "ten-pings", *ten)
    yield from by_both("5.5.2", "ten-pings-byte-by-byte", *ten, chop=1)
    # More than RFC 6455 asks (the last of several would do), as RTTs are measured with them.
    yield from by_both("5.5.3", "five-hundred-pings-are-all-answered", *many)
    one, two = Sent(TEXT, b"one"), Sent(BINARY, b"two")
    yield from by_both("5.5.2", "pings-between-messages", *ten[:2], one, ten[2], two, ten[3])


def fragments(opcode: int, *payloads: bytes) -> list[Sent]:
    """One message in that many fragments."""
    last = len(payloads) - 1
    return [Sent(CONTINUATION if n else opcode, p, fin=int(n == last)) for n, p in enumerate(payloads)]


def fragmented() -> Iterator[Case]:
    """Towards Proxmox each fragment is a complete frame (hear_frame() looks), as it cannot stand others."""
    payloads = {
        "two": (b"fragment1", b"fragment2"),
        "three": (b"fragment1", b"fragment2", b"fragment3"),
        "first-empty": (b"", b"fragment2"),
        "middle-empty": (b"fragment1", b"", b"fragment3"),
        "last-empty": (b"fragment1", b""),
        "all-empty": (b"", b"", b""),
        "a-hundred-of-one-byte": tuple(in_parts(pattern(100), 1)),
        "uneven": (pattern(125), pattern(126), pattern(65535), pattern(65536), b"."),
        "over-Proxmox's-limit": (pattern(131073), pattern(262145)),
    }
    for name, parts in payloads.items():
        for opcode in (TEXT, BINARY):
            yield from by_both("5.4", f"{OPCODES[opcode]}-in-fragments-{name}", *fragments(opcode, *parts))
    first, *middle, last = fragments(TEXT, *payloads["three"])
    for opcode in (PING, PONG):
        control = Sent(opcode, b"between")
        name = f"{OPCODES[opcode]}-between-fragments"
        yield from by_both("5.4", name, first, control, *middle, control, last)
        yield from by_both("5.4", f"{name}-byte-by-byte", first, control, *middle, control, last, chop=1)
    yield from by_both("5.4", "fragments-byte-by-byte", first, *middle, last, chop=1)
    yield from by_both("5.4", "two-fragmented-messages", first, last, first, last)
    whole = Sent(BINARY, b"whole")
    yield from by_both("5.4", "whole-message-between-fragmented-ones", first, last, whole, first, last)
    for size in (64, 1300, 4096, 65536, 131072, 131073):
        data = in_parts(pattern(256 * KIB), size)
        yield from by_both("5.4", f"256-KiB-in-fragments-of-{size}", *fragments(BINARY, *data))


def limits() -> Iterator[Case]:
    for size in (256 * KIB, MIB, 4 * MIB):
        yield from by_both("10.4", f"message-of-{size}-bytes", Sent(BINARY, pattern(size)))
    for chop in (128, 1000, 1460, 65537):
        yield from by_both("10.4", f"256-KiB-in-writes-of-{chop}", Sent(TEXT, pattern(256 * KIB)), chop=chop)
    for size in (0, 1, 125, 1000):
        messages = [Sent(BINARY, pattern(size))] * 1000
        yield from by_both("10.4", f"a-thousand-messages-of-{size}-bytes", *messages)


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


def texts() -> Iterator[Case]:
    """Section 8.1 obliges who interprets the bytes as UTF-8. A relay does not: Proxmox treats text and
    binary alike, terminals send bytes of any encoding in text frames, and browsers check what they
    interpret. So what is not UTF-8 arrives as it was sent."""
    for name, text in (UTF8 | NOT_UTF8).items():
        yield from by_both("8.1", f"text-{name}-passes-untouched", Sent(TEXT, text))
    greek = UTF8["Greek"]
    for size in (2, 1, 3):
        parts = fragments(TEXT, *in_parts(greek, size))
        yield from by_both("8.1", f"text-in-fragments-of-{size}-passes-untouched", *parts)
    yield from by_both("8.1", "text-byte-by-byte-passes-untouched", Sent(TEXT, greek), chop=1)


@over(*sizes(), *chopped(), *masked(), *pings(), *fragmented(), *limits(), *texts())
def test_data_arrives_and_pings_are_answered(ends: Ends, case: Case) -> None:
    """All data comes to the other end in order, each Ping's answer to its sender (section 5.5.2), and a Close
    ends it. Proxmox's frames keep their bounds, the client's need not (section 5.4: an intermediary may)."""
    near, far = ends.near_and_far(case.sender)
    with sending(near, case, Sent(CLOSE, close_payload(1000))):
        *heard, close = hear(far)
    if case.sender == PROXMOX:
        ends.client.send_frame(CLOSE, close_payload(1000))
    *answers, echo = hear(near)

    data = [Frame(s.fin, 0, s.opcode, s.payload) for s in case.sent if s.opcode < CLOSE]
    if case.sender == PROXMOX:
        arrived = heard == data
    else:
        arrived = b"".join(f.payload for f in heard) == b"".join(f.payload for f in data)
        arrived &= all(frame.opcode < CLOSE for frame in heard)
    assert arrived, f"{len(heard)} frames came of {len(data)}: {str(heard)[:1000]}"
    assert answers == [Frame(1, 0, PONG, s.payload) for s in case.sent if s.opcode == PING]
    assert close.payload[:2] == echo.payload[:2] == close_payload(1000)
    assert ends.client.at_end() and ends.proxmox.at_end()


@over(*by_both("5.4", "fragment-goes-on-before-its-message-is-whole"))
def test_fragment_and_ping_do_not_wait_for_the_message(ends: Ends, case: Case) -> None:
    near, far = ends.near_and_far(case.sender)
    first, last = fragments(BINARY, b"one", b"two")
    near.send(first.encode(case.sender) + Sent(PING, b"now").encode(case.sender))
    assert hear_data(far, 3) == b"one"
    assert hear_frame(near)[0] == (1, 0, PONG, b"now")
    near.send(last.encode(case.sender))
    assert hear_data(far, 3) == b"two"


@over(*by_both("5.2", "length-of-63-bits", Sent(BINARY, pattern(1000), length=(1 << 63) - 1)))
def test_largest_length_is_legal(ends: Ends, case: Case) -> None:
    """Proxmox gets it in pieces that it can stand, the client as it is; nothing waits for the rest."""
    near, far = ends.near_and_far(case.sender)
    (frame,) = case.sent
    near.send(frame.encode(case.sender))
    expected = frame._replace(length=PROXMOX_FRAME_MAX) if case.sender == CLIENT else frame
    raw = expected.encode(case.sender)
    assert far.read(len(raw)) == raw


@over(Case("5.3", "own-frames-have-fresh-mask-keys", 20))
def test_mask_keys_are_fresh(ends: Ends, case: Case) -> None:
    ends.proxmox.send(b"".join(encode_frame(PING, b"%d" % n) for n in range(case.sent)))
    keys = {hear_frame(ends.proxmox)[1] for _ in range(case.sent)}
    assert len(keys) == case.sent and bytes(4) not in keys


@over(*(Case("5.3", f"{size}-bytes-keep-the-client's-key", size) for size in (1, 131072, 131073, 393217)))
def test_data_keeps_the_clients_mask_key(ends: Ends, case: Case) -> None:
    """The key is to be fresh for each frame and unknown to who chose the data, so that no script can put
    bytes of its choice on the wire (section 10.3). The client's is: the relay passes payloads on without
    unmasking them, and cuts a larger frame where the same key stays right."""
    with sending(ends.client, Case("5.3", "", (Sent(BINARY, pattern(case.sent)),), sender=CLIENT)):
        pieces = [hear_frame(ends.proxmox) for _ in range(0, case.sent, PROXMOX_FRAME_MAX)]
    assert {mask for _, mask in pieces} == {MASK}
    whole = b"".join(frame.payload for frame, _ in pieces) == pattern(case.sent)
    assert whole


# --- 3, 4, 5 and 7: what must end the connection ---------------------------------------------

# Behind an offence or a Close nothing counts any more (sections 5.5.1 and 7.1.7).
BEHIND = (Sent(BINARY, b"behind"), Sent(PING, b"behind"), Sent(CLOSE, close_payload(4000)))
BEFORE = Sent(TEXT, b"before")


def violation(section: str, name: str, *sent: Sent, code: int = 1002) -> list[Case]:
    """The last frame is the offence. The client hears of its own as of Proxmox's, but in other words."""
    client, proxmox = by_both(section, name, *sent)
    return [client._replace(expected=close_payload(code)), proxmox._replace(expected=close_payload(1011))]


def reserved_bits() -> Iterator[Case]:
    for rsv in range(1, 8):
        for opcode, name in OPCODES.items():
            yield from violation("5.2", f"RSV-{rsv}-on-{name}", BEFORE, Sent(opcode, rsv=rsv))
        first, last = fragments(TEXT, b"one", b"two")
        yield from violation("5.2", f"RSV-{rsv}-on-continuation", first, last._replace(rsv=rsv))


def reserved_opcodes() -> Iterator[Case]:
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"payload"):
            name = f"opcode-{opcode}-of-{len(payload)}-bytes"
            yield from violation("5.2", name, BEFORE, Sent(opcode, payload))


def lengths() -> Iterator[Case]:
    for length, size in [(0, 2), (1, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)]:
        frame = Sent(BINARY, bytes(length), length_bytes=size)
        yield from violation("5.2", f"length-{length}-in-{size}-bytes-is-not-minimal", BEFORE, frame)
    for length in (1 << 63, (1 << 64) - 1):
        yield from violation("5.2", f"length-{length:x}-has-64-bits", BEFORE, Sent(BINARY, length=length))
    for opcode in (PING, PONG, CLOSE):
        name, payload = OPCODES[opcode], close_payload(1000) + b"x" * 124
        yield from violation("5.5", f"{name}-of-126-bytes", BEFORE, Sent(opcode, payload))
        yield from violation("5.5", f"{name}-of-65536-bytes", BEFORE, Sent(opcode, payload, length=65536))
        longer = Sent(opcode, payload[:2], length_bytes=2)
        yield from violation("5.2", f"{name}-length-not-minimal", BEFORE, longer)


def wrong_masks() -> Iterator[Case]:
    for opcode, name in OPCODES.items():
        for payload in (b"", close_payload(1000)):
            frame = Sent(opcode, payload, mask_is_wrong=True)
            yield from violation("5.1", f"mask-wrong-on-{name}-of-{len(payload)}-bytes", BEFORE, frame)
    first, last = fragments(BINARY, b"one", b"two")
    yield from violation("5.1", "mask-wrong-on-continuation", first, last._replace(mask_is_wrong=True))


def wrong_fragments() -> Iterator[Case]:
    for opcode in (PING, PONG, CLOSE):
        for payload in (b"", close_payload(1000)):
            name = f"fragmented-{OPCODES[opcode]}-of-{len(payload)}-bytes"
            yield from violation("5.5", name, BEFORE, Sent(opcode, payload, fin=0))
    first, last = fragments(TEXT, b"one", b"two")
    for fin in (0, 1):
        for payload in (b"", b"payload"):
            name = f"FIN-{fin}-of-{len(payload)}-bytes"
            nothing = Sent(CONTINUATION, payload, fin=fin)
            yield from violation("5.4", f"continuation-of-nothing-{name}", nothing)
            yield from violation("5.4", f"continuation-after-message-{name}", BEFORE, nothing)
            yield from violation("5.4", f"continuation-after-fragments-{name}", first, last, nothing)
            for opcode in (TEXT, BINARY):
                name = f"new-{OPCODES[opcode]}-inside-message-FIN-{fin}-of-{len(payload)}-bytes"
                yield from violation("5.4", name, first, Sent(opcode, payload, fin=fin))


def wrong_closes() -> Iterator[Case]:
    yield from violation("5.5.1", "close-of-one-byte", BEFORE, Sent(CLOSE, b"\x03"))
    for code in (1004, 1005, 1006, 1015):
        close = Sent(CLOSE, close_payload(code))
        yield from violation("7.4.1", f"close-code-{code}-must-not-be-sent", BEFORE, close)
    for code in (0, 1, 999, 1016, 1100, 2000, 2999, 5000, 65535):
        close = Sent(CLOSE, close_payload(code, "reason"))
        yield from violation("7.4.2", f"close-code-{code}-is-not-in-use", BEFORE, close)
    for name, reason in NOT_UTF8.items():
        close = Sent(CLOSE, close_payload(1000, reason))
        yield from violation("8.1", f"close-reason-{name}", BEFORE, close, code=1007)


def closes() -> Iterator[Case]:
    """The client hears its own code again, and Proxmox's code and reason as they came."""
    for code in (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999):
        yield from closing("7.4", f"close-code-{code}", close_payload(code))
    for size in (1, 2, 122, 123):
        yield from closing("5.5.1", f"close-reason-of-{size}-bytes", close_payload(1000, "r" * size))
    for name, reason in UTF8.items():
        yield from closing("5.5.1", f"close-reason-{name}", close_payload(1000, reason))
    yield from closing("5.5.1", "close-inside-message", close_payload(1001), before=Sent(TEXT, b"one", fin=0))
    for sender in (CLIENT, PROXMOX):
        heard = close_payload(1000)
        yield Case("7.1.5", "close-without-code-is-1000-to-the-client", (Sent(CLOSE),), heard, sender)
    # A reason is shown to people: what could steer a terminal does not go on. No section forbids it.
    steering = Sent(CLOSE, close_payload(1000, b"a\x1b[2Jb\0c\x7f"))
    yield Case("7.1.6", "close-reason-loses-controls", (steering,), close_payload(1000, "a?[2Jb?c?"), PROXMOX)


def closing(section: str, name: str, payload: bytes, before: Sent = BEFORE) -> Iterator[Case]:
    sent = (before, Sent(CLOSE, payload))
    yield Case(section, name, sent, payload[:2], CLIENT)
    yield Case(section, name, sent, payload, PROXMOX)


@over(
    *reserved_bits(),
    *reserved_opcodes(),
    *lengths(),
    *wrong_masks(),
    *wrong_fragments(),
    *wrong_closes(),
    *closes(),
)
def test_connection_ends(ends: Ends, case: Case) -> None:
    """What came before arrives, each end hears one Close and nothing else, and TCP is closed (sections 5.5.1
    and 7.1.7)."""
    near, far = ends.near_and_far(case.sender)
    *before, last = case.sent
    data = b"".join(frame.payload for frame in before)
    near.send(b"".join(frame.encode(case.sender) for frame in before))
    assert hear_data(far, len(data)) == data

    near.send(b"".join(frame.encode(case.sender) for frame in (last, *BEHIND)))
    (close,) = hear(ends.client)
    assert close.payload.startswith(case.expected)
    assert len(close.payload[2:].decode()) <= 123
    (told,) = hear(ends.proxmox)
    assert struct.unpack(">H", told.payload[:2])[0] in SENDABLE
    if case.sender == PROXMOX:
        ends.client.send_frame(CLOSE, close.payload)
    assert ends.client.at_end() and ends.proxmox.at_end()


def preceded() -> Iterator[Case]:
    first, last = fragments(BINARY, b"one", b"two")
    yield from violation("6.2", "text-then-RSV-in-one-segment", BEFORE, Sent(TEXT, rsv=4))
    yield from violation("6.2", "text-then-opcode-in-one-segment", BEFORE, Sent(3))
    wrong_mask = Sent(TEXT, b"x", mask_is_wrong=True)
    yield from violation("6.2", "text-then-wrong-mask-in-one-segment", BEFORE, wrong_mask)
    yield from violation("6.2", "text-then-continuation-in-one-segment", BEFORE, last)
    yield from violation("6.2", "fragment-then-text-in-one-segment", first, BEFORE)
    yield from violation("6.2", "message-then-large-ping-in-one-segment", first, last, Sent(PING, b"x" * 126))
    close = Sent(CLOSE, close_payload(1005))
    yield from violation("6.2", "text-then-close-1005-in-one-segment", BEFORE, close)


@over(*preceded())
def test_message_before_an_offence_in_one_segment_arrives(ends: Ends, case: Case) -> None:
    """Whether a message has been received is not for TCP to decide, nor for what comes behind it."""
    near, far = ends.near_and_far(case.sender)
    near.send(b"".join(frame.encode(case.sender) for frame in case.sent))
    data = b"".join(frame.payload for frame in case.sent[:-1])
    assert hear_data(far, len(data)) == data
    (close,) = hear(ends.client)
    assert close.payload.startswith(case.expected)
    assert len(hear(ends.proxmox)) == 1  # a Close alone


# --- 7: a connection that breaks off ---------------------------------------------------------


def breaks() -> Iterator[Case]:
    """expected: whether a Close may stand there. In a frame's payload it may not (section 5.5: a control
    frame goes between frames), and the end of TCP says it."""
    frame = Sent(BINARY, pattern(1000))
    for sender, header in {CLIENT: 8, PROXMOX: 4}.items():
        for cut in (0, 1, header - 1, header, header + 1, header + 999):
            name = f"connection-breaks-off-after-{cut}-bytes"
            yield Case("7.1.7", name, frame.encode(sender)[:cut], cut < header, sender)
        first = Sent(TEXT, b"one", fin=0)
        yield Case("7.1.7", "connection-breaks-off-inside-message", first.encode(sender), True, sender)


@over(*breaks())
def test_break_off_is_told_where_a_close_can_stand(ends: Ends, case: Case) -> None:
    near, far = ends.near_and_far(case.sender)
    near.send(BEFORE.encode(case.sender))  # which shows that the session is open
    assert hear_data(far, len(BEFORE.payload)) == BEFORE.payload
    near.send(case.sent)
    near.sock.close()
    if case.expected:
        *_, close = hear(far)
        assert close.payload[:2] == close_payload(1001 if case.sender == CLIENT else 1011)
    else:
        assert far.read(len(case.sent)) == case.sent
    if case.expected and case.sender == PROXMOX:
        ends.client.send_frame(CLOSE, close_payload(1011))
    assert far.at_end()


# --- 4: the opening handshake, client to proxxy ----------------------------------------------

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # section 1.3's
ASKED = "GET TARGET HTTP/1.1"
FIELDS: dict[str, Any] = {
    "Host": "proxxy.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Key": KEY,
    "Sec_WebSocket_Version": "13",
}
ABSENT = ""


def accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()).decode()


def head(start: str, fields: dict[str, Any]) -> str:
    """A head; a field's name has `_` for `-`, a list of values makes a line of each, and None makes none."""
    values = {name.replace("_", "-"): v if isinstance(v, list) else [v] for name, v in fields.items()}
    lines = [f"{name}: {value}" for name, each in values.items() for value in each if value is not None]
    return "\r\n".join([start, *lines, "", ""])


def asked(section: str, name: str, status: int, line: str = ASKED, answer: Any = None, **fields: Any) -> Case:
    """A handshake with other fields. answer: some of the answer's fields, ABSENT or a value."""
    return Case(section, name, head(line, FIELDS | fields), (status, answer or {}))


def handshakes() -> Iterator[Case]:
    yield asked("1.3", "sample-key", 101)
    for name in ("websocket", "WebSocket", "WEBSOCKET"):
        yield asked("4.2.1", f"upgrade-{name}", 101, Upgrade=name)
    for name in ("upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive", "Upgrade ,\tx"):
        yield asked("4.2.1", f"connection-{name}", 101, Connection=name)
    yield asked("4.2.1", "upgrade-in-a-list", 101, Upgrade="h2c, websocket")
    yield asked("4.2.1", "upgrade-in-two-lines", 101, Upgrade=["h2c", "websocket"])
    yield asked("4.2.1", "connection-in-two-lines", 101, Connection=["keep-alive", "Upgrade"])
    for value in (None, "", "websockets", "web socket", "h2c", "websocket-x"):
        yield asked("4.2.1", f"upgrade-is-{value}", 426, Upgrade=value)
    for value in (None, "", "keep-alive", "close", "upgrades", "websocket"):
        # A proxy in front that does not pass it on is no reason to refuse: http.h.
        yield asked("4.2.1", f"connection-is-{value}", 101, Connection=value)
    for value in (None, "", "0", "8", "12", "14", "013", "13.0", "13, 8", "-13", "256", "x"):
        wanted = {"sec-websocket-version": "13"}
        yield asked("4.2.2", f"version-is-{value}", 426, answer=wanted, Sec_WebSocket_Version=value)
    yield asked("11.3.5", "two-versions", 400, Sec_WebSocket_Version=["13", "13"])
    yield asked("11.3.5", "two-versions-that-differ", 400, Sec_WebSocket_Version=["8", "13"])
    yield from handshake_keys()
    yield asked("4.1", "POST", 405, "POST TARGET HTTP/1.1")
    yield asked("4.1", "HTTP-1.0", 101, "GET TARGET HTTP/1.0")
    yield asked("4.1", "HTTP-2.0", 505, "GET TARGET HTTP/2.0")
    yield asked("4.2.1", "absolute-URI", 101, "GET http://proxxy.example.comTARGET HTTP/1.1")
    yield asked("4.2.1", "no-Host", 400, Host=None)
    for value in (None, "https://panel.example.com", "null"):
        yield asked("10.2", f"origin-{value}-where-any-is-allowed", 101, Origin=value)
    for value in ("permessage-deflate", "permessage-deflate; client_max_window_bits, x", "x-webkit", ""):
        yield asked("9.1", f"extension-{value}-is-not-taken", 101, Sec_WebSocket_Extensions=value)
    yield asked("11.3.2", "extensions-in-two-lines", 101, Sec_WebSocket_Extensions=["x", "y; z=1"])
    yield from handshake_protocols()


def handshake_keys() -> Iterator[Case]:
    for key in ("AQIDBAUGBwgJCgsMDQ4PEA==", "/////////////////////w==", "++++++++++++++++++++++=="):
        wanted = {"sec-websocket-accept": accept(key)}
        yield asked("4.2.2", f"key-{key}", 101, answer=wanted, Sec_WebSocket_Key=key)
    padded = {"sec-websocket-accept": ACCEPT}
    yield asked("4.2.2", "white-space-around-key", 101, answer=padded, Sec_WebSocket_Key=f" \t{KEY}\t ")
    wrong = {
        "absent": None,
        "empty": "",
        "of-16-characters": "0123456789abcdef",
        "of-15-bytes": "AQIDBAUGBwgJCgsMDQ4P",
        "of-17-bytes": "AQIDBAUGBwgJCgsMDQ4PEBE=",
        "not-padded": KEY[:-2],
        "padded-once": KEY[:-1],
        "padded-thrice": KEY + "=",
        "in-the-other-alphabet": "_-__________________-w==",
        "with-a-space": "dGhlIHNhbXBs ZSBub25jZQ==",
        "not-base64": "*" * 22 + "==",
        "in-quotes": f'"{KEY}"',
        "beyond-ASCII": "é" * 22 + "==",
    }
    for name, key in wrong.items():
        yield asked("4.2.1", f"key-{name}", 400, Sec_WebSocket_Key=key)
    yield asked("11.3.1", "two-keys", 400, Sec_WebSocket_Key=[KEY, KEY])


def handshake_protocols() -> Iterator[Case]:
    """Section 4.2.2: one of those offered, or none; a browser fails the connection at any other."""
    offers: dict[Any, str] = {
        "binary": "binary",
        "base64": "base64",
        "base64, binary": "binary",
        "binary, binary": "binary",
        "chat,superchat": "chat",
        "BINARY": "BINARY",
        "b@d, fine": "fine",
        "": ABSENT,
        ",": ABSENT,
        "b@d": ABSENT,
    }
    for offer, chosen in offers.items():
        wanted = {"sec-websocket-protocol": chosen}
        yield asked("4.2.2", f"protocols-{offer}", 101, answer=wanted, Sec_WebSocket_Protocol=offer)
    two = {"sec-websocket-protocol": "chat"}
    lines = ["chat", "superchat"]
    yield asked("11.3.4", "protocols-in-two-lines", 101, answer=two, Sec_WebSocket_Protocol=lines)


AGREED = {
    "upgrade": "websocket",
    "connection": "upgrade",
    "sec-websocket-extensions": ABSENT,
    "sec-websocket-protocol": ABSENT,
    "content-length": ABSENT,
    "transfer-encoding": ABSENT,
}


@over(*handshakes())
def test_opening_handshake(sessions: Sessions, case: Case) -> None:
    """The answer to a client's. Nobody listens where Proxmox should be: the 101 is the answer to the client's
    request alone."""
    raw = case.sent.replace("TARGET", sessions.target(free_port())).encode()
    with Client.connect(sessions.port, raw=raw) as client:
        answer = client.read_head()
        status, fields = case.expected
        assert answer.status == status, answer.raw
        for name, value in (AGREED | fields if status == 101 else fields).items():
            got = answer.headers.get(name, ABSENT)
            assert got == value or (name in ("upgrade", "connection") and got.lower() == value), name
        if status == 101 and "sec-websocket-accept" not in fields:
            assert answer.headers["sec-websocket-accept"] == ACCEPT
        names = re.findall(rb"(?m)^([^:\r\n]+):", answer.raw.lower())
        assert len(names) == len(set(names)), "section 4.2.2: each field once"
        if status != 101:
            assert client.read(int(answer.headers["content-length"])) and client.at_end()


# --- 4.1: the opening handshake, proxxy to Proxmox -------------------------------------------


@over(
    Case("4.1", "request-is-GET-with-HTTP-1.1", rb"\AGET /[\x21-\x7e]* HTTP/1\.1\r\n", 1),
    Case("4.1", "request-has-one-Host-with-its-port", rb"(?im)^Host: 127\.0\.0\.1:[0-9]+\r$", 1),
    Case("4.1", "request-has-one-Upgrade", rb"(?im)^Upgrade: websocket\r$", 1),
    Case("4.1", "request-has-one-Connection", rb"(?im)^Connection: Upgrade\r$", 1),
    Case("4.1", "request-has-one-key-of-16-bytes", rb"(?m)^Sec-WebSocket-Key: [\w+/]{21}[AQgw]==\r$", 1),
    Case("4.1", "request-has-one-version-13", rb"(?m)^Sec-WebSocket-Version: 13\r$", 1),
    Case("4.1", "request-offers-each-protocol-once", rb"(?m)^Sec-WebSocket-Protocol: binary\r$", 1),
    Case("4.1", "request-has-no-field-twice", rb"(?ims)^([^:\r\n]+):.*^\1:", 0),
    Case("9.1", "request-offers-no-extension", rb"(?i)Sec-WebSocket-Extensions", 0),
    Case("10.2", "request-poses-as-no-browser's", rb"(?im)^(Origin|Cookie):", 0),
    Case("4.1", "request-has-no-body", rb"(?im)^(Content-Length|Transfer-Encoding):", 0),
    Case("4.1", "request-has-no-line-end-but-CRLF", rb"(?<!\r)\n|\r(?!\n)|[^\x20-\x7e\r\n]", 0),
)
def test_request_to_proxmox(unanswered: Ends, case: Case) -> None:
    """sent is what is looked for, expected how often it is there."""
    raw = unanswered.proxmox.read_request().raw
    assert len(re.findall(case.sent, raw)) == case.expected, raw


@over(Case("4.1", "key-is-chosen-at-random-for-each-connection", 3))
def test_key_is_fresh(sessions: Sessions, case: Case) -> None:
    keys = set()
    for _ in range(case.sent):
        ends = sessions.open()
        keys.add(ends.proxmox.read_request().headers["sec-websocket-key"])
        for end in ends:
            end.sock.close()
        sessions.end()
    assert len(keys) == case.sent


SWITCHING = "101 Switching Protocols"
ANSWER: dict[str, Any] = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Accept": "{accept}"}


def answered(section: str, name: str, accepted: bool, status: str = SWITCHING, **fields: Any) -> Case:
    return Case(section, name, head(f"HTTP/1.1 {status}", ANSWER | fields), accepted)


def answers() -> Iterator[Case]:
    fine: dict[str, dict[str, Any]] = {
        "plain": {},
        "any-case": {"Upgrade": "WebSocket", "Connection": "UPGRADE"},
        "connection-list": {"Connection": "keep-alive, Upgrade"},
        "unknown-fields": {"Server": "pve-api-daemon/3.0"},
        "white-space": {"Sec_WebSocket_Accept": " \t{accept}\t "},
        "offered-protocol": {"Sec_WebSocket_Protocol": "binary"},
        "no-words": {"status": "101 "},
        "other-words": {"status": "101 Web Socket Protocol Handshake"},
    }
    for name, options in fine.items():
        yield answered("4.1", f"answer-{name}-is-accepted", True, **options)
    yield answered("4.1", "answer-byte-by-byte-is-accepted", True)._replace(chop=1)
    small = head("HTTP/1.1 101 x", {name.lower(): value for name, value in ANSWER.items()})
    yield Case("4.1", "answer-in-small-letters-is-accepted", small, True)
    # RFC 9112 section 6.3: nothing follows a 101's head, whatever its fields say.
    yield answered("4.1", "answer-with-a-Content-Length-of-0-is-accepted", True, Content_Length="0")
    wrong: dict[str, dict[str, Any]] = {
        "accept-absent": {"Sec_WebSocket_Accept": None},
        "accept-empty": {"Sec_WebSocket_Accept": ""},
        "accept-cut": {"Sec_WebSocket_Accept": "{cut}"},
        "accept-and-more": {"Sec_WebSocket_Accept": "{accept}x"},
        "accept-of-another-key": {"Sec_WebSocket_Accept": ACCEPT},
        "accept-is-the-key": {"Sec_WebSocket_Accept": "{key}"},
        "accept-in-quotes": {"Sec_WebSocket_Accept": '"{accept}"'},
        "accept-twice": {"Sec_WebSocket_Accept": ["{accept}", "{accept}"]},
        "upgrade-absent": {"Upgrade": None},
        "upgrade-empty": {"Upgrade": ""},
        "upgrade-h2c": {"Upgrade": "h2c"},
        "connection-absent": {"Connection": None},
        "connection-close": {"Connection": "close"},
        "extension-not-asked-for": {"Sec_WebSocket_Extensions": "permessage-deflate"},
        "extensions-not-asked-for": {"Sec_WebSocket_Extensions": ["x", "y; z=1"]},
        "protocol-not-asked-for": {"Sec_WebSocket_Protocol": "chat"},
    }
    for name, options in wrong.items():
        yield answered("4.1", f"answer-{name}-fails", False, **options)
    for status in ("200", "204", "301", "400", "401", "403", "426", "500", "1O1", "0101", "1"):
        yield answered("4.1", f"answer-{status}-fails", False, f"{status} whatever")
    yield Case("4.1", "answer-HTTP-2.0-fails", head("HTTP/2.0 101 x", ANSWER), False)
    yield Case("4.1", "answer-without-HTTP-fails", "\x82\x02hi\r\n\r\n", False)
    # RFC 9110 section 15.2: interim answers before the one that counts are to be read over.
    for interim in ("100 Continue", "103 Early Hints"):
        heads = head(f"HTTP/1.1 {interim}", {}) + head(f"HTTP/1.1 {SWITCHING}", ANSWER)
        yield Case("4.1", f"answer-after-{interim[:3]}-is-accepted", heads, True)


@over(*answers())
def test_answer_of_proxmox(unanswered: Ends, case: Case) -> None:
    """Proxmox's first frame is right behind its answer: a client that fails the connection never shows it."""
    client, proxmox = unanswered
    key = proxmox.read_request().headers["sec-websocket-key"]
    answer = case.sent.format(key=key, accept=accept(key), cut=accept(key)[:-1])
    raw = answer.encode("latin-1") + encode_frame(BINARY, b"hello")
    for part in in_parts(raw, case.chop or len(raw)):
        proxmox.send(part)
    frame = hear_frame(client)[0]
    if case.expected:
        assert frame == (1, 0, BINARY, b"hello")
    else:
        assert frame.opcode == CLOSE and frame.payload[:2] == close_payload(1011)
        client.send_frame(CLOSE, frame.payload)
        assert client.at_end() and proxmox.at_end()


# --- the table -------------------------------------------------------------------------------


def summary() -> str:
    """How many cases there are of each section."""
    counts = Counter(case.section for case in EVERY)
    order = sorted(counts, key=lambda section: [int(number) for number in section.split(".")])
    lines = [f"{section:<8}{counts[section]:>5}" for section in order]
    return "\n".join(["section  cases", *lines, f"{'all':<8}{len(EVERY):>5}"])


def test_no_two_cases_share_a_name() -> None:
    names = Counter(map(str, EVERY))
    assert [name for name, count in names.items() if count > 1] == []


if __name__ == "__main__":
    print(summary())
