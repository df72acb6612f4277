# SPDX-License-Identifier: Apache-2.0
"""What a Proxmox that was taken over can do to a backend that asks it for a console: get a ProxmoxError."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, Callable, Iterator

import pytest
from lib.certs import Cert
from lib.sdk import LANGUAGES, Built, Driver
from lib.upstream import Connection, Upstream

SETTINGS = {"key": bytes(range(32)).hex(), "page": "https://panel.example.com/console/"}
SECRET = "6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11"
TOKEN = f"root@pam!proxxy={SECRET}"
LATE = 20  # seconds


@pytest.fixture(scope="module", params=LANGUAGES)
def driver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    directory = tmp_path_factory.mktemp("sdk")
    with Driver(Built(request.param, directory), directory) as driver:
        yield driver


def ask(driver: Driver, port: int, **trust: str) -> dict[str, Any]:
    proxmox = {"host": f"127.0.0.1:{port}", "token": TOKEN, **trust}
    return driver.ask(SETTINGS, "openConsole", {"proxmox": proxmox, "node": "pve01", "vmid": 100, "type": "qemu"})


def error_of(driver: Driver, cert: Cert, script: Callable[[Connection], None]) -> dict[str, Any]:
    """Asks a Proxmox that does this with a request."""
    with Upstream(cert, script) as upstream:
        answer = ask(driver, upstream.port, ca=cert.ca.read_text())
    assert "error" in answer, answer
    assert SECRET not in str(answer)
    return answer["error"]


def answer(connection: Connection, status: int, reason: str, body: bytes = b"") -> None:
    connection.read_request()
    connection.respond(status, reason, {"Connection": "close", "Content-Length": str(len(body))}, body)
    connection.close_notify()


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"ticket":"x","port":1e400}}',
        b'{"data":{"ticket":"x","port":NaN}}',
        b'{"data":{"ticket":"x","port":[5901]}}',
        b'{"data":{"ticket":["x"],"port":5901}}',
        b'{"data":{"ticket":"x\\u0000","port":5901}}',
        b'{"data":{"ticket":"' + b"x" * 513 + b'","port":5901}}',
        b'{"data":[]}',
        b'{"data":"x"}',
        b'"data"',
        b"5",
        b"null",
        b"",
        b"\xff",
        b"[" * 200_000,
        b'{"data":' * 100_000,
    ],
    ids=lambda body: body[:45].decode(errors="replace"),
)
def test_answer_that_is_no_console(driver: Driver, cert: Cert, body: bytes) -> None:
    error = error_of(driver, cert, lambda connection: answer(connection, 200, "OK", body))
    assert (error["name"], error["status"], error["reason"]) == ("ProxmoxError", 200, "other")


def test_words_have_no_control_characters(driver: Driver, cert: Cert) -> None:
    """They end in logs and on terminals."""
    error = error_of(driver, cert, lambda connection: answer(connection, 500, "no \x1b[31mway\x07"))
    assert error["name"] == "ProxmoxError" and error["message"].isprintable(), error


def test_words_do_not_repeat_the_token(driver: Driver, cert: Cert) -> None:
    error = error_of(driver, cert, lambda connection: answer(connection, 401, f"no token {TOKEN}"))
    assert (error["name"], error["reason"]) == ("ProxmoxError", "refused")


def test_answer_of_any_length(driver: Driver, cert: Cert) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.respond(200, "OK", {"Content-Length": str(1 << 40)})
        try:
            while True:
                connection.send(b" " * 65536)
        except OSError:
            pass

    error = error_of(driver, cert, script)
    assert error["name"] == "ProxmoxError"


# --- time: curl and Go's client have a limit for all of a request ----------------------------------

NO_LIMIT = pytest.mark.parametrize("driver", ["typescript", "python"], indirect=True)


def send_for_ever(connection: Connection | socket.socket, piece: bytes) -> None:
    send = connection.sendall if isinstance(connection, socket.socket) else connection.send
    until = time.monotonic() + 60
    try:
        while time.monotonic() < until:
            send(piece)
            time.sleep(0.5)
    except OSError:
        pass


@NO_LIMIT
@pytest.mark.parametrize("piece", [b"x", b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["slow", "100 without end"])
def test_answer_that_never_ends(driver: Driver, cert: Cert, piece: bytes) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        if piece == b"x":
            connection.send(b"HTTP/1.1 200 OK\r\nX: ")
        send_for_ever(connection, piece)

    began = time.monotonic()
    error = error_of(driver, cert, script)
    assert (error["name"], error["reason"]) == ("ProxmoxError", "unreachable")
    assert "no answer in time" in error["message"] and time.monotonic() - began < LATE


@NO_LIMIT
def test_handshake_that_never_ends(driver: Driver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB
                send_for_ever(connection, b"\x02")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        began = time.monotonic()
        error = ask(driver, server.getsockname()[1])["error"]
        thread.join()
    assert (error["name"], error["reason"]) == ("ProxmoxError", "unreachable")
    assert "no answer in time" in error["message"] and time.monotonic() - began < LATE
