# SPDX-License-Identifier: Apache-2.0
"""A guest's terminal behind termproxy without a shell: it shows what a test says, and keeps what it gets."""

from __future__ import annotations

import asyncio

from .consoles import Grant, run_guest
from .process import wait_for
from .pve_frames import Stream
from .termproxy import logs_in, number

SECONDS = 20.0


class ScriptedTerminal:
    """connect is a console's; the other methods are a test's, in another thread."""

    def __init__(self, *, echo: bool = False) -> None:
        self.echo = echo
        self.inputs: list[str] = []  # each message's text
        self.sizes: list[tuple[int, int]] = []  # columns, rows
        self._writer: asyncio.StreamWriter | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def connect(self, grant: Grant) -> Stream:
        async def guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not await logs_in(reader, grant):
                return
            writer.write(b"OK")
            self._loop, self._writer = asyncio.get_running_loop(), writer
            await self._listen(reader, writer)

        return await run_guest(guest)

    def say(self, text: str | bytes) -> None:
        """Shows a text, of escape sequences too."""
        wait_for(lambda: self._writer is not None, SECONDS, "nobody has logged in")
        assert self._loop and self._writer
        self._loop.call_soon_threadsafe(self._writer.write, text.encode() if isinstance(text, str) else text)

    def heard(self) -> str:
        """Returns what came since the last call."""
        text = "".join(self.inputs)
        self.inputs.clear()
        return text

    def wait_heard(self, text: str) -> None:
        wait_for(lambda: "".join(self.inputs) == text, SECONDS, lambda: f"{self.inputs} came, not {text!r}")
        self.inputs.clear()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while kind := await reader.read(1):
            if kind == b"2":
                continue
            assert await reader.readexactly(1) == b":"
            if kind == b"1":
                self.sizes.append((await number(reader), await number(reader)))
                continue
            data = await reader.readexactly(await number(reader))
            self.inputs.append(data.decode())
            if self.echo:
                writer.write(data.replace(b"\r", b"\r\n"))
