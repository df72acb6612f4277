# SPDX-License-Identifier: Apache-2.0
"""The cluster that the stand-in for Proxmox VE belongs to: its nodes and its guests.

What is marked "Proxmox:" was read from pve-manager's API2Tools.pm and API2/Cluster.pm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from .consoles import Connect
from .pve_access import Access

RUNNING, STOPPED = "running", "stopped"


@dataclass
class Guest:
    """What a test may change at any time, as an administrator would."""

    type: str  # qemu or lxc
    vmid: int
    node: str
    connect: Connect  # its VNC console
    terminal: Connect  # its console for termproxy
    set_password: Callable[[str], None] | None = None
    status: str = RUNNING
    name: str = ""
    lock: str = ""  # backup, migrate, …
    tags: str = ""


@dataclass
class Cluster:
    """Several stand-ins may share one, as machines of one cluster."""

    access: Access
    nodes: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)  # nodes that are off
    guests: dict[tuple[str, int], Guest] = field(default_factory=dict)

    def find(self, node: str, type: str, vmid: int) -> Guest | None:
        """Returns a guest if its configuration is on that node."""
        guest = self.guests.get((type, vmid))
        return guest if guest and guest.node == node else None

    def resources(self, identity: str, type: str) -> list[dict[str, Any]]:
        """Answers GET …/cluster/resources. Proxmox: everybody may ask; only guests that the identity may audit are
        listed, in the order of their vmids as texts."""
        found: list[dict[str, Any]] = []
        if type in ("", "vm"):
            visible = (
                guest for guest in self.guests.values() if self.access.may(identity, f"/vms/{guest.vmid}", "VM.Audit")
            )
            found += [self._guest_entry(guest) for guest in sorted(visible, key=lambda guest: str(guest.vmid))]
        if type in ("", "node"):
            found += [self._node_entry(node) for node in sorted(self.nodes)]
        return found

    def _guest_entry(self, guest: Guest) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "id": f"{guest.type}/{guest.vmid}",
            "vmid": guest.vmid,
            "node": guest.node,
            "type": guest.type,
            "status": "unknown",
        }
        # Proxmox: a node that is off sends no figures, and with them the name and the status are missing.
        if guest.node not in self.dead:
            entry |= _figures(guest.status == RUNNING)
            entry |= {"name": guest.name or f"guest{guest.vmid}", "status": guest.status, "template": 0}
        for name in ("lock", "tags"):
            if value := getattr(guest, name):
                entry[name] = value
        return entry

    def _node_entry(self, node: str) -> dict[str, Any]:
        entry = {"id": f"node/{node}", "node": node, "type": "node"}
        return entry | {"status": "offline" if node in self.dead else "online"}


def _figures(running: bool) -> dict[str, Any]:
    used = {
        "uptime": 86431,
        "cpu": 0.0213675213675214,
        "mem": 1288490188,
        "memhost": 1410334720,
        "netin": 48291734,
        "netout": 9124411,
        "diskread": 1837105152,
        "diskwrite": 904192000,
    }
    size = {"maxcpu": 2, "maxmem": 2147483648, "maxdisk": 34359738368, "disk": 0}
    return size | (used if running else dict.fromkeys(used, 0))
