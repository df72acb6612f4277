# SPDX-License-Identifier: Apache-2.0
"""make in this tree, for tests that run at the same time."""

from __future__ import annotations

import fcntl
import subprocess

from .activator import TREE


def make(*arguments: object) -> None:
    """Runs make after any other test's make in this tree has ended: two at once would write the same files."""
    (TREE / "build").mkdir(exist_ok=True)
    with (TREE / "build" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "-C", TREE, *map(str, arguments)], check=True)
