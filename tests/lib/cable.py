# SPDX-License-Identifier: Apache-2.0
"""A network cable between a browser and a server on this machine, which a test can unplug. It can also be dead while
nobody notices."""

from __future__ import annotations

import contextlib
import socket
import threading

from .splice import splice

POLL_SECONDS = 0.1


class Cable:
    """Forwards TCP connections from `port` to the server's, for as long as the with block lasts."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._plugged = threading.Event()
        self._plugged.set()
        self._hanging = threading.Event()
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(POLL_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self.refused = 0  # connections that came while it was unplugged

    def __enter__(self) -> Cable:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.unplug()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def unplug(self) -> None:
        """Ends all connections, and each one that comes before plug(), without an answer."""
        self._plugged.clear()
        with self._lock:
            for sock in self._sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def hang(self) -> None:
        """From now on all bytes vanish. Connections stay, and others can be made."""
        self._hanging.set()

    def plug(self) -> None:
        """Connections that have lost bytes end."""
        if self._hanging.is_set():
            self.unplug()
            self._hanging.clear()
        self._plugged.set()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="cable")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self._plugged.is_set():
                self._start(self._carry, near)
            else:
                self.refused += 1
                near.close()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._server_port)) as far:
            with self._lock:
                self._sockets |= {near, far}
            try:
                if self._plugged.is_set():
                    splice(near, far, vanishes=self._hanging.is_set)
            finally:
                with self._lock:
                    self._sockets -= {near, far}
