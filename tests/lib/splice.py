# SPDX-License-Identifier: Apache-2.0
"""Forwards bytes both ways between two sockets until both directions have ended."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Callable

BUFFER_BYTES = 65536  # per direction; nothing more is read before these bytes are written

Vanishes = Callable[[], bool]


class _Direction:
    def __init__(self, source: socket.socket, sink: socket.socket, vanishes: Vanishes, first: bytes = b"") -> None:
        self.source, self.sink, self.vanishes = source, sink, vanishes
        self.waiting = memoryview(first)
        self.source_ended = False
        self.ended = False

    def read(self) -> None:
        try:
            data = self.source.recv(BUFFER_BYTES)
        except BlockingIOError:
            return
        self.source_ended = not data
        if self.vanishes():
            self.ended = self.source_ended  # the sink is not told
        else:
            self.waiting = memoryview(data)

    def write(self) -> None:
        """Writes the waiting bytes, then the end of the stream when all bytes before it are written."""
        if self.waiting:
            with contextlib.suppress(BlockingIOError):
                self.waiting = self.waiting[self.sink.send(self.waiting) :]
        if self.source_ended and not self.waiting and not self.ended:
            self.ended = True
            self.sink.shutdown(socket.SHUT_WR)


def splice(
    near: socket.socket, far: socket.socket, first: bytes = b"", vanishes: Vanishes = lambda: False
) -> None:
    """Returns when both directions have ended or a connection fails; the caller closes both sockets. `first` is sent
    to far before near's bytes. What comes is dropped while vanishes()."""
    near.setblocking(False)
    far.setblocking(False)
    directions = (_Direction(near, far, vanishes, first), _Direction(far, near, vanishes))
    with contextlib.suppress(OSError):
        while not all(direction.ended for direction in directions):
            for direction in directions:
                direction.write()
            _wait(directions)
            for direction in directions:
                if not direction.waiting and not direction.source_ended:
                    direction.read()
                direction.write()


def _wait(directions: tuple[_Direction, ...]) -> None:
    """Waits until a direction's waiting bytes can be written or, if it has none, its source can be read."""
    events: dict[socket.socket, int] = {}
    for direction in directions:
        if direction.waiting:
            events[direction.sink] = events.get(direction.sink, 0) | select.POLLOUT
        elif not direction.source_ended:
            events[direction.source] = events.get(direction.source, 0) | select.POLLIN
    poll = select.poll()
    for sock, mask in events.items():
        poll.register(sock, mask)
    if events:
        poll.poll()
