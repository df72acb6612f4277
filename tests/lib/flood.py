# SPDX-License-Identifier: Apache-2.0
"""One address that opens consoles without end, in a process of its own: else it would slow the test's own clients.

As a program, it takes a port, a request's target and an address to come from. It makes COUNT connections, keeps the
upgraded ones open, and prints the answers' statuses as JSON. Until its standard input ends it then asks again and
again, and at last prints how often."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from lib.process import spawn
from lib.wire import Client

COUNT, AT_ONCE = 300, 8
SECONDS = 60.0  # for an answer


class Flood:
    """Runs the program for as long as the with block lasts."""

    def __init__(self, port: int, target: str, source: str) -> None:
        argv = [sys.executable, __file__, str(port), target, source]
        self._process = spawn(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def came(self) -> bool:
        """Whether all connections have their answers."""
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def statuses(self) -> list[int]:
        assert self._process.stdout
        statuses: list[int] = json.loads(self._process.stdout.readline())
        return statuses

    def stop(self) -> int:
        """Closes the consoles. Returns how often it has asked since they were open."""
        return int(self._process.communicate()[0])


def _main(port: int, target: str, source: str) -> None:
    kept = []

    def ask(_: int = 0) -> int:
        client = Client.connect(port, target, source=source)
        status = client.read_head(SECONDS).status
        if status == 101:
            kept.append(client)
        else:
            client.sock.close()
        return status

    def ended() -> bool:
        return bool(select.select([sys.stdin], [], [], 0)[0])

    def ask_on(_: int) -> int:
        asked = 0
        while not ended():
            ask()
            asked += 1
        return asked

    os.nice(10)  # it is on another machine, as it were
    with ThreadPoolExecutor(AT_ONCE) as pool:
        print(json.dumps(list(pool.map(ask, range(COUNT)))), flush=True)
        print(sum(pool.map(ask_on, range(AT_ONCE))), flush=True)


if __name__ == "__main__":
    _main(int(sys.argv[1]), *sys.argv[2:])
