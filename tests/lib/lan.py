# SPDX-License-Identifier: Apache-2.0
"""A local network of machines: network namespaces on a bridge, which is in a namespace of its own. This process is on
the network too, with several addresses. Needs root."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import subprocess
from pathlib import Path
from typing import Sequence

from .wirecut import inside

PREFIX = 24

_count = itertools.count()  # of this process's networks


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@functools.cache
def missing() -> str:
    """Returns why there can be no such network here, or "" if there can be one."""
    if os.getuid() != 0:
        return "network namespaces need root"
    try:
        with Lan():
            return ""
    except subprocess.CalledProcessError as error:
        return f"no network of namespaces: {' '.join(error.cmd)}: {error.stderr.strip()}"


class Lan:
    """Exists for as long as the with block lasts. Machines are numbers: the last byte of their address."""

    def __init__(self) -> None:
        # From RFC 2544's network for benchmarks; the pid makes addresses and names differ between processes.
        count = next(_count)
        self._network = f"198.19.{(os.getpid() + count) % 256}"
        self._hub = f"proxxy-lan-{os.getpid()}-{count}"
        self._here = f"pxl{os.getpid()}-{count}"
        self._machines: list[int] = []

    def __enter__(self) -> Lan:
        _ip("netns", "add", self._hub)
        try:
            _ip("-n", self._hub, "link", "add", "bridge", "type", "bridge", "forward_delay", "0")
            _ip("-n", self._hub, "link", "set", "bridge", "up")
            _ip("link", "add", self._here, "type", "veth", "peer", "name", "here", "netns", self._hub)
            self._connect("here")
            _ip("link", "set", self._here, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._machines:
            self.kill(number)
            subprocess.run(["ip", "netns", "del", self._name(number)], capture_output=True)
        subprocess.run(["ip", "link", "del", self._here], capture_output=True)
        subprocess.run(["ip", "netns", "del", self._hub], capture_output=True)

    def address(self, number: int) -> str:
        return f"{self._network}.{number}"

    def here(self, numbers: Sequence[int]) -> None:
        """Gives this process the addresses with these numbers."""
        for number in numbers:
            _ip("addr", "add", f"{self.address(number)}/{PREFIX}", "dev", self._here)

    def machine(self, number: int) -> None:
        """Adds a machine to the network."""
        name = self._name(number)
        _ip("netns", "add", name)
        self._machines.append(number)
        port = f"port{number}"
        _ip("-n", self._hub, "link", "add", port, "type", "veth", "peer", "name", "lan", "netns", name)
        self._connect(port)
        _ip("-n", name, "addr", "add", f"{self.address(number)}/{PREFIX}", "dev", "lan")
        for link in ("lan", "lo"):
            _ip("-n", name, "link", "set", link, "up")

    def command(self, number: int, argv: Sequence[str | Path]) -> list[str | Path]:
        """Returns the command that runs argv on a machine, with the pid of the process that it is started as."""
        return ["nsenter", f"--net={self._path(number)}", "--", *argv]

    def on(self, number: int) -> contextlib.AbstractContextManager[None]:
        """Sockets that this thread makes in the with block are on that machine."""
        return inside(self._path(number))

    def pull(self, number: int) -> None:
        """Unplugs a machine's cable at the bridge: no packet arrives at either end, and nobody is told."""
        _ip("-n", self._hub, "link", "set", f"port{number}", "down")

    def plug(self, number: int) -> None:
        _ip("-n", self._hub, "link", "set", f"port{number}", "up")

    def kill(self, number: int) -> None:
        """Kills every process on a machine, also those that others of them start meanwhile."""
        while pids := _ip("netns", "pids", self._name(number)).split():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    def sysctl(self, number: int, setting: str, value: int) -> None:
        with self.on(number):
            Path("/proc/sys/net", setting).write_text(f"{value}\n")

    def _connect(self, port: str) -> None:
        _ip("-n", self._hub, "link", "set", port, "master", "bridge", "up")

    def _name(self, number: int) -> str:
        return f"{self._hub}-{number}"

    def _path(self, number: int) -> str:
        return f"/run/netns/{self._name(number)}"
