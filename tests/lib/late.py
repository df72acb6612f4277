# SPDX-License-Identifier: Apache-2.0
"""What the tests of payloads without a console ticket share: the client's part of the handshake, and Proxmox's API as a
script that a test writes."""

from __future__ import annotations

import json
from typing import Any, Callable

from .activator import Activator
from .payload import seal_jwe, target
from .upstream import Connection
from .wire import BINARY, Client, Head

Script = Callable[[Connection], object]

VERSION = b"RFB 003.008\n"
OK = bytes(4)
TOKEN = "PVEAPIToken=root@pam!proxxy=6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11"
LINK: dict[str, Any] = {"vmid": 100, "type": "qemu", "node": "pve01", "ticket": TOKEN}
GRANTED = {"ticket": "aB3$xyz1:PVEVNC:65A1B2C3::c2lnbmF0dXJl", "port": "5900", "password": "aB3$xyz1", "user": "u@pve"}


def open_link(proxxy: Activator, key: str, members: dict[str, Any]) -> Client:
    return Client.upgraded(proxxy.port, target(seal_jwe(members, key)))


def shake_hands(client: Client) -> None:
    """A VNC client's part, which needs no password, up to before ClientInit."""
    assert client.read_data(12) == VERSION
    client.send_frame(BINARY, VERSION)
    assert client.read_data(2) == b"\x01\x01"
    client.send_frame(BINARY, b"\x01")
    assert client.read_data(4) == OK


def echoes(client: Client, data: bytes = b"\x01 and more") -> None:
    client.send_frame(BINARY, data)
    assert client.read_data(len(data)) == data


def end_of(client: Client, timeout: float = 5) -> tuple[int | None, str]:
    """Returns the Close that the client got, and leaves, so that the session need not wait for an answer."""
    said = client.close_code(timeout)
    client.sock.close()
    return said


def answer(c: Connection, data: Any, headers: dict[str, str] | None = None) -> None:
    """Sends an answer of the API with that data."""
    body = json.dumps({"data": data}).encode()
    c.respond(200, "OK", {"Content-Length": str(len(body)), **(headers or {})}, body)


def read_call(c: Connection) -> tuple[Head, bytes]:
    """Reads a request with its body."""
    head = c.read_request()
    return head, c.read(int(head.headers.get("content-length", 0)))


def until_vncproxy(c: Connection) -> None:
    """Answers what comes before the request for a VM's console on a known node, and reads that request."""
    read_call(c)
    answer(c, {"version": "9.2.1", "release": "9.2"})
    read_call(c)


def grants(c: Connection) -> None:
    """Answers up to the upgrade."""
    until_vncproxy(c)
    answer(c, GRANTED)


def computes(client: Client) -> None:
    """Uses a terminal at once, as a page does: without a login line, and without an OK before its output."""
    line = b"echo $((6 * 7))\n"
    client.send_frame(BINARY, b"1:80:24:0:%d:%s" % (len(line), line))
    seen = b""
    while b"42" not in seen:
        seen += client.read_frame().payload
    assert not seen.startswith(b"OK")
