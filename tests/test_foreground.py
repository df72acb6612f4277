# SPDX-License-Identifier: Apache-2.0
"""deploy/proxxy runs in the foreground without a service manager, and reads the original's .env."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from conftest import ECHO
from lib.activator import ANYWHERE, TREE, binary
from lib.certs import Cert
from lib.payload import seal, target
from lib.process import free_port, spawn, stop_tree, wait_for
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, Client, close_payload


def test_foreground_with_the_originals_dotenv(tmp_path: Any, key: str, cert: Cert, standin: StandIn) -> None:
    """PORT and SIGNATURE_KEY come from .env, as with `bun start`; the other settings come from the environment."""
    port = free_port()
    (tmp_path / ".env").write_text(f"PORT={port}\nSIGNATURE_KEY={key}\n")
    environment = {"PATH": os.environ["PATH"], "PROXXY_CONN": str(binary()), "PROXXY_CA_FILE": str(cert.ca)}
    environment["PROXXY_ALLOWED_HOSTS"] = ANYWHERE
    with (tmp_path / "log").open("w+") as log:
        process = spawn([TREE / "deploy" / "proxxy"], cwd=tmp_path, env=environment, stderr=log)
        try:
            wait_for(lambda: "Listening on" in (tmp_path / "log").read_text(), 5, "not listening")
            with Client.upgraded(port, target(seal(standin.console("qemu", ECHO), key))) as client:
                client.send_frame(BINARY, b"x")
                assert client.read_data(1) == b"x"
        finally:
            stop_tree(process)


def test_port_of_the_foreground_is_the_last_files(tmp_path: Any, key: str) -> None:
    """The last PORT counts. The order is that of proxxy-conn: the file, then its directory in byte order."""
    ports = [free_port() for _ in range(3)]
    (tmp_path / ".env").write_text(f"PORT={ports[0]}\nSIGNATURE_KEY={key}")
    folder = tmp_path / ".env.d"
    folder.mkdir()
    for name, port in (("a.conf", ports[2]), ("B.conf", ports[1]), ("c.conf~", 1), (".d.conf", 2)):
        (folder / name).write_text(f"PORT={port}")
    environment = {"PATH": os.environ["PATH"], "PROXXY_CONN": str(binary()), "LC_ALL": "C.UTF-8"}
    with (tmp_path / "log").open("w+") as log:
        process = spawn([TREE / "deploy" / "proxxy"], cwd=tmp_path, env=environment, stderr=log)
        try:
            wait_for(lambda: "Listening on" in (tmp_path / "log").read_text(), 5, "not listening")
            with Client.connect(ports[2], "/api/status") as client:
                assert client.read_head().status == 200
        finally:
            stop_tree(process)


@contextmanager
def foreground(tmp_path: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen, Path]]:
    """deploy/proxxy in a folder with an .env, and its log."""
    log = tmp_path / "log"
    given = {"PATH": os.environ["PATH"], "PROXXY_CONN": str(binary()), **environment}
    with log.open("w") as out:
        process = spawn([TREE / "deploy" / "proxxy", *arguments], cwd=tmp_path, env=given, stderr=out)
    try:
        wait_for(lambda: "Listening on" in log.read_text(), 10, log.read_text)
        yield process, log
    finally:
        stop_tree(process)


def test_quotes_of_docker_are_removed(tmp_path: Path, key: str) -> None:
    """ "docker run --env-file" passes the quotes of PORT="8443" on."""
    port = free_port()
    with foreground(tmp_path, PORT=f'"{port}"', SIGNATURE_KEY=f'"{key}"', PROXXY_MAX_SESSIONS="'100'") as (_, log):
        assert f"Listening on port {port}, at most 189 processes" in log.read_text()
        with Client.connect(port, "/api/status") as client:
            assert client.read_head().status == 200


def test_limit_of_the_settings_file_is_the_acceptors(tmp_path: Path, key: str) -> None:
    port = free_port()
    (tmp_path / ".env").write_text(f"PROXXY_MAX_SESSIONS = 40\nSIGNATURE_KEY={key}\n")
    with foreground(tmp_path, "--listen", f"127.0.0.1:{port}", "--listen", f"unix:{tmp_path}/socket") as (_, log):
        assert log.read_text().count("at most 114 processes") == 2
        assert (tmp_path / "socket").is_socket()


def test_health_finds_port_and_header_in_the_settings_file(tmp_path: Path, key: str) -> None:
    """With PROXXY_CLIENT_ADDRESS=proxy-protocol, proxxy answers 400 to a request without a header from this machine."""
    port = free_port()
    (tmp_path / ".env").write_text(f"PORT={port}\nSIGNATURE_KEY={key}\nPROXXY_CLIENT_ADDRESS=proxy-protocol\n")
    environment = {"PATH": os.environ["PATH"], "PROXXY_CONN": str(binary())}
    command = [str(TREE / "deploy" / "proxxy"), "--health"]
    with foreground(tmp_path):
        healthy = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30)
        assert (healthy.returncode, healthy.stderr) == (0, "")
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=30).returncode == 1


def test_ctrl_c_ends_all_in_order(tmp_path: Path, key: str, cert: Cert, standin: StandIn) -> None:
    port = free_port()
    (tmp_path / ".env").write_text(f"PORT={port}\nSIGNATURE_KEY={key}\n")
    settings = {"PROXXY_CA_FILE": str(cert.ca), "PROXXY_ALLOWED_HOSTS": ANYWHERE}
    with foreground(tmp_path, **settings) as (process, log):
        with Client.upgraded(port, target(seal(standin.console("qemu", ECHO), key))) as client:
            os.killpg(process.pid, signal.SIGINT)
            assert client.close_code()[0] == 1001
            client.send_frame(CLOSE, close_payload(1001))
            assert process.wait(30) == 0
        assert "Session ended" in log.read_text() and log.read_text().endswith("Stopped\n")
