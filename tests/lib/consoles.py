# SPDX-License-Identifier: Apache-2.0
"""Guests' consoles for the stand-in for Proxmox VE. Each console is a byte stream."""

from __future__ import annotations

import asyncio
import socket
from typing import Awaitable, Callable, NamedTuple

from .pve_frames import Stream


class Grant(NamedTuple):
    """A console requested with POST …/vncproxy or …/termproxy. It may be opened once."""

    path: str  # /vms/100
    port: int
    user: str  # the identity: user@realm, or user@realm!token
    ticket: str
    deadline: float  # time.monotonic()
    connect: Connect
    password: str  # for VNC


ECHO, NAMED, TERMINAL = 100, 101, 102  # vmids of the guests; NAMED sends its vmid first, then echoes

Connect = Callable[[Grant], Awaitable[Stream]]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_running: set[asyncio.Task] = set()  # the event loop itself keeps only weak references


def tcp_console(host: str, port: int) -> Connect:
    """A console on a TCP port, such as a VNC server's."""

    async def connect(_: Grant) -> Stream:
        return Stream(*await asyncio.open_connection(host, port))

    return connect


def handler_console(handler: Handler) -> Connect:
    """A guest written in Python; the console ends when the handler returns."""

    async def connect(_: Grant) -> Stream:
        return await run_guest(handler)

    return connect


async def silent_console(_: Grant) -> Stream:
    """A console that sends nothing, as a TLS server does, and that ends when its client sends something."""

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1)

    return await run_guest(wait)


def ending_console(seconds: float = 0.0) -> Connect:
    """A console that ends after that time without a byte."""
    return handler_console(lambda *_: asyncio.sleep(seconds))


async def run_guest(handler: Handler) -> Stream:
    """Start a handler at the far end of a stream and return the near end."""
    near, far = socket.socketpair()
    guest = Stream(*await asyncio.open_connection(sock=far))

    async def run() -> None:
        try:
            await handler(*guest)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client disconnected meanwhile
        finally:
            guest.writer.close()

    task = asyncio.create_task(run())
    _running.add(task)
    task.add_done_callback(_running.discard)
    return Stream(*await asyncio.open_connection(sock=near))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        if b"quit" in data:
            return
        writer.write(data)
        await writer.drain()


async def named(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"this is 101")
    await echo(reader, writer)
