# SPDX-License-Identifier: Apache-2.0
"""The stand-in's HTTP: it reads requests within Proxmox VE's limits and answers as Proxmox does.

What is marked "Proxmox:" was read from pve-http-server's AnyEvent.pm or seen on a running pveproxy.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from typing import Mapping, NamedTuple
from urllib.parse import unquote_plus

from .pve_frames import Stream

# Proxmox: fewer than 64 header lines and less than 8 KiB in total; beyond that the server does not
# answer and closes the connection after 5 s.
HEADER_LINES = 64
HEADER_BYTES = 8192
REQUEST_SECONDS = 5.0


class Request(NamedTuple):
    method: str
    path: str  # with the query, as received
    headers: dict[str, str]  # names in lower case


def decode_urlencoded(data: str) -> dict[str, str]:
    """Decodes as Proxmox does: `;` is also a separator, and an unencoded `=` in a value ends the value. A
    client that does not percent-encode strictly therefore gets a wrong ticket."""
    pairs = (part.split("=") for part in re.split("[&;]", data) if part)
    return {unquote_plus(pair[0]): unquote_plus(pair[1]) if len(pair) > 1 else "" for pair in pairs}


async def speaks_tls(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bool:
    """Peek at the first byte: 22 starts a TLS handshake (RFC 8446 section 5.1)."""
    readable = loop.create_future()
    loop.add_reader(connection, lambda: readable.done() or readable.set_result(None))
    try:
        await asyncio.wait_for(readable, REQUEST_SECONDS)
    finally:
        loop.remove_reader(connection)
    first = connection.recv(1, socket.MSG_PEEK)
    if not first:
        raise ConnectionResetError
    return first == b"\x16"


async def streams(loop: asyncio.AbstractEventLoop, connection: socket.socket, tls: ssl.SSLContext | None) -> Stream:
    reader = asyncio.StreamReader(limit=HEADER_BYTES * 16)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=tls)
    return Stream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


async def read_request(reader: asyncio.StreamReader) -> tuple[Request, bytes]:
    size = 0
    lines: list[str] = []
    while True:
        line = (await reader.readuntil(b"\n")).rstrip(b"\r\n").decode("latin-1")
        size += len(line) + 2
        if size >= HEADER_BYTES or len(lines) > HEADER_LINES:
            await asyncio.Event().wait()  # until REQUEST_SECONDS have passed
        if not line and lines:
            break
        lines.append(line)
    method, path, _ = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers), body


def head(code: int, reason: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {code} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def answer(
    client: Stream, code: int, reason: str, body: bytes | None, headers: Mapping[str, str] | None = None
) -> None:
    """Sends an answer and closes the connection. Proxmox: an error has no body and no Content-Length."""
    sent = {"Connection": "close", "Server": "pve-api-daemon/3.0", **(headers or {})}
    if body is not None:
        sent |= {"Content-Length": str(len(body)), "Content-Type": "application/json;charset=UTF-8"}
    client.writer.write(head(code, reason, sent) + (body or b""))
    await client.writer.drain()
    client.writer.close()
    await client.writer.wait_closed()
