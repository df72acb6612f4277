# SPDX-License-Identifier: Apache-2.0
"""A guest's console as Proxmox's termproxy gives it to xterm.js: a shell on a pty.

The client speaks first, `user:ticket\\n`; the answer is `OK`. Then the client sends `0:LEN:MSG`
for input, `1:COLS:ROWS:` for the window's size and `2` to keep the connection alive; output is sent
unchanged (pve-xtermjs, termproxy's main.rs).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from pathlib import Path
from typing import Any, Sequence

from . import account as accounts
from .account import Account
from .consoles import Connect, Grant, run_guest
from .process import spawn, stop
from .pve_frames import Stream

LOGIN_SECONDS = 10.0
LOGIN_BYTES = 4096  # termproxy's buffer: no longer line is read
REFUSAL_SECONDS = 3.0  # Proxmox answers termproxy's question about a wrong user after 3 s
READ_BYTES = 65536
BUSY_SECONDS = 0.01


def termproxy_console(
    command: Sequence[str] = ("/bin/sh",), *, account: Account | None = None, home: Path | None = None
) -> Connect:
    """A console that runs the command as the account, else as the current user. With home: in that directory and
    with a separate environment, else in ours."""

    async def connect(grant: Grant) -> Stream:
        async def guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await logs_in(reader, grant):
                writer.write(b"OK")
                await _run(command, account, home, reader, writer)

        return await run_guest(guest)

    return connect


async def logs_in(reader: asyncio.StreamReader, grant: Grant) -> bool:
    """Reads the first line. termproxy compares the ticket with the one that it was started for, and asks Proxmox
    whether the ticket is that user's; it says nothing to one whom it refuses."""
    try:
        line = await asyncio.wait_for(reader.readuntil(b"\n"), LOGIN_SECONDS)
    except (asyncio.TimeoutError, asyncio.LimitOverrunError):
        return False
    user, colon, ticket = line[:-1].partition(b":")
    if len(line) > LOGIN_BYTES or not colon or ticket != grant.ticket.encode():
        return False
    if user != grant.user.encode():
        await asyncio.sleep(REFUSAL_SECONDS)
        return False
    return True


class _Screen(asyncio.StreamReaderProtocol):
    """Treats the end of a pty, an EIO (pty(7)), as the end of the stream. A StreamReader would raise it as
    an error before the output that is not read yet."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(None)


async def _run(
    command: Sequence[str],
    account: Account | None,
    home: Path | None,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Runs the shell until it or the client ends."""
    ours, theirs = os.openpty()
    options: dict[str, Any] = {"env": accounts.environment(home), "cwd": home} if home else {}
    if account:
        os.fchown(theirs, account.uid, -1)  # as login does, because programs may open their terminal again
    # setsid -c makes the pty the shell's controlling terminal; setsid must not be a session leader yet.
    argv = accounts.run_as(account, ["setsid", "-c", *command])
    shell = spawn(argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=False, **options)
    os.close(theirs)
    screen = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: _Screen(screen), os.fdopen(ours, "rb", buffering=0)
    )
    tasks = {asyncio.create_task(_input(reader, ours)), asyncio.create_task(_output(screen, writer))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        transport.close()  # hangs up the shell's terminal
        await asyncio.to_thread(stop, shell)


async def _output(screen: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await screen.read(READ_BYTES):
        writer.write(data)
        await writer.drain()


async def _input(reader: asyncio.StreamReader, pty: int) -> None:
    while kind := await reader.read(1):
        if kind == b"2":
            continue
        await reader.readexactly(1)  # the colon
        if kind == b"0":
            await _type(pty, await reader.readexactly(await number(reader)))
        elif kind == b"1":
            columns, rows = await number(reader), await number(reader)
            fcntl.ioctl(pty, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


async def number(reader: asyncio.StreamReader) -> int:
    return int((await reader.readuntil(b":"))[:-1])


async def _type(pty: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(pty, data) :]
        except BlockingIOError:  # the shell does not read
            await asyncio.sleep(BUSY_SECONDS)
