# SPDX-License-Identifier: Apache-2.0
"""A hostile Proxmox node sends without end, at each stage. The session still ends at its deadlines, when its client
leaves, and at SIGTERM."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import socket
import ssl
import struct
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from conftest import console
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lib.activator import Activator
from lib.certs import Cert
from lib.payload import seal, target
from lib.upstream import Connection, Upstream
from lib.wire import Client

LIMITS = {"PROXXY_CONNECT_TIMEOUT": 1, "PROXXY_SESSION_MAX": 2}
GOODBYE = 5 + 2  # seconds: more than RELAY_STOP_MS and LINGER_MS together


def expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label of RFC 8446 section 7.1, SHA-384, with an empty context."""
    info = struct.pack(">HB", size, 6 + len(label)) + b"tls13 " + label + b"\0"
    return hmac.new(secret, info + b"\1", hashlib.sha384).digest()[:size]


def ticket_records(keys: Path, sequence: int) -> Iterator[bytes]:
    """TLS 1.3 records full of NewSessionTickets (RFC 8446 section 4.6.1), which hold no data and need no answer."""
    lines = keys.read_text().splitlines()
    secret = bytes.fromhex(next(line.split()[2] for line in lines if line.startswith("SERVER_TRAFFIC_SECRET_0")))
    key, nonce = AESGCM(expand(secret, b"key", 32)), int.from_bytes(expand(secret, b"iv", 12), "big")
    body = struct.pack(">II", 7200, 1) + b"\1a" + struct.pack(">H", 1) + b"T" + b"\0\0"
    message = b"\4" + len(body).to_bytes(3, "big") + body
    inner = message * (16000 // len(message)) + b"\x16"
    header = b"\x17\3\3" + struct.pack(">H", len(inner) + 16)
    while True:
        yield header + key.encrypt((nonce ^ sequence).to_bytes(12, "big"), inner, header)
        sequence += 1


class Flooding:
    """A TLS server that answers the request if `answers` is true, and then sends tickets until the connection ends."""

    def __init__(self, cert: Cert, keys: Path, answers: bool) -> None:
        self._answers, self._keys = answers, keys
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(cert.cert, cert.key)
        self._tls.keylog_filename = str(keys)
        self._tls.num_tickets = 0  # type: ignore[attr-defined, unused-ignore]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        sock, _ = self._listener.accept()
        with self._tls.wrap_socket(sock, server_side=True) as tls:
            connection = Connection(tls, threading.Event())
            if self._answers:
                connection.accept_upgrade()
            else:
                connection.read_request()
            raw = socket.socket(fileno=os.dup(tls.fileno()))
            raw.setblocking(True)
            try:
                for record in ticket_records(self._keys, int(self._answers)):
                    raw.sendall(record)
                    self.sent += 1
            except OSError:  # proxxy has closed the connection
                raw.close()

    def __enter__(self) -> Flooding:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()


def ends_in_time(proxxy: Activator, port: int, key: str) -> None:
    client = Client.upgraded(proxxy.port, target(seal(console(port), key)))
    proxxy.wait_sessions(1)
    proxxy.wait_sessions(0, LIMITS["PROXXY_SESSION_MAX"] + GOODBYE + 3)
    client.sock.close()


@pytest.mark.parametrize("answers", [True, False], ids=["while-relaying", "before-the-answer"])
def test_tickets_without_end(settings: dict[str, Any], cert: Cert, key: str, tmp_path: Path, answers: bool) -> None:
    with Activator(settings | LIMITS) as proxxy, Flooding(cert, tmp_path / "keys", answers) as node:
        ends_in_time(proxxy, node.port, key)
        assert node.sent > 10


@pytest.mark.parametrize("answers", [True, False], ids=["while-relaying", "before-the-answer"])
def test_tickets_do_not_drown_sigterm(
    settings: dict[str, Any], cert: Cert, key: str, tmp_path: Path, answers: bool
) -> None:
    with Activator(settings) as proxxy, Flooding(cert, tmp_path / "keys", answers) as node:
        client = Client.upgraded(proxxy.port, target(seal(console(node.port), key)))
        time.sleep(0.5)
        [pid] = proxxy.sessions()
        os.kill(pid, signal.SIGTERM)
        proxxy.wait_sessions(0, GOODBYE + 2)
        client.sock.close()


def flood_of(data: bytes) -> Callable[[Connection], None]:
    def script(connection: Connection) -> None:
        connection.read_request()
        while True:
            connection.send(data)

    return script


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000, b"HTTP/1.1 100 x\r\nX: " + b"y" * 4000 + b"\r\n\r\n"],
    ids=["small", "large"],
)
def test_interim_answers_without_end(settings: dict[str, Any], cert: Cert, key: str, data: bytes) -> None:
    with Activator(settings | LIMITS) as proxxy, Upstream(cert, flood_of(data)) as node:
        started = time.monotonic()
        client = Client.upgraded(proxxy.port, target(seal(console(node.port), key)))
        code, reason = client.close_code(5)
        assert code == 1011 and reason.startswith("Proxmox: no answer in time")
        assert time.monotonic() - started < 3
        client.sock.close()
        proxxy.wait_sessions(0, GOODBYE)


def test_interim_answers_do_not_hide_that_the_client_left(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, flood_of(b"HTTP/1.1 103 x\r\n\r\n" * 1000)) as node:
        client = Client.upgraded(proxxy.port, target(seal(console(node.port), key)))
        time.sleep(0.3)
        client.sock.close()
        proxxy.wait_sessions(0, 3)
