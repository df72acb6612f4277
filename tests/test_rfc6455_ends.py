# SPDX-License-Identifier: Apache-2.0
"""RFC 6455, sections 5 to 8: events from a client and from Proxmox that must end the connection. Protocol violations,
Closes, and broken connections."""

from __future__ import annotations

import struct
from typing import Iterator

from lib.rfc6455 import (
    CLIENT,
    NOT_UTF8,
    OPCODES,
    PROXMOX,
    UTF8,
    Case,
    Ends,
    Sent,
    by_both,
    fragments,
    hear,
    hear_data,
    over,
    pattern,
)
from lib.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload

pytest_plugins = "lib.rfc6455"

SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}  # section 7.4 and IANA's registry


# --- 3, 4, 5 and 7: what must end the connection ---------------------------------------------

# proxxy must ignore all data after a violation or a Close (sections 5.5.1 and 7.1.7).
BEHIND = (Sent(BINARY, b"behind"), Sent(PING, b"behind"), Sent(CLOSE, close_payload(4000)))
BEFORE = Sent(TEXT, b"before")


def violation(section: str, name: str, *sent: Sent, code: int = 1002) -> list[Case]:
    """Returns cases whose last frame is a violation. The client gets `code` for its own, 1011 for Proxmox's."""
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
    """The client gets its own code back, and gets Proxmox's code and reason unchanged."""
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
    # People see the reason, so proxxy replaces control characters. The RFC does not forbid that.
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
    """Earlier data arrives, each end gets one Close and nothing else, and TCP is closed (sections 5.5.1 and
    7.1.7)."""
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
    """A message arrives even if a violation follows it in the same TCP segment."""
    near, far = ends.near_and_far(case.sender)
    near.send(b"".join(frame.encode(case.sender) for frame in case.sent))
    data = b"".join(frame.payload for frame in case.sent[:-1])
    assert hear_data(far, len(data)) == data
    (close,) = hear(ends.client)
    assert close.payload.startswith(case.expected)
    assert len(hear(ends.proxmox)) == 1  # a Close alone


# --- 7: a broken connection ------------------------------------------------------------------


def breaks() -> Iterator[Case]:
    """expected: whether proxxy can send a Close. Inside a frame's payload it cannot (section 5.5: control
    frames go between frames), so it only ends TCP."""
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
