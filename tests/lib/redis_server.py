# SPDX-License-Identifier: Apache-2.0
"""A Redis or Valkey server of this machine's release, with data only in memory, for one test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from .process import free_port, spawn, stop, wait_for

SERVERS = ("redis-server", "valkey-server")
READY_SECONDS = 10.0


def installed() -> list[str]:
    """The servers that this machine has."""
    return [name for name in SERVERS if shutil.which(name)]


class RedisServer:
    """A server on a loopback port and a UNIX socket, for as long as the with block lasts.

    Options are lines of its configuration file: RedisServer("requirepass x"). Passwords are there, not in argv.
    """

    def __init__(self, *options: str, program: str = "", tls_port: int = 0) -> None:
        self.port = free_port()
        self.tls_port = tls_port
        self.program = program or (installed() or [SERVERS[0]])[0]
        self._options = options

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="proxxy-redis-")
        self.directory = Path(self._temporary.name)
        self.socket = self.directory / "redis.sock"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"unixsocket {self.socket}", "unixsocketperm 700"]
        lines += ['save ""', "appendonly no", f"dir {self.directory}", f"tls-port {self.tls_port}"]
        if not self.tls_port:
            lines.pop()
        self._config = self.directory / "redis.conf"
        self._config.touch(mode=0o600)
        self._config.write_text("".join(f"{line}\n" for line in (*lines, *self._options)))
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.resume()
        stop(self._process)
        self._temporary.cleanup()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = spawn([self.program, self._config], stdout=output, stderr=output)

        def ready() -> bool:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.program} ended by itself:\n{log.read_text()}")
            return self.ask("PING") in ("PONG", "NOAUTH Authentication required.")

        wait_for(ready, READY_SECONDS, lambda: f"{self.program} is not ready:\n{log.read_text()}")

    def end(self) -> None:
        """Ends the server, and with it all data."""
        stop(self._process)

    def pause(self) -> None:
        """The kernel still accepts connections to it, and nothing answers."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def ask(self, *command: object, password: str = "") -> str:
        """Sends one command with redis-cli through the UNIX socket; returns the answer's lines."""
        client = [self.program.replace("-server", "-cli"), "-s", str(self.socket), *map(str, command)]
        environment = {**os.environ, **({"REDISCLI_AUTH": password} if password else {})}
        done = subprocess.run(client, env=environment, capture_output=True, text=True, timeout=READY_SECONDS)
        return done.stdout.strip()

    def keys(self) -> list[str]:
        return sorted(self.ask("KEYS", "*").split())
