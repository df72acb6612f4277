# SPDX-License-Identifier: Apache-2.0
"""The README's commands lead to a console, on a machine that has only what they install: the Debian package,
proxxy-setup, nginx with the package's snippet, and proxxy-url. A stand-in Proxmox listens at the node's name."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Iterator
from urllib.parse import quote, urlsplit

import pytest

from lib.activator import TREE, binary
from lib.certs import Authority
from lib.pid1 import Machine
from lib.process import wait_for
from lib.pve_admin import Admin, Node
from lib.sdk import Built
from lib.setup_command import YES, password
from lib.standin import StandIn
from lib.url_command import UrlCommand, fragment
from lib.vnc_console import VncConsole
from lib.wire import BINARY, Client

HOST = "pve01.example.com"
ADDRESS = "192.0.2.10"  # not loopback, which proxxy does not dial unless told
PANEL_PORT = 8080
PAGE = f"http://127.0.0.1:{PANEL_PORT}/console/"
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive"
README = (TREE / "README.md").read_text()
LINES_MAX = 120
COMMAND_SECONDS = 300.0


def indented(title: str) -> list[str]:
    """The commands and the configuration in a section."""
    return re.findall(r"^    (.*)$", README.partition(f"\n## {title}\n")[2].partition("\n## ")[0], re.M)


async def idle(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        booted.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"])
        with booted.path("/etc/hosts").open("a") as hosts:
            hosts.write(f"{ADDRESS} {HOST}\n")
        # Container images have this rule so that packages start no service. A booted machine has no such rule.
        booted.path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)
        yield booted


def run(machine: Machine, command: str) -> str:
    return machine.run(["sh", "-c", f"cd {TREE} && {PATH} {command}"], timeout=COMMAND_SECONDS).stdout


def answer(machine: Machine, command: str, answers: list[tuple[str, str]]) -> str:
    """Runs the command on a terminal, and answers its questions in turn. Returns what the terminal showed."""
    script = ["script", "-qec", f"{PATH} {command}", "/dev/null"]
    shown = ""
    with machine.popen(script, text=False, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        while byte := process.stdout.read(1):
            shown += byte.decode(errors="replace")
            if answers and shown.endswith(answers[0][0]):
                process.stdin.write(answers.pop(0)[1].encode())
    assert process.returncode == 0 and not answers, shown
    return shown


@pytest.mark.timeout(400)
def test_readme_leads_to_a_console(machine: Machine, tmp_path: Path) -> None:
    install = indented("Install")
    commands = [line for line in install + indented("The first console") if line.startswith(("sudo ", "make"))]
    include = next(line for line in install if line.startswith("include "))
    assert len(commands) == 5, "the way to the first console became longer"
    cert = Authority(tmp_path).leaf(dns=[HOST], ips=[])
    vnc = VncConsole(idle)
    url = ""
    with StandIn(cert, addresses=(ADDRESS,), port=8006) as proxmox:
        proxmox.add("qemu", 100, vnc.connect)
        proxmox.attach(Admin(proxmox.access, [Node("pve01", cert, ADDRESS)]).handle)
        for command in (command.removeprefix("sudo ") for command in commands):
            command = command.replace("https://panel.example.com/console/", PAGE)
            if command == "apt install git make":
                continue  # they are installed already, as is what "make deb" needs
            if command.startswith("proxxy-setup "):
                serve_the_panel(machine, include)
                shown = answer(machine, command, [YES, password(host=HOST)])
                assert "OK: the console of VM 100" in shown and "proxxy-url --vmid 100" in shown
            else:
                url = run(machine, command.replace("apt install ", "apt-get install -qq "))

        assert url.startswith(f"{PAGE}novnc.html#") and set(fragment(url.strip())) == {"payload"}
        for file in (TREE / "console/dist/site").glob("*[!z]"):
            with urllib.request.urlopen(PAGE + file.name, timeout=10) as answered:
                assert answered.status == 200 and answered.read() == file.read_bytes()
        target = f"{urlsplit(PAGE).path}ws?payload={quote(fragment(url.strip())['payload'])}"
        for _ in range(2):  # a link works until it expires
            with Client.upgraded(PANEL_PORT, target, {"Origin": f"http://127.0.0.1:{PANEL_PORT}"}) as client:
                assert client.read_data(12) == b"RFB 003.008\n"
                client.send_frame(BINARY, b"RFB 003.008\n")
                assert client.read_data(2) == b"\x01\x01"  # no password
        assert proxmox.violations == [] and set(vnc.logins) == {"accepted"}


def serve_the_panel(machine: Machine, include: str) -> None:
    """Configures and starts the panel's nginx, with the README's line."""
    machine.path("/etc/nginx/sites-enabled/default").unlink(missing_ok=True)
    machine.path("/etc/nginx/sites-enabled/panel").write_text(
        f"server {{ listen 127.0.0.1:{PANEL_PORT}; {include} }}\n"
    )
    machine.run(["systemctl", "start", "nginx"])
    wait_for(lambda: machine.run(["systemctl", "is-active", "nginx"], check=False).stdout == "active\n", 20, "no nginx")


def test_readme_has_the_commands_of_proxxy_setup() -> None:
    printed = subprocess.run(
        [binary().with_name("proxxy-setup"), HOST, "--dry-run"], capture_output=True, text=True, check=True
    ).stdout
    ours = [line for line in indented("Install") if line.startswith("pveum ")]
    theirs = [re.sub(r" --comment '[^']*'", "", line) for line in printed.splitlines() if line.startswith("pveum ")]
    assert ours == theirs and len(ours) == 4


def test_readme_is_short() -> None:
    """Who has ten minutes reads all of it. Details belong in docs/ and the manuals."""
    assert README.count("\n") <= LINES_MAX


def test_documents_of_the_package_lead_to_each_other() -> None:
    """The package contains what README.md and docs/ link to."""
    packaged = [name for file in ("docs", "examples") for name in (TREE / "debian" / file).read_text().split()]
    for path in [TREE / "README.md", *(TREE / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([\w./-]+\.(?:md|png))[)#]", path.read_text()):
            name = str((path.parent / link).resolve().relative_to(TREE))
            there = name in packaged or name.partition("/")[0] in packaged
            assert there or name in NOT_PACKAGED, f"{path.name}: {link}"


# About the source.
NOT_PACKAGED = {"HACKING.md", "CHANGELOG.md", "bench/README.md", "console/README.md"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds the npm package."""
    built = Built("typescript", tmp_path_factory.mktemp("node"))
    built.server()
    return built.tree / "examples" / "typescript"


@pytest.mark.parametrize("document", ["README.md", "docs/backend.md"])
def test_five_lines_make_a_link(node: Path, tmp_path: Path, key: str, document: str) -> None:
    [lines] = re.findall(r"^```js\n(.*?)^```$", (TREE / document).read_text(), re.M | re.S)
    assert lines.count("\n") <= 5
    (tmp_path / "backend.key").write_text(f"{key}\n")
    lines = lines.replace("/etc/panel/signature.key", str(tmp_path / "backend.key"))
    around = 'let told = "";\nconst user = { name: "alice" };\n'
    around += "const response = { redirect: (link) => { told = link; } };\n"
    program = node / "five.mjs"
    program.write_text(f"{around}{lines}console.log(told || link);\n")
    link = subprocess.run(["node", program], cwd=node, check=True, capture_output=True, text=True).stdout.strip()
    assert link.startswith("https://panel.example.com/console/novnc.html#payload=")
    claims = json.loads(UrlCommand(tmp_path, {}, key=key).ok("open", "--json", input=link))
    expected = {"vmid": 100, "type": "qemu", "cluster": "pve", "sub": "alice", "origin": "https://panel.example.com"}
    assert {name: claims[name] for name in expected} == expected
    assert claims["exp"] == claims["iat"] + 300
