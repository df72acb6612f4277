# SPDX-License-Identifier: Apache-2.0
"""Sends bytes through a session whose guest echoes them: once, or continuously during another action."""

from __future__ import annotations

import os
import threading

from .process import wait_for
from .wire import BINARY, Client

STALL_SECONDS = 10.0


def check_echo(client: Client, size: int = 1000) -> None:
    sent = os.urandom(size)
    client.send_frame(BINARY, sent)
    assert client.read_data(size) == sent


class Flow:
    """Sends bytes to the guest and reads them back, for as long as the with block lasts."""

    def __init__(self, client: Client) -> None:
        self.rounds = 0
        self.failure: Exception | None = None
        self._client = client
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flow")

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                check_echo(self._client)
                self.rounds += 1
        except Exception as failure:
            self.failure = failure

    def check_goes_on(self) -> None:
        before = self.rounds
        wait_for(lambda: self.failure or self.rounds > before + 10, STALL_SECONDS, "the session stands still")
        assert self.failure is None
