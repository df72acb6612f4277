# SPDX-License-Identifier: Apache-2.0
"""Browsers that open consoles through an HTTPS front, many at once, and note what happened to each of them and when."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Coroutine, NamedTuple, Sequence

from .payload import protocols
from .pve_frames import xor
from .wire import BINARY, CLOSE, PING, PONG, encode_frame, upgrade_request

OPEN_SECONDS = 10.0  # for a console to open
ECHO_SECONDS = 0.1
OPENING_MAX = 8  # at once, while consoles that stay are opened
END_SECONDS = 5.0
PATH = "/console/ws"
ORIGIN = "https://panel.example"


class Link(NamedTuple):
    vmid: int
    payload: str


@dataclass
class Console:
    """One console. Times are those of time.monotonic(), None if that did not happen."""

    vmid: int
    client: str  # the browser's address
    asked: float = field(default_factory=time.monotonic)
    opened: float | None = None  # the first echo arrived
    ended: float | None = None
    end: str = ""  # why: "left" if the browser ended it
    echoes: list[float] = field(default_factory=list)  # when each arrived
    leaving: bool = False

    def is_live(self, at: float) -> bool:
        return self.opened is not None and self.opened <= at and (self.ended is None or self.ended > at)

    def is_late(self, seconds: float) -> bool:
        """Whether it did not open within these seconds."""
        return self.opened is None or self.opened - self.asked > seconds

    def longest_gap(self, begin: float, end: float) -> float:
        """Returns the longest time without an echo between two times."""
        times = [begin, *(at for at in self.echoes if begin < at < end), end]
        return max(after - before for before, after in zip(times, times[1:]))


class Ended(Exception):
    """Proxmox, proxxy or the front ended the console."""


class Load:
    """Browsers, for as long as the with block lasts. They run in a thread of their own."""

    def __init__(self, port: tuple[str, int], tls: ssl.SSLContext, clients: Sequence[str], link: Callable[[], Link]):
        """port: the front's. clients: addresses of this machine, which the browsers use in turn. link() returns the
        link of another guest's console at each call; the guest echoes."""
        self.every = ECHO_SECONDS  # from one message to the next in consoles that stay
        self._port, self._tls, self._clients, self._link = port, tls, clients, link
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="browsers")
        self._made = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop itself keeps only weak references
        self.live: list[Console] = []  # those that hold() opened
        self.new: list[Console] = []  # those of stream()

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def hold(self, count: int) -> list[Console]:
        """Opens consoles that stay open. Each sends a message after `every` seconds, or as soon as the last one's echo
        has arrived. Returns when all have opened, or have failed to."""
        return self._call(self._hold(count))

    def stream(self, per_second: float) -> None:
        """From now on, opens so many consoles per second; each ends after its first echo."""
        self._call(self._begin_stream(1 / per_second))

    def attempt(self, links: Sequence[Link]) -> list[Console]:
        """Opens these links at the same time; returns when each is open and stays, or was refused."""
        return self._call(self._attempt(links))

    def leave(self, consoles: Sequence[Console]) -> None:
        """The browsers end these consoles. Returns when they have."""
        for console in consoles:
            console.leaving = True
        self._call(self._left(consoles))

    # The rest runs in the thread.

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _console(self, vmid: int) -> Console:
        self._made += 1
        return Console(vmid, self._clients[self._made % len(self._clients)])

    async def _stop(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hold(self, count: int) -> list[Console]:
        room = asyncio.Semaphore(OPENING_MAX)

        async def one() -> Console:
            async with room:
                link = self._link()
                console = self._console(link.vmid)
                await self._opened(console, link)
                return console

        held = await asyncio.gather(*(one() for _ in range(count)))
        self.live += held
        return list(held)

    async def _attempt(self, links: Sequence[Link]) -> list[Console]:
        consoles = [self._console(link.vmid) for link in links]
        await asyncio.gather(*(self._opened(console, link) for console, link in zip(consoles, links)))
        return consoles

    async def _opened(self, console: Console, link: Link) -> None:
        """Starts a console that stays; returns when it is open, or has ended."""
        task = self._start(self._run(console, link, stays=True))
        while console.opened is None and not task.done():
            await asyncio.sleep(ECHO_SECONDS / 10)

    async def _left(self, consoles: Sequence[Console]) -> None:
        deadline = time.monotonic() + END_SECONDS
        while any(console.ended is None for console in consoles) and time.monotonic() < deadline:
            await asyncio.sleep(ECHO_SECONDS / 10)

    async def _begin_stream(self, interval: float) -> None:
        self._start(self._stream(interval))

    async def _stream(self, interval: float) -> None:
        due = time.monotonic()
        while True:
            link = self._link()
            console = self._console(link.vmid)
            self.new.append(console)
            self._start(self._run(console, link, stays=False))
            due += interval
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _run(self, console: Console, link: Link, *, stays: bool) -> None:
        try:
            browser = await asyncio.wait_for(self._open(console, link), OPEN_SECONDS)
        except asyncio.TimeoutError:
            console.end, console.ended = f"not open after {OPEN_SECONDS} s", time.monotonic()
            return
        except (OSError, EOFError, Ended) as error:
            console.end, console.ended = str(error) or type(error).__name__, time.monotonic()
            return
        try:
            while stays and not console.leaving:
                due = time.monotonic() + self.every
                await browser.echo(console)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            console.end = "left"
        except (OSError, EOFError, Ended) as error:
            console.end = str(error) or type(error).__name__
        finally:
            console.ended = time.monotonic()
            browser.close()

    async def _open(self, console: Console, link: Link) -> _Browser:
        host, port = self._port
        reader, writer = await asyncio.open_connection(
            host, port, ssl=self._tls, server_hostname=host, local_addr=(console.client, 0)
        )
        browser = _Browser(reader, writer)
        try:
            fields = {"Host": host, "Origin": ORIGIN, "Sec-WebSocket-Protocol": protocols(link.payload)}
            writer.write(upgrade_request(port, PATH, fields))
            status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
            if status != "101":
                raise Ended(f"HTTP {status}")
            await browser.echo(console)
            console.opened = console.echoes[0]
            return browser
        except BaseException:
            browser.close()
            raise


class _Browser:
    """One end of a WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sent = 0

    async def echo(self, console: Console) -> None:
        """Sends a message that no other is like, and reads its echo."""
        self._sent += 1
        message = struct.pack(">II", console.vmid, self._sent)
        self._send(BINARY, message)
        received = b""
        while len(received) < len(message):
            opcode, payload = await self._frame()
            if opcode == PING:
                self._send(PONG, payload)
            elif opcode == CLOSE:
                code, reason = struct.unpack(">H", payload[:2])[0] if payload else None, payload[2:].decode()
                raise Ended(f"Close {code}: {reason}")
            else:
                received += payload
        if received != message:
            raise Ended(f"wrong echo: {received!r}")
        console.echoes.append(time.monotonic())

    def close(self) -> None:
        """Ends TLS and TCP, as a closed tab does."""
        with contextlib.suppress(OSError):
            self._writer.close()

    def _send(self, opcode: int, payload: bytes) -> None:
        self._writer.write(encode_frame(opcode, payload, mask=os.urandom(4)))

    async def _frame(self) -> tuple[int, bytes]:
        first, second = await self._reader.readexactly(2)
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
        mask = await self._reader.readexactly(4) if second & 0x80 else bytes(4)
        return first & 0x0F, xor(await self._reader.readexactly(length), mask)
