# SPDX-License-Identifier: Apache-2.0
"""The README's commands lead to a console, on a machine that has only what they install: systemd, nginx with the
installed snippet, and proxxy-url. A stand-in Proxmox listens at the node's name."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from typing import Iterator
from urllib.parse import quote, urlsplit

import pytest

from lib.activator import TREE
from lib.certs import Cert
from lib.consoles import handler_console
from lib.pid1 import Machine
from lib.process import wait_for
from lib.standin import DEFAULT_TOKENS, StandIn
from lib.url_command import fragment
from lib.wire import Client

ADDRESS = "192.0.2.10"  # not loopback, which proxxy does not dial unless told
PANEL_PORT = 8080
PAGE = f"http://127.0.0.1:{PANEL_PORT}/console/"
README = (TREE / "README.md").read_text()


def commands() -> list[str]:
    """Returns the commands of "Install", up to the paragraph about the key, and of "The first console"."""
    install = README.partition("\n## Install\n")[2].partition("`make install` has made a key")[0]
    first = README.partition("\n## The first console\n")[2].partition("\n## ")[0]
    return re.findall(r"^    (.*)$", install + first, re.M)


async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"RFB 003.008\n")
    await reader.read()


@pytest.fixture
def machine(cert: Cert) -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        yield booted


@pytest.mark.timeout(300)
def test_readme_leads_to_a_console(machine: Machine, cert: Cert) -> None:
    machine.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"])
    with machine.path("/etc/hosts").open("a") as hosts:
        hosts.write(f"{ADDRESS} pve01\n")
    token = next(f"{name}={secret}" for name, secret in DEFAULT_TOKENS.items())
    done = commands()
    assert len(done) == 9
    output = ""
    with StandIn(cert, addresses=(ADDRESS,), port=8006) as proxmox:
        proxmox.add("qemu", 100, handler_console(banner))
        for command in done:
            if "install-packages" in command or "apt install" in command:
                continue  # the packages are installed already
            if "scp" in command:
                machine.path("/etc/proxxy/pve-root-ca.pem").write_bytes(cert.ca.read_bytes())
                continue
            command = command.replace("sudo ", "").replace("panel@pve!proxxy=6f1c5bd0-…", token)
            command = command.replace("https://panel.example.com/console/", PAGE)
            if "proxxy-url --node" in command:
                serve_the_panel(machine)
            output = machine.run(
                [
                    "sh",
                    "-c",
                    f"cd {TREE} && PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin && {command}",
                ],
                timeout=300,
            ).stdout

        url = output.strip()
        assert url.startswith(f"{PAGE}novnc.html#payload=")
        for file in (
            "novnc.html",
            "novnc.js",
            "console.js",
            "console.css",
            "xterm.html",
            "xterm/xterm.js",
            "novnc/core/rfb.js",
        ):
            with urllib.request.urlopen(PAGE + file, timeout=10) as answer:
                assert answer.status == 200
        target = f"{urlsplit(PAGE).path}ws?payload={quote(fragment(url)['payload'])}"
        with Client.upgraded(PANEL_PORT, target, {"Origin": f"http://127.0.0.1:{PANEL_PORT}"}) as client:
            assert client.read_data(12) == b"RFB 003.008\n"
        assert proxmox.violations == []


def serve_the_panel(machine: Machine) -> None:
    """Configures and starts the panel's nginx, with the README's line."""
    line = re.search(r"^    (include \S+nginx\.conf;)$", README, re.M)[1]
    machine.path("/etc/nginx/sites-enabled/default").unlink(missing_ok=True)
    machine.path("/etc/nginx/sites-enabled/panel").write_text(f"server {{ listen 127.0.0.1:{PANEL_PORT}; {line} }}\n")
    machine.run(["systemctl", "start", "nginx"])
    wait_for(lambda: machine.run(["systemctl", "is-active", "nginx"], check=False).stdout == "active\n", 20, "no nginx")
