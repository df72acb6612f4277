# SPDX-License-Identifier: Apache-2.0
"""Serves the console's page, and passes its WebSocket on to a VNC server, as proxxy does: for tests of what the page
and a real server say to each other, which proxxy does not look at."""

from __future__ import annotations

import asyncio
import mimetypes
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import websockets

from .panel import PAGES
from .process import free_port

Target = int | Path  # a port, or a Unix socket


class Bridge:
    """Runs for as long as the with block lasts."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.port = free_port()
        self.sent: list[bytes] = []  # what the page sent; noVNC sends one message of RFB at a time
        self.received: list[tuple[float, bytes]] = []  # what the page got, and when
        self.dead = False  # nothing arrives at either end any more, and nobody says so
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._ready = threading.Event()

    def __enter__(self) -> Bridge:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def link(self, **fragment: str) -> str:
        more = "".join(f"&{name}={value}" for name, value in fragment.items())
        return f"http://127.0.0.1:{self.port}/console/novnc.html#payload=a.b.c.d.e{more}"

    def messages(self, *types: int) -> list[bytes]:
        """What the page sent of these types (RFC 6143, 7.5; 255: QEMU's extended key event)."""
        return [message for message in self.sent if message[0] in types]

    def keys(self) -> str:
        """Keys that were pressed (+) and released (-), by their keysym, or by the character."""
        events = [(m[1], m[4:8]) if m[0] == 4 else (m[3], m[4:8]) for m in self.messages(4, 255)]
        symbols = [(down, int.from_bytes(symbol, "big")) for down, symbol in events]
        return " ".join(f"{chr(s) if 32 < s < 127 else hex(s)}{'+' if down else '-'}" for down, s in symbols)

    def pointers(self) -> list[tuple[int, int, int]]:
        """Of each pointer event: the buttons, and the place."""
        return [
            (m[1], int.from_bytes(m[2:4], "big"), int.from_bytes(m[4:6], "big")) for m in self.messages(5)
        ]

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        options: dict[str, Any] = {"subprotocols": ["binary"], "max_size": None, "ping_interval": None}
        server = websockets.serve(  # type: ignore[attr-defined]
            self._pass, "127.0.0.1", self.port, process_request=self._file, compression=None, **options
        )
        async with server:
            self._ready.set()
            await self._end.wait()

    async def _file(self, path: str, _: object) -> tuple[HTTPStatus, list[tuple[str, str]], bytes] | None:
        name = path.rpartition("/")[2]
        if name == "ws":
            return None
        if not name or not (PAGES / name).is_file():
            return HTTPStatus.NOT_FOUND, [], b""
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return HTTPStatus.OK, [("Content-Type", kind)], (PAGES / name).read_bytes()

    async def _pass(self, page: Any, *_: object) -> None:
        if isinstance(self.target, Path):
            reader, writer = await asyncio.open_unix_connection(self.target)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        down = asyncio.ensure_future(self._down(reader, page))
        try:
            async for message in page:
                self.sent.append(message)
                if not self.dead:
                    writer.write(message)
        except websockets.ConnectionClosed:  # type: ignore[attr-defined]
            pass
        finally:
            down.cancel()
            writer.close()

    async def _down(self, reader: asyncio.StreamReader, page: Any) -> None:
        while data := await reader.read(65536):
            if self.dead:
                continue
            self.received.append((time.monotonic(), data))
            await page.send(data)
        await page.close()
