# SPDX-License-Identifier: Apache-2.0
"""deploy/proxxy runs in the foreground without a service manager, and reads the original's .env."""

from __future__ import annotations

import os
from typing import Any

from conftest import ECHO
from lib.activator import ANYWHERE, TREE, binary
from lib.certs import Cert
from lib.payload import seal, target
from lib.process import free_port, spawn, stop_tree, wait_for
from lib.standin import StandIn
from lib.wire import BINARY, Client


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
