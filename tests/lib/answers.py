# SPDX-License-Identifier: Apache-2.0
"""Clients that send proxxy one request and return its answer."""

from __future__ import annotations

import json
from typing import Any

from .activator import Activator
from .payload import seal, target
from .upstream import Connection
from .wire import BINARY, CLOSE, Client, close_payload

INVALID = b'{"error":"Invalid payload","code":400,"issues":[]}'


def plain_request(
    port: int, method: str = "GET", path: str = "/", fields: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """Sends one plain HTTP request; returns status, headers and body."""
    request = f"{method} {path} HTTP/1.1\r\nHost: proxxy\r\n{fields}\r\n"
    with Client.connect(port, raw=request.encode()) as client:
        head = client.read_head()
        body = client.read_all()
    if method != "HEAD":
        assert int(head.headers["content-length"]) == len(body)
    assert head.headers["content-type"] == "application/json"
    return head.status, head.headers, body


def upgrade_answer(port: int, payload: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    with Client.connect(port, target(payload), headers or {}) as client:
        head = client.read_head()
        return head.status, head.headers, b"" if head.status == 101 else client.read_all()


def reaches(proxxy: Activator, members: dict[str, Any], key: str) -> None:
    with Client.upgraded(proxxy.port, target(seal(members, key))) as client:
        client.send_frame(BINARY, b"ping")
        assert client.read_data(4) == b"ping"


def ask(proxxy: Activator, payload: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Sends a payload; returns the answer's status and, unless it is 101, its body."""
    with Client.connect(proxxy.port, target(payload), headers) as client:
        head = client.read_head()
        return head.status, b"" if head.status == 101 else client.read_body(head)


def refusal(proxxy: Activator, payload: str, headers: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Sends a payload that is refused; returns status, error, and the issues that only authenticated payloads get."""
    status, body = ask(proxxy, payload, headers)
    answer = json.loads(body)
    assert answer["code"] == status
    return status, answer["error"], " ".join(issue["message"] for issue in answer["issues"])


def told_in_close(proxxy: Activator, payload: str, headers: dict[str, str]) -> tuple[int | None, str]:
    """Sends a refused payload as a browser does (with Origin); returns code and reason of the Close."""
    with Client.upgraded(proxxy.port, target(payload), headers) as client:
        said = client.close_code()
        client.send_frame(CLOSE, close_payload(1000))
        assert client.at_end()
    return said


def echoes(proxxy: Activator, payload: str, headers: dict[str, str] | None = None) -> bool:
    with Client.upgraded(proxxy.port, target(payload), headers) as client:
        client.send_frame(BINARY, b"x")
        return client.read_data(1) == b"x"


def serve(c: Connection) -> None:
    c.accept_upgrade()
    c.send_frame(BINARY, b"ok")
    c.close_code(60)


def outcome(proxxy: Activator, payload: str) -> str:
    """Opens a console with the payload; returns "ok", or the Close's reason."""
    with Client.upgraded(proxxy.port, target(payload)) as client:
        frame = client.read_frame()
        return "ok" if frame.payload == b"ok" else frame.payload[2:].decode()


def greet(c: Connection) -> None:
    c.accept_upgrade()
    c.send_frame(2, b"RFB 003.008\n")
    c.close_code(10)


def result(proxxy: Activator, key: str, members: dict[str, Any], timeout: float = 5, payload: str = "") -> str:
    """Returns "ok" when the console sends its greeting, else the reason of the Close 1011."""
    with Client.upgraded(proxxy.port, target(payload or seal(members, key))) as client:
        frame = client.read_frame(timeout)
        if frame.opcode == CLOSE:
            assert frame.payload[:2] == (1011).to_bytes(2, "big")
            return frame.payload[2:].decode()
        assert frame.payload == b"RFB 003.008\n"
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code() == (1000, "")
        return "ok"
