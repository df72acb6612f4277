# SPDX-License-Identifier: Apache-2.0
"""A network that can be cut: a network namespace at the other end of a veth. Needs root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from typing import Callable, Iterator, TypeVar

T = TypeVar("T")

# From RFC 2544's network for benchmarks; the pid makes the addresses differ between processes.
HERE, THERE = (f"198.18.{os.getpid() % 256}.{end}" for end in (1, 2))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """Exists for as long as the with block lasts. run() makes sockets at the far end."""

    def __init__(self) -> None:
        self.name = f"proxxy-{os.getpid()}"
        self._near, self._far = f"pxn{os.getpid()}", f"pxf{os.getpid()}"

    def __enter__(self) -> Network:
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self.name)
            _ip("addr", "add", f"{HERE}/30", "dev", self._near)
            _ip("link", "set", self._near, "up")
            _ip("-n", self.name, "addr", "add", f"{THERE}/30", "dev", self._far)
            _ip("-n", self.name, "link", "set", self._far, "up")
            _ip("-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "link", "del", self._near], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    def run(self, make: Callable[[], T]) -> T:
        """Calls make() in the far namespace: sockets made there stay there."""
        with inside(f"/run/netns/{self.name}"):
            return make()

    def pull(self) -> None:
        """Cuts the network: from now on no packet arrives from the far end, be it a FIN, an RST, an ICMP message
        or an acknowledgement."""
        _ip("-n", self.name, "route", "add", "blackhole", f"{HERE}/32")

    def plug(self) -> None:
        """Connects the network again."""
        _ip("-n", self.name, "route", "del", "blackhole", f"{HERE}/32")


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread is in that network namespace for as long as the with block lasts: sockets made there stay there."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(namespace, os.O_RDONLY)
    try:
        _setns(there)
        yield
    finally:
        _setns(here)
        os.close(here)
        os.close(there)


def _setns(fd: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")
