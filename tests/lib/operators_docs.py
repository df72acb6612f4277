# SPDX-License-Identifier: Apache-2.0
"""The configurations of docs/operating.md that put the page for operators behind a server with passwords."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .activator import TREE
from .pid1 import Machine

USER, PASSWORD = "carol", "correct-horse"
SOCKET = "/run/proxxy-status.sock"
PASSWORDS = "/etc/nginx/operators"


def password_file(directory: Path) -> Path:
    """Writes a file as htpasswd does."""
    crypted = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, text=True, check=True)
    path = directory / "operators"
    path.write_text(f"{USER}:{crypted.stdout}")
    return path


def front_lines(name: str, machine: Machine, passwords: Path | str) -> str:
    """Returns the documented lines for that server, with the socket of a machine and another password (file)."""
    text = (TREE / "docs" / "operating.md").read_text()
    [lines] = re.findall(rf"^```{name}\n(.*?)^```$", text, re.M | re.S)
    theirs = PASSWORDS if name == "nginx" else "HASH"
    assert SOCKET in lines and theirs in lines
    return str(lines.replace(SOCKET, str(machine.path(SOCKET))).replace(theirs, str(passwords)))
