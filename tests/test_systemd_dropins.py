# SPDX-License-Identifier: Apache-2.0
"""The manuals' options beyond the default units, on a real systemd: the full sandbox, and the key as a plain or
encrypted credential."""

from __future__ import annotations

from typing import Iterator

import pytest
from conftest import ECHO
from lib.activator import TREE
from lib.certs import Cert
from lib.installed import KEY, deploy, key, wait_instances
from lib.metrics import parse
from lib.payload import seal, target
from lib.pid1 import Machine
from lib.standin import StandIn
from lib.wire import BINARY, Client

PORT = 8443
DROP_IN = "/etc/systemd/system/proxxy@.service.d/test.conf"


@pytest.fixture(scope="module")
def machine(cert: Cert) -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        deploy(booted, cert)
        booted.run(["mkdir", "-p", DROP_IN.rpartition("/")[0]])
        yield booted


def use(machine: Machine, text: str) -> None:
    machine.path(DROP_IN).write_text(text)
    machine.run(["systemctl", "daemon-reload"])


def check_session(machine: Machine, proxmox: StandIn, with_key: str) -> None:
    with Client.upgraded(PORT, target(seal(proxmox.console("qemu", ECHO), with_key))) as client:
        client.send_frame(BINARY, b"x" * 200_000)
        assert client.read_data(200_000, 10) == b"x" * 200_000
    wait_instances(machine, 0)


def consoles_opened(machine: Machine) -> float:
    machine.run(["systemctl", "start", "proxxy-status.socket"])
    metrics = machine.run(["curl", "-s", "http://127.0.0.1:8444/metrics"]).stdout
    return parse(metrics)["proxxy_sessions_opened_total"]


def test_full_sandbox(machine: Machine, proxmox: StandIn) -> None:
    use(machine, (TREE / "deploy" / "full-sandbox.conf").read_text())
    verified = machine.run(["systemd-analyze", "verify", "proxxy@1.service"], check=False)
    assert verified.stdout + verified.stderr == ""
    before = consoles_opened(machine)
    check_session(machine, proxmox, key(machine))
    assert consoles_opened(machine) == before + 1
    security = machine.run(["systemd-analyze", "security", "--no-pager", "proxxy@1.service"]).stdout
    assert float(security.splitlines()[-1].split(":")[1].split()[0]) < 2


@pytest.fixture
def only_root_reads_the_key(machine: Machine) -> Iterator[str]:
    """Makes the key's file unreadable for sessions: they can only get the key as a credential."""
    text = key(machine)
    machine.run(["chmod", "600", KEY])
    yield text
    machine.run(["chmod", "640", KEY])


def test_key_as_a_credential(machine: Machine, proxmox: StandIn, only_root_reads_the_key: str) -> None:
    use(machine, f"[Service]\nLoadCredential=signature-key:{KEY}\n")
    check_session(machine, proxmox, only_root_reads_the_key)


def test_key_as_an_encrypted_credential(machine: Machine, proxmox: StandIn, only_root_reads_the_key: str) -> None:
    sealed = "/etc/proxxy/signature-key.cred"
    machine.run(["systemd-creds", "encrypt", "--with-key=host", "--name=signature-key", KEY, sealed])
    assert only_root_reads_the_key not in machine.path(sealed).read_text()
    use(machine, f"[Service]\nLoadCredentialEncrypted=signature-key:{sealed}\n")
    check_session(machine, proxmox, only_root_reads_the_key)


def test_without_a_key_that_it_may_read_it_says_so(machine: Machine, only_root_reads_the_key: str) -> None:
    use(machine, "")
    with Client.connect(PORT, "/?payload=00:00") as client:
        assert client.read_head().status == 500
    wait_instances(machine, 0)
    [record] = machine.journal("PROXXY_OUTCOME=config")
    assert f"no key: {KEY}: Permission denied" in record["MESSAGE"]
    machine.run(["systemctl", "reset-failed"])
