# SPDX-License-Identifier: Apache-2.0
"""The stand-in's WebSocket: Proxmox VE's frame rules, which are not all of RFC 6455.

It uses no WebSocket library: a library would accept more than Proxmox does. What is marked "Proxmox:"
was read from websocket_proxy in pve-http-server's AnyEvent.pm and seen on a running pveproxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import NamedTuple

PAYLOAD_MAX = 131072  # bytes per frame in either direction, Proxmox's $max_payload_size

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Stream(NamedTuple):
    """The two ends of an asyncio connection: reader and writer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Record(NamedTuple):
    """Facts about a console that tests check afterwards."""

    violations: list[str]
    closes: list[tuple[int | None, str]]


class Violation(Exception):
    """A frame at which the reader in Proxmox's server throws."""


def abort(stream: Stream) -> None:
    """Ends TCP at once. On a TLS transport that has already ended, abort() raises (Python 3.11's sslproto)."""
    try:
        stream.writer.transport.abort()
    except AttributeError:
        pass


async def relay(client: Stream, guest: Stream, record: Record) -> None:
    """Carry a console until one side ends; both connections are closed on return."""
    upward = asyncio.create_task(_upward(client, guest.writer, record))
    downward = asyncio.create_task(_downward(guest.reader, client.writer))
    try:
        await asyncio.wait({upward, downward}, return_when=asyncio.FIRST_COMPLETED)
        if downward.done() and not upward.done():
            # Proxmox: when the guest's console ends, the server sends a TLS close_notify but no Close.
            client.writer.close()
            with contextlib.suppress(OSError):
                await client.writer.wait_closed()
    finally:
        guest.writer.close()
        abort(client)
        for task in (upward, downward):
            task.cancel()
        await asyncio.gather(upward, downward, return_exceptions=True)


async def _upward(client: Stream, guest: asyncio.StreamWriter, record: Record) -> None:
    try:
        while True:
            opcode, payload = await _read_frame(client.reader)
            if opcode in (TEXT, BINARY):
                # Proxmox treats text and binary alike and ignores frame boundaries.
                guest.write(payload)
                try:
                    await guest.drain()
                except ConnectionError:  # the console has ended: _downward() reports it
                    await discard(client.reader)
                    return
            elif opcode == PING:
                client.writer.write(frame(PONG, payload))
            elif opcode == CLOSE:
                record.closes.append(_close_words(payload))
                break
    except Violation as violation:
        # Proxmox: the server ignores the client from then on, but does not close the connection.
        record.violations.append(str(violation))
        await discard(client.reader)
        return
    except asyncio.IncompleteReadError:
        return
    # Proxmox: on a client's Close the server shuts TCP down without answering the Close. It drops
    # further output of the guest and sends no close_notify (AnyEvent's push_shutdown).
    await client.writer.drain()
    client.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
    guest.write_eof()
    await discard(client.reader)


async def _downward(guest: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
    # Proxmox sends unmasked binary frames of at most 131072 bytes, never a fragment, a Ping or a Close.
    while data := await guest.read(PAYLOAD_MAX):
        client.write(frame(BINARY, data))
        await client.drain()


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Proxmox accepts masked frames with FIN=1, RSV=0, opcode 1, 2, 8, 9 or 10 and a payload of at most
    131072 bytes; it throws at anything else. The checks have the same order as in the server."""
    first, second = await reader.readexactly(2)
    opcode = first & 0x0F
    if not first & 0x80:
        raise Violation(f"received fragmented websocket frame (opcode {opcode})")
    if first & 0x70:
        raise Violation("received websocket frame with RSV flags")
    if not second & 0x80:
        raise Violation("received unmasked websocket frame from client")
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack(">H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack(">Q", await reader.readexactly(8))
    if length > PAYLOAD_MAX:
        raise Violation(f"received too large websocket frame (len = {length})")
    mask = await reader.readexactly(4)
    payload = xor(await reader.readexactly(length), mask)
    if opcode not in (TEXT, BINARY, CLOSE, PING, PONG):
        raise Violation(f"received unhandled websocket opcode {opcode}")
    return opcode, payload


def frame(opcode: int, payload: bytes) -> bytes:
    """Returns one whole unmasked frame."""
    if len(payload) <= 125:
        length = struct.pack(">B", len(payload))
    elif len(payload) <= 0xFFFF:
        length = struct.pack(">BH", 126, len(payload))
    else:
        length = struct.pack(">BQ", 127, len(payload))
    return bytes([0x80 | opcode]) + length + payload


def xor(data: bytes, mask: bytes) -> bytes:
    """(Un)mask the data. XOR of one large integer is fast enough for benchmarks."""
    if mask == bytes(4):
        return data
    repeated = (mask * (len(data) // 4 + 1))[: len(data)]
    number = int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")
    return number.to_bytes(len(data), "big")


async def discard(reader: asyncio.StreamReader) -> None:
    """Read and drop everything up to the end."""
    while await reader.read(PAYLOAD_MAX):
        pass


def _close_words(payload: bytes) -> tuple[int | None, str]:
    if len(payload) < 2:
        return None, ""
    return struct.unpack(">H", payload[:2])[0], payload[2:].decode(errors="replace")
