# SPDX-License-Identifier: Apache-2.0
"""The cluster that the stand-in for Proxmox VE belongs to: its nodes and its guests.

What is marked "Proxmox:" was read from pve-manager's API2Tools.pm and API2/Cluster.pm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from .consoles import Connect, Grant, ending_console
from .pve_access import Access
from .pve_frames import Stream
from .termproxy import termproxy_console

# The kernel reports "No route to host" for a machine of the same network that is off after about 3 s.
NO_ROUTE_SECONDS = 3.0
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
    no_route_seconds: float = NO_ROUTE_SECONDS

    def find(self, node: str, type: str, vmid: int) -> Guest | None:
        """Returns a guest if its configuration is on that node."""
        guest = self.guests.get((type, vmid))
        return guest if guest and guest.node == node else None

    def console(self, guest: Guest, action: str, machine: str) -> Connect:
        """Returns the console that a machine of the cluster opens, at the time when a client connects to its port.
        Proxmox: a machine prepares the console of any guest, then runs qm or vncterm on the guest's node over ssh.
        Neither a guest that is off nor one that is locked is refused before."""

        async def connect(grant: Grant) -> Stream:
            opens = guest.terminal if action == "termproxy" else guest.connect
            if guest.node != machine and guest.node in self.dead:
                words = f"ssh: connect to host {guest.node} port 22: No route to host"
                opens = _ended(action, words, self.no_route_seconds)
            elif guest.status != RUNNING:
                opens = _ended(action, f"{'VM' if guest.type == 'qemu' else 'CT'} {guest.vmid} not running")
            return await opens(grant)

        return connect

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


def _ended(action: str, words: str, seconds: float = 0.0) -> Connect:
    """A console whose program ends after that time. termproxy logs the client in before, and shows the words."""
    if action == "vncproxy":
        return ending_console(seconds)
    return termproxy_console(("/bin/sh", "-c", 'sleep "$1"; echo "$2"', "sh", str(seconds), words))


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
