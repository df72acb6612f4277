# SPDX-License-Identifier: Apache-2.0
"""A real VNC desktop: TigerVNC's X server, a window manager, one terminal, and a
background of a known colour that a test can find in a screenshot."""

from __future__ import annotations

import os
import contextlib
import secrets
import string
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Sequence

from . import account as accounts
from .account import Account
from .process import free_port, spawn, stop

BACKGROUND = (0x33, 0x66, 0x99)
TERMINAL_BACKGROUND = (0xFF, 0xFF, 0xEE)
READY_SECONDS = 15.0
FAMILY_WILD = 0xFFFF  # Xauthority: the cookie is for any display (X11/Xauth.h)
X_SOCKETS = Path("/tmp/.X11-unix")
PASSWORD_CHARACTERS = string.ascii_letters + string.digits
PASSWORD_LENGTH = 8  # VNC authentication knows no more


class Desktop:
    """Runs for as long as the with block lasts. RFB is on 127.0.0.1:rfb_port, with a password."""

    def __init__(
        self, terminal: Sequence[str] = (), *, width: int = 1024, height: int = 768, account: Account | None = None
    ) -> None:
        """terminal: the command in xterm instead of a shell. account: runs the desktop instead of the current user."""
        self.width, self.height = width, height
        self.rfb_port = 0
        self.display = ""
        self._terminal = terminal
        self._account = account
        self._processes: list[subprocess.Popen] = []

    def __enter__(self) -> Desktop:
        self._temporary = tempfile.TemporaryDirectory(prefix="proxxy-desktop-")
        self.directory = Path(self._temporary.name)
        accounts.let_read(self._account, self.directory)
        # The desktop cannot change the files that it reads. We may be root, so we write only where no guest can
        # create a symlink.
        self._passwords = self.directory / "passwords"
        self._authority = self.directory / "authority"
        self._log = (self.directory / "log").open("wb")
        self._home = self.directory / "home"
        self._home.mkdir(mode=0o700)
        accounts.give(self._account, self._home)
        self._made_x_sockets = not X_SOCKETS.exists()
        if self._made_x_sockets:  # the X server creates it only when root runs it, else it warns
            X_SOCKETS.mkdir()
            X_SOCKETS.chmod(0o1777)
        try:
            until_asked = "".join(secrets.choice(PASSWORD_CHARACTERS) for _ in range(PASSWORD_LENGTH))
            self.set_password(until_asked)
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
        if self._made_x_sockets:
            with contextlib.suppress(OSError):  # another X server has its socket there
                X_SOCKETS.rmdir()

    def set_password(self, password: str) -> None:
        """Sets the password for later connections: the server reads the file for each connection."""
        scrambled = subprocess.run(
            ["tigervncpasswd", "-f"], input=f"{password}\n".encode(), capture_output=True, check=True
        ).stdout
        fresh = self._passwords.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(scrambled)
        accounts.let_read(self._account, fresh)
        fresh.replace(self._passwords)

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def _start_server(self) -> None:
        self._authority.touch(mode=0o600)
        self._authority.write_bytes(_authority_entry(os.urandom(16)))
        accounts.let_read(self._account, self._authority)
        self.rfb_port = free_port()
        display, display_end = os.pipe()
        try:
            server = self._spawn(
                "Xtigervnc",
                *("-displayfd", str(display_end)),  # the server picks a free display and reports its number
                *("-auth", self._authority),
                *("-localhost", "-rfbport", str(self.rfb_port)),
                *("-SecurityTypes", "VncAuth", "-PasswordFile", self._passwords),
                # Failed logins must not lock a test out; a second console shares the screen.
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
        """Starts the X clients. Their windows appear a moment later: a test must wait for what it expects to see."""
        background = accounts.run_as(self._account, ["xsetroot", "-solid", _hex(BACKGROUND)])
        subprocess.run(background, env=self.environment(), cwd=self._home, check=True, timeout=READY_SECONDS)
        self._spawn("icewm")
        self._spawn(
            *("xterm", "-title", "terminal", "-geometry", "80x24+100+100"),
            *("-fa", "Monospace", "-fs", "11", "-bg", _hex(TERMINAL_BACKGROUND), "-fg", "black"),
            *(("-e", *self._terminal) if self._terminal else ()),
        )

    def environment(self) -> dict[str, str]:
        # icewm must not use the user's own settings and start-up programs.
        display = {"ICEWM_PRIVCFG": str(self._home / "icewm"), "XAUTHORITY": str(self._authority)}
        return {**accounts.environment(self._home), **display, "DISPLAY": self.display}

    def _spawn(self, *argv: str | Path, **options: object) -> subprocess.Popen:
        command = accounts.run_as(self._account, argv)
        process = spawn(command, stdout=self._log, stderr=self._log, env=self.environment(), cwd=self._home, **options)
        self._processes.append(process)
        return process


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + bytes(colour).hex()


def _authority_entry(cookie: bytes) -> bytes:
    """Returns an entry of an Xauthority file (Xsecurity(7)): family, address, display, name, data."""
    parts = (b"", b"", b"MIT-MAGIC-COOKIE-1", cookie)
    return struct.pack(">H", FAMILY_WILD) + b"".join(struct.pack(">H", len(part)) + part for part in parts)
