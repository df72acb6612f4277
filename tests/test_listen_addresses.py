# SPDX-License-Identifier: Apache-2.0
"""proxxy-listen: TCP ports, UNIX sockets, mistakes on the command line, and the health check."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO
from lib.account import unused_account
from lib.listen import CAT, LISTEN, acceptor, as_account, check, connected, consoles, echoes, opened
from lib.payload import seal, target
from lib.process import free_port
from lib.standin import StandIn
from lib.wire import CLOSE, Client, close_payload

EX_USAGE, EX_UNAVAILABLE, EX_OSERR, EX_NOPERM, EX_CONFIG = 64, 69, 71, 77, 78


@pytest.fixture
def port() -> int:
    return free_port()


# --- addresses ----------------------------------------------------------------------------------


def test_console_over_a_unix_socket(
    tmp_path: Path, settings: dict[str, Any], standin: StandIn, key: str, port: int
) -> None:
    path = tmp_path / "proxxy.sock"
    with consoles(tmp_path, settings, f"--listen=unix:{path}", f"--listen=127.0.0.1:{port}") as listen:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        request = (
            f"GET {target(seal(standin.console('qemu', ECHO), key))} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        with connected(str(path)) as sock:
            client = Client(sock)
            client.send(request.encode())
            assert client.read_head().status == 101
            check(client)
            with opened(port, standin, key) as other:  # both at once
                listen.signal(signal.SIGTERM)
                for each in (client, other):
                    assert each.close_code()[0] == 1001
                    each.send_frame(CLOSE, close_payload(1001))
            assert listen.wait_end() == 0
        assert not path.exists()


def test_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with acceptor(tmp_path, f"--listen=unix:{path}", "--mode=0600") as listen:
        listen.signal(signal.SIGKILL)
        listen.process.wait()
    assert path.exists()
    with acceptor(tmp_path, f"--listen=unix:{path}", "--mode=0600") as listen, connected(str(path)) as sock:
        assert echoes(sock) and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_of_others_are_kept(tmp_path: Path) -> None:
    """Neither a file that is no socket nor a socket on which another process listens is replaced or removed."""
    path = tmp_path / "socket"
    path.write_text("precious")
    ended = run(f"--listen=unix:{path}", CAT)
    assert ended.returncode == EX_OSERR and "Address already in use" in ended.stderr
    assert path.read_text() == "precious"
    path.unlink()
    with acceptor(tmp_path, f"--listen=unix:{path}") as listen:
        assert run(f"--listen=unix:{path}", CAT).returncode == EX_OSERR
        with connected(str(path)) as sock:
            assert echoes(sock)
        path.rename(tmp_path / "moved")
        path.write_text("precious")
        listen.signal(signal.SIGTERM)
        assert listen.wait_end() == 0
        assert path.read_text() == "precious"


def test_port_alone_is_both_ipv6_and_ipv4(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, environment={"PORT": str(port)}) as listen:
        assert f"Listening on port {port}" in listen.log()
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port), 10) as sock:
                assert echoes(sock)


def test_address_alone_is_that_one(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=[::1]:{port}"):
        with socket.create_connection(("::1", port), 10) as sock:
            assert echoes(sock)
        with pytest.raises(ConnectionRefusedError), connected(port):
            pass
    with acceptor(tmp_path, f"--listen=[::]:{port}", f"--listen=0.0.0.0:{port}"):  # two sockets, one port
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port), 10) as sock:
                assert echoes(sock)


# --- the command line ---------------------------------------------------------------------------


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(LISTEN), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env={**os.environ, **environment})


def test_port_in_use(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}"):
        ended = run(f"--listen=unix:{tmp_path}/socket", f"--listen=127.0.0.1:{port}", CAT)
        assert ended.returncode == EX_OSERR
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr
        assert not (tmp_path / "socket").exists()  # the sockets that it had opened are closed


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["--listen=8443", "/nonexistent"], EX_UNAVAILABLE, "cannot start /nonexistent: No such file or directory"),
        (["--listen=8443", "/etc/passwd"], EX_UNAVAILABLE, "cannot start /etc/passwd: Permission denied"),
        (["--listen=0"], EX_USAGE, '--listen is "0": it must be PORT'),
        (["--listen=65536"], EX_USAGE, "must be PORT"),
        (["--listen=localhost:8443"], EX_USAGE, "numeric address"),
        (["--listen=::1:8443"], EX_USAGE, "[ADDRESS]:PORT for IPv6"),
        (["--listen=[::1]"], EX_USAGE, "must be PORT"),
        (["--listen=[]:80"], EX_USAGE, "must be PORT"),
        (["--listen=:80"], EX_USAGE, "must be PORT"),
        (["--listen=1.2.3:80"], EX_USAGE, "must be PORT"),
        (["--listen=unix:relative"], EX_USAGE, "unix:/PATH"),
        (["--listen=unix:/" + "x" * 107], EX_USAGE, "at most 107 bytes"),
        (["--listen=unix:/nonexistent/socket", CAT], EX_OSERR, "cannot listen on unix:/nonexistent/socket: No such"),
        ([f"--listen={number}" for number in range(1, 18)], EX_USAGE, "16 at most"),
        (["--mode=999"], EX_USAGE, "octal"),
        (["--mode=4755"], EX_USAGE, "octal"),
        (["--max=0"], EX_USAGE, "from 1 to 100000"),
        (["--max=100001"], EX_USAGE, "from 1 to 100000"),
        (["--max=1x"], EX_USAGE, "whole number"),
        (["--unknown"], EX_USAGE, "--help lists the options"),
        (["--health", CAT], EX_USAGE, "takes no program"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else None,
)
def test_mistakes_have_words_and_a_status(arguments: list[str], status: int, words: str) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (status, "") and words in ended.stderr, ended.stderr


@pytest.mark.parametrize("name, value", [("PORT", "84x3"), ("PORT", "0"), ("PROXXY_MAX_SESSIONS", "-1")])
def test_mistakes_in_the_environment(name: str, value: str) -> None:
    ended = run(CAT, **{name: value})
    assert ended.returncode == EX_CONFIG and f'{name} is "{value}"' in ended.stderr


def test_socket_that_is_not_allowed(tmp_path: Path) -> None:
    account = unused_account()
    assert account, "the tests run as root"
    command = [*as_account(account.uid), str(LISTEN), f"--listen=unix:{tmp_path}/socket", CAT]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == EX_NOPERM and "Permission denied" in ended.stderr, ended.stderr


def test_help_fits_on_a_screen() -> None:
    ended = run("--help")
    assert ended.returncode == 0 and ended.stderr == ""
    assert len(ended.stdout.splitlines()) <= 24 and max(map(len, ended.stdout.splitlines())) <= 100
    assert re.fullmatch(r"proxxy-listen \d+\.\d+\.\d+\n", run("--version").stdout)


# --- the health check ---------------------------------------------------------------------------


def test_health(tmp_path: Path, settings: dict[str, Any], port: int) -> None:
    path = f"unix:{tmp_path}/proxxy.sock"
    with consoles(tmp_path, settings, f"--listen={port}", f"--listen={path}"):
        for listener in (str(port), f"127.0.0.1:{port}", path):
            healthy = run("--health", f"--listen={listener}")
            assert (healthy.returncode, healthy.stdout, healthy.stderr) == (0, "", "")
        assert run("--health", PORT=str(port)).returncode == 0
    for listener, words in ((str(port), "Connection refused"), (path, "Connection refused")):
        gone = run("--health", f"--listen={listener}")
        assert gone.returncode == 1 and words in gone.stderr


def test_health_of_a_proxxy_without_a_key(tmp_path: Path, port: int) -> None:
    with consoles(tmp_path, {"SIGNATURE_KEY": "short"}, f"--listen=127.0.0.1:{port}"):
        sick = run("--health", f"--listen=127.0.0.1:{port}")
        assert sick.returncode == 1 and 'its answer begins with "HTTP/1.1 500"' in sick.stderr


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"", "it closed the connection without an answer"),
        (b"SSH-2.0-Open\x1b[2JSSH_9", 'its answer begins with "SSH-2.0-Open?"'),
    ],
)
def test_health_of_something_else(port: int, answer: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        asking = subprocess.Popen(
            [LISTEN, "--health", f"--listen=127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True, env=os.environ
        )
        connection, _ = server.accept()
        with connection:
            assert connection.recv(65536).startswith(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n")
            connection.sendall(answer)
        _, stderr = asking.communicate(timeout=30)
        assert asking.returncode == 1 and words in stderr


def test_health_sends_a_header_where_proxxy_expects_one(port: int) -> None:
    """Version 2 of the PROXY protocol, LOCAL: a health check of a proxy itself."""
    header = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
    with socket.create_server(("127.0.0.1", port)) as server:
        environment = {**os.environ, "PROXXY_CLIENT_ADDRESS": "proxy-protocol"}
        asking = subprocess.Popen([LISTEN, "--health", f"--listen=127.0.0.1:{port}"], env=environment)
        connection, _ = server.accept()
        with connection:
            sent = b""
            while b"\r\n\r\n" not in sent[16:]:
                sent += connection.recv(65536)
            assert sent.startswith(header + b"GET /api/status ")
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        assert asking.wait(30) == 0


def test_silent_port_is_not_healthy(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        sick = run("--health", f"--listen=127.0.0.1:{port}")
        assert sick.returncode == 1 and "no answer in time" in sick.stderr
