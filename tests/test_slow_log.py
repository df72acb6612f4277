# SPDX-License-Identifier: Apache-2.0
"""A journal, a syslog or a pipe that nobody reads delays no console. One that is read slowly loses no record."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import ECHO, echo
from lib.activator import Activator
from lib.certs import Cert
from lib.consoles import handler_console
from lib.installed import deploy, key as key_of
from lib.payload import seal, target
from lib.pid1 import Machine
from lib.process import wait_for
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, Client, close_payload

AT_ONCE = 2.0  # seconds; opening a console takes about 0.05, and a blocking log would add 5 for each record
DRAIN = 1.0  # sink.h's SINK_DRAIN_MS, in seconds


class Log(Activator):
    """proxxy in a mount namespace where the test owns the journal's and syslog's sockets."""

    def __init__(self, settings: dict[str, Any], place: Path) -> None:
        super().__init__({**settings, "PROXXY_TLS_VERIFY": "off", "PROXXY_PAYLOADS": "cbc"})  # these cause two warnings
        self._place = place

    def command(self) -> list[Any]:
        script = (
            'mount -t tmpfs tmpfs /run && mkdir /run/systemd && ln -s "$0" /run/systemd/journal && '
            "mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && "
            'ln -s "$0/socket" /dev/log && exec "$@"'
        )
        return ["unshare", "--mount", "sh", "-c", script, self._place, *super().command()]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[socket.socket]:
    """A log's socket with a full buffer: it accepts no record until the test reads one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM
    ) as filler:
        log.bind(str(tmp_path / "socket"))
        filler.connect(str(tmp_path / "socket"))
        filler.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                filler.send(b"filler")
        log.settimeout(5)
        yield log


def records(log: socket.socket) -> list[str]:
    """Reads records up to the session's end; returns them without the filler."""
    found: list[str] = []
    while not any("Session ended" in record for record in found):
        found += [text for text in [log.recv(65536).decode(errors="replace")] if text != "filler"]
    return found


def use(port: int, payload: str) -> float:
    """Opens a console, sends a byte, closes it; returns the time until the first byte came back."""
    started = time.monotonic()
    with Client.upgraded(port, target(payload)) as client:
        client.send_frame(BINARY, b"x")
        assert client.read_data(1, 30) == b"x"
        took = time.monotonic() - started
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code() == (1000, "")
        ended = time.monotonic()
        assert client.at_end()
        assert time.monotonic() - ended < 0.5
        return took


@pytest.mark.parametrize("where", ["journal", "syslog"])
def test_log_that_nobody_reads_delays_nobody(
    settings: dict[str, Any], standin: StandIn, key: str, tmp_path: Path, reader: socket.socket, where: str
) -> None:
    with Log(settings | {"PROXXY_LOG": where}, tmp_path) as proxxy:
        assert use(proxxy.port, seal(standin.console("qemu", ECHO), key)) < AT_ONCE
        started = time.monotonic()
        proxxy.wait_sessions(0)
        assert time.monotonic() - started < 2 * DRAIN


@pytest.mark.parametrize("where", ["journal", "syslog"])
def test_log_that_is_slow_gets_every_record(
    settings: dict[str, Any], standin: StandIn, key: str, tmp_path: Path, reader: socket.socket, where: str
) -> None:
    with Log(settings | {"PROXXY_LOG": where}, tmp_path) as proxxy:
        use(proxxy.port, seal(standin.console("qemu", ECHO), key))
        time.sleep(DRAIN / 2)
        found = records(reader)
    for words in ("PROXXY_TLS_VERIFY is off", "PROXXY_PAYLOADS is cbc", "Session began", "Session ended"):
        assert sum(words in record for record in found) == 1
    if where == "syslog":
        assert all(record.startswith("<") and " proxxy-conn[" in record for record in found)


def test_refusal_does_not_wait_for_its_record(
    settings: dict[str, Any], key: str, tmp_path: Path, reader: socket.socket
) -> None:
    with Log(settings | {"PROXXY_LOG": "journal"}, tmp_path) as proxxy:
        started = time.monotonic()
        with Client.connect(proxxy.port, "/?payload=00:00") as client:
            assert client.read_head().status == 400
        assert time.monotonic() - started < AT_ONCE


class Piped(Activator):
    """proxxy whose standard error is a pipe, as a container engine or a supervisor gives it."""

    def command(self) -> list[Any]:
        os.mkfifo(self.directory / "fifo")
        self.end = os.open(self.directory / "fifo", os.O_RDWR | os.O_NONBLOCK)
        # The activator keeps its own stderr, where it reports that it is ready.
        return super().command()[:-1] + ["sh", "-c", 'exec "$0" 2>"$1"', self.binary, self.directory / "fifo"]

    def fill(self) -> None:
        for size in (4096, 1):
            with pytest.raises(BlockingIOError):
                while True:
                    os.write(self.end, b"\n" * size)

    def __exit__(self, *arguments: object) -> None:
        super().__exit__(*arguments)
        os.close(self.end)


def test_pipe_that_nobody_reads_delays_nobody(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Piped(settings | {"PROXXY_TLS_VERIFY": "off"}) as proxxy:
        proxxy.fill()
        assert use(proxxy.port, seal(standin.console("qemu", ECHO), key)) < AT_ONCE
        proxxy.wait_sessions(0)


def test_pipe_that_is_slow_gets_every_record(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Piped(settings | {"PROXXY_TLS_VERIFY": "off"}) as proxxy:
        proxxy.fill()
        use(proxxy.port, seal(standin.console("qemu", ECHO), key))
        seen = b""

        def ended() -> bool:
            nonlocal seen
            with contextlib.suppress(BlockingIOError):
                while True:
                    seen += os.read(proxxy.end, 4096)
            return b"Session ended" in seen

        wait_for(ended, DRAIN, "no record of the end")
        assert seen.count(b"PROXXY_TLS_VERIFY is off") == seen.count(b"Session began") == 1
        # proxxy must not set O_NONBLOCK on the pipe, which other processes share.
        assert not os.get_blocking(proxxy.end)


# --- a real journal ---------------------------------------------------------------------------


def test_stopped_journald_delays_nobody(cert: Cert) -> None:
    """journald is stopped and its socket is full. After it continues, it has the record of each session's end."""
    with Machine() as machine, machine.network(), StandIn(cert) as proxmox:
        deploy(machine, cert, PROXXY_TLS_VERIFY="off")
        proxmox.add("qemu", ECHO, handler_console(echo))
        key = key_of(machine)
        use(8443, seal(proxmox.console("qemu", ECHO), key))
        pid = machine.run(["systemctl", "show", "--property=MainPID", "--value", "systemd-journald"]).stdout.strip()
        machine.run(["kill", "-STOP", pid])
        try:
            machine.run(
                [
                    "sh",
                    "-c",
                    "for i in $(seq 40); do timeout 0.2 logger --socket /run/systemd/journal/socket -d x & done; wait",
                ],
                check=False,
            )
            took = use(8443, seal(proxmox.console("qemu", ECHO), key))
        finally:
            machine.run(["kill", "-CONT", pid])
        assert took < AT_ONCE
        wait_for(lambda: len(machine.journal("PROXXY_OUTCOME=client-closed")) == 2, 10, "a summary is lost")
