# SPDX-License-Identifier: Apache-2.0
"""A VNC server (RFC 6143) without a picture that records its client's input. It asks for no password."""

from __future__ import annotations

import asyncio
import struct

WIDTH, HEIGHT, NAME = 640, 480, b"recorder"
PIXELS = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
SIZES = {0: 19, 2: 3, 3: 9, 4: 7, 5: 5, 6: 7}  # length of each message's fixed part, after the type


class Recorder:
    """The VNC server; serve() is a console's handler. session() is what follows a login (vnc_console.py)."""

    def __init__(self) -> None:
        self.keys: list[int] = []  # keysyms that were pressed, in order
        self.cut_text: list[str] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RFB 003.008\n")
        await reader.readexactly(12)
        writer.write(b"\x01\x01")  # one security type: none
        await reader.readexactly(1)
        writer.write(b"\0\0\0\0")
        await self.session(reader, writer)

    async def session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves a client that is about to send ClientInit."""
        self.connections += 1
        await reader.readexactly(1)
        writer.write(struct.pack(">HH", WIDTH, HEIGHT) + PIXELS + struct.pack(">I", len(NAME)) + NAME)
        while kind := await reader.read(1):
            body = await reader.readexactly(SIZES[kind[0]])
            if kind == b"\x02":
                await reader.readexactly(4 * struct.unpack(">xH", body)[0])
            elif kind == b"\x03" and not body[0]:  # asks whether the guest is there: no rectangle has changed
                writer.write(b"\0\0\0\0")
            elif kind == b"\x04":
                down, keysym = struct.unpack(">BxxI", body)
                if down:
                    self.keys.append(keysym)
            elif kind == b"\x06":
                length = struct.unpack(">xxxI", body)[0]
                self.cut_text.append((await reader.readexactly(length)).decode("latin-1"))

    def typed(self) -> str:
        """Returns the typed characters, without modifier keys."""
        legacy = {0x20AC: "€"}
        return "".join(chr(key) if key < 0x100 else legacy.get(key, "") for key in self.keys)
