# SPDX-License-Identifier: Apache-2.0
"""A real VNC desktop to look at: TigerVNC's X server, a window manager, one terminal, and a
background of a known colour that a test can find in a screenshot."""

from __future__ import annotations

import os
import secrets
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Sequence

from .process import free_port, spawn, stop

BACKGROUND = (0x33, 0x66, 0x99)
TERMINAL_BACKGROUND = (0xFF, 0xFF, 0xEE)
READY_SECONDS = 15.0
FAMILY_WILD = 0xFFFF  # Xauthority: the cookie is for any display (X11/Xauth.h)


class Desktop:
    """Runs for as long as the with block. RFB is on 127.0.0.1:rfb_port, with a password."""

    def __init__(self, terminal: Sequence[str] = (), *, width: int = 1024, height: int = 768) -> None:
        """terminal: what the xterm runs instead of a shell."""
        self.width, self.height = width, height
        self.rfb_port = 0
        self.display = ""
        self._terminal = terminal
        self._processes: list[subprocess.Popen] = []

    def __enter__(self) -> Desktop:
        self._temporary = tempfile.TemporaryDirectory(prefix="proxxy-desktop-")
        self.directory = Path(self._temporary.name)
        self._passwords = self.directory / "passwords"
        self._authority = self.directory / "authority"
        self._log = (self.directory / "log").open("wb")
        try:
            self.set_password(secrets.token_hex(4))  # until someone asks for a console
            self._start_server()
            self._start_clients()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            stop(process)
        self._log.close()
        self._temporary.cleanup()

    def set_password(self, password: str) -> None:
        """The password of the connections to come: the server reads the file for each of them."""
        scrambled = subprocess.run(
            ["tigervncpasswd", "-f"], input=f"{password}\n".encode(), capture_output=True, check=True
        ).stdout
        fresh = self._passwords.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(scrambled)
        fresh.replace(self._passwords)

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def _start_server(self) -> None:
        self._authority.touch(mode=0o600)
        self._authority.write_bytes(_authority_entry(os.urandom(16)))
        self.rfb_port = free_port()
        display, display_end = os.pipe()
        try:
            server = self._spawn(
                "Xtigervnc",
                *("-displayfd", str(display_end)),  # it picks a free display and tells which
                *("-auth", self._authority),
                *("-localhost", "-rfbport", str(self.rfb_port)),
                *("-SecurityTypes", "VncAuth", "-PasswordFile", self._passwords),
                # A test may fail to log in as often as it likes; a second console shares the screen.
                *("-BlacklistThreshold", "1000000", "-AlwaysShared"),
                *("-geometry", f"{self.width}x{self.height}", "-depth", "24"),
                *("-desktop", "proxxy's desktop", "-s", "0", "-dpms"),
                pass_fds=[display_end],
            )
        finally:
            os.close(display_end)
        with os.fdopen(display) as lines:
            number = lines.readline().strip()
        if not number:
            raise RuntimeError(f"Xtigervnc ended ({server.wait()}):\n{self.log()}")
        self.display = f":{number}"

    def _start_clients(self) -> None:
        """They appear a moment later: who looks at the screen waits for what it should show."""
        subprocess.run(
            ["xsetroot", "-solid", _hex(BACKGROUND)], env=self.environment(), check=True, timeout=READY_SECONDS
        )
        self._spawn("icewm", env=self.environment())
        self._spawn(
            *("xterm", "-title", "terminal", "-geometry", "80x24+100+100"),
            *("-fa", "Monospace", "-fs", "11", "-bg", _hex(TERMINAL_BACKGROUND), "-fg", "black"),
            *(("-e", *self._terminal) if self._terminal else ()),
            env=self.environment(),
        )

    def environment(self) -> dict[str, str]:
        # The person's own icewm settings and start-up programs stay out of it.
        private = {"ICEWM_PRIVCFG": str(self.directory / "icewm"), "HOME": str(self.directory)}
        return {**os.environ, **private, "DISPLAY": self.display, "XAUTHORITY": str(self._authority)}

    def _spawn(self, *argv: str | Path, **options: object) -> subprocess.Popen:
        process = spawn(list(argv), stdout=self._log, stderr=self._log, **options)
        self._processes.append(process)
        return process


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + bytes(colour).hex()


def _authority_entry(cookie: bytes) -> bytes:
    """A line of an Xauthority file (Xsecurity(7)): family, address, display, name, data."""
    parts = (b"", b"", b"MIT-MAGIC-COOKIE-1", cookie)
    return struct.pack(">H", FAMILY_WILD) + b"".join(struct.pack(">H", len(part)) + part for part in parts)
