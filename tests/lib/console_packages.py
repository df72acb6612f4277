# SPDX-License-Identifier: Apache-2.0
"""The console's packages from npm, for tests that build parts of the console themselves."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

from .activator import TREE

CONSOLE = TREE / "console"
_LOCK = CONSOLE / "package-lock.json"
_INSTALLED = CONSOLE / "node_modules" / ".installed"  # a copy of the lock file that the packages were installed from
_CI = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]


def tool(name: str) -> Path:
    """Returns the path of a program in console/node_modules. Installs the packages if they are missing or others."""
    with _LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run at the same time
        if not _INSTALLED.exists() or _INSTALLED.read_bytes() != _LOCK.read_bytes():
            subprocess.run(_CI, cwd=CONSOLE, check=True)
            _INSTALLED.write_bytes(_LOCK.read_bytes())
    return CONSOLE / "node_modules" / ".bin" / name
