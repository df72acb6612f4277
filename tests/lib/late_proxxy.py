# SPDX-License-Identifier: Apache-2.0
"""proxxy's part in the console of a link without a console ticket, as a script: it says what proxxy says to a browser,
and counts what comes."""

from __future__ import annotations

import re
import struct
import threading
from typing import Callable

from .panel import page
from .rfb import NAME, PIXELS, SIZES
from .upstream import Connection, Upstream
from .wire import BINARY, CLOSE, close_payload

SEALED = "eyJhbGciOiJkaXIifQ..bm9uY2U.c2VhbGVk.dGFn"  # no proxxy opens it
WIDTH, HEIGHT = 640, 400
SCREEN_SECONDS = 120.0
PROMPT = b"root@guest:~# "


class Session:
    """What one WebSocket got from the page."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.received = bytearray()
        self._lock = threading.Lock()
        self.ended = False

    def send(self, data: bytes, opcode: int = BINARY) -> None:
        """Sends a frame, unless a Close was sent."""
        with self._lock:
            if not self.ended:
                self.connection.send_frame(opcode, data)
                self.ended = opcode == CLOSE

    def end(self, code: int, reason: str) -> None:
        self.send(close_payload(code, reason), CLOSE)


class LateProxxy:
    """Serves for as long as the with block lasts. Each WebSocket gets a screen or a terminal, or, while `refusal` is
    set, a Close with that code and reason."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.refusal: tuple[int, str] | None = None
        self.silent = False  # whether the guest does not answer
        self.guest: Callable[[Session], None] = screen
        self._server = Upstream(None, self._serve)
        self.port = self._server.port

    def __enter__(self) -> LateProxxy:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def link(self, name: str = "novnc", **more: str) -> str:
        self.guest = screen if name == "novnc" else terminal
        return page(name, payload=SEALED, title="VM 100", **more)

    def _serve(self, c: Connection) -> None:
        request = c.read_request()
        if "sec-websocket-key" not in request.headers:  # the page asks why there was no WebSocket
            c.respond(426, "Upgrade Required", {"Content-Length": "2"}, b"{}")
            return
        c.upgrade(request, {"Sec-WebSocket-Protocol": "binary"})
        self.sessions.append(session := Session(c))
        if self.refusal:
            session.end(*self.refusal)
            c.close_code()
        elif self.silent:
            c.hang()
        else:
            self.guest(session)


def read_to_close(session: Session, use: Callable[[], None]) -> None:
    """Adds what comes to session.received, and calls use() each time; answers a Close."""
    while (frame := session.connection.read_frame(SCREEN_SECONDS)).opcode != CLOSE:
        if frame.opcode == BINARY:
            session.received += frame.payload
            use()
    session.send(frame.payload, CLOSE)


def screen(session: Session) -> None:
    """RFB 3.8 without authentication. It shows a picture, and keeps the messages behind the handshake."""
    for sent, size in ((b"RFB 003.008\n", 12), (b"\x01\x01", 1), (b"\0\0\0\0", 1)):
        session.send(sent)
        frame = session.connection.read_frame(SCREEN_SECONDS)
        if frame.opcode == CLOSE:
            session.send(frame.payload, CLOSE)
            return
        assert len(frame.payload) == size
    session.send(struct.pack(">HH", WIDTH, HEIGHT) + PIXELS + struct.pack(">I", len(NAME)) + NAME)
    drawn = 0

    def draw() -> None:
        """Answers what asks for pixels that have not changed. Later ones ask whether the guest is there."""
        nonlocal drawn
        asked = [message for message in messages(session).get(b"\x03", []) if not message[1]]
        for message in asked[drawn:]:
            session.send(picture() if not drawn else pixels(*struct.unpack(">HHHH", message[2:])))
            drawn += 1

    read_to_close(session, draw)


def messages(session: Session) -> dict[bytes, list[bytes]]:
    """The messages of a VNC client that are complete, by their types (RFC 6143 section 7.5)."""
    found: dict[bytes, list[bytes]] = {}
    data, at = bytes(session.received), 0
    while at < len(data):
        end = at + 1 + SIZES[data[at]]
        if data[at] == 2 and end <= len(data):
            end += 4 * struct.unpack(">H", data[at + 2 : at + 4])[0]
        elif data[at] == 6 and end <= len(data):
            end += struct.unpack(">I", data[at + 4 : at + 8])[0]
        if end > len(data):
            break
        found.setdefault(data[at : at + 1], []).append(data[at:end])
        at = end
    return found


def key_events(session: Session) -> list[str]:
    """The characters' keys that went down (+) and up (-) on a screen."""
    events = [struct.unpack(">xBxxI", message) for message in messages(session).get(b"\x04", [])]
    return ["-+"[down] + chr(keysym) for down, keysym in events if keysym < 0x100]


def keys(session: Session) -> str:
    """The characters that were typed into a screen."""
    return "".join(event[1] for event in key_events(session) if event.startswith("+"))


def pixels(x: int, y: int, width: int, height: int) -> bytes:
    """A FramebufferUpdate with one raw rectangle, which is grey."""
    return struct.pack(">BxHHHHHi", 0, 1, x, y, width, height, 0) + bytes((128, 128, 128, 0)) * (width * height)


def picture() -> bytes:
    """A FramebufferUpdate with one raw rectangle: a gradient, in the byte order that noVNC asks for."""
    rows = bytearray()
    for y in range(HEIGHT):
        row = (bytes((40 + x * 120 // WIDTH, 60 + y * 150 // HEIGHT, 190 - x * 80 // WIDTH, 0)) for x in range(WIDTH))
        rows += b"".join(row)
    return struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0) + bytes(rows)


def terminal(session: Session) -> None:
    """A terminal that echoes, with a prompt; nobody logs in."""
    session.send(PROMPT)
    echoed = 0

    def echo() -> None:
        nonlocal echoed
        text = typed(session)
        if text[echoed:]:
            session.send(text[echoed:].encode())
        echoed = len(text)

    read_to_close(session, echo)


def typed(session: Session) -> str:
    """The text that was typed into a terminal. Its messages are 0:LENGTH:TEXT, 1:COLUMNS:ROWS: and 2."""
    text, rest = b"", bytes(session.received)
    while head := re.match(rb"0:([0-9]+):|1:[0-9]+:[0-9]+:|2", rest):
        end = head.end() + int(head[1] or 0)
        text += rest[head.end() : end]
        rest = rest[end:]
    assert rest == b"", f"not termproxy's protocol: {rest!r}"
    return text.decode()
