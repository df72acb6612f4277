# SPDX-License-Identifier: Apache-2.0
"""Requests that two parsers could read in two ways: helpers that make the cases of test_request_smuggling.py."""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple

SECOND = b"GET /api/status HTTP/1.1\r\nHost: second\r\n\r\n"
TARGET = b"TARGET"  # placeholder for a target with a valid payload; the test replaces it when proxxy's key is known
LINE = b"GET TARGET HTTP/1.1"
HOST = b"Host: proxxy.example.com"
UPGRADE = (
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)
NO_CHUNKS = b"0\r\n\r\n"


class Case(NamedTuple):
    section: str
    name: str
    sent: bytes
    expected: int = 400  # the answer's status, 0 for none

    def __str__(self) -> str:
        return f"{self.section}-{self.name}"


def request(*more: bytes, line: bytes = LINE, host: bytes = HOST) -> bytes:
    """Returns an upgrade request. Callers can add field lines and replace the request line and Host (b"": no Host)."""
    return b"\r\n".join([line, *filter(None, [host]), *more, *UPGRADE, b"", b""])


def shown(raw: bytes) -> str:
    return re.sub(r"[^\x21-\x7e]|\[|\]", lambda found: f"%{ord(found[0]):02X}", raw.decode("latin-1"))


def each(section: str, words: str, places: dict[str, bytes], status: int = 400) -> Iterator[Case]:
    for name, raw in places.items():
        yield Case(section, f"{words}-{name}", raw, status)
