# SPDX-License-Identifier: Apache-2.0
"""One end of a random session: it sends a list of frames in pieces, reads at its own pace, and records what it gets.

Each end is a non-blocking socket, with or without TLS. One thread drives it in a loop: two threads may not read and
write one of Python's TLS sockets.
"""

from __future__ import annotations

import ctypes
import os
import random
import socket
import ssl
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import cast

from .pve_frames import xor
from .wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, encode_frame

PIECE = 131072  # Proxmox's largest frame
LIBSSL = ctypes.CDLL("libssl.so.3")
UPDATE_REQUESTED = 1  # SSL_KEY_UPDATE_REQUESTED


def tls_of(sock: socket.socket) -> ctypes.c_void_p:
    """Returns the SSL of a TLS socket, for calls of OpenSSL that Python's module does not offer. Python's object
    contains the object head, a reference to the socket, and then the pointer to the SSL."""
    return ctypes.c_void_p.from_address(id(sock._sslobj) + 24)  # type: ignore[attr-defined]


@dataclass
class Pace:
    """How many bytes at once, and how many seconds between two reads or writes."""

    size: int
    delay: float

    @classmethod
    def draw(cls, rng: random.Random) -> Pace:
        kind = rng.random()
        if kind < 0.6:
            return cls(1 << 18, 0)
        if kind < 0.9:
            return cls(rng.choice([1, 7, 100, 1400, 5000, 16384, 70000]), rng.choice([0, 0, 0.0005, 0.002]))
        return cls(rng.randrange(2000, 12000), 0.03)


@dataclass
class Peer:
    sock: socket.socket
    masks: bool  # it is a client
    rng: random.Random
    writes: Pace
    reads: Pace
    items: deque = field(default_factory=deque)  # to do: bytes (one whole frame) or the name of another action
    silent: bool = False  # it answers no Close
    data: bytearray = field(default_factory=bytearray)  # received
    closes: list = field(default_factory=list)  # received codes, None for an empty Close
    pings: list = field(default_factory=list)  # sent
    pongs: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    ended: str = ""  # how the connection ended: "eof" or the error's name

    def __post_init__(self) -> None:
        self._out = b""  # the rest of the current frame
        self._retry = b""  # TLS requires a retry with the same bytes
        self._buffer = bytearray()
        self._left = self._offset = 0
        self._frame: tuple = ()
        self._control = bytearray()
        self._write_at = self._read_at = 0.0
        self._fragments = False
        self.close_sent = self.finished = False

    # --- sending

    def due(self) -> float:
        """Returns the time of the next read or write."""
        out = self._write_at if self._out or self.items else float("inf")
        return min(out, self._read_at if not self.ended else float("inf"))

    def turn(self, now: float) -> None:
        if not self.finished and now >= self._write_at:
            self._send(now)
        if not self.ended and now >= self._read_at:
            self._receive(now)

    def _send(self, now: float) -> None:
        if not self._out:
            if not self.items:
                return
            item = self.items.popleft()
            if item == "close sent":
                self.close_sent = True
                self.items.clear()
                return
            if isinstance(item, str):
                self._do(item)
                return
            self._out = item
        piece = self._retry or self._out[: self.writes.size]
        try:
            sent = self.sock.send(piece)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._retry = piece if isinstance(self.sock, ssl.SSLSocket) else b""
            self._write_at = now + 0.002
            return
        except OSError:
            self.finished = True
            return
        self._retry = b""
        self._out = self._out[sent:]
        self._write_at = now + self.writes.delay

    def _do(self, what: str) -> None:
        if what == "key update":
            if cast(ssl.SSLSocket, self.sock).version() == "TLSv1.3":
                LIBSSL.SSL_key_update(tls_of(self.sock), UPDATE_REQUESTED)
            return
        if what == "notify" and LIBSSL.SSL_shutdown(tls_of(self.sock)) < 0:  # the socket's buffer is full
            self.items.appendleft(what)
            return
        self.finished = True  # after any of these actions nothing more is sent
        self.items.clear()
        try:
            if what == "reset":
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.sock.close()
                self.ended = "reset"
            else:  # SSLSocket's shutdown() would drop the TLS state
                with socket.socket(fileno=os.dup(self.sock.fileno())) as copy:
                    copy.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    # --- receiving

    def _receive(self, now: float) -> None:
        left = self.reads.size
        while left > 0:  # one recv() returns at most one TLS record
            try:
                chunk = self.sock.recv(left)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._read_at = now + 0.001
                break
            except ssl.SSLEOFError:
                chunk = b""
            except OSError as error:
                self.ended = type(error).__name__
                break
            if not chunk:
                self.ended = "eof"
                break
            left -= len(chunk)
            self._buffer += chunk
        else:
            self._read_at = now + self.reads.delay
        self._parse()

    def _parse(self) -> None:
        while True:
            if self._left or self._frame:
                part = bytes(self._buffer[: self._left])
                del self._buffer[: len(part)]
                self._payload(part)
                if self._left:
                    return
                continue
            if not self._head():
                return

    def _head(self) -> bool:
        b = self._buffer
        if len(b) < 2:
            return False
        size = {126: 2, 127: 8}.get(b[1] & 0x7F, 0)
        masked = bool(b[1] & 0x80)
        end = 2 + size + (4 if masked else 0)
        if len(b) < end:
            return False
        length = int.from_bytes(b[2 : 2 + size], "big") if size else b[1] & 0x7F
        mask = bytes(b[2 + size : end]) if masked else bytes(4)
        fin, opcode = b[0] >> 7, b[0] & 15
        if self.closes:
            self.errors.append("a frame behind a Close")
        if masked == self.masks or b[0] & 0x70 or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            self.errors.append(f"no legal frame: {bytes(b[:end]).hex()}")
        if not self.masks and (not fin or opcode == CONTINUATION or length > PIECE):
            self.errors.append(f"not for Proxmox: {bytes(b[:end]).hex()}")
        if opcode < CLOSE and (opcode == CONTINUATION) != self._fragments:
            self.errors.append("fragments in disorder")
        if opcode < CLOSE:
            self._fragments = not fin
        del b[:end]
        self._frame, self._left, self._offset = (opcode, mask), length, 0
        return True

    def _payload(self, part: bytes) -> None:
        opcode, mask = self._frame
        at = self._offset % 4
        plain = xor(part, mask[at:] + mask[:at])
        self._offset += len(part)
        self._left -= len(part)
        if opcode < CLOSE:
            self.data += plain
        else:
            self._control += plain
        if self._left == 0:
            self._frame = ()
            if opcode >= CLOSE:
                control, self._control = bytes(self._control), bytearray()
                self._on_control(opcode, control)

    def inside_frame(self) -> bool:
        return bool(self._frame or self._buffer)

    def _on_control(self, opcode: int, payload: bytes) -> None:
        if opcode == PONG:
            self.pongs.append(payload)
        elif opcode == PING and not self.finished:
            self.items.appendleft(self.frame(PONG, payload))
        elif opcode == CLOSE:
            self.closes.append(struct.unpack(">H", payload[:2])[0] if payload else None)
            if self.finished or self.silent:
                return
            self.items.clear()
            if self.close_sent:
                self.items.append("fin")
            elif self.masks:  # the browser answers and waits for the end of TCP
                self.items.append(self.frame(CLOSE, payload[:2]))
                self.close_sent = True
            else:  # Proxmox shuts TCP down without an answer
                self.items.append("fin")

    def frame(self, opcode: int, payload: bytes = b"", **options) -> bytes:
        return encode_frame(opcode, payload, mask=self.rng.randbytes(4) if self.masks else None, **options)

    # --- what it will send

    def plan(self, total: int) -> bytes:
        """Queues random frames with that many bytes of data in total, and Pings, Pongs and empty frames between them.
        Returns the data."""
        rng, data = self.rng, self.rng.randbytes(total)
        at, inside = 0, False
        while at < total:
            size = rng.choice([1, 5, 125, 126, 1000, 4096, 65535, 65536, rng.randrange(1, 200_000)])
            size = min(size, total - at, 150_000 if self.masks else PIECE)
            fin = rng.random() < 0.8
            if rng.random() < 0.1:
                self.items.append(self.frame(CONTINUATION if inside else BINARY, b"", fin=0))
                inside = True
            opcode = CONTINUATION if inside else rng.choice([BINARY, BINARY, TEXT])
            self.items.append(self.frame(opcode, data[at : at + size], fin=int(fin)))
            inside = not fin
            at += size
            for _ in range(rng.choice([0, 0, 0, 0, 1, 1, 3, 12])):
                word = rng.randbytes(rng.choice([0, 4, 125]))
                if rng.random() < 0.7:
                    self.pings.append(word)
                    self.items.append(self.frame(PING, word))
                else:
                    self.items.append(self.frame(PONG, word))
            if not self.masks and rng.random() < 0.05:
                self.items.append("key update")
        if self.items and self.items[-1] == "key update":  # OpenSSL sends it only with a later frame
            self.items.pop()
        if inside:
            self.items.append(self.frame(CONTINUATION))
        return data

    def close(self, code: int | None) -> None:
        self.items.append(self.frame(CLOSE, b"" if code is None else close_payload(code)))
        self.items.append("close sent")
