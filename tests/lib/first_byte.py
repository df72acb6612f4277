# SPDX-License-Identifier: Apache-2.0
"""Opens a panel's URL as its page does and reads the guest's first bytes. It uses only Python's standard library, so
that it runs where only the demo's packages are installed."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
import struct
from http.client import HTTPConnection
from typing import Mapping
from urllib.parse import parse_qs, quote, urljoin, urlsplit

SECONDS = 20.0
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
META = re.compile(r'<meta name="proxxy-websocket" content="([^"]*)">')


def get(url: str, path: str = "", headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """Sends a GET; returns status, headers with lower-case names, and body. It follows no redirect."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=SECONDS)
    try:
        connection.request("GET", path or parts.path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def console(url: str) -> tuple[str, dict[str, str]]:
    """Requests a console; returns the URL of the page's WebSocket and the parameters in the link's fragment."""
    status, headers, _ = get(url)
    if status != 302:
        raise RuntimeError(f"{status} instead of a console")
    page = urljoin(url, headers["location"])
    status, _, text = get(page)
    found = META.search(text.decode())
    if status != 200 or not found:
        raise RuntimeError(f"{status} instead of the console's page")
    link = {name: values[0] for name, values in parse_qs(urlsplit(page).fragment).items()}
    return f"{urljoin(page, found[1])}?payload={quote(link['payload'], safe='')}", link


def upgraded(url: str, headers: Mapping[str, str] | None = None) -> socket.socket:
    """Opens a WebSocket; returns its socket before any byte of the first frame is read."""
    parts = urlsplit(url)
    key = base64.b64encode(os.urandom(16)).decode()
    fields = {
        "Host": parts.netloc,
        "Origin": f"http://{parts.netloc}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": "binary",
        **(headers or {}),
    }
    head_lines = (f"{name}: {value}" for name, value in fields.items())
    lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", *head_lines, "", ""]
    sock = socket.create_connection((parts.hostname, parts.port or 80), SECONDS)
    try:
        sock.sendall("\r\n".join(lines).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += _exactly(sock, 1)
        accept = base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest())
        if not head.startswith(b"HTTP/1.1 101 ") or accept not in head:
            raise RuntimeError(f"no WebSocket: {head.decode(errors='replace').splitlines()[0]}")
    except BaseException:
        sock.close()
        raise
    return sock


def read_frame(sock: socket.socket) -> tuple[int, bytes]:
    """Reads a server's frame (RFC 6455 section 5.2); returns opcode and payload."""
    first, length = _exactly(sock, 2)
    if length == 126:
        (length,) = struct.unpack(">H", _exactly(sock, 2))
    elif length == 127:
        (length,) = struct.unpack(">Q", _exactly(sock, 8))
    return first & 0x0F, _exactly(sock, length)


def write_frame(sock: socket.socket, payload: bytes, opcode: int = 2) -> None:
    """Writes a client's frame of at most 125 bytes. Its mask key is 0, which leaves the payload unchanged."""
    sock.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload)


def first_bytes(url: str) -> str:
    """Returns the first bytes from a desktop: the RFB version (RFC 6143 section 7.1.1)."""
    with upgraded(console(url)[0]) as sock:
        opcode, payload = read_frame(sock)
    banner = payload.decode(errors="replace").rstrip("\n")
    if opcode != 2 or not banner.startswith("RFB "):
        raise RuntimeError(f"the desktop says {banner!r}")
    return banner


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (more := sock.recv(count - len(data))):
            raise RuntimeError("the connection has ended")
        data += more
    return data
