# SPDX-License-Identifier: Apache-2.0
"""The API methods of the stand-in for Proxmox VE: which there are, their parameters, permissions and answers.

What is marked "Proxmox:" was read from pve-manager, qemu-server, pve-container and pve-common's JSONSchema.pm or
seen on a running pveproxy.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any, Callable, Mapping, NamedTuple
from urllib.parse import unquote

from .certs import Cert
from .consoles import Grant, silent_console
from .pve_access import VNC_TICKET_MAX, Access, vnc_password
from .pve_cluster import Cluster, Guest
from .pve_http import Refused, Request, parameters, refused_call, refused_request

GRANT_SECONDS = 10.0  # Proxmox: a port takes one connection within 10 s of the POST
PORTS = range(5900, 6000)
NOT_IN_SCHEMA = "property is not defined in schema and the schema does not allow additional properties"
BASE = "/api2/json"
CONSOLE = re.compile(r"/nodes/([^/]+)/(qemu|lxc)/([^/]+)/(vncwebsocket|vncproxy|termproxy)")
PASSWORD_ALWAYS = (9, 2)  # the release from which a VNC console has a password of its own

Check = Callable[[str], str]  # returns what is wrong with a value, else ""
# From method, path, identity and parameters: the data of the answer in a tuple, or None for a method that it has not.
More = Callable[[str, str, str, Mapping[str, str]], "tuple[Any] | None"]


class Upgrade(NamedTuple):
    grant: Grant | None  # None when nobody listens on the port


class Result(NamedTuple):
    data: Any
    passed_on: bool = False  # pvedaemon made the answer (Proxmox: a "protected" method)


def _boolean(value: str) -> str:
    return "" if value in ("0", "1") else f"type check ('boolean') failed - got '{value}'"


def _integer(low: int, high: int) -> Check:
    def check(value: str) -> str:
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            return f"type check ('integer') failed - got '{value}'"
        if int(value) < low:
            return f"value must have a minimum value of {low}"
        return f"value must have a maximum value of {high}" if int(value) > high else ""

    return check


def _one_of(*allowed: str) -> Check:
    words = ", ".join(allowed)
    return (
        lambda value: "" if value in allowed else f"value '{value}' does not have a value in the enumeration '{words}'"
    )


def _vmid(value: str) -> str:
    right = re.fullmatch(r"[1-9][0-9]{2,8}", value)
    return "" if right else "invalid format - value does not look like a valid VM ID\n"


def _node_name(value: str) -> str:
    right = re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?", value)
    return "" if right else "invalid format - value does not look like a valid node name\n"


def _ticket(value: str) -> str:
    return f"value may only be {VNC_TICKET_MAX} characters long" if len(value) > VNC_TICKET_MAX else ""


# Proxmox: the parameters of each method; any other parameter is refused.
GUEST: dict[str, Check] = {"node": _node_name, "vmid": _vmid}
UPGRADE: dict[str, Check] = {"port": _integer(PORTS.start, PORTS.stop - 1), "vncticket": _ticket}
PARAMETERS: dict[tuple[str, str], dict[str, Check]] = {
    ("qemu", "vncproxy"): {"websocket": _boolean, "generate-password": _boolean},
    ("lxc", "vncproxy"): {"websocket": _boolean, "width": _integer(16, 4096), "height": _integer(16, 2160)},
    ("qemu", "termproxy"): {"serial": _one_of("serial0", "serial1", "serial2", "serial3")},
    ("lxc", "termproxy"): {},
    ("qemu", "vncwebsocket"): UPGRADE,
    ("lxc", "vncwebsocket"): UPGRADE,
}
RESOURCES: dict[str, Check] = {"type": _one_of("vm", "storage", "node", "sdn")}


class Api:
    """One machine's API. What has no underscore a test may change at any time."""

    def __init__(self, node: str, cluster: Cluster, cert: Cert) -> None:
        self.node = node
        self.cluster = cluster
        self.release = "9.2"
        self.knows_generate_password = True
        self.daemon_error: tuple[int, str] | None = None
        self.more: More | None = None  # answers other methods, such as those of pve_admin.py
        self._cert = cert
        self._grants: dict[int, Grant] = {}
        self._next_port = PORTS.start

    @property
    def access(self) -> Access:
        return self.cluster.access

    def handle(self, request: Request) -> Result | Upgrade:
        """Returns the data to answer, or the Upgrade to a console."""
        path = unquote(request.path.partition("?")[0])
        if not path.startswith(f"{BASE}/"):
            raise refused_request(501, "no such uri")
        path = path.removeprefix(BASE)
        if (request.method, path) == ("POST", "/access/ticket"):
            return self._login(parameters(request))
        identity, with_ticket = self.access.identify(request.headers)
        if request.method != "GET" and with_ticket:
            self.access.check_csrf(identity, request.headers)
        given = parameters(request)
        if (request.method, path) == ("GET", "/version"):
            _check(given, {})
            return Result(self._version())
        if (request.method, path) == ("GET", "/cluster/resources"):
            _check(given, RESOURCES)
            return Result(self.cluster.resources(identity, given.get("type", "")))
        if self.more and (answer := self.more(request.method, path, identity, given)):
            return Result(answer[0], passed_on=request.method != "GET")
        match = CONSOLE.fullmatch(path)
        if (
            not match
            or (request.method == "GET") != (match[4] == "vncwebsocket")
            or request.method in ("PUT", "DELETE")
        ):
            raise refused_call(501, f"Method '{request.method} {path}' not implemented")
        node, type, vmid, action = match.groups()
        return self._console(request, identity, type, action, {"node": node, "vmid": vmid}, given)

    def grant(self, node: str, type: str, vmid: int, action: str, identity: str, given: Mapping[str, str]) -> dict:
        """Answers POST …/vncproxy and …/termproxy. Proxmox: the field is `ticket`; there is no `vncticket`."""
        guest = self._guest(node, type, vmid, prepare=True)
        path = f"/vms/{vmid}"
        port = self._next_port
        self._next_port = port + 1 if port + 1 in PORTS else PORTS.start
        ticket = self.access.vnc_ticket(identity, path, port)
        upid = f"UPID:{self.node}:{port:08X}:00000000:{int(time.time()):08X}:vncproxy:{vmid}:{identity}:"
        answer: dict[str, Any] = {"user": identity, "ticket": ticket, "port": str(port), "upid": upid}
        connect = self.cluster.console(guest, action, self.node)
        if action == "vncproxy":
            answer |= {"cert": self._cert.ca.read_text(), **self._password(type, given, ticket)}
            # Proxmox: since 9.2 a console that was not requested for a WebSocket speaks TLS.
            if self._always_has_password() and given.get("websocket") != "1":
                connect = silent_console
        password = answer.get("password", ticket)[:8]  # Proxmox: RFB knows no more than 8 characters
        if guest.set_password and action == "vncproxy":
            guest.set_password(password)
        deadline = time.monotonic() + GRANT_SECONDS
        self._grants[port] = Grant(path, port, identity, answer["ticket"], deadline, connect, password)
        return answer

    def _login(self, given: dict[str, str]) -> Result:
        user, password, challenge = (given.get(name, "") for name in ("username", "password", "tfa-challenge"))
        return Result(self.access.login(user, password, challenge), passed_on=True)

    def _version(self) -> dict[str, str]:
        repoid = hashlib.sha256(self.release.encode()).hexdigest()
        if int(self.release.partition(".")[0]) < 8:  # Proxmox: 7.4-3 was followed by 8.0.2
            return {"release": self.release, "version": f"{self.release}-1", "repoid": repoid[:8]}
        return {"release": self.release, "version": f"{self.release}.1", "repoid": repoid[:16]}

    def _always_has_password(self) -> bool:
        return tuple(int(part) for part in self.release.split(".")) >= PASSWORD_ALWAYS

    def _password(self, type: str, given: Mapping[str, str], ticket: str) -> dict[str, str]:
        """Proxmox: before 9.2 a VM's console has a password of its own if it is asked for, else the ticket is the
        password. Since 9.2 every console has one that is for a WebSocket, and a VM's without one; it is in front of
        the ticket too."""
        asked = type == "qemu" and given.get("generate-password") == "1"
        if not self._always_has_password():
            return {"password": vnc_password()} if asked else {}
        if not asked and type == "lxc" and given.get("websocket") != "1":
            return {}
        password = vnc_password()
        return {"password": password, "ticket": f"{password}:{ticket}"}

    def _console(
        self, request: Request, identity: str, type: str, action: str, uri: dict[str, str], given: dict[str, str]
    ) -> Result | Upgrade:
        """Proxmox checks the permission first, then the parameters."""
        conflict = "duplicate parameter (already defined in URI) with conflicting values!"
        if wrong := {name: conflict for name in uri if given.get(name, uri[name]) != uri[name]}:
            raise refused_parameters(wrong)
        path = f"/vms/{uri['vmid']}"
        self.access.check_console(identity, path)
        if action != "vncwebsocket" and self.daemon_error:
            raise Refused(*self.daemon_error)
        dropped = set() if self.knows_generate_password else {"generate-password"}
        schema = {name: check for name, check in PARAMETERS[type, action].items() if name not in dropped}
        required = UPGRADE if action == "vncwebsocket" else {}
        _check({**given, **uri}, {**schema, **GUEST}, required)
        vmid = int(uri["vmid"])
        if action == "vncwebsocket":
            return self._upgrade(request, uri["node"], type, vmid, identity, given)
        return Result(self.grant(uri["node"], type, vmid, action, identity, given), passed_on=True)

    def _upgrade(
        self, request: Request, node: str, type: str, vmid: int, identity: str, given: dict[str, str]
    ) -> Result | Upgrade:
        """Answers GET …/vncwebsocket. Proxmox runs the API call, including the ticket's check, before it
        reads the upgrade headers; it ignores Connection, Host and Origin."""
        port, ticket = int(given["port"]), given["vncticket"]
        self.access.check_vnc_ticket(ticket, identity, f"/vms/{vmid}", port)
        if type == "qemu":  # Proxmox: a container's is not looked for
            self._guest(node, type, vmid)
        upgrade = request.headers.get("upgrade", "").lower()
        if not upgrade:
            return Result({"port": str(port)})
        if upgrade != "websocket":
            raise refused_request(500, f"unable to upgrade to protocol '{upgrade}'")
        if (version := request.headers.get("sec-websocket-version", "")) != "13":
            raise refused_request(500, f"unsupported websocket-version '{version}'")
        if not request.headers.get("sec-websocket-key"):
            raise refused_request(500, "missing websocket-key")
        # The first connection uses the port up; a second one gets no console, even with the same ticket. Proxmox
        # itself connects any valid ticket to the port: its console's password or login then tells them apart.
        grant = self._grants.get(port)
        if grant is None or grant.ticket != ticket:
            return Upgrade(None)
        del self._grants[port]
        return Upgrade(grant if time.monotonic() < grant.deadline else None)

    def _guest(self, node: str, type: str, vmid: int, prepare: bool = False) -> Guest:
        """Returns the guest whose configuration is on that node. Proxmox: any machine of the cluster knows it;
        prepare: a container's console needs the node's address before."""
        if prepare and type == "lxc" and node not in self.cluster.nodes:
            why = f"failed to get address info for: {node}: Name or service not known"
            raise refused_call(500, f"hostname lookup '{node}' failed - {why}")
        guest = self.cluster.find(node, type, vmid)
        if guest is None:
            folder = "qemu-server" if type == "qemu" else "lxc"
            raise refused_call(500, f"Configuration file 'nodes/{node}/{folder}/{vmid}.conf' does not exist")
        return guest


def _check(given: Mapping[str, str], schema: Mapping[str, Check], required: Mapping[str, Check] | None = None) -> None:
    errors = {}
    for name, value in given.items():
        if wrong := schema[name](value) if name in schema else NOT_IN_SCHEMA:
            errors[name] = wrong
    for name in required or {}:
        if name not in given:
            errors[name] = "property is missing and it is not optional"
    if errors:
        raise refused_parameters(errors)


def refused_parameters(errors: Mapping[str, str]) -> Refused:
    return refused_call(400, "Parameter verification failed.", errors)
