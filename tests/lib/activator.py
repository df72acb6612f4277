# SPDX-License-Identifier: Apache-2.0
"""proxxy-conn behind a socket activator, as it runs in production: one process for each connection.

Activator is systemd-socket-activate, Xinetd is xinetd with the configuration that the project
ships. Both have the same interface, so the same tests run under both.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
import tempfile
from pathlib import Path
from typing import Mapping, Self

from .process import children, free_port, spawn, stop, wait_for

TREE = Path(__file__).resolve().parents[2]
XINETD_TEMPLATE = TREE / "deploy" / "proxxy.xinetd"
READY_SECONDS = 5.0
GOODBYE_SECONDS = 8.0  # TimeoutStopSec=
ANYWHERE = "0.0.0.0/0,::/0"  # includes loopback, where the stand-ins listen
SANITIZER_OPTIONS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
SANITIZER_WORDS = ("AddressSanitizer", "runtime error:", "LeakSanitizer")


def binary() -> Path:
    """The program under test."""
    path = Path(os.environ.get("PROXXY_CONN", TREE / "build" / "proxxy-conn")).resolve()
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path}: not built; run make, or set PROXXY_CONN")
    return path


class Activator:
    """systemd-socket-activate --inetd -a on a loopback port, for as long as the with block lasts.

    Settings go into a configuration file that only its owner reads: never into argv or the
    environment, where other users or core dumps could show the key.
    """

    ready_words = "Listening on"

    def __init__(
        self,
        settings: Mapping[str, object],
        port: int = 0,
        program: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port or free_port()
        self.binary = program or binary()
        self._settings = settings
        self._environment = environment or {}

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="proxxy-activator-")
        self.directory = Path(self._temporary.name)
        self.config = self.directory / "proxxy.conf"
        self.config.touch(mode=0o600)
        self.used = self.directory / "used"
        self.used.mkdir(mode=0o700)
        settings = {"PROXXY_ALLOWED_HOSTS": ANYWHERE, "PROXXY_STATE_DIRECTORY": self.used, **self._settings}
        self.config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        self._stderr = self.directory / "stderr"
        with self._stderr.open("wb") as log:
            self._process = spawn(self.command(), stdout=log, stderr=log)
        try:
            self._wait_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        log = self._end()
        if any(words in log for words in SANITIZER_WORDS):
            raise AssertionError(f"a sanitizer found something:\n{log}")

    def command(self) -> list[str | Path]:
        environment = [f"-EPROXXY_CONFIG={self.config}"]
        environment += [f"-E{name}={value}" for name, value in self._environment.items()]
        # systemd-socket-activate passes on only TERM, PATH, USER and HOME from its own environment.
        environment += [f"-E{name}" for name in SANITIZER_OPTIONS if name in os.environ]
        listen = f"127.0.0.1:{self.port}"
        return ["systemd-socket-activate", "--inetd", "-a", "-l", listen, *environment, self.binary]

    def log_files(self) -> list[Path]:
        return [self._stderr]

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.log_files())

    def wait_log(self, substring: str, timeout: float = 5.0) -> str:
        """Wait until the log contains the substring; returns the log."""
        wait_for(lambda: substring in self.log(), timeout, lambda: f"no {substring!r} in:\n{self.log()}")
        return self.log()

    @property
    def pid(self) -> int:
        """The activator's pid. Its children are the sessions."""
        return self._process.pid

    def sessions(self) -> list[int]:
        """The pids of the sessions that run now."""
        return [pid for pid, name in children(self._process.pid).items() if name == self.binary.name]

    def wait_sessions(self, count: int, timeout: float = 5.0) -> None:
        wait_for(
            lambda: len(self.sessions()) == count,
            timeout,
            lambda: f"{count} sessions awaited, {self.sessions()} run:\n{self.log()}",
        )

    def _wait_ready(self) -> None:
        def ready() -> bool:
            if self._process.poll() is not None:
                raise RuntimeError(f"the activator ended by itself:\n{self.log()}")
            return self.ready_words in self.log()

        wait_for(ready, READY_SECONDS, lambda: f"the activator is not ready:\n{self.log()}")

    def _end(self) -> str:
        """End everything, remove the directory and return the whole log."""
        # A stopped activator spawns no more children, so the list of them stays complete.
        self._process.send_signal(signal.SIGSTOP)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in children(self._process.pid):
                os.kill(pid, number)
            try:
                wait_for(lambda: not children(self._process.pid), GOODBYE_SECONDS, "still running")
                break
            except AssertionError:
                continue
        self._process.terminate()
        self._process.send_signal(signal.SIGCONT)
        stop(self._process)
        log = self.log()
        self._temporary.cleanup()
        return log


class Xinetd(Activator):
    """xinetd. Its services' stderr is the client's socket, so log() is xinetd's own log, and a
    sanitizer's report goes to files (what would go to stderr goes to the client)."""

    ready_words = "Started working: 1 available service"

    def command(self) -> list[str | Path]:
        reports = f"log_path={self.directory}/sanitizer"
        environment = [f"PROXXY_CONFIG={self.config}"]
        environment += [f"{name}={value}" for name, value in self._environment.items()]
        for name in SANITIZER_OPTIONS[:2]:  # LeakSanitizer reports through the address sanitizer
            environment.append(f"{name}={':'.join(filter(None, [os.environ.get(name), reports]))}")
        user = pwd.getpwuid(os.getuid()).pw_name
        replaced = {
            "disable": "no",
            "port": str(self.port),
            "bind": "127.0.0.1",
            "user": user,
            "server": str(self.binary),
            "env": " ".join(environment),
        }
        config = self.directory / "xinetd.conf"
        config.write_text(_replace_attributes(XINETD_TEMPLATE.read_text(), replaced))
        pidfile, log = self.directory / "pid", self.directory / "xinetd.log"
        log.touch()
        return ["xinetd", "-dontfork", "-f", config, "-pidfile", pidfile, "-filelog", log]

    def log_files(self) -> list[Path]:
        return [self._stderr, *self.directory.glob("xinetd.log"), *self.directory.glob("sanitizer.*")]


def _replace_attributes(template: str, values: Mapping[str, str]) -> str:
    """Set attributes of an xinetd service; the others stay as shipped. The group attribute is removed:
    it belongs to the service's user, and another user runs the tests."""
    names = "|".join([*values, "group"])
    kept = re.sub(rf"(?m)^[ \t]*({names})[ \t]*\+?=.*\n", "", template)
    lines = "".join(f"\t{name} = {value}\n" for name, value in values.items())
    return re.sub(r"(?m)^\{\n", lambda brace: brace.group() + lines, kept, count=1)
