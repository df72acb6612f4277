# SPDX-License-Identifier: Apache-2.0
"""A slow network between a browser and a server on this machine: a rate that all connections share, and a delay."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time

CHUNK_BYTES = 1400  # about a packet
REQUEST = re.compile(rb"GET (\S+) HTTP/1\.1\r\n")


class _Link:
    """One direction of the network. Returns when a number of bytes, sent now, arrives."""

    def __init__(self, rate: float, delay: float) -> None:
        self._rate, self._delay = rate, delay
        self._free = 0.0

    def arrival(self, count: int) -> float:
        self._free = max(self._free, time.monotonic()) + count / self._rate
        return self._free + self._delay


class SlowCable:
    """Forwards TCP connections from `port` to the server's, for as long as the with block lasts. rate: bytes per
    second in each direction. round_trip: seconds; a new connection costs one more, as TCP's handshake does."""

    def __init__(self, server_port: int, rate: float, round_trip: float) -> None:
        self._server_port, self._round_trip = server_port, round_trip
        self._up, self._down = _Link(rate, round_trip / 2), _Link(rate, round_trip / 2)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="slow cable")
        self._began = time.monotonic()
        self.port = 0
        self.requests: list[tuple[float, str]] = []  # seconds since start(), and the path without its query

    def __enter__(self) -> SlowCable:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def start(self) -> None:
        """The times of the requests count from now on."""
        self._began = time.monotonic()
        self.requests.clear()

    async def _serve(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ending.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._round_trip)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        directions = (self._pass(reader, far_writer, self._up), self._pass(far_reader, writer, self._down))
        try:
            await asyncio.gather(*directions)
        finally:
            writer.close()
            far_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link) -> None:
        """Reads on while earlier bytes are on their way."""
        on_their_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        delivery = asyncio.ensure_future(self._deliver(on_their_way, writer))
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if link is self._up and (request := REQUEST.match(data)):
                    path = request[1].decode().partition("?")[0]
                    self.requests.append((time.monotonic() - self._began, path))
                await on_their_way.put((link.arrival(len(data)), data))
        await on_their_way.put((link.arrival(0), b""))
        await delivery

    @staticmethod
    async def _deliver(on_their_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await on_their_way.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()
