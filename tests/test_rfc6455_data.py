# SPDX-License-Identifier: Apache-2.0
"""RFC 6455, sections 5, 8 and 10: frames from a client and from Proxmox that must arrive. Sizes, masks, Pings and
Pongs, fragments, limits and texts."""

from __future__ import annotations

from typing import Iterator

from lib.rfc6455 import (
    CLIENT,
    MASK,
    NOT_UTF8,
    OPCODES,
    PROXMOX,
    PROXMOX_FRAME_MAX,
    UTF8,
    Case,
    Ends,
    Sent,
    by_both,
    fragments,
    hear,
    hear_data,
    hear_frame,
    in_parts,
    over,
    pattern,
    sending,
)
from lib.wire import BINARY, CLOSE, PING, PONG, TEXT, Frame, close_payload, encode_frame

pytest_plugins = "lib.rfc6455"

KIB, MIB = 1 << 10, 1 << 20
SIZES = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537, 131071, 131072, 131073]


def sizes() -> Iterator[Case]:
    for opcode in (TEXT, BINARY):
        for size in SIZES:
            yield from by_both("5.2", f"{OPCODES[opcode]}-of-{size}-bytes", Sent(opcode, pattern(size)))


def chopped() -> Iterator[Case]:
    """TCP may split a frame anywhere; its meaning stays the same."""
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
    # RFC 6455 allows answering only the last of several Pings. proxxy answers all: clients measure RTTs with them.
    yield from by_both("5.5.3", "five-hundred-pings-are-all-answered", *many)
    one, two = Sent(TEXT, b"one"), Sent(BINARY, b"two")
    yield from by_both("5.5.2", "pings-between-messages", *ten[:2], one, ten[2], two, ten[3])


def fragmented() -> Iterator[Case]:
    """proxxy sends Proxmox each fragment as a complete frame (hear_frame() checks it): Proxmox accepts no fragments."""
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


def texts() -> Iterator[Case]:
    """Section 8.1 binds an endpoint that interprets text as UTF-8. A relay does not: Proxmox treats text and
    binary alike, terminals send bytes of any encoding in text frames, and browsers check UTF-8
    themselves. So bytes that are not UTF-8 arrive unchanged."""
    for name, text in (UTF8 | NOT_UTF8).items():
        yield from by_both("8.1", f"text-{name}-passes-untouched", Sent(TEXT, text))
    greek = UTF8["Greek"]
    for size in (2, 1, 3):
        parts = fragments(TEXT, *in_parts(greek, size))
        yield from by_both("8.1", f"text-in-fragments-of-{size}-passes-untouched", *parts)
    yield from by_both("8.1", "text-byte-by-byte-passes-untouched", Sent(TEXT, greek), chop=1)


@over(*sizes(), *chopped(), *masked(), *pings(), *fragmented(), *limits(), *texts())
def test_data_arrives_and_pings_are_answered(ends: Ends, case: Case) -> None:
    """All data arrives at the other end in order, each Ping's sender gets a Pong (section 5.5.2), and a Close
    ends the session. Proxmox's frames keep their boundaries; the client's need not (section 5.4 allows an
    intermediary to change them)."""
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
    """proxxy splits the frame for Proxmox into frames of legal size and forwards it to the client unchanged. It does
    not wait for the rest of the frame."""
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
    """Each frame needs a new key that is unknown to the author of the data, so that no script can put
    chosen bytes on the wire (section 10.3). The client's key is such a key: the relay forwards payloads without
    unmasking them, and splits a larger frame only where the same key still fits."""
    with sending(ends.client, Case("5.3", "", (Sent(BINARY, pattern(case.sent)),), sender=CLIENT)):
        pieces = [hear_frame(ends.proxmox) for _ in range(0, case.sent, PROXMOX_FRAME_MAX)]
    assert {mask for _, mask in pieces} == {MASK}
    whole = b"".join(frame.payload for frame, _ in pieces) == pattern(case.sent)
    assert whole
