# SPDX-License-Identifier: Apache-2.0
"""The log of a session whose client asks for a console while the socket has no room for the answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from conftest import console
from lib.activator import ANYWHERE, binary
from lib.payload import seal, target
from lib.process import wait_for


@contextmanager
def blocked(settings: dict[str, Any], key: str, directory: Path) -> Iterator[subprocess.Popen]:
    """A session whose socket was full before it began, and whose client has sent its request."""
    near, far = socket.socketpair()
    near.setblocking(False)
    try:
        while True:
            near.send(bytes(65536))
    except BlockingIOError:
        pass
    configuration = directory / "proxxy.conf"
    lines = settings | {"PROXXY_STATE_DIRECTORY": directory}
    configuration.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    configuration.chmod(0o600)
    head = f"GET {target(seal(console(1), key))} HTTP/1.1\r\nHost: proxxy\r\nUpgrade: websocket\r\n"
    head += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    far.sendall(head.encode())
    process = subprocess.Popen(
        [str(binary())],
        stdin=near.fileno(),
        stdout=near.fileno(),
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PROXXY_CONFIG=str(configuration)),
    )
    near.close()
    try:
        yield process
    finally:
        far.close()
        process.kill()
        process.communicate()


def test_client_that_does_not_accept_the_answer(settings: dict[str, Any], key: str, tmp_path: Path) -> None:
    started = time.monotonic()
    with blocked(settings | {"PROXXY_ALLOWED_HOSTS": ANYWHERE}, key, tmp_path) as session:
        log = session.stderr.readline()
        assert "client-gone" in log and "it did not accept the answer" in log
        assert 4.5 < time.monotonic() - started < 8


def test_operator_ends_a_session_that_waits_for_its_client(settings: dict[str, Any], key: str, tmp_path: Path) -> None:
    with blocked(settings | {"PROXXY_ALLOWED_HOSTS": ANYWHERE}, key, tmp_path) as session:
        wait = Path(f"/proc/{session.pid}/wchan")
        wait_for(lambda: "poll" in wait.read_text(), 5, "never waited")
        session.send_signal(signal.SIGTERM)
        record = session.stderr.readline()
        assert "outcome=terminated" in record
        assert "status=" not in record  # a part of the 101 may be sent already
