# SPDX-License-Identifier: Apache-2.0
"""Who the guests of the demo run as: when root starts it, a uid that nobody else on this machine uses.

It has no name, no group, no capability and no way to get one. Whoever has the demo's URL has a shell of that uid's.
"""

from __future__ import annotations

import grp
import os
import pwd
import secrets
from pathlib import Path
from typing import NamedTuple, Sequence

# Distributions, systemd and container runtimes leave these unused (systemd's docs/UIDS-GIDS.md).
FIRST, LAST = 65520, 65533
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/games"


class Account(NamedTuple):
    """A uid, which is its own only group's gid as well."""

    uid: int

    def prefix(self) -> list[str]:
        """The beginning of a command that runs the rest of it as this account."""
        no_capability = ("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all")
        nothing_more = ("--clear-groups", "--no-new-privs", *no_capability)
        # The kernel forgets the death signal of process.spawn() when the uid changes (prctl(2)).
        death_signal = ("--pdeathsig", "TERM")
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", *nothing_more, *death_signal, "--"]


def unused_account() -> Account | None:
    """An account for root's guests; None when we are not root, and they are ours."""
    if os.geteuid() != 0:
        return None
    free = set(range(FIRST, LAST + 1)) - _uids_of_processes()
    while free:
        uid = secrets.choice(sorted(free))
        if not _has_name(uid):
            return Account(uid)
        free.discard(uid)
    raise RuntimeError(f"no uid from {FIRST} to {LAST} is free")


def run_as(account: Account | None, argv: Sequence[object]) -> list[str]:
    """argv, run as that account, or as we are, with no signal ignored.

    A job in the background, and so what it starts, ignores SIGINT: Ctrl-C in a guest's terminal would end nothing.
    """
    return ["env", "--default-signal", *(account.prefix() if account else ()), *map(str, argv)]


def environment(home: Path) -> dict[str, str]:
    """A guest's whole environment: nothing of ours, which may have secrets."""
    return {"PATH": PATH, "HOME": str(home), "LANG": "C.UTF-8", "SHELL": "/bin/sh", "TERM": "xterm-256color"}


def give(account: Account | None, path: Path) -> None:
    """The account owns the path, which nobody else can read."""
    if account:
        os.chown(path, account.uid, account.uid, follow_symlinks=False)


def let_read(account: Account | None, path: Path) -> None:
    """The account reads the path (enters the directory), and cannot change it: it stays ours."""
    if account:
        os.chown(path, -1, account.uid, follow_symlinks=False)
        os.chmod(path, 0o710 if path.is_dir() else 0o640)


def _has_name(uid: int) -> bool:
    for lookup in (pwd.getpwuid, grp.getgrgid):
        try:
            lookup(uid)
            return True
        except KeyError:
            pass
    return False


def _uids_of_processes() -> set[int]:
    return {uid for _, uids in processes() for uid in uids}


def processes() -> list[tuple[int, set[int]]]:
    """The pid of every process that has not ended, and its uids: real, effective, saved, file system's (proc(5))."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "status").read_text()
        except OSError:  # it ended meanwhile
            continue
        fields = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}
        if fields["State"][0] not in "ZX":
            found.append((int(entry.name), set(map(int, fields["Uid"]))))
    return found
