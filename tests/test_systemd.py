# SPDX-License-Identifier: Apache-2.0
"""proxxy installed and spawned by a real systemd as PID 1: how the units handle load, crashes and limits, what an
operator sees, and that an operator's work ends no session.

The tests run on the host, their sockets are in the machine's network: see lib/pid1.py.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from http.client import HTTPConnection
from typing import Iterator

import pytest

from conftest import ECHO, echo
from lib.activator import TREE
from lib.certs import Cert
from lib.consoles import handler_console
from lib.flow import Flow, check_echo
from lib.installed import (
    KEY,
    SETTINGS,
    SETTLE_SECONDS,
    deploy,
    failures,
    install,
    instances,
    key,
    show,
    wait_instances,
)
from lib.payload import seal, seal_jwe, target
from lib.pid1 import Machine
from lib.process import wait_for
from lib.standin import StandIn
from lib.wire import CLOSE, Client, close_payload

PORT = 8443
VMID = ECHO
STATUS_REQUEST = b"GET /api/status HTTP/1.1\r\nHost: a\r\n\r\n"
HELD_REQUEST = b"GET / HTTP/1.1\r\n"  # the head never ends
HELD_SECONDS = 300  # the request's deadline: longer than any test holds one


@pytest.fixture(scope="module")
def machine(cert: Cert) -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        deploy(booted, cert, PROXXY_REQUEST_TIMEOUT=HELD_SECONDS)
        yield booted


@pytest.fixture(autouse=True)
def clean(machine: Machine) -> Iterator[None]:
    """After each test, ends all sessions and makes the socket listen again."""
    yield
    machine.run(["systemctl", "stop", "proxxy@*"])
    machine.run(["systemctl", "reset-failed"])  # also resets the counter of systemd's start limit
    machine.run(["systemctl", "start", "proxxy.socket"])


def make_payload(machine: Machine, proxmox: StandIn, vmid: int = ECHO) -> str:
    return seal(proxmox.console("qemu", vmid), key(machine))


def open_session(machine: Machine, proxmox: StandIn, vmid: int = ECHO) -> Client:
    return Client.upgraded(PORT, target(make_payload(machine, proxmox, vmid)))


def hold_request(address: str) -> Client:
    """Opens a connection that occupies a process until it is closed."""
    sock = socket.create_connection(("127.0.0.1", PORT), timeout=5, source_address=(address, 0))
    client = Client(sock)
    client.send(HELD_REQUEST)
    return client


def get_uptime(host: str) -> int:
    connection = HTTPConnection(host, PORT, timeout=5)
    connection.request("GET", "/api/status")
    status = json.load(connection.getresponse())
    assert list(status) == ["uptime"]
    return status["uptime"]


def test_units_verify_without_a_word(machine: Machine) -> None:
    # The exit status is 0 also after a warning, such as one about an unknown directive.
    verified = machine.run(
        ["systemd-analyze", "verify", "proxxy.socket", "proxxy@1.service", "proxxy.slice"], check=False
    )
    assert verified.stdout + verified.stderr == ""


def test_only_the_service_reads_the_key(machine: Machine) -> None:
    assert machine.run(["stat", "-c", "%U:%G %a", KEY]).stdout == "root:proxxy 640\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_status_is_the_time_since_the_socket_was_activated(machine: Machine, host: str) -> None:
    time.sleep(2)  # so that the machine's own uptime differs
    machine.run(["systemctl", "restart", "proxxy.socket"])
    since = show(machine, "proxxy.socket", "ActiveEnterTimestampMonotonic")
    time.sleep(1.5)
    active = time.monotonic() - int(next(iter(since.values()))) / 1e6
    assert abs(get_uptime(host) - active) <= 1


def test_session_relays_both_ways(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox) as client:
        check_echo(client, 300_000)
        wait_instances(machine, 1)
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code()[0] == 1000
    wait_instances(machine, 0)
    assert proxmox.violations == []


def test_status_text_says_who_is_where(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox) as client:
        check_echo(client)
        [unit] = wait_instances(machine, 1)
        text = show(machine, unit, "StatusText")["StatusText"]
        assert str(VMID) in text and proxmox.node in text and "127.0.0.1" in text


def test_session_is_confined(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox) as client:
        check_echo(client)
        [unit] = wait_instances(machine, 1)
        pid = show(machine, unit, "MainPID")["MainPID"]
        status = machine.path(f"/proc/{pid}/status").read_text()
        user = machine.run(["id", "-u", "proxxy"]).stdout.strip()
        assert re.search(rf"^Uid:(\t{user}){{4}}$", status, re.M)
        assert re.search(r"^CapBnd:\t0+$", status, re.M)
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
        assert re.search(r"^Seccomp:\t2$", status, re.M)


def count_filters(status: str) -> int:
    return int(re.search(r"^Seccomp_filters:\t(\d+)$", status, re.M)[1])


def test_session_is_confined_before_the_client_sends_its_request(machine: Machine) -> None:
    """By the program's first sandbox. The unit adds no filter: each one would cost a start more."""
    machines_own = count_filters(machine.path("/proc/1/status").read_text())  # systemd-nspawn's
    with hold_request("127.0.0.1"):
        [unit] = wait_instances(machine, 1)
        pid = show(machine, unit, "MainPID")["MainPID"]

        def status() -> str:
            return machine.path(f"/proc/{pid}/status").read_text()

        wait_for(lambda: count_filters(status()) == machines_own + 1, SETTLE_SECONDS, status)
        for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000000"):
            assert f"{line}\n" in status()


def test_start_of_a_session_checks_no_other_unit_but_its_slice(machine: Machine, proxmox: StandIn) -> None:
    """A required target, or a directory whose mount is required, would bring its own requirements into each start."""
    with open_session(machine, proxmox) as client:
        check_echo(client)
        [unit] = wait_instances(machine, 1)
        shown = show(machine, unit, "Requires", "Wants", "BindsTo", "Before", "Conflicts", "After")
    assert (shown["Requires"], shown["Wants"], shown["BindsTo"]) == ("proxxy.slice", "", "")
    assert (shown["Before"], shown["Conflicts"]) == ("shutdown.target", "shutdown.target")
    assert {"basic.target", "network.target", "proxxy.socket"} <= set(shown["After"].split())


def test_journal_tells_begin_and_end_and_no_secret(machine: Machine, proxmox: StandIn) -> None:
    payload = make_payload(machine, proxmox)
    with Client.upgraded(PORT, target(payload)) as client:
        check_echo(client, 1234)
        [unit] = wait_instances(machine, 1)
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code()[0] == 1000
        address, port = client.sock.getsockname()
    wait_instances(machine, 0)
    begin, end = machine.journal(f"PROXXY_VMID={VMID}", f"_SYSTEMD_UNIT={unit}")
    for record in (begin, end):
        assert record["PROXXY_PEER"] == f"{address}:{port}"
        assert record["PROXXY_NODE"] == proxmox.node
        assert record["PROXXY_TYPE"] == "qemu"
        assert record["SYSLOG_IDENTIFIER"] == "proxxy-conn"
        assert record["_SYSTEMD_SLICE"] == "proxxy.slice"
        assert record["PRIORITY"] == "6"
    assert end["PROXXY_BYTES_UP"] == end["PROXXY_BYTES_DOWN"] == "1234"
    assert float(end["PROXXY_DURATION"]) >= 0
    assert begin["MESSAGE_ID"] != end["MESSAGE_ID"]

    everything = json.dumps(machine.journal())
    tickets = {request.headers.get("authorization", "") for request in proxmox.requests}
    for secret in [key(machine), payload, payload.split(":")[1], "PVEVNC", "payload=", *tickets - {""}]:
        assert secret not in everything


def test_500_quick_connects_do_not_fail_the_socket(machine: Machine) -> None:
    for _ in range(500):
        with socket.create_connection(("127.0.0.1", PORT), timeout=5) as sock:
            sock.sendall(b"GET")
    wait_instances(machine, 0)
    assert show(machine, "proxxy.socket", "SubState")["SubState"] == "listening"
    get_uptime("127.0.0.1")


def test_silent_client_costs_no_process(machine: Machine) -> None:
    silent = [socket.create_connection(("127.0.0.1", PORT), timeout=5) for _ in range(20)]
    time.sleep(3)
    assert instances(machine) == []
    assert show(machine, "proxxy.socket", "NAccepted", "NConnections")["NConnections"] == "0"
    silent[0].sendall(HELD_REQUEST)  # proxxy serves the client as soon as it sends a byte
    wait_instances(machine, 1)
    for sock in silent:
        sock.close()


def test_crashed_instances_leave_nothing_loaded(machine: Machine) -> None:
    held = [hold_request("127.0.0.1") for _ in range(5)]
    wait_instances(machine, 5)
    machine.run(["systemctl", "kill", "--signal=SEGV", "proxxy@*"])
    wait_instances(machine, 0)
    assert show(machine, "proxxy.socket", "NConnections")["NConnections"] == "0"
    assert len(failures(machine, "signal")) == 5
    for client in held:
        client.sock.close()


def test_bad_request_is_no_failed_unit_but_a_bad_setting_is(machine: Machine) -> None:
    with Client.connect(PORT, "/?payload=nonsense") as client:
        assert client.read_head().status == 400
    wait_instances(machine, 0)
    assert failures(machine, "exit-code") == []

    settings = machine.path(SETTINGS)
    good = settings.read_text()
    settings.write_text(good + "PROXXY_NO_SUCH_SETTING=1\n")
    try:
        with Client.connect(PORT, "/?payload=nonsense") as client:
            assert client.read_head().status == 500
        wait_instances(machine, 0)
    finally:
        settings.write_text(good)
    [failed] = failures(machine, "exit-code")
    assert machine.journal(f"UNIT={failed}", f"EXIT_STATUS={os.EX_CONFIG}")


def test_65th_session_works(machine: Machine, proxmox: StandIn) -> None:
    other = ECHO + 1  # a guest may have 64 sessions
    proxmox.add("qemu", other, handler_console(echo))
    clients = []
    for number in range(65):
        clients.append(open_session(machine, proxmox, ECHO if number % 2 else other))
        check_echo(clients[-1])
    for client in clients:
        check_echo(client)
        client.sock.close()
    wait_instances(machine, 0)


@pytest.fixture
def direct(machine: Machine) -> Iterator[None]:
    """Adds direct.conf with the document's commands."""
    text = (TREE / "docs" / "reverse-proxies.md").read_text().partition("\n## Without a proxy\n")[2]
    commands = re.findall(r"^    sudo (.*direct.*|.*daemon-reload)$", text, re.M)
    assert len(commands) == 2
    for command in commands:
        machine.run(["sh", "-c", command.replace("/usr/share", "/usr/local/share")])
    yield
    machine.run(["rm", "-r", "/etc/systemd/system/proxxy.socket.d"])
    machine.run(["systemctl", "daemon-reload"])


def test_one_address_may_be_that_of_a_reverse_proxy(machine: Machine) -> None:
    """As installed, there is no limit for each address. 300 is more than direct.conf allows."""
    assert show(machine, "proxxy.socket", "MaxConnectionsPerSource")["MaxConnectionsPerSource"] == "0"
    through = [hold_request("127.0.0.2") for _ in range(300)]
    wait_instances(machine, 300)
    for client in through:
        client.sock.close()
    wait_instances(machine, 0)


def test_one_address_cannot_take_every_slot(machine: Machine, direct: None) -> None:
    """With direct.conf. The limit also applies without a restart of the socket."""
    limits = show(machine, "proxxy.socket", "MaxConnections", "MaxConnectionsPerSource")
    each = int(limits["MaxConnectionsPerSource"])
    assert 0 < 2 * each < int(limits["MaxConnections"])
    greedy = [hold_request("127.0.0.2") for _ in range(each)]
    wait_instances(machine, each)
    with hold_request("127.0.0.2") as one_more:
        assert one_more.at_end(SETTLE_SECONDS)
    with Client.connect(PORT, raw=STATUS_REQUEST) as somebody_else:
        assert somebody_else.read_head(SETTLE_SECONDS).status == 200
    for client in greedy:
        client.sock.close()


@pytest.mark.parametrize(
    "work",
    [
        ["restart", "proxxy.socket"],
        ["stop", "proxxy.socket"],
        ["daemon-reload"],
        ["daemon-reexec"],
    ],
    ids=" ".join,
)
def test_operators_work_leaves_sessions_running(machine: Machine, proxmox: StandIn, work: list[str]) -> None:
    with open_session(machine, proxmox) as client:
        with Flow(client) as flow:
            flow.check_goes_on()
            machine.run(["systemctl", *work])
            flow.check_goes_on()
        wait_instances(machine, 1)
        machine.run(["systemctl", "start", "proxxy.socket"])
        with open_session(machine, proxmox) as newcomer:
            check_echo(newcomer)
            check_echo(client)


def test_new_program_leaves_sessions_running(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox) as client:
        with Flow(client) as flow:
            install(machine)
            flow.check_goes_on()
        with open_session(machine, proxmox) as newcomer:
            check_echo(newcomer)


def test_stopping_a_session_says_goodbye(machine: Machine, proxmox: StandIn) -> None:
    with open_session(machine, proxmox) as client, open_session(machine, proxmox) as other:
        check_echo(client)
        check_echo(other)
        port = client.sock.getsockname()[1]
        [unit] = [unit for unit in wait_instances(machine, 2) if unit.endswith(f":{port}.service")]
        stop = machine.popen(["systemctl", "stop", unit])
        code, reason = client.close_code()
        client.send_frame(CLOSE, close_payload(code))
        assert code == 1001 and reason
        assert stop.wait(SETTLE_SECONDS) == 0
        check_echo(other)
    [end] = machine.journal(f"_SYSTEMD_UNIT={unit}", "PROXXY_CLOSE_CODE=1001")
    assert int(end["PRIORITY"]) >= 5  # no warning: the operator need not act


def test_shutdown_says_goodbye_to_everyone(cert: Cert) -> None:
    with Machine() as machine, machine.network(), StandIn(cert) as proxmox:
        deploy(machine, cert)
        proxmox.add("qemu", VMID, handler_console(echo))
        clients = [open_session(machine, proxmox) for _ in range(3)]
        for client in clients:
            check_echo(client)
        machine.run(["systemctl", "poweroff"])
        for client in clients:
            assert client.close_code()[0] == 1001


def test_confined_and_single_use_as_installed(machine: Machine, proxmox: StandIn) -> None:
    """proxxy stores a jti where only the service's user can write, and the session is in its sandbox."""
    payload = seal_jwe(proxmox.console("qemu", VMID), key(machine), jti="one")
    with Client.upgraded(PORT, target(payload)) as client:
        check_echo(client)
        [unit] = instances(machine)
        pid = show(machine, unit, "MainPID")["MainPID"]
        status = machine.run(["cat", f"/proc/{pid}/status"]).stdout
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M) and re.search(r"^Seccomp:\t2$", status, re.M)
        limits = machine.run(["cat", f"/proc/{pid}/limits"]).stdout
        assert re.search(r"^Max open files +3 +3 ", limits, re.M) and re.search(r"^Max processes +0 +0 ", limits, re.M)
    with Client.connect(PORT, target(payload)) as client:
        assert client.read_head().status == 403
    assert machine.run(["stat", "-c", "%U:%G %a", "/var/lib/proxxy"]).stdout == "proxxy:proxxy 700\n"
    wait_instances(machine, 0)


def test_socket_says_at_its_start_what_should_not_last(machine: Machine) -> None:
    machine.run(["systemctl", "restart", "proxxy.socket"])
    told = machine.run(["journalctl", "-u", "proxxy.socket", "-o", "cat", "-p", "warning"]).stdout
    assert "payloads of the format cbc are accepted" in told
    machine.run(["sed", "-i", "1i PROXXY_PAYLOADS=rsa", SETTINGS])
    try:
        machine.run(["systemctl", "restart", "proxxy.socket"])  # the socket still starts; proxxy answers 500
        told = machine.run(["journalctl", "-u", "proxxy.socket", "-o", "cat", "-p", "warning"]).stdout
        assert f"{SETTINGS} line 1: PROXXY_PAYLOADS has an invalid value" in told
    finally:
        machine.run(["sed", "-i", "1d", SETTINGS])
