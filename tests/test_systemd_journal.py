# SPDX-License-Identifier: Apache-2.0
"""The journal of a real systemd: explanations of the records, and priorities with which `-p warning` shows only what
needs attention."""

from __future__ import annotations

from typing import Iterator

import pytest
from conftest import ECHO, console, echo
from lib.certs import Cert
from lib.consoles import handler_console
from lib.installed import deploy, key, wait_instances
from lib.payload import seal, target
from lib.pid1 import Machine
from lib.process import free_port
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, Client, close_payload

PORT = 8443


@pytest.fixture(scope="module")
def machine(cert: Cert) -> Iterator[Machine]:
    """A machine after one good session, one session that could not reach Proxmox, and one invalid payload."""
    with Machine() as booted, booted.network(), StandIn(cert) as proxmox:
        deploy(booted, cert)
        proxmox.add("qemu", ECHO, handler_console(echo))
        with Client.upgraded(PORT, target(seal(proxmox.console("qemu", ECHO), key(booted)))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            client.send_frame(CLOSE, close_payload(1000))
            assert client.close_code()[0] == 1000
        with Client.upgraded(PORT, target(seal(console(free_port(), vmid=4711), key(booted)))) as client:
            assert client.close_code()[0] == 1011
        with Client.connect(PORT, "/?payload=00:00") as client:
            assert client.read_head().status == 400
        wait_instances(booted, 0)
        yield booted


def outcomes(machine: Machine, *arguments: str) -> list[str]:
    return [record["PROXXY_OUTCOME"] for record in machine.journal(*arguments) if "PROXXY_OUTCOME" in record]


def test_one_guests_sessions_are_found_by_its_number(machine: Machine) -> None:
    assert outcomes(machine, "PROXXY_VMID=4711") == ["upstream-connect"]
    assert outcomes(machine, f"PROXXY_VMID={ECHO}") == ["client-closed"]


def test_warnings_are_what_an_operator_must_see(machine: Machine) -> None:
    assert outcomes(machine, "SYSLOG_IDENTIFIER=proxxy-conn", "-p", "warning") == ["upstream-connect"]
    assert "payload-invalid" in outcomes(machine, "SYSLOG_IDENTIFIER=proxxy-conn", "-p", "notice")


def test_sessions_are_found_by_their_units(machine: Machine) -> None:
    assert set(outcomes(machine, "-u", "proxxy@*")) >= {"client-closed", "upstream-connect"}


def test_catalog_explains_each_record(machine: Machine) -> None:
    text = machine.run(["journalctl", "-x", "-t", "proxxy-conn", "--no-pager"]).stdout
    assert f"Subject: A console of guest {ECHO} is being opened" in text
    assert "Subject: A console of guest 4711 ended: upstream-connect" in text
    assert "Subject: A request was refused: payload-invalid" in text
    assert text.count("man:proxxy-conn(8)") >= 3
