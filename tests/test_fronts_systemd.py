# SPDX-License-Identifier: Apache-2.0
"""unix-socket.conf on a real systemd, and the shipped configurations of nginx, Caddy and HAProxy as their packages run
them: as their own users, HAProxy in its chroot. Without the port, only the reverse proxy reaches proxxy."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Iterator

import pytest
from conftest import ECHO
from lib.activator import TREE
from lib.certs import Cert
from lib.installed import deploy, key, wait_instances
from lib.payload import seal_jwe, target
from lib.pid1 import Machine
from lib.process import wait_for
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, Client, close_payload, upgrade_request

EXAMPLES = "/usr/local/share/doc/proxxy/examples"
DROP_IN = "/etc/systemd/system/proxxy.socket.d/unix-socket.conf"
FRONT_CONF = "/etc/proxxy/proxxy.conf.d/front.conf"
SOCKET = "/run/proxxy/proxxy.sock"
HAPROXY_SOCKET = "/var/lib/haproxy/proxxy.sock"
PORT = 8080
CLIENT = "192.0.2.10"
ANSWERS_SECONDS = 30


@pytest.fixture(scope="module")
def machine(cert: Cert) -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        booted.run(["ip", "address", "add", f"{CLIENT}/32", "dev", "lo"])
        deploy(booted, cert)
        booted.run(["mkdir", "-p", DROP_IN.rpartition("/")[0]])
        yield booted


def example(machine: Machine, name: str) -> str:
    return machine.path(f"{EXAMPLES}/{name}").read_text()


def listen(machine: Machine, *lines: str) -> None:
    """Installs the drop-in, with these of its commented lines, in its order."""
    text = example(machine, "unix-socket.conf")
    for line in lines:
        assert f"\n#{line}\n" in text, line
        text = text.replace(f"\n#{line}\n", f"\n{line}\n")
    machine.path(DROP_IN).write_text(text)
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "restart", "proxxy.socket"])


def connects(machine: Machine, user: str, path: str = SOCKET) -> bool:
    """Whether that user of the machine gets an answer on the socket."""
    identity = [f"--reuid={user}", f"--regid={user if user != 'nobody' else 'nogroup'}", "--clear-groups"]
    asked = ["curl", "-sS", "--max-time", "20", "--unix-socket", path, "http://proxxy/api/status"]
    found = machine.run(["setpriv", *identity, *asked], check=False)
    assert found.returncode == 0 or "ermission denied" in found.stderr or "onnect" in found.stderr, found.stderr
    return found.returncode == 0


def port_answers() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", 8443)) == 0


def test_socket_beside_the_port(machine: Machine, proxmox: StandIn) -> None:
    """With the document's commands. Another program of the machine cannot use the socket."""
    text = (TREE / "docs" / "reverse-proxies.md").read_text().partition("\n## The UNIX socket\n")[2]
    commands = re.findall(r"^    sudo ((?:.*\\\n)*.*)$", text.partition("\n## ")[0], re.M)
    assert len(commands) == 3
    for command in commands:
        machine.run(["sh", "-c", command.replace("/usr/share", "/usr/local/share")])
    assert machine.path(DROP_IN).read_text() == example(machine, "unix-socket.conf")
    assert connects(machine, "root") and connects(machine, "www-data") and port_answers()
    assert not connects(machine, "nobody") and not connects(machine, "proxxy")
    warned = machine.run(["journalctl", "-u", "proxxy.socket", "-p", "warning", "-o", "cat"]).stdout
    assert re.findall(r".*(?:failed|not supported|[Uu]nknown).*", warned) == []  # options that only TCP has


# --- the packages' services -------------------------------------------------------------------


def nginx(machine: Machine) -> list[str]:
    machine.path("/etc/nginx/sites-enabled/default").unlink(missing_ok=True)
    site = f"server {{ listen 127.0.0.1:{PORT}; include {EXAMPLES}/nginx.conf; }}\n"
    machine.path("/etc/nginx/sites-enabled/panel").write_text(site)
    return []


def caddy(machine: Machine) -> list[str]:
    text = example(machine, "Caddyfile").replace("panel.example.com {", f"http://127.0.0.1:{PORT} {{")
    machine.path("/etc/caddy/Caddyfile").write_text(text.replace("{\n", "{\n\tadmin off\n", 1))
    return ["SocketGroup=caddy"]


def haproxy(machine: Machine) -> list[str]:
    text = example(machine, "haproxy.cfg").replace("bind :80\n", f"bind 127.0.0.1:{PORT}\n")
    text = re.sub(r"\n\t(bind :::80|bind :::443|bind :443|http-request redirect|server pages) .*", "", text)
    machine.path("/etc/haproxy/haproxy.cfg").write_text(text)
    return ["SocketGroup=haproxy", f"ListenStream={HAPROXY_SOCKET}"]


NO_PORT = ["ListenStream=", f"ListenStream={SOCKET}"]
FRONTS = {
    "nginx": (nginx, "nginx.conf", SOCKET, "www-data"),
    "caddy": (caddy, "Caddyfile", SOCKET, "caddy"),
    "haproxy": (haproxy, "haproxy.cfg", HAPROXY_SOCKET, "haproxy"),
}


@pytest.mark.parametrize("name", FRONTS)
def test_only_the_front_reaches_proxxy(machine: Machine, proxmox: StandIn, name: str) -> None:
    configure, file, path, group = FRONTS[name]
    said = re.findall(r"^#     (PROXXY_CLIENT_ADDRESS=.*)$", example(machine, file), re.M)
    machine.path(FRONT_CONF).write_text(f"{said[0]}\n")
    lines = configure(machine)
    if name == "haproxy":
        listen(machine, *lines)
        with Path(machine.path(DROP_IN)).open("a") as drop_in:
            drop_in.write(f"ListenStream=\nListenStream={path}\n")
        machine.run(["systemctl", "daemon-reload"])
        machine.run(["systemctl", "restart", "proxxy.socket"])
    else:
        listen(machine, *lines, *NO_PORT)
    assert not port_answers()
    machine.run(["systemctl", "start", name], timeout=120)
    try:
        check_console(machine, proxmox, name)
        assert connects(machine, group, path) and not connects(machine, "nobody", path)
    finally:
        machine.run(["systemctl", "stop", name])
        machine.path(FRONT_CONF).unlink()


def test_without_the_socket_the_port_is_used(machine: Machine, proxmox: StandIn) -> None:
    """As the README's two commands leave the machine."""
    machine.path(DROP_IN).unlink(missing_ok=True)
    machine.path(FRONT_CONF).write_text("PROXXY_CLIENT_ADDRESS=x-real-ip\n")
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "restart", "proxxy.socket"])
    nginx(machine)
    machine.run(["systemctl", "start", "nginx"], timeout=120)
    try:
        check_console(machine, proxmox, "port", "127.0.0.1")
    finally:
        machine.run(["systemctl", "stop", "nginx"])


def check_console(machine: Machine, proxmox: StandIn, sub: str, peer: str = "unix") -> None:
    """Opens a console as soon as the front listens. The log has the client's address."""
    wait_for(lambda: _listens(), ANSWERS_SECONDS, f"{sub} does not listen")
    payload = seal_jwe(proxmox.console("qemu", ECHO), key(machine), sub=sub)
    with Client(socket.create_connection(("127.0.0.1", PORT), 5, source_address=(CLIENT, 0))) as client:
        client.send(upgrade_request(PORT, target(payload, "/console/ws"), {"X-Forwarded-For": "1.2.3.4"}))
        assert client.read_head(20).status == 101
        client.send_frame(BINARY, b"x" * 200_000)
        assert client.read_data(200_000, 20) == b"x" * 200_000
        [unit] = wait_instances(machine, 1)
        status = machine.run(["systemctl", "show", "-p", "StatusText", unit]).stdout
        assert f" for {CLIENT}" in status
        client.send_frame(CLOSE, close_payload(1000))
        client.close_code(10)
    wait_instances(machine, 0)
    records = machine.journal(f"PROXXY_SUB={sub}")
    assert len(records) == 2  # begin and end
    for record in records:
        assert record["PROXXY_PEER"].partition(":")[0] == peer and record["PROXXY_CLIENT"].partition(":")[0] == CLIENT


def _listens() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0
