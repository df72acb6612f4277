# SPDX-License-Identifier: Apache-2.0
"""Runs a function that starts processes and makes files, and removes all of them however the function ends.

The function runs in a child process. The parent only waits: it forwards signals, and cleans up after a child that was
killed. When the parent itself is killed, the child ends as after SIGTERM and cleans up. Processes that guests start
cannot escape: they are found by the uid, when guests have their own, or by HOME.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Callable

from .account import Account, processes

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1  # prctl(2)
POLITE_SECONDS = 1.0  # an X server removes its lock at a SIGTERM; an interactive shell ignores it
CLEAR_SECONDS = 5.0
POLL_SECONDS = 0.02


def run(function: Callable[[], None], account: Account | None, prefix: str) -> int:
    """Runs the function; returns its exit status, or 0 when one of ENDINGS ended it. All its temporary files are in one
    directory, whose name begins with prefix; guests may run as the account."""
    # In /tmp, where an X server has its files anyway: other users may have no access to root's TMPDIR.
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    directory.chmod(0o711 if account else 0o700)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = _child(function, account, directory, parent)
        finally:
            os._exit(status)
    try:
        return _wait(child)
    finally:
        _clear(account, directory)


def _wait(child: int) -> int:
    """Sends the child a SIGTERM for each of ENDINGS, until it has ended."""

    def pass_on(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)

    _handle_endings(pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    _, status = os.waitpid(child, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # another process may have its pid from here on
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _child(function: Callable[[], None], account: Account | None, directory: Path, parent: int) -> int:
    os.setsid()  # Ctrl-C reaches only the parent, so that processes end in order
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # the parent was killed before prctl()
        return 1
    tempfile.tempdir = str(directory)
    os.environ["HOME"] = f"{directory}/"  # _has_home() finds this process's descendants by it
    _handle_endings(_end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    status = 0
    try:
        function()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    _clear(account, directory)
    with contextlib.suppress(OSError):  # the terminal may be closed
        sys.stdout.flush()
    return status


def _handle_endings(handler: Callable[..., None]) -> None:
    """Sets the handler for each of ENDINGS except ignored ones: nohup(1) ignores SIGHUP on purpose."""
    for number in ENDINGS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _end(*_: object) -> None:
    """Exits through the with blocks; a second signal must not interrupt that."""
    _handle_endings(lambda *_: None)
    sys.exit(0)


def _clear(account: Account | None, directory: Path) -> None:
    """Ends the processes that guests left running, and removes the directory with all files in it."""
    start = time.monotonic()
    while (left := _left(account, directory)) and time.monotonic() < start + CLEAR_SECONDS:
        polite = time.monotonic() < start + POLITE_SECONDS
        for pid in left:
            with contextlib.suppress(OSError):  # it has ended, or we may not signal it
                os.kill(pid, signal.SIGTERM if polite else signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    shutil.rmtree(directory, ignore_errors=True)


def _left(account: Account | None, directory: Path) -> list[int]:
    return [pid for pid, uids in processes() if (account and account.uid in uids) or _has_home(pid, directory)]


def _has_home(pid: int, directory: Path) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended, or belongs to another user
        return False
    return any(entry.startswith(f"HOME={directory}/".encode()) for entry in environment.split(b"\0"))
