# SPDX-License-Identifier: Apache-2.0
"""Installs proxxy on a machine with `make install`, and asks that machine's systemd about its units."""

from __future__ import annotations

from .activator import ANYWHERE
from .certs import Cert
from .pid1 import TREE, Machine
from .process import wait_for

KEY = "/etc/proxxy/signature.key"
SETTINGS = "/etc/proxxy/proxxy.conf"
SITE = "/etc/proxxy/proxxy.conf.d/site.conf"
CA_FILE = "/etc/proxxy/ca.pem"
SETTLE_SECONDS = 30.0  # for systemd's delayed actions on a busy machine


def install(machine: Machine) -> None:
    machine.run(["make", "-C", TREE, "install"], timeout=300)


def deploy(machine: Machine, proxmox_cert: Cert, **settings: object) -> None:
    """Installs proxxy, configures it to trust the certificate of that Proxmox, and starts its socket."""
    install(machine)
    machine.path(CA_FILE).write_bytes(proxmox_cert.ca.read_bytes())
    site: dict[str, object] = {"PROXXY_CA_FILE": CA_FILE, "PROXXY_ALLOWED_HOSTS": ANYWHERE, **settings}
    machine.path(SITE).write_text("".join(f"{name}={value}\n" for name, value in site.items()))
    machine.run(["systemctl", "enable", "--now", "proxxy.socket"])


def key(machine: Machine) -> str:
    return machine.path(KEY).read_text().strip()


def show(machine: Machine, unit: str, *properties: str) -> dict[str, str]:
    shown = machine.run(["systemctl", "show", "--property", ",".join(properties), unit])
    return dict(line.split("=", 1) for line in shown.stdout.splitlines())


def instances(machine: Machine) -> list[str]:
    """Returns the session units that systemd has loaded, including failed ones."""
    listed = machine.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "proxxy@*"])
    return [line.split()[0] for line in listed.stdout.splitlines()]


def wait_instances(machine: Machine, count: int) -> list[str]:
    wait_for(
        lambda: len(instances(machine)) == count,
        SETTLE_SECONDS,
        lambda: f"{count} instances awaited: {instances(machine)}",
    )
    return instances(machine)


def failures(machine: Machine, result: str) -> list[str]:
    """Returns the session units that failed with that result (`exit-code`, `signal`, …), each once."""
    records = machine.journal(f"UNIT_RESULT={result}")
    return [record["UNIT"] for record in records if record["UNIT"].startswith("proxxy@")]
