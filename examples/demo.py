# SPDX-License-Identifier: Apache-2.0
"""The demo: a real desktop in the browser, every client through a proxxy-conn of its own.

Everything is on loopback and gone when it ends. The key, the CA and the API token are made anew
each time. Proxmox VE's part is played by the tests' stand-in.
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "tests"))

from lib.activator import Activator
from lib.stage import Stage

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_PORT = 8080
LAST_PORT = 8180
LOG_SECONDS = 0.2
OWN_LINES = "proxxy-conn["  # the activator's own lines say nothing to a person


def main() -> None:
    for number in ENDINGS:
        signal.signal(number, end)
    port = chosen_port(sys.argv[1]) if len(sys.argv) > 1 else first_free_port()
    with Stage(port=port) as stage:
        print(f"\nOpen this in a browser on this machine: {stage.panel.url}")
        print(f"(A terminal in xterm.js: {stage.panel.url}terminal)")
        print("Every visit is a fresh console. Ctrl-C ends the demo.\n", flush=True)
        follow_log(stage.activator)


def end(*_: object) -> None:
    """Leave the with blocks; a second Ctrl-C must not interrupt that."""
    for number in ENDINGS:
        signal.signal(number, lambda *_: None)
    sys.exit(0)


def chosen_port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        sys.exit(f"{text!r} is no port: a number from 1 to 65535.")
    if not is_free(int(text)):
        sys.exit(f"Port {text} is not free, or not yours to take: name another one, or none.")
    return int(text)


def first_free_port() -> int:
    for port in range(FIRST_PORT, LAST_PORT):
        if is_free(port):
            return port
    sys.exit(f"No port from {FIRST_PORT} to {LAST_PORT - 1} is free: name one as the argument.")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def follow_log(activator: Activator) -> None:
    shown = 0
    while True:
        lines = activator.log().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        for line in whole[shown:]:
            if OWN_LINES in line:
                print(line, end="", flush=True)
        shown = len(whole)
        time.sleep(LOG_SECONDS)


if __name__ == "__main__":
    main()
