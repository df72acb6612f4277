# SPDX-License-Identifier: Apache-2.0
"""A raw, synchronous WebSocket peer for hostile tests: it sends any bytes, valid or not, and returns
each frame as received."""

from __future__ import annotations

import base64
import os
import socket
import struct
import time
from typing import Any, Mapping, NamedTuple, Self

from .pve_frames import xor

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
TIMEOUT = 5.0  # seconds for anything that should arrive at once


class Frame(NamedTuple):
    fin: int
    rsv: int
    opcode: int
    payload: bytes  # unmasked


class Head(NamedTuple):
    """The head of a request or a response."""

    start: str  # the first line
    headers: dict[str, str]  # names in lower case
    raw: bytes

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])


def encode_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: int = 1,
    rsv: int = 0,
    mask: bytes | None = None,
    length: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """Encodes a frame, valid or not. length: written to the header instead of the payload's length;
    length_bytes: 0, 2 or 8 forces the length's encoding, which then need not be the shortest."""
    claimed = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if claimed <= 125 else 2 if claimed <= 0xFFFF else 8
    short = {0: claimed, 2: 126, 8: 127}[length_bytes]
    extended = claimed.to_bytes(length_bytes, "big") if length_bytes else b""
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short]) + extended
    return head + payload if mask is None else head + mask + xor(payload, mask)


def close_payload(code: int, reason: str | bytes = b"") -> bytes:
    return struct.pack(">H", code) + (reason.encode() if isinstance(reason, str) else reason)


class Peer:
    """One end of a connection (client or server) that sends and reads raw bytes and frames."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, raw: bytes, timeout: float = TIMEOUT) -> None:
        self.sock.settimeout(timeout)
        self.sock.sendall(raw)

    def send_frame(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        self.send(encode_frame(opcode, payload, **options))

    def read(self, count: int, timeout: float = TIMEOUT) -> bytes:
        """Reads exactly that many bytes; raises EOFError at an earlier end."""
        self._fill(count, time.monotonic() + timeout)
        return self._take(count)

    def read_head(self, timeout: float = TIMEOUT) -> Head:
        deadline = time.monotonic() + timeout
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._fill(len(self._buffer) + 1, deadline)
        raw = self._take(end + 4)
        start, *lines = raw[:-4].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return Head(start, {name.strip().lower(): value.strip() for name, _, value in pairs}, raw)

    def read_body(self, head: Head, timeout: float = TIMEOUT) -> bytes:
        """Reads the body after a head: Content-Length bytes, or without that up to the end of the connection."""
        if "content-length" in head.headers:
            return self.read(int(head.headers["content-length"]), timeout)
        return self.read_all(timeout)

    def read_frame(self, timeout: float = TIMEOUT) -> Frame:
        deadline = time.monotonic() + timeout
        self._fill(2, deadline)
        first, second = self._take(2)
        length, masked = second & 0x7F, second & 0x80
        if length >= 126:
            size = 2 if length == 126 else 8
            self._fill(size, deadline)
            length = int.from_bytes(self._take(size), "big")
        mask = b"\0\0\0\0"
        if masked:
            self._fill(4, deadline)
            mask = self._take(4)
        self._fill(length, deadline)
        return Frame(first >> 7, first >> 4 & 7, first & 0x0F, xor(self._take(length), mask))

    def read_data(self, count: int, timeout: float = TIMEOUT) -> bytes:
        """Reads that many bytes of data from complete frames of any size; skips Pings."""
        deadline = time.monotonic() + timeout
        data = bytearray()
        while len(data) < count:
            frame = self.read_frame(deadline - time.monotonic())
            if frame.opcode in (TEXT, BINARY):
                data += frame.payload
            elif frame.opcode != PING:
                raise AssertionError(f"{count} bytes awaited, after {len(data)} came {frame}")
        return bytes(data)

    def close_code(self, timeout: float = TIMEOUT) -> tuple[int | None, str]:
        """Returns code and reason of the next Close; skips the frames before it."""
        deadline = time.monotonic() + timeout
        while (frame := self.read_frame(deadline - time.monotonic())).opcode != CLOSE:
            pass
        if not frame.payload:
            return None, ""
        return struct.unpack(">H", frame.payload[:2])[0], frame.payload[2:].decode()

    def read_all(self, timeout: float = TIMEOUT) -> bytes:
        """Reads everything up to the end; raises ConnectionResetError when the end is not clean."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._fill(len(self._buffer) + 1, deadline)
            except EOFError:
                return self._take(len(self._buffer))

    def at_end(self, timeout: float = TIMEOUT) -> bool:
        """Returns whether the peer ends the connection without further data. A reset also counts as an end,
        and so does an end of TCP without a close_notify."""
        try:
            return self.read_all(timeout) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def reset(self) -> None:
        """Closes the connection with an RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _fill(self, count: int, deadline: float) -> None:
        while len(self._buffer) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{count} bytes awaited, {len(self._buffer)} came")
            self.sock.settimeout(left)
            chunk = self.sock.recv(max(65536, count - len(self._buffer)))
            if not chunk:
                raise EOFError(f"{count} bytes awaited, {len(self._buffer)} came")
            self._buffer += chunk

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


class Client(Peer):
    """A browser's end. It masks frames unless mask=None."""

    @classmethod
    def connect(
        cls,
        port: int,
        target: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        raw: bytes | None = None,
        address: str = "127.0.0.1",
        source: str = "",
    ) -> Self:
        """Connect, from the address source, and send an upgrade request for the target, or the raw bytes, or nothing.

        headers are added to the upgrade's own or replace them; an empty value removes one.
        """
        client = cls(socket.create_connection((address, port), TIMEOUT, (source, 0) if source else None))
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target is not None:
            client.send(upgrade_request(port, target, headers or {}))
        if raw is not None:
            client.send(raw)
        return client

    @classmethod
    def upgraded(cls, port: int, target: str, headers: Mapping[str, str] | None = None) -> Self:
        """Connect and upgrade; the answer must be 101."""
        client = cls.connect(port, target, headers)
        head = client.read_head()
        assert head.status == 101, head.raw + client.read_all()
        return client

    def send_frame(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        super().send_frame(opcode, payload, **{"mask": os.urandom(4), **options})


def upgrade_request(port: int, target: str, headers: Mapping[str, str]) -> bytes:
    sent = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items() if value)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
