# SPDX-License-Identifier: Apache-2.0
"""A guest's VNC console as Proxmox gives it to a WebSocket: QEMU's or vncterm's VNC server (RFC 6143), which offers
VNC authentication alone, with the password of the console that was requested. It can also break the protocol.

What is marked "QEMU:" and "vncterm:" was read from QEMU's ui/vnc.c, and from LibVNCServer and vncterm.c.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import struct
import time
from typing import Literal

from cryptography.hazmat.primitives.ciphers import Cipher, modes

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES  # type: ignore[import]
except ImportError:
    from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES

from .consoles import Grant, Handler, run_guest
from .pve_frames import Stream
from .rfb import Recorder

CHALLENGE_BYTES = 16
PASSWORD_SECONDS = 30.0  # Proxmox: a VM's VNC password expires 30 s after the console was opened
NONE, VNC_AUTHENTICATION = 1, 2  # security types, RFC 6143 section 7.2
OK, FAILED = 0, 1  # SecurityResult, section 7.1.3
Step = Literal["version", "types", "challenge", "result", "session"]


def text(words: bytes) -> bytes:
    """Returns RFB's form of a text, such as the reason of a refusal."""
    return struct.pack(">I", len(words)) + words


# Offers that a client must refuse.
NO_TYPES = b"\0" + text(b"Too many security failures")
UNKNOWN_TYPES = b"\x03\x13\x1e\x81"  # VeNCrypt, Apple's, UltraVNC's


def response(password: str, challenge: bytes) -> bytes:
    """Returns the answer to a challenge: DES with the password as the key, whose bytes VNC reads backwards."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode("latin-1")[:8].ljust(8, b"\0"))
    des = Cipher(TripleDES(key), modes.ECB()).encryptor()  # three equal keys: DES
    return des.update(challenge) + des.finalize()


class _Ends(Exception):
    """The server ends the connection."""


class VncConsole:
    """VNC servers of one guest; connect is what StandIn.add() takes."""

    def __init__(
        self,
        session: Handler | None = None,
        *,
        program: Literal["QEMU", "vncterm"] = "QEMU",
        version: bytes = b"RFB 003.008\n",
        types: bytes = b"\x01\x02",
        challenge: bytes | None = None,
        result: bytes | None = None,
        behind_result: bytes = b"",
        stops_after: Step | None = None,
        ends_after: Step | None = None,
        byte_seconds: float | None = None,
    ) -> None:
        """session: the guest from ClientInit on, else a Recorder's. version, types, challenge, result: what the
        server sends in each step, whatever the client did. behind_result: what it sends before ClientInit.
        stops_after, ends_after: it sends nothing more, or ends. byte_seconds: it sends single bytes, so far apart."""
        self.logins: list[str] = []  # what came of each connection: "accepted", "refused", or "ended" before
        self.client_versions: list[bytes] = []
        self._session = session or Recorder().session
        self._program = program
        self._version = version
        self._types = types
        self._challenge = challenge
        self._result = result
        self._behind_result = behind_result
        self._stops_after = stops_after
        self._ends_after = ends_after
        self._byte_seconds = byte_seconds

    async def connect(self, grant: Grant) -> Stream:
        expires = time.monotonic() + PASSWORD_SECONDS

        async def guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number = len(self.logins)
            self.logins.append("ended")
            try:
                accepted = await self._login(reader, writer, grant.password, expires)
                self.logins[number] = "accepted" if accepted else "refused"
                if accepted:
                    await self._session(reader, writer)
            except _Ends:
                pass

        return await run_guest(guest)

    async def _login(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str, expires: float
    ) -> bool:
        """Returns whether the client may go on with ClientInit."""
        await self._send(writer, "version", self._version)
        minor = await self._client_version(reader, writer)
        if await self._offer(reader, writer, minor) == NONE:
            await self._send(writer, "result", struct.pack(">I", OK) if minor >= 8 else b"")
            return True
        challenge = os.urandom(CHALLENGE_BYTES) if self._challenge is None else self._challenge
        await self._send(writer, "challenge", challenge)
        answer = await reader.readexactly(CHALLENGE_BYTES)
        right = hmac.compare_digest(answer, response(password, challenge.ljust(CHALLENGE_BYTES, b"\0")[:16]))
        if self._program == "QEMU":
            right = right and time.monotonic() < expires
        if self._result is not None:
            await self._send(writer, "result", self._result + self._behind_result)
            return self._result == struct.pack(">I", OK)
        await self._send(writer, "result", struct.pack(">I", OK) if right else self._refusal(minor))
        if right and self._behind_result:
            await self._send(writer, "session", self._behind_result)
        return right

    async def _client_version(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """Returns the client's minor version, which decides how the login goes on."""
        client = await reader.readexactly(12)
        self.client_versions.append(client)
        match = re.fullmatch(rb"RFB (\d{3})\.(\d{3})\n", client)
        major, minor = (int(match[1]), int(match[2])) if match else (0, 0)
        if major != 3 or minor not in (3, 4, 5, 7, 8):
            if match and self._program == "QEMU":  # QEMU: one zero word, which means no type in RFB 3.3
                writer.write(struct.pack(">I", 0))
            raise _Ends
        return 3 if minor < 7 else minor

    async def _offer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, minor: int) -> int:
        """Offers security types, returns the chosen one; in RFB 3.3 the server chooses, in one word (RFC 6143 section
        7.1.2)."""
        offered = self._types[1 : 1 + self._types[0]]
        if minor == 3:
            word = struct.pack(">I", offered[0]) if offered else bytes(4) + self._types[1:]
            await self._send(writer, "types", word)
            return offered[0] if offered else VNC_AUTHENTICATION
        await self._send(writer, "types", self._types)
        (chosen,) = await reader.readexactly(1)
        if chosen in offered and chosen in (NONE, VNC_AUTHENTICATION):
            return chosen
        if self._program == "QEMU":
            writer.write(self._refusal(minor))
        raise _Ends

    def _refusal(self, minor: int) -> bytes:
        """QEMU: the reason ends with a NUL byte, which its length includes. RFB before 3.8 has no reason."""
        words = b"Authentication failed\0" if self._program == "QEMU" else b"password check failed!"
        return struct.pack(">I", FAILED) + (text(words) if minor >= 8 else b"")

    async def _send(self, writer: asyncio.StreamWriter, step: Step, data: bytes) -> None:
        for part in [data] if self._byte_seconds is None else [bytes([byte]) for byte in data]:
            writer.write(part)
            await writer.drain()
            if self._byte_seconds is not None:
                await asyncio.sleep(self._byte_seconds)
        if step == self._stops_after:
            await asyncio.Event().wait()
        if step == self._ends_after:
            raise _Ends
