# SPDX-License-Identifier: Apache-2.0
"""The status unit on a real systemd: it serves systemd's counters, metrics and sessions to users of the machine, and
needs no privilege."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import time
from typing import Any, Iterator

import pytest
from conftest import ECHO
from lib.certs import Cert
from lib.installed import KEY, deploy, key, wait_instances
from lib.metrics import parse
from lib.payload import seal, target
from lib.pid1 import Machine
from lib.process import wait_for
from lib.standin import StandIn
from lib.wire import BINARY, Client

PORT, STATUS_PORT = 8443, 8444
SOCKET = "/run/proxxy-status.sock"
LIMIT = 3


@pytest.fixture(scope="module")
def machine(cert: Cert) -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        deploy(booted, cert)
        drop_in = "/etc/systemd/system/proxxy.socket.d"
        booted.run(["mkdir", "-p", drop_in])
        booted.path(f"{drop_in}/limit.conf").write_text(f"[Socket]\nMaxConnections={LIMIT}\n")
        booted.run(["systemctl", "daemon-reload"])
        booted.run(["systemctl", "restart", "proxxy.socket"])
        yield booted


@pytest.fixture(autouse=True)
def enabled(machine: Machine) -> None:
    machine.run(["systemctl", "start", "proxxy-status.socket", "proxxy.socket"])


def ask(path: str, method: str = "GET") -> tuple[int, str, Any]:
    """Sends a request; returns status, content type, and the body (parsed if it is JSON)."""
    connection = http.client.HTTPConnection("127.0.0.1", STATUS_PORT, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    body, kind = answer.read().decode(), answer.getheader("Content-Type", "")
    assert int(answer.getheader("Content-Length", "-1")) == len(body.encode()) or method != "GET"
    return answer.status, kind, json.loads(body) if kind == "application/json" and body else body


def ask_sessions(machine: Machine) -> list[dict[str, Any]]:
    answer = machine.run(["curl", "-s", "--unix-socket", SOCKET, "http://localhost/api/sessions"]).stdout
    return json.loads(answer)


def test_units_verify_without_a_word(machine: Machine) -> None:
    verified = machine.run(
        ["systemd-analyze", "verify", "proxxy-status.socket", "proxxy-status@1.service"], check=False
    )
    assert verified.stdout + verified.stderr == ""


def test_counters_are_systemds(machine: Machine, proxmox: StandIn) -> None:
    machine.run(["systemctl", "restart", "proxxy.socket"])
    before = ask("/api/status")[2]
    assert list(before) == ["uptime", "accepted", "active", "refused"] and before["active"] == 0
    clients = [Client.upgraded(PORT, target(seal(proxmox.console("qemu", ECHO), key(machine)))) for _ in range(LIMIT)]
    with Client.connect(PORT, "/api/status") as one_too_many:
        assert one_too_many.at_end()
    during = ask("/api/status")[2]
    assert during["active"] == LIMIT
    assert during["accepted"] == before["accepted"] + LIMIT
    assert during["refused"] == before["refused"] + 1
    for client in clients:
        client.sock.close()
    wait_instances(machine, 0)
    after = ask("/api/status")[2]
    assert after["active"] == 0 and after["accepted"] == during["accepted"]


def test_uptime_is_the_sockets(machine: Machine) -> None:
    machine.run(["systemctl", "restart", "proxxy.socket"])
    time.sleep(2.1)
    assert 2 <= ask("/api/status")[2]["uptime"] <= 4
    machine.run(["systemctl", "stop", "proxxy.socket"])
    assert ask("/api/status")[2]["uptime"] == 0


def test_sessions_say_who_is_where(machine: Machine, proxmox: StandIn) -> None:
    assert ask_sessions(machine) == []
    with Client.upgraded(PORT, target(seal(proxmox.console("qemu", ECHO), key(machine)))) as client:
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"
        [unit] = wait_instances(machine, 1)
        [session] = ask_sessions(machine)
        address, port = client.sock.getsockname()
        assert session["unit"] == unit and unit.endswith(f"-{address}:{port}.service")
        assert session["status"] == f"qemu {ECHO} on {proxmox.node} for {address}"
        assert machine.path(f"/proc/{session['pid']}/comm").read_text() == "proxxy-conn\n"
        assert abs(session["since"] - time.time()) < 30


def test_metrics_are_prometheuss(machine: Machine) -> None:
    status, kind, body = ask("/metrics")
    assert status == 200 and kind == "text/plain; version=0.0.4; charset=utf-8"
    checked = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    values = dict(line.split(" ") for line in body.splitlines() if not line.startswith("#"))
    assert values["proxxy_up"] == "1" and abs(int(values["proxxy_start_time_seconds"]) - time.time()) < 300
    assert int(values["proxxy_sessions_limit"]) == LIMIT
    machine.run(["systemctl", "stop", "proxxy.socket"])
    assert "\nproxxy_up 0\n" in ask("/metrics")[2]


def test_sessions_of_all_processes_are_counted(machine: Machine, proxmox: StandIn) -> None:
    """The counters stay when sessions end and when the socket restarts."""

    def opened() -> float:
        return parse(ask("/metrics")[2])["proxxy_sessions_opened_total"]

    before = opened()
    for number in range(1, 3):
        with Client.upgraded(PORT, target(seal(proxmox.console("qemu", ECHO), key(machine)))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            assert opened() == before + number
        wait_instances(machine, 0)
        machine.run(["systemctl", "restart", "proxxy.socket"])
        assert opened() == before + number
    modes = machine.run(["stat", "-c", "%n %U:%G %a", "/run/proxxy-counters", "/run/proxxy-counters/counters"]).stdout
    assert modes == "/run/proxxy-counters proxxy:proxxy 755\n/run/proxxy-counters/counters proxxy:proxxy 644\n"
    assert machine.run(["stat", "-c", "%a", "/var/lib/proxxy"]).stdout == "700\n"


def test_sessions_are_not_told_to_everyone_on_the_machine(machine: Machine) -> None:
    status, _, body = ask("/api/sessions")
    assert status == 403 and SOCKET in body["error"]


def test_unix_socket_is_for_root_and_the_group(machine: Machine) -> None:
    assert machine.run(["stat", "-c", "%U:%G %a", SOCKET]).stdout == "root:proxxy-status 660\n"
    answer = machine.run(["curl", "-s", "--unix-socket", SOCKET, "http://localhost/api/status"]).stdout
    assert "accepted" in json.loads(answer)


def test_other_requests_get_clear_errors(machine: Machine) -> None:
    assert ask("/other")[0] == 404 and "/metrics" in ask("/other")[2]["error"]
    status, _, body = ask("/metrics", "POST")
    assert status == 405 and body["code"] == 405
    assert ask("/metrics", "HEAD")[0] == ask("/api/status", "HEAD")[0] == 200 and ask("/other", "HEAD")[0] == 404
    assert ask("/", "OPTIONS") == (204, "", "")
    with Client.connect(STATUS_PORT, raw=b"nonsense\r\n\r\n") as client:
        assert client.read_head().status == 400
    with Client.connect(STATUS_PORT, raw=b"GET / HTTP/1.1\r\nX: " + b"y" * 66000) as client:
        assert client.read_head().status == 431


def test_silent_client_is_ended_on_time(machine: Machine) -> None:
    started = time.monotonic()
    with Client.connect(STATUS_PORT, raw=b"GET") as client:
        assert client.read_head(8).status == 408
    assert time.monotonic() - started < 7


def test_without_the_bus_it_is_503(machine: Machine) -> None:
    machine.run(["systemctl", "stop", "dbus.socket", "dbus.service"])
    try:
        status, _, body = ask("/api/status")
        assert status == 503 and body == {"error": "systemd cannot be queried", "code": 503, "issues": []}
    finally:
        machine.run(["systemctl", "start", "dbus.socket", "dbus.service"])
    wait_for(lambda: ask("/api/status")[0] == 200, 10, "the bus is back, but not the status")


def test_it_runs_without_a_privilege(machine: Machine) -> None:
    with socket.create_connection(("127.0.0.1", STATUS_PORT), 5) as held:
        held.sendall(b"GET ")
        unit = wait_for(
            lambda: machine.run(
                ["systemctl", "list-units", "--plain", "--no-legend", "proxxy-status@*"]
            ).stdout.split()[:1],
            5,
            "no process",
        )[0]
        pid = machine.run(["systemctl", "show", "--property=MainPID", "--value", unit]).stdout.strip()
        status = machine.path(f"/proc/{pid}/status").read_text()
    user, group = (machine.run(["id", option, "proxxy-status"]).stdout.strip() for option in ("-u", "-g"))
    assert user != machine.run(["id", "-u", "proxxy"]).stdout.strip()
    assert f"Groups:\t{group} \n" in status and f"Gid:\t{group}\t{group}\t{group}\t{group}\n" in status
    assert f"Uid:\t{user}\t{user}\t{user}\t{user}\n" in status
    assert "CapEff:\t0000000000000000\n" in status and "CapBnd:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status


def test_its_user_has_no_part_in_sessions(machine: Machine, proxmox: StandIn) -> None:
    """The unit's user cannot read the key, list used payloads, signal a session or read its environment."""
    as_status = ["setpriv", "--reuid", "proxxy-status", "--regid", "proxxy-status", "--clear-groups", "--"]
    with Client.upgraded(PORT, target(seal(proxmox.console("qemu", ECHO), key(machine)))) as client:
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"
        [unit] = wait_instances(machine, 1)
        pid = machine.run(["systemctl", "show", "--property=MainPID", "--value", unit]).stdout.strip()
        for argv in (
            ["cat", KEY],
            ["ls", "/var/lib/proxxy"],
            ["/bin/kill", "-0", pid],
            ["cat", f"/proc/{pid}/environ"],
        ):
            refused = machine.run([*as_status, *argv], check=False)
            assert refused.returncode != 0 and re.search("permission denied|not permitted", refused.stderr, re.I), argv


def test_public_status_needs_no_status_unit(machine: Machine) -> None:
    machine.run(["systemctl", "stop", "proxxy-status.socket"])
    with Client.connect(PORT, "/api/status") as client:
        head = client.read_head()
        assert head.status == 200 and list(json.loads(client.read_body(head))) == ["uptime"]
