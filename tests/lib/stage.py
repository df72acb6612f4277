# SPDX-License-Identifier: Apache-2.0
"""Everything between a person's browser and a desktop, on loopback: a real VNC desktop, the
stand-in for Proxmox VE in front of it, proxxy behind its activator, and a panel's web page. Beside the desktop
there is a container with a terminal. The token is in proxxy's cluster file alone: the panel has the key that it shares
with proxxy, and the page has nothing but the link."""

from __future__ import annotations

import secrets
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Mapping, Sequence

from . import account as accounts
from .account import Account
from .activator import Activator
from .certs import Authority
from .consoles import tcp_console
from .desktop import Desktop
from .panel import Links, Panel
from .standin import StandIn
from .termproxy import termproxy_console

DESKTOP, TERMINAL = 100, 101  # vmids of a VM and a container
USER = "proxxy@pve"
CLUSTER = "demo"


class Stage:
    """Runs all of it for as long as the with block lasts, with a new key and a new CA."""

    desktop: Desktop
    standin: StandIn
    activator: Activator
    panel: Panel

    def __init__(
        self,
        *,
        port: int = 0,
        terminal: Sequence[str] = (),
        settings: Mapping[str, object] | None = None,
        account: Account | None = None,
    ) -> None:
        """port: the panel's. terminal: the command in the desktop's xterm. settings: added to proxxy's. account: runs
        the desktop and the container's shell instead of the current user."""
        self._port = port
        self._terminal = terminal
        self._settings = settings or {}
        self._account = account

    def __enter__(self) -> Stage:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="proxxy-stage-")))
            accounts.let_read(self._account, directory)
            home = directory / "home"
            home.mkdir(mode=0o700)
            accounts.give(self._account, home)
            key = secrets.token_hex(32)
            key_file = write_secret(directory / "signature.key", f"{key}\n")
            authority = Authority(directory)
            self.desktop = stack.enter_context(Desktop(self._terminal, account=self._account))
            # Other users of this machine can reach the stand-in's port, so its secrets are random.
            users, token = {USER: secrets.token_urlsafe()}, (f"{USER}!proxxy", str(uuid.uuid4()))
            self.standin = stack.enter_context(StandIn(authority.leaf(), users=users, tokens=dict([token])))
            self.standin.add(
                "qemu", DESKTOP, tcp_console("127.0.0.1", self.desktop.rfb_port), self.desktop.set_password
            )
            self.standin.add("lxc", TERMINAL, termproxy_console(account=self._account, home=home))
            clusters = directory / "clusters"
            clusters.mkdir(mode=0o700)
            lines = [f"HOSTS=127.0.0.1:{self.standin.port}", f"TOKEN={'='.join(token)}", f"CA_FILE={authority.ca}"]
            write_secret(clusters / f"{CLUSTER}.conf", "".join(f"{line}\n" for line in lines))
            files = {"PROXXY_KEY_FILE": key_file, "PROXXY_CLUSTER_DIRECTORY": clusters}
            self.activator = stack.enter_context(Activator({**files, **self._settings}))
            links = Links(CLUSTER, key)
            self.panel = stack.enter_context(Panel(links, self.activator.port, DESKTOP, TERMINAL, self._port))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def write_secret(path: Path, text: str) -> Path:
    """Writes a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path
