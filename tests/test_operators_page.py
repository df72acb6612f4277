# SPDX-License-Identifier: Apache-2.0
"""The list of sessions, and the way to end one, on a real systemd: what the list says of a session, who may end one,
that the client is told, and that nothing but sessions can be ended."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import time
from base64 import b64encode
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import quote

import pytest
from conftest import ECHO
from lib.activator import TREE
from lib.certs import Cert
from lib.fronts import Front
from lib.installed import deploy, instances, key, show, wait_instances
from lib.operators_docs import PASSWORD, USER, front_lines
from lib.payload import seal_jwe, target
from lib.pid1 import Machine
from lib.process import wait_for
from lib.standin import StandIn
from lib.wire import BINARY, Client, upgrade_request

PORT, STATUS_PORT = 8443, 8444
SOCKET, END_SOCKET = "/run/proxxy-status.sock", "/run/proxxy-end.sock"
ACTION = {"Proxxy-Action": "end"}
SETTLE_SECONDS = 30.0
SUB, JTI = 'Alice "O\'Neill" <b>', "a1"
MORE = 40


@pytest.fixture(scope="module")
def machine(cert: Cert) -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        deploy(booted, cert)
        booted.run(["systemctl", "enable", "--now", "proxxy-status.socket"])
        yield booted


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(machine: Machine, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Sends a request to the UNIX socket. Returns the status and the JSON."""
    connection = _UnixConnection(str(machine.path(SOCKET)))
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body) if body else None


def sessions(machine: Machine) -> list[dict[str, Any]]:
    status, listed = ask(machine, "/api/sessions")
    assert status == 200
    return listed


def end(machine: Machine, unit: str, headers: dict[str, str] | None = ACTION) -> tuple[int, Any]:
    return ask(machine, f"/api/sessions/{quote(unit, safe='')}/end", "POST", headers)


def open_session(machine: Machine, proxmox: StandIn, **claims: Any) -> Client:
    payload = seal_jwe(proxmox.console("qemu", ECHO), key(machine), {"kid": "main"} if claims else None, **claims)
    client = Client.upgraded(PORT, target(payload))
    client.send_frame(BINARY, b"x")
    assert client.read_data(1) == b"x"
    return client


def test_units_verify_without_a_word(machine: Machine) -> None:
    verified = machine.run(["systemd-analyze", "verify", "proxxy-end.socket", "proxxy-end@1.service"], check=False)
    assert verified.stdout + verified.stderr == ""


def test_list_says_who_is_on_which_guest(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox, sub=SUB, jti=JTI) as client:
        [unit] = wait_instances(machine, 1)
        [session] = sessions(machine)
        assert session["unit"] == unit and str(session["pid"]) == show(machine, unit, "MainPID")["MainPID"]
        assert "type" in session, session
        assert (session["type"], session["vmid"], session["place"]) == ("qemu", ECHO, proxmox.node)
        assert session["client"] == client.sock.getsockname()[0] and abs(session["since"] - time.time()) < 60
        assert (session["sub"], session["jti"]) == (SUB, JTI)
    wait_instances(machine, 0)


def test_end_tells_client_and_log(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox) as client, open_session(machine, proxmox) as other:
        wait_instances(machine, 2)
        port = client.sock.getsockname()[1]
        [unit] = [session["unit"] for session in sessions(machine) if session["unit"].endswith(f":{port}.service")]
        assert end(machine, unit, {**ACTION, "Remote-User": "carol\xff"}) == (200, {"unit": unit, "ended": True})
        assert client.close_code() == (1001, "Session was ended by the operator")
        other.send_frame(BINARY, b"y")
        assert other.read_data(1) == b"y"  # only that one
        [left] = wait_instances(machine, 1)
        assert left != unit
        [record] = machine.journal(f"PROXXY_UNIT={unit}")
        assert record["PROXXY_OPERATOR"] == "carol?" and record["SYSLOG_IDENTIFIER"] == "proxxy-status"
        assert record["MESSAGE"].startswith(f"Session ended by carol?: {unit}, qemu {ECHO} on ")
        [ended] = machine.journal(f"_SYSTEMD_UNIT={unit}", "PROXXY_OUTCOME=terminated")
        assert "operator" in ended["MESSAGE"]
        assert machine.journal(f"UNIT={unit}", "UNIT_RESULT=signal") == []
    wait_instances(machine, 0)


def test_end_is_refused_to_pages_of_other_sites(machine: Machine, proxmox: StandIn) -> None:
    """Without the header field that only a page of the own origin can send, or if the browser says so."""
    with open_session(machine, proxmox) as client:
        [unit] = wait_instances(machine, 1)
        foreign: list[dict[str, str]] = [{}, {"Proxxy-Action": ""}, {"Proxxy-Action": "End"}]
        foreign += [{**ACTION, "Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "none")]
        foreign += [{**ACTION, "Host": host} for host in ("evil.example", "localhost.evil.example:80")]
        for headers in foreign:
            status, answer = end(machine, unit, headers)
            assert (status, answer["code"]) == (403, 403) and answer["error"], headers
        status, answer = ask(machine, "/api/sessions", headers={"Host": "evil.example"})
        assert status == 403 and "Host" in answer["error"]
        client.send_frame(BINARY, b"y")
        assert client.read_data(1) == b"y"
        assert end(machine, unit, {**ACTION, "Sec-Fetch-Site": "same-origin", "Host": "127.0.0.1:9000"})[0] == 200
        assert client.close_code()[0] == 1001
    wait_instances(machine, 0)


def test_preflight_allows_nothing(machine: Machine) -> None:
    connection = _UnixConnection(str(machine.path(SOCKET)))
    headers = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "proxxy-action",
    }
    connection.request("OPTIONS", "/api/sessions/proxxy%401.service/end", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 204 and answer.getheader("Allow") == "POST, OPTIONS"
    assert [name for name, _ in answer.getheaders() if name.lower().startswith("access-control")] == []


def test_nothing_over_tcp(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox) as client:
        [unit] = wait_instances(machine, 1)
        for method, path in (("GET", "/"), ("GET", "/api/sessions"), ("POST", f"/api/sessions/{quote(unit)}/end")):
            connection = http.client.HTTPConnection("127.0.0.1", STATUS_PORT, timeout=30)
            connection.request(method, path, headers=ACTION)
            answer = connection.getresponse()
            assert answer.status == 403 and SOCKET in json.loads(answer.read())["error"], path
        client.send_frame(BINARY, b"y")
        assert client.read_data(1) == b"y"
    wait_instances(machine, 0)


def test_only_post_ends(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox) as client:
        [unit] = wait_instances(machine, 1)
        for method in ("GET", "PUT", "DELETE"):
            assert ask(machine, f"/api/sessions/{quote(unit)}/end", method, ACTION)[0] == 405
        assert ask(machine, "/api/sessions", "POST", ACTION)[0] == 405
        client.send_frame(BINARY, b"y")
        assert client.read_data(1) == b"y"
    wait_instances(machine, 0)


OTHERS = (
    "proxxy.socket",
    "proxxy-status.socket",
    "dbus.service",
    "systemd-journald.service",
    "init.scope",
    "proxxy@.service",
    "proxxy@999999-127.0.0.1:8443-127.0.0.1:1.service",
    "proxxy@1",
    "proxxy@../dbus.service",
    "proxxy@1\n.service",
    "proxxy@1-*.service",
    "proxxy@1-\x00.service",
    "proxxy@1-" + "1" * 300 + ".service",
    "..",
    "%",
)


@pytest.mark.parametrize("name", OTHERS)
def test_other_units_are_no_session(machine: Machine, name: str) -> None:
    before = show(machine, "dbus.service", "MainPID")
    assert end(machine, name) == (404, {"error": "There is no such session", "code": 404, "issues": []})
    assert show(machine, "dbus.service", "MainPID") == before and instances(machine) == []


def test_paths_that_are_none(machine: Machine) -> None:
    for path in ("/api/sessions//end", "/api/sessions/end", "/api/sessions/a/b/end", "/api/sessions/a/end/"):
        assert ask(machine, path, "POST", ACTION)[0] in (404, 405), path
    assert ask(machine, "/api/sessions/%4/end", "POST", ACTION)[0] == 404


def tell_ender(machine: Machine, line: bytes) -> bytes:
    """Sends a line to the part that may send signals, as proxxy-status does. Returns the answer, or nothing."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(machine.path(END_SOCKET)))
        client.sendall(line)
        client.shutdown(socket.SHUT_WR)
        try:
            return b"".join(iter(lambda: client.recv(100), b""))
        except ConnectionResetError:  # it did not read all
            return b""


def test_ender_checks_names_itself(machine: Machine) -> None:
    for line in (*(f"{name}\n".encode() for name in OTHERS if "\n" not in name), b"\n", b"../\n"):
        assert tell_ender(machine, line) in (b"gone\n", b""), line
    for line in (b"", b"proxxy@1", b"x" * 1000, b"x" * 1000 + b"\n"):
        assert tell_ender(machine, line) == b"", line
    assert show(machine, "proxxy-end.socket", "ActiveState")["ActiveState"] == "active"


def test_ender_is_for_proxxy_status_only(machine: Machine) -> None:
    assert machine.run(["stat", "-c", "%U:%G %a", END_SOCKET]).stdout == "proxxy-status:proxxy-status 600\n"
    connect = ["python3", "-c", f"import socket; socket.socket(socket.AF_UNIX).connect({END_SOCKET!r})"]
    for user in ("nobody", "proxxy"):
        refused = machine.run(
            ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", *connect], check=False
        )
        assert refused.returncode != 0 and "Permission denied" in refused.stderr


def test_ender_has_no_privilege_and_not_the_key(machine: Machine) -> None:
    """It runs as the sessions' user, so that it can signal them, but not in the group that can read the key."""
    with socket.socket(socket.AF_UNIX) as held:
        held.connect(str(machine.path(END_SOCKET)))
        listing = ["systemctl", "list-units", "--plain", "--no-legend", "proxxy-end@*"]
        [unit] = wait_for(lambda: machine.run(listing).stdout.split()[:1], SETTLE_SECONDS, "no process")
        pid = show(machine, unit, "MainPID")["MainPID"]
        status = machine.path(f"/proc/{pid}/status").read_text()
    user, group = (
        machine.run(["id", *option]).stdout.strip() for option in (["-u", "proxxy"], ["-g", "proxxy-status"])
    )
    assert re.search(rf"^Uid:\t{user}\t{user}\t{user}\t{user}$", status, re.M)
    assert re.search(rf"^Gid:\t{group}\t", status, re.M) and re.search(rf"^Groups:\t{group} $", status, re.M)
    assert "CapEff:\t0000000000000000\n" in status and "NoNewPrivs:\t1\n" in status


def test_session_that_does_not_end_is_killed(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox):
        [unit] = wait_instances(machine, 1)
        machine.run(["kill", "-STOP", show(machine, unit, "MainPID")["MainPID"]])
        assert end(machine, unit)[0] == 200
        wait_instances(machine, 0)
        [record] = machine.journal("SYSLOG_IDENTIFIER=proxxy-end")
        assert record["MESSAGE"].startswith(f"{unit} did not end within 8 s")


def test_switched_off(machine: Machine, proxmox: StandIn) -> None:
    """With the socket masked, operators can only look."""
    with open_session(machine, proxmox) as client:
        [unit] = wait_instances(machine, 1)
        machine.run(["systemctl", "mask", "--now", "proxxy-end.socket"])
        try:
            machine.run(["systemctl", "restart", "proxxy-status.socket"])
            status, answer = end(machine, unit)
            assert status == 503 and "proxxy-end.socket" in answer["error"]
            assert [session["unit"] for session in sessions(machine)] == [unit]
        finally:
            machine.run(["systemctl", "unmask", "proxxy-end.socket"])
            machine.run(["systemctl", "restart", "proxxy-status.socket"])
        assert end(machine, unit)[0] == 200
        assert client.close_code()[0] == 1001
    wait_instances(machine, 0)


def test_sockets_start_and_stop_together(machine: Machine) -> None:
    machine.run(["systemctl", "stop", "proxxy-status.socket"])
    assert show(machine, "proxxy-end.socket", "ActiveState")["ActiveState"] == "inactive"
    assert not machine.path(END_SOCKET).exists()
    machine.run(["systemctl", "start", "proxxy-status.socket"])
    assert show(machine, "proxxy-end.socket", "ActiveState")["ActiveState"] == "active"


def test_session_on_a_unix_socket(machine: Machine, proxmox: StandIn) -> None:
    """Its unit is named after the client's process, and its client has no address."""
    drop_in = "/etc/systemd/system/proxxy.socket.d/unix-socket.conf"
    machine.run(["install", "-D", "-m", "644", TREE / "deploy" / "unix-socket.conf", drop_in])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "restart", "proxxy.socket"])
    try:
        payload = seal_jwe(proxmox.console("qemu", ECHO), key(machine))
        with Client(socket.socket(socket.AF_UNIX)) as client:
            client.sock.connect(str(machine.path("/run/proxxy/proxxy.sock")))
            client.send(upgrade_request(PORT, target(payload), {}))
            assert client.read_head().status == 101
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            [unit] = wait_instances(machine, 1)
            [session] = sessions(machine)
            assert session["unit"] == unit and session["vmid"] == ECHO and "client" not in session
            assert end(machine, unit)[0] == 200
            assert client.close_code()[0] == 1001
        wait_instances(machine, 0)
    finally:
        machine.run(["rm", drop_in])
        machine.run(["systemctl", "daemon-reload"])
        machine.run(["systemctl", "restart", "proxxy.socket"])


def test_many_sessions_are_all_listed(machine: Machine, proxmox: StandIn) -> None:
    """More than the calls that wait for an answer at a time."""
    clients = [open_session(machine, proxmox, sub=f"user{n}") for n in range(MORE)]
    listed = sessions(machine)
    assert sorted(session["sub"] for session in listed) == sorted(f"user{n}" for n in range(MORE))
    assert {session["unit"] for session in listed} == set(instances(machine))
    for client in clients:
        client.sock.close()
    wait_instances(machine, 0)


def test_without_the_bus_it_is_503(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox) as client:
        [unit] = wait_instances(machine, 1)
        machine.run(["systemctl", "stop", "dbus.socket", "dbus.service"])
        try:
            assert ask(machine, "/api/sessions")[0] == end(machine, unit)[0] == 503
            assert tell_ender(machine, f"{unit}\n".encode()) == b"failed\n"
        finally:
            machine.run(["systemctl", "start", "dbus.socket", "dbus.service"])
        wait_for(lambda: ask(machine, "/api/sessions")[0] == 200, SETTLE_SECONDS, "the bus is back, but not the list")
        client.send_frame(BINARY, b"y")
        assert client.read_data(1) == b"y"
    wait_instances(machine, 0)


class _Caddy(Front):
    """Caddy as docs/operating.md configures it."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(0)
        self._machine = machine

    def command(self) -> list[str | Path]:
        hashing = ["/usr/bin/caddy", "hash-password", "--plaintext", PASSWORD]
        hashed = subprocess.run(hashing, capture_output=True, text=True, check=True, env=self.environment()).stdout
        site = (
            f"http://:{self.port} {{\n\tbind 127.0.0.1\n{front_lines('caddyfile', self._machine, hashed.strip())}}}\n"
        )
        config = self._write(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}")
        return ["/usr/bin/caddy", "run", "--config", config, "--adapter", "caddyfile"]


def test_behind_caddy(machine: Machine, proxmox: StandIn) -> None:
    """Only with the password; under the site's name; the log has the operator's name."""

    def ask_caddy(path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=30)
        connection.request(method, f"/proxxy-sessions/{path}", headers={"Host": "panel.example.com", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()

    login = {"Authorization": f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"}
    with open_session(machine, proxmox) as client, _Caddy(machine) as front:
        [unit] = wait_instances(machine, 1)
        path = f"api/sessions/{quote(unit, safe='')}/end"
        assert ask_caddy("")[0] == ask_caddy("api/sessions")[0] == ask_caddy(path, "POST", **ACTION)[0] == 401
        assert b"</html>" in ask_caddy("", **login)[1]
        assert [session["unit"] for session in json.loads(ask_caddy("api/sessions", **login)[1])] == [unit]
        assert ask_caddy(path, "POST", **login)[0] == 403
        assert ask_caddy(path, "POST", **login, **ACTION, **{"Remote-User": "mallory"})[0] == 200
        assert client.close_code()[0] == 1001
        [record] = machine.journal(f"PROXXY_UNIT={unit}")
        assert record["PROXXY_OPERATOR"] == USER
    wait_instances(machine, 0)
