# SPDX-License-Identifier: Apache-2.0
"""What proxxy-setup works with: a Proxmox host with an administrator's API, and a machine with proxxy."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from pathlib import Path
from typing import Iterator, NamedTuple

from .certs import Cert
from .pve_admin import Admin, Node
from .setup_command import SetupCommand
from .standin import StandIn
from .vnc_console import VncConsole

USER, TOKEN, ROLE = "proxxy@pve", "proxxy@pve!proxxy", "ProxxyConsole"
OK, EX_USAGE, EX_NOINPUT, EX_NOUSER, EX_UNAVAILABLE, EX_CANTCREAT, EX_PROTOCOL, EX_NOPERM, EX_CONFIG = (
    *(0, 64, 66, 67, 69, 73, 76, 77, 78),
)
EVERYTHING = {
    *("/ Sys.Audit", "/access Sys.Modify", "/access Sys.Audit", "/access/realm/pve Realm.AllocateUser"),
    *("/access/groups User.Modify", "/vms Permissions.Modify"),
}


async def idle(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


class Site(NamedTuple):
    """A Proxmox host with an administrator's API, a guest, and a machine with proxxy."""

    proxmox: StandIn
    admin: Admin
    command: SetupCommand
    vnc: VncConsole

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.proxmox.port}"


@contextlib.contextmanager
def site_of(cert: Cert, **settings: object) -> Iterator[Site]:
    vnc = VncConsole(idle)
    with StandIn(cert) as proxmox, SetupCommand(**settings) as command:
        proxmox.add("qemu", 100, vnc.connect).name = "web"
        admin = Admin(proxmox.access, [Node("pve01", cert, "127.0.0.1")])
        proxmox.attach(admin.handle)
        yield Site(proxmox, admin, command, vnc)


def mode(path: Path) -> str:
    status = path.stat()
    return f"{status.st_uid}:{status.st_gid} {stat.S_IMODE(status.st_mode):o}"


def given(site: Site) -> set[tuple[str, str]]:
    """The permissions that the role gives: (path, user or token)."""
    return {(path, id) for path, _, id, role in site.admin.acl if role == ROLE}
