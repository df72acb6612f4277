# SPDX-License-Identifier: Apache-2.0
"""proxxy's sockets listen again without an operator after each kind of failure that a socket can have in systemd
(src/core/socket.c of 252 and 257). systemd itself never restarts a failed socket. The tests' docstrings begin with
systemd's name of the failure, where there is one."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Iterator

import pytest

from lib.installed import install, show
from lib.pid1 import Machine
from lib.process import wait_for
from lib.wire import Client

PORTS = {"proxxy": 8443, "proxxy-status": 8444}
UNITS = "/usr/local/lib/systemd/system"
RETRY_SECONDS = 30  # the retry waits 2 s before the first try and 10 s between tries; the machine may be busy
QUIET_SECONDS = 15  # longer than between two tries
REQUEST = b"GET /api/status HTTP/1.1\r\nHost: a\r\n\r\n"

both = pytest.mark.parametrize("name", PORTS)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        install(booted)
        booted.run(["systemctl", "enable", "--now", *(f"{name}.socket" for name in PORTS)])
        yield booted


@pytest.fixture(autouse=True)
def listening(machine: Machine) -> Iterator[None]:
    yield
    for name in PORTS:
        machine.run(["systemctl", "start", f"{name}.socket"])
        check_answers(name)


def check_answers(name: str) -> None:
    with Client.connect(PORTS[name], raw=REQUEST) as client:
        assert client.read_head(10).status == 200


def state(machine: Machine, name: str) -> str:
    return show(machine, f"{name}.socket", "ActiveState")["ActiveState"]


def wait_state(machine: Machine, name: str, wanted: str) -> None:
    wait_for(lambda: state(machine, name) == wanted, RETRY_SECONDS, lambda: f"{name}.socket is {state(machine, name)}")


@contextlib.contextmanager
def drop_in(machine: Machine, unit: str, text: str) -> Iterator[None]:
    folder = f"/etc/systemd/system/{unit}.d"
    machine.run(["mkdir", "-p", folder])
    machine.path(f"{folder}/test.conf").write_text(text)
    machine.run(["systemctl", "daemon-reload"])
    try:
        yield
    finally:
        machine.run(["rm", "-r", folder])
        machine.run(["systemctl", "daemon-reload"])


def taken(port: int) -> socket.socket:
    """Returns another program's listener on the port."""
    other = socket.socket(socket.AF_INET)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # systemd sets it too
    other.bind(("127.0.0.1", port))
    other.listen()
    return other


@contextlib.contextmanager
def failed(machine: Machine, name: str) -> Iterator[None]:
    """In the with block the socket has failed, because another program has its port."""
    machine.run(["systemctl", "stop", f"{name}.socket"])
    with taken(PORTS[name]):
        machine.run(["systemctl", "start", f"{name}.socket"], check=False)
        wait_state(machine, name, "failed")
        yield


def test_units_verify_without_a_word(machine: Machine) -> None:
    names = [f"{name}.socket" for name in PORTS] + ["proxxy-status@1.service", "proxxy-retry@proxxy.service"]
    verified = machine.run(["systemd-analyze", "verify", *names], check=False)
    assert verified.stdout + verified.stderr == ""


def test_start_makes_the_directories_of_sessions(machine: Machine) -> None:
    """Also with the wrong owner and mode, after someone created them by hand."""
    state_directory, counters = "/var/lib/proxxy", "/run/proxxy-counters"
    machine.run(["rm", "-rf", counters])
    machine.run(["chmod", "755", state_directory])
    machine.run(["chown", "root:root", state_directory])
    machine.run(["systemctl", "restart", "proxxy.socket"])
    modes = machine.run(["stat", "-c", "%n %U:%G %a", state_directory, counters]).stdout
    assert modes == f"{state_directory} proxxy:proxxy 700\n{counters} proxxy:proxxy 755\n"


@both
def test_restarted_as_often_as_one_likes(machine: Machine, name: str) -> None:
    """start-limit-hit: by default systemd allows five starts in 10 s."""
    for _ in range(12):
        machine.run(["systemctl", "restart", f"{name}.socket"])
    assert state(machine, name) == "active"
    check_answers(name)


def test_200_connections_at_once_do_not_fail_the_status_socket(machine: Machine) -> None:
    """trigger-limit-hit of the status socket; test_systemd.py tests proxxy.socket."""
    for _ in range(250):
        with socket.create_connection(("127.0.0.1", PORTS["proxxy-status"]), timeout=5) as sock:
            sock.sendall(b"GET")
    assert state(machine, "proxxy-status") == "active"

    def is_free() -> bool:  # systemd 255 and later accept 150 in 2 s; others may be refused meanwhile
        try:
            check_answers("proxxy-status")
        except (OSError, EOFError):
            return False
        return True

    wait_for(is_free, RETRY_SECONDS, "no answer")
    for name in PORTS:  # service-start-limit-hit cannot occur: it needs Accept=no
        assert show(machine, f"{name}.socket", "Accept", "TriggerLimitIntervalUSec") == {
            "Accept": "yes",
            "TriggerLimitIntervalUSec": "0",
        }


@both
def test_port_taken(machine: Machine, name: str) -> None:
    """resources: the socket listens when the port becomes free."""
    with failed(machine, name):
        time.sleep(4)  # the first retry fails too
        assert state(machine, name) == "failed"
    wait_state(machine, name, "active")
    check_answers(name)


@both
def test_stopped_is_stopped(machine: Machine, name: str) -> None:
    """Stopping a socket also stops its retries."""
    with failed(machine, name):
        machine.run(["systemctl", "stop", f"{name}.socket"])
    time.sleep(QUIET_SECONDS)
    assert state(machine, name) in ("inactive", "failed")
    assert show(machine, f"proxxy-retry@{name}.service", "ActiveState")["ActiveState"] == "inactive"


@both
def test_started_after_it_was_stopped(machine: Machine, name: str) -> None:
    """A failed socket that fails again does not change its state for systemd, so OnFailure= does not run again."""
    with failed(machine, name):
        machine.run(["systemctl", "stop", f"{name}.socket"])
        machine.run(["systemctl", "start", f"{name}.socket"], check=False)
    wait_state(machine, name, "active")
    check_answers(name)


def test_masked_while_it_is_tried_again(machine: Machine) -> None:
    with failed(machine, "proxxy"):
        machine.run(["systemctl", "mask", "proxxy.socket"])
        try:
            wait_for(
                lambda: show(machine, "proxxy-retry@proxxy.service", "ActiveState")["ActiveState"] == "inactive",
                RETRY_SECONDS,
                "still tried",
            )
            time.sleep(QUIET_SECONDS)
            assert show(machine, "proxxy-retry@proxxy.service", "ActiveState")["ActiveState"] == "inactive"
        finally:
            machine.run(["systemctl", "unmask", "proxxy.socket"])


def test_check_reads_as_the_sessions_user_does(machine: Machine) -> None:
    """The check at the socket's start reports a file that only root can read, before the first session fails."""
    site = "/etc/proxxy/proxxy.conf.d/secret.conf"
    machine.run(["install", "-m", "600", "/dev/null", site])
    try:
        machine.run(["systemctl", "restart", "proxxy.socket"])
        told = machine.run(["journalctl", "-u", "proxxy.socket", "-o", "cat", "-p", "warning"]).stdout
        assert f"{site}: Permission denied" in told
    finally:
        machine.run(["rm", site])


@both
@pytest.mark.parametrize("away", ["missing", "masked"])
def test_connection_while_its_service_is_away(machine: Machine, name: str, away: str) -> None:
    """resources: the service's file is missing, or the unit is masked by mistake."""
    service = f"{name}@.service"
    if away == "missing":
        machine.run(["mv", f"{UNITS}/{service}", "/root/"])
    else:
        machine.run(["systemctl", "mask", service])
    machine.run(["systemctl", "daemon-reload"])
    try:
        with socket.create_connection(("127.0.0.1", PORTS[name]), timeout=5) as sock:
            sock.sendall(REQUEST)
            wait_state(machine, name, "failed")
    finally:
        if away == "missing":
            machine.run(["mv", f"/root/{service}", UNITS])
        else:
            machine.run(["systemctl", "unmask", service])
        machine.run(["systemctl", "daemon-reload"])
    wait_state(machine, name, "active")
    check_answers(name)


def test_check_that_hangs(machine: Machine) -> None:
    """timeout: reading a settings file blocks, as on an unreachable network file system."""
    machine.run(["mkfifo", "/etc/proxxy/proxxy.conf.d/hangs.conf"])
    try:
        with drop_in(machine, "proxxy.socket", "[Socket]\nTimeoutSec=20\n"):  # 90 is the default
            machine.run(["systemctl", "restart", "proxxy.socket"], timeout=60)
            assert state(machine, "proxxy") == "active"
    finally:
        machine.run(["rm", "/etc/proxxy/proxxy.conf.d/hangs.conf"])


@pytest.mark.parametrize("program", ["/bin/false", "/nonexistent", "/bin/sh -c 'kill -SEGV $$$$'"])
def test_check_that_fails(machine: Machine, program: str) -> None:
    """exit-code, signal, core-dump: a failed check does not stop the socket."""
    with drop_in(machine, "proxxy.socket", f"[Socket]\nExecStartPost=-{program}\n"):
        machine.run(["systemctl", "restart", "proxxy.socket"])
        assert state(machine, "proxxy") == "active"


def test_runtime_directory_that_cannot_be_made(machine: Machine) -> None:
    machine.run(["systemctl", "stop", "proxxy.socket"])
    machine.run(["sh", "-c", "rm -rf /run/proxxy && touch /run/proxxy"])
    try:
        machine.run(["systemctl", "start", "proxxy.socket"])
        assert state(machine, "proxxy") == "active"
    finally:
        machine.run(["rm", "-rf", "/run/proxxy"])
        machine.run(["systemctl", "restart", "proxxy.socket"])


@both
def test_address_that_is_not_there_yet(machine: Machine, name: str) -> None:
    """A drop-in sets the address to listen on, and the address is added after the socket has started."""
    address = "198.51.100.7"
    with drop_in(machine, f"{name}.socket", f"[Socket]\nListenStream=\nListenStream={address}:{PORTS[name]}\n"):
        machine.run(["systemctl", "restart", f"{name}.socket"])
        assert state(machine, name) == "active"
        machine.run(["ip", "address", "add", f"{address}/32", "dev", "lo"])
        try:
            with socket.create_connection((address, PORTS[name]), timeout=5) as sock:
                sock.sendall(REQUEST)
                assert sock.recv(12) == b"HTTP/1.1 200"
        finally:
            machine.run(["ip", "address", "del", f"{address}/32", "dev", "lo"])
    machine.run(["systemctl", "restart", f"{name}.socket"])


def test_status_socket_without_its_group(machine: Machine) -> None:
    """exit-code: the process that looks the group up fails."""
    with drop_in(machine, "proxxy-status.socket", "[Socket]\nSocketGroup=nobody-has-this\n"):
        machine.run(["systemctl", "restart", "proxxy-status.socket"], check=False)
        wait_state(machine, "proxxy-status", "failed")
    wait_state(machine, "proxxy-status", "active")


def test_slice_stopped_ends_sessions_and_not_the_socket(machine: Machine) -> None:
    machine.run(["systemctl", "stop", "proxxy.slice"])
    assert state(machine, "proxxy") == "active"
    check_answers("proxxy")
