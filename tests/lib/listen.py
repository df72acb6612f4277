# SPDX-License-Identifier: Apache-2.0
"""proxxy-listen with any program as its session, and clients of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from .activator import ANYWHERE, binary
from .payload import seal, target
from .process import children, descendants, spawn, wait_for
from .standin import StandIn
from .wire import BINARY, Client

LISTEN = binary().with_name("proxxy-listen")
CAT = "/bin/cat"  # as a session: echoes what its client sends
GOODBYE_SECONDS = 30.0  # more than a session and proxxy-listen need together, on a slow machine


class Acceptor:
    """A proxxy-listen that runs as long as the with block lasts, and its log."""

    def __init__(self, process: subprocess.Popen, log: Path, program: str) -> None:
        self.process = process
        self._log = log
        self._program = Path(program).name

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_log(self, words: str, timeout: float = 10.0) -> str:
        wait_for(lambda: words in self.log(), timeout, lambda: f"no {words!r} in:\n{self.log()}")
        return self.log()

    def sessions(self) -> list[int]:
        return [pid for pid, name in children(self.pid).items() if name == self._program]

    def wait_sessions(self, count: int) -> None:
        wait_for(
            lambda: len(self.sessions()) == count, 10, lambda: f"{self.sessions()}, {count} awaited:\n{self.log()}"
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait_end(self) -> int:
        """The exit status."""
        return self.process.wait(GOODBYE_SECONDS)


@contextmanager
def acceptor(
    tmp_path: Path,
    *arguments: str,
    program: Sequence[str] = (CAT,),
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    listen: Path = LISTEN,
) -> Iterator[Acceptor]:
    log = tmp_path / "log"
    command = [*prefix, str(listen), *arguments, "--", *program]
    with log.open("wb") as out:
        process = spawn(command, stdout=out, stderr=out, env={**os.environ, **(environment or {})})
    try:
        started = Acceptor(process, log, program[0])
        wait_for(lambda: "Listening on" in started.log() or process.poll() is not None, 10, "not listening")
        assert process.poll() is None, started.log()
        yield started
    finally:
        left = [process.pid, *descendants(process.pid)]
        for pid in left if process.poll() is None else left[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait()


@contextmanager
def connected(address: int | str) -> Iterator[socket.socket]:
    """A connection to a port of 127.0.0.1 or to a UNIX socket."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as sock:
        sock.settimeout(10)
        sock.connect(address if isinstance(address, str) else ("127.0.0.1", address))
        yield sock


def echoes(sock: socket.socket, data: bytes = b"x") -> bool:
    sock.sendall(data)
    return sock.recv(len(data)) == data


def is_cut_off(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def is_silent(sock: socket.socket, seconds: float = 0.5) -> bool:
    sock.settimeout(seconds)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(10)
    return False


@contextmanager
def consoles(tmp_path: Path, settings: dict[str, Any], *arguments: str) -> Iterator[Acceptor]:
    """proxxy-listen with proxxy-conn."""
    used = tmp_path / "used"
    used.mkdir(mode=0o700)
    config = tmp_path / "proxxy.conf"
    config.touch(mode=0o600)
    lines = {"PROXXY_ALLOWED_HOSTS": ANYWHERE, "PROXXY_STATE_DIRECTORY": used, **settings}
    config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    with acceptor(tmp_path, *arguments, program=[str(binary())], environment={"PROXXY_CONFIG": str(config)}) as started:
        yield started


def opened(port: int, standin: StandIn, key: str, vmid: int = 100) -> Client:
    """A console that echoes."""
    client = Client.upgraded(port, target(seal(standin.console("qemu", vmid), key)))
    check(client)
    return client


def check(client: Client) -> None:
    client.send_frame(BINARY, b"x")
    assert client.read_data(1) == b"x"


def as_account(uid: int, *limits: str) -> list[str]:
    """Arguments that make proxxy-listen run as the uid. It may be unable to enter the folders above the program, so the
    program is started through a descriptor."""
    account = f"setpriv --reuid={uid} --regid={uid} --clear-groups --pdeathsig TERM --"
    limited = f"prlimit {' '.join(limits)} --" if limits else ""
    return ["/bin/sh", "-c", f'exec 9<"$1"; shift; exec {account} {limited} /proc/self/fd/9 "$@"', "sh"]
