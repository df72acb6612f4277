# SPDX-License-Identifier: Apache-2.0
"""Starts child processes that never outlive their test, and ends each by its own pid."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence, TypeVar

T = TypeVar("T")

STOP_SECONDS = 5.0
POLL_SECONDS = 0.02


def spawn(argv: Sequence[str | Path], **options: Any) -> subprocess.Popen:
    """Start a program that also ends when this process dies without cleaning up, kill -9 included.

    It gets its own session: Ctrl-C in the terminal must reach only this process, which then ends
    the programs in order. The kernel sends the death signal when the *thread* that called this ends
    (prctl(2), PR_SET_PDEATHSIG), so call it from a thread that lives as long as the program should.
    """
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("start_new_session", True)
    command = ["setpriv", "--pdeathsig", "TERM", "--", *map(str, argv)]
    return subprocess.Popen(command, **options)


def stop(process: subprocess.Popen) -> None:
    """Sends SIGTERM, then SIGKILL if the process does not end. Does nothing when it has already ended."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stop_tree(process: subprocess.Popen) -> None:
    """Stop a program, then kill its descendants that still run."""
    left = descendants(process.pid)
    stop(process)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it ended by itself, as it should
            pass


def descendants(parent: int) -> list[int]:
    below = _families()
    found = [*below.get(parent, {})]
    for pid in found:  # the loop appends to the list
        found += below.get(pid, {})
    return found


def children(parent: int) -> dict[int, str]:
    """Returns the live children of a process: pid -> name. Zombies do not count."""
    return _families().get(parent, {})


def _families() -> dict[int, dict[int, str]]:
    """Maps each parent's pid to its live children: pid -> name."""
    found: dict[int, dict[int, str]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_text()
        except OSError:  # it ended meanwhile
            continue
        # proc(5): pid (name) state ppid …; the name may hold spaces and parentheses itself.
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        state, ppid = stat[stat.rindex(")") + 2 :].split()[:2]
        if state not in "ZX":
            found.setdefault(int(ppid), {})[int(entry)] = name
    return found


def free_port() -> int:
    """Returns an unused loopback port, for programs that cannot pick one themselves.

    No other process takes it first: the port is outside the kernel's ephemeral range, and other processes that call
    this use other blocks of ports. If the ephemeral range leaves no room for a block, the port is any free one.
    """
    return _ports.take()


def listens(port: int) -> bool:
    """Whether a program listens on the loopback port. Ended connections of the port do not count."""
    return f"0100007F:{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


class _Ports:
    """A block of ports for this process, below the kernel's ephemeral range."""

    FIRST, SIZE = 10240, 256

    def __init__(self) -> None:
        self._pid = 0
        self._block: list[int] = []
        self._lock = threading.Lock()  # tests also start programs from threads

    def take(self) -> int:
        with self._lock:
            return self._take()

    def _take(self) -> int:
        if self._pid != os.getpid():  # at the first call, and after a fork
            self._pid, self._block = os.getpid(), self._claim()
        for port in self._block:
            if _is_free(port):
                self._block.remove(port)
                self._block.append(port)
                return port
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def _claim(self) -> list[int]:
        """Claims a block: binds an abstract UNIX socket with the block's number, until the process ends."""
        end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        blocks = list(range(self.FIRST, end - self.SIZE + 1, self.SIZE))
        random.SystemRandom().shuffle(blocks)
        for first in blocks:
            self._claimed = socket.socket(socket.AF_UNIX)
            try:
                self._claimed.bind(f"\0proxxy-test-ports-{first}")
            except OSError:
                self._claimed.close()
                continue
            return list(range(first, first + self.SIZE))
        return []


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:  # another socket listens, or did a minute ago
            return False
    return True


_ports = _Ports()


def wait_for(condition: Callable[[], T], timeout: float, what: str | Callable[[], str]) -> T:
    """Poll until the condition holds and return its value; `what` is the error message at the timeout."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout} s: {what if isinstance(what, str) else what()}")
        time.sleep(POLL_SECONDS)
    return value


def memory(pid: int) -> Iterator[tuple[str, bytes]]:
    """Yields each readable mapping of a process: its line in maps and its bytes."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            fields = line.split()
            if "r" not in fields[1] or fields[-1] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            start, end = (int(number, 16) for number in fields[0].split("-"))
            mem.seek(start)
            yield line, mem.read(end - start)
