# SPDX-License-Identifier: Apache-2.0
"""No secret is in the log, in argv, in the environment or in a core dump."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from conftest import ECHO
from lib.activator import ANYWHERE, Activator, binary
from lib.certs import Cert
from lib.payload import seal, target
from lib.process import children, wait_for
from lib.standin import StandIn
from lib.wire import BINARY, Client


def test_no_secret_in_log_argv_environment_or_core(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO)
    payload = seal(members, key)
    secrets = [key, members["ticket"], members["vncticket"], members["vncticket"][:8], payload, payload.split(":")[1]]
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(payload)) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            process = Path("/proc", str(proxxy.sessions()[0]))
            shown = (process / "cmdline").read_text() + (process / "environ").read_text()
            assert re.search(r"Max core file size\s+0\s+0", (process / "limits").read_text())
        Client.connect(proxxy.port, target(payload[:-2])).read_all()
        Client.connect(proxxy.port, target(payload), {"Sec-WebSocket-Version": "8"}).read_all()
        proxxy.wait_log("websocket-version")
        shown += proxxy.log()
    for secret in secrets:
        assert secret not in shown


def test_key_in_the_environment_is_overwritten_there(key: str, standin: StandIn, cert: Cert) -> None:
    ca = f"PROXXY_CA_FILE={cert.ca}"
    with Activator({}) as proxxy:  # its settings file has no key, so the environment must have it
        port = proxxy.port
    os.environ["SIGNATURE_KEY"] = key
    try:
        command = ["systemd-socket-activate", "--inetd", "-a", "-l", f"127.0.0.1:{port}"]
        command += ["-E", ca, "-E", f"PROXXY_ALLOWED_HOSTS={ANYWHERE}", "-E", "SIGNATURE_KEY"]
        activator = subprocess.Popen([*command, binary()], stderr=subprocess.DEVNULL)
    finally:
        del os.environ["SIGNATURE_KEY"]
    try:
        wait_for(lambda: is_open(port), 5, "not listening")
        with Client.upgraded(port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            # The process that is_open() caused ends a little later.
            wait_for(lambda: len(children(activator.pid)) == 1, 5, "not one session")
            [pid] = children(activator.pid)
            assert key.encode() not in Path("/proc", str(pid), "environ").read_bytes()
    finally:
        activator.terminate()
        activator.wait()


def is_open(port: int) -> bool:
    try:
        Client.connect(port).sock.close()
    except ConnectionRefusedError:
        return False
    return True
