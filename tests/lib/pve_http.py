# SPDX-License-Identifier: Apache-2.0
"""The stand-in's HTTP: it reads requests within Proxmox VE's limits and answers as Proxmox does.

What is marked "Proxmox:" was read from pve-http-server's AnyEvent.pm or seen on a running pveproxy.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import zlib
from email.utils import formatdate
from typing import Any, Mapping, NamedTuple
from urllib.parse import unquote_plus

from .pve_frames import Stream

# Proxmox: fewer than 64 header lines and less than 8 KiB in total; beyond that the server does not
# answer and closes the connection after 5 s.
HEADER_LINES = 64
HEADER_BYTES = 8192
BODY_BYTES = 512 * 1024  # Proxmox: a longer body is refused
REQUEST_SECONDS = 5.0  # Proxmox: also the time that a connection may be idle between two requests
COMPRESSED_BYTES = 1024  # Proxmox compresses a longer body for a client that takes that
KEEP_ALIVE_REQUESTS = 100  # Proxmox: the last of them is answered with Connection: close
METHODS = {"GET", "POST", "PUT", "DELETE"}
FORM = "application/x-www-form-urlencoded"
JSON = "application/json;charset=UTF-8"


class Request(NamedTuple):
    method: str
    path: str  # with the query, as received
    headers: dict[str, str]  # names in lower case
    body: bytes = b""
    connection: int = 0  # which of the stand-in's connections it came on, from 1
    version: str = "HTTP/1.1"


class Answer(NamedTuple):
    code: int
    reason: str
    body: bytes | None = None  # None: no body and no Content-Length
    content_type: str | None = None
    headers: Mapping[str, str] = {}


class Refused(Exception):
    """An error answer; Proxmox sends the first line of the text as the reason phrase."""

    def __init__(self, code: int, reason: str, body: bytes | None = None, content_type: str | None = None) -> None:
        super().__init__(f"{code} {reason}")
        self.answer = Answer(code, reason, body, content_type)
        self.version = "HTTP/1.1"  # the answer's

    @property
    def code(self) -> int:
        return self.answer.code


def refused_call(code: int, reason: str, errors: Mapping[str, str] | None = None) -> Refused:
    """An error of an API method. Proxmox: the body has the same words, and which parameters are wrong."""
    body: dict[str, Any] = {"data": None, "message": reason if code == 501 else f"{reason}\n"}
    return Refused(code, reason, json.dumps(body | ({"errors": errors} if errors else {})).encode(), JSON)


def refused_request(code: int, reason: str, version: str = "HTTP/1.1") -> Refused:
    """An error of the HTTP server itself. Proxmox: the body has the same words, without a Content-Type."""
    refused = Refused(code, reason, reason.encode())
    refused.version = version
    return refused


def decode_urlencoded(data: str) -> dict[str, str]:
    """Decodes as Proxmox does: `;` is also a separator, and an unencoded `=` in a value ends the value. A
    client that does not percent-encode strictly therefore gets a wrong ticket."""
    pairs = (part.split("=") for part in re.split("[&;]", data) if part)
    return {unquote_plus(pair[0]): unquote_plus(pair[1]) if len(pair) > 1 else "" for pair in pairs}


def parameters(request: Request) -> dict[str, str]:
    """Returns a request's parameters. Proxmox: those of the query win over those of the body."""
    _, _, query = request.path.partition("?")
    content_type = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    found: dict[str, str] = {}
    if request.body and content_type == "application/json":
        found = {name: _text(value) for name, value in json.loads(request.body).items()}
    elif request.body:
        found = decode_urlencoded(request.body.decode())
    return found | decode_urlencoded(query)


def _text(value: Any) -> str:
    return {True: "1", False: "0"}[value] if isinstance(value, bool) else str(value)


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


async def read_request(reader: asyncio.StreamReader, connection: int) -> Request:
    """Reads a request. Raises Refused when the server refuses it before it knows who sent it."""
    request = _start((await _read_lines(reader, until_empty=False))[0], connection)
    try:
        for line in await _read_lines(reader):
            field = re.match(r"([^:\s]+)\s*:\s*(.*)", line)
            if not field:
                raise refused_request(506, "unable to parse request header")
            request.headers[field[1].lower()] = field[2].strip()
        _check_head(request)
        length = int(request.headers.get("content-length") or 0)
        if length > BODY_BYTES:
            raise refused_request(501, "for data too large")
    except Refused as refused:
        refused.version = request.version
        raise
    return request._replace(body=await reader.readexactly(length))


async def _read_lines(reader: asyncio.StreamReader, until_empty: bool = True) -> list[str]:
    """Reads the header lines up to the empty line, or one line that is not empty. Proxmox ignores empty lines before a
    request; it does not answer one with too many or too long header lines."""
    size = 0
    lines: list[str] = []
    while len(lines) < HEADER_LINES - 1 and size < HEADER_BYTES:
        line = (await reader.readuntil(b"\n")).rstrip(b"\r\n").decode("latin-1")
        size += len(line)
        if line:
            lines.append(line)
        if bool(line) != until_empty and size < HEADER_BYTES:
            return lines
    await asyncio.Event().wait()  # until REQUEST_SECONDS have passed
    return lines


def _start(line: str, connection: int) -> Request:
    """Takes a request line apart. Proxmox answers in HTTP/1.0 to one that it does not understand."""
    start = re.search(r"(\S+) (\S+) HTTP/(\d+)\.(\d+)", line)
    if not start:
        raise refused_request(400, "bad request", "HTTP/1.0")
    method, path, major, minor = start.groups()
    if major != "1":
        raise refused_request(506, f"http protocol version {major}.{minor} not supported", "HTTP/1.0")
    if re.match("[^/]*@", path):
        raise refused_request(400, "invalid url", "HTTP/1.0")
    return Request(method, path, {}, connection=connection, version=f"HTTP/1.{minor}")


def _check_head(request: Request) -> None:
    if request.method not in METHODS:
        raise Refused(501, f"method '{request.method}' not available")
    if coding := request.headers.get("transfer-encoding"):
        if coding.lower() == "chunked":
            raise refused_request(501, "chunked transfer encoding not supported")
        raise refused_request(501, f"Unknown transfer encoding '{coding}'")
    if request.headers.get("content-length", "0") == "0":
        return
    if request.method not in ("PUT", "POST"):
        raise refused_request(501, f"Unexpected content for method '{request.method}'")
    content_type = request.headers.get("content-type", FORM)
    if content_type.partition(";")[0].strip().lower() not in (FORM, "application/json"):
        raise refused_request(506, f"upload 'Content-Type '{content_type}' not implemented")


def asks_to_close(request: Request) -> bool:
    connection = request.headers.get("connection", "")
    return "close" in connection.lower() or (not connection and request.version == "HTTP/1.0")


def head(version: str, code: int, reason: str, headers: list[tuple[str, str]]) -> bytes:
    lines = [f"{version} {code} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def send(
    client: Stream,
    answer: Answer,
    *,
    keep: bool,
    version: str = "HTTP/1.1",
    passed_on: bool = False,
    chunk: int = 0,
    gzip: bool = False,
) -> None:
    """Sends an answer; without keep it then ends the connection.

    version: the request's. Proxmox answers in the same.
    gzip: the client takes a compressed body.
    passed_on: pvedaemon made the answer. Proxmox: pveproxy asks pvedaemon to close their connection, keeps the
    `Connection: close` of its answer and adds a second field `Connection: Keep-Alive` for its own connection.
    chunk: sends the body in chunks of so many bytes, as a proxy in between may do (RFC 9112 section 7.1).
    """
    date = formatdate(usegmt=True)
    body = answer.body or None  # Proxmox: an empty body has no Content-Length either
    connection = ["Keep-Alive"] if keep else ["close"]
    if keep and passed_on:
        connection.insert(0, "close")
    headers = [
        ("Cache-Control", "max-age=0"),
        *(("Connection", value) for value in connection),
        ("Date", date),
        ("Pragma", "no-cache"),
        ("Server", "pve-api-daemon/3.0"),
        *answer.headers.items(),
    ]
    if gzip and body is not None and len(body) > COMPRESSED_BYTES:
        body = zlib.compress(body, wbits=16 + zlib.MAX_WBITS)
        headers.append(("Content-Encoding", "gzip"))
    if body is not None:
        headers.append(("Transfer-Encoding", "chunked") if chunk else ("Content-Length", str(len(body))))
    if answer.content_type:
        headers.append(("Content-Type", answer.content_type))
    headers.append(("Expires", date))
    client.writer.write(head(version, answer.code, answer.reason, headers))
    if body is not None:
        client.writer.write(_chunks(body, chunk) if chunk else body)
    await client.writer.drain()
    if not keep:
        client.writer.close()
        await client.writer.wait_closed()


def _chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])
