# SPDX-License-Identifier: Apache-2.0
"""The user that runs the demo's guests: when root starts the demo, a uid that nothing else on this machine uses.

The uid has no name, no other group, no capability and no way to gain one. Anyone with the demo's URL gets a shell with
this uid.
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
    """A uid. Its only group has the same number as its gid."""

    uid: int

    def prefix(self) -> list[str]:
        """Arguments that make a command run as this account: put them before the command."""
        no_capability = ("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all")
        nothing_more = ("--clear-groups", "--no-new-privs", *no_capability)
        # The kernel clears the death signal that process.spawn() set when the uid changes (prctl(2)).
        death_signal = ("--pdeathsig", "TERM")
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", *nothing_more, *death_signal, "--"]


def unused_account() -> Account | None:
    """Returns an account for the guests when root runs the demo, else None: the guests then run as the current user."""
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
    """Returns argv changed to run as the account (None: as the current user), with the default action for each signal.

    A background job and its children ignore SIGINT: without this, Ctrl-C in a guest's terminal would have no effect.
    """
    return ["env", "--default-signal", *(account.prefix() if account else ()), *map(str, argv)]


def environment(home: Path) -> dict[str, str]:
    """Returns a guest's whole environment. It inherits nothing from ours, which may contain secrets."""
    return {"PATH": PATH, "HOME": str(home), "LANG": "C.UTF-8", "SHELL": "/bin/sh", "TERM": "xterm-256color"}


def give(account: Account | None, path: Path) -> None:
    """Makes the account the owner of the path."""
    if account:
        os.chown(path, account.uid, account.uid, follow_symlinks=False)


def let_read(account: Account | None, path: Path) -> None:
    """Lets the account read the file (or enter the directory) but not change it: we stay the owner."""
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
    """Returns the pid and the uids of every live process: real, effective, saved, file system (proc(5))."""
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
