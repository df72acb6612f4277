# SPDX-License-Identifier: Apache-2.0
"""Runs the demo: a real desktop in the browser, with a proxxy-conn process for each client.

Everything listens on loopback and ends with the demo. Each run creates a new URL secret, key, CA and API token. The
tests' stand-in replaces Proxmox VE. If root starts the demo, the desktop and the terminal run as an unprivileged uid.

    demo.py [PORT]     runs until Ctrl-C
    demo.py --check    opens its URL as the page does, prints the desktop's first bytes, and exits
"""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import sys
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "tests"))

from lib import whole
from lib.account import unused_account
from lib.activator import Activator
from lib.first_byte import first_bytes
from lib.stage import Stage

FIRST_PORT = 8080
LAST_PORT = 8180
LOG_SECONDS = 0.2
OWN_LINES = "proxxy-conn["  # the user does not need the activator's own lines


def main() -> int:
    arguments = sys.argv[1:]
    check = arguments == ["--check"]
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-") and not check):
        sys.exit("usage: examples/demo [PORT | --check]")
    port = chosen_port(arguments[0]) if arguments and not check else first_free_port()
    account = unused_account()

    def demo() -> None:
        with Stage(port=port, account=account) as stage:
            if check:
                print(first_bytes(stage.panel.url), flush=True)
                return
            print(welcome(stage.panel.url, port), flush=True)
            follow_log(stage.activator)

    return whole.run(demo, account, "proxxy-demo-")


def welcome(url: str, port: int) -> str:
    """How to open the URL here and from another machine, the likelier one first."""
    here = [f"Open this in a browser on this machine: {url}"]
    elsewhere = ["On another machine, run this command first, then open the same address there:"]
    elsewhere.append(f"    {ssh_line(port)}")
    lines = [*here, *elsewhere] if on_a_screen() else [*elsewhere, *here]
    lines.append(f"(A terminal: {url}terminal)")
    lines.append("Anyone who knows the address gets in. Every visit opens a new console. Ctrl-C ends the demo.")
    return "\n" + "\n".join(lines) + "\n"


def ssh_line(port: int) -> str:
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a uid without a name; the exception depends on Python's version
        user = "USER"
    return f"ssh -L {port}:127.0.0.1:{port} {shlex.quote(f'{user}@{socket.gethostname()}')}"


def on_a_screen() -> bool:
    """True if the user probably sits at this machine's own screen."""
    remote = any(os.environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"))
    return not remote and any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


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
    sys.exit(main())
