# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Proxmox VE's pveproxy, as strict as the real one: its API for consoles, its TLS
port and its answers, in front of the consoles that a test or the demo registers.

What is marked "Proxmox:" was read from its sources (pve-http-server's AnyEvent.pm, qemu-server,
pve-container) or seen on a running pveproxy. pve_access.py has the access control, pve_frames.py
the frames.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
import ssl
import threading
import time
from typing import Any, Callable, Mapping, NamedTuple

from . import pve_http
from .certs import Cert
from .consoles import Connect, Grant
from .pve_access import VNC_TICKET_MAX, Access, Refused
from .pve_frames import Record, Stream, abort, discard, relay
from .pve_http import Request

REFUSAL_SECONDS = 3.0  # Proxmox: a 401 comes after 3.0 s
GRANT_SECONDS = 10.0  # Proxmox: a port takes one connection within 10 s of the POST
PORTS = range(5900, 6000)
NOT_IN_SCHEMA = "property is not defined in schema and the schema does not allow additional properties"
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
METHODS = {"GET", "POST", "PUT", "DELETE"}
# Proxmox: the parameters of each POST; any other parameter is refused.
PARAMETERS: dict[tuple[str, str], set[str]] = {
    ("qemu", "vncproxy"): {"websocket", "generate-password"},
    ("lxc", "vncproxy"): {"websocket", "width", "height"},
    ("qemu", "termproxy"): {"serial"},
    ("lxc", "termproxy"): set(),
}
API = re.compile(r"/api2/json/nodes/([^/]+)/(qemu|lxc)/([^/]+)/(vncwebsocket|vncproxy|termproxy)")

DEFAULT_USERS = {"root@pam": "secret", "alice@pve": "alice's password", "auditor@pve": "only looks"}
DEFAULT_TOKENS = {
    "root@pam!proxxy": "6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11",
    "auditor@pve!proxxy": "0e9f3a77-52d6-4f0b-8a53-1c9be9d2a6f2",
}


class Guest(NamedTuple):
    connect: Connect
    set_password: Callable[[str], None] | None


class Upgrade(NamedTuple):
    grant: Grant | None  # None when nobody listens on the port


class StandIn:
    """Runs in its own thread for as long as the with block lasts."""

    def __init__(
        self,
        cert: Cert,
        *,
        node: str = "pve01",
        users: Mapping[str, str] = DEFAULT_USERS,
        tokens: Mapping[str, str] = DEFAULT_TOKENS,
        without_console: frozenset[str] = frozenset({"auditor@pve"}),
        addresses: tuple[str, ...] = ("127.0.0.1",),
        port: int = 0,
    ) -> None:
        self.node = node
        self.access = Access(users, tokens, without_console)
        # Proxmox: generate-password is deprecated since 9.2, which always sends a password. False plays a release that
        # no longer knows the parameter.
        self.knows_generate_password = True
        self.port = port
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.closes: list[tuple[int | None, str]] = []
        self._cert = cert
        self._addresses = addresses
        self._guests: dict[tuple[str, int], Guest] = {}
        self._grants: dict[int, Grant] = {}
        self._next_port = PORTS.start
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2  # Proxmox: TLS 1.2 and 1.3, no ALPN
        self._tls.load_cert_chain(cert.cert, cert.key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in")

    def __enter__(self) -> StandIn:
        self._thread.start()
        try:
            self._call(self._listen())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._end()

    def add(
        self,
        type: str,
        vmid: int,
        connect: Connect,
        set_password: Callable[[str], None] | None = None,
    ) -> None:
        """Register a guest. set_password is called with the VNC password of each requested console."""
        self._guests[type, vmid] = Guest(connect, set_password)

    def vncproxy(self, type: str, vmid: int, node: str = "", user: str = "root@pam") -> dict[str, Any]:
        """Returns the answer of POST …/vncproxy to that identity (a user or a token's name)."""

        async def grant() -> dict[str, Any]:
            return self._grant(node or self.node, type, str(vmid), "vncproxy", user)

        return self._call(grant())

    def console(
        self, type: str, vmid: int, *, user: str = "root@pam", cookie: bool = False, host: str = "127.0.0.1"
    ) -> dict[str, Any]:
        """Requests a console with an API token or a PVEAuthCookie; returns the details to seal into a payload."""
        ticket = self.access.cookie(user) if cookie else self.access.token(user)
        identity = user if cookie else ticket.split("=")[1]
        answer = self.vncproxy(type, vmid, user=identity)
        return {
            "vmid": vmid,
            "type": type,
            "host": f"{host}:{self.port}",
            "node": self.node,
            "ticket": ticket,
            "vncticket": answer["ticket"],
            "port": answer["port"],
        }

    # The rest runs in the thread.

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._tasks: set[asyncio.Task] = set()
        self._listeners = []
        for address in self._addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = socket.create_server((address, self.port), family=family, backlog=1024)
            listener.setblocking(False)
            self.port = listener.getsockname()[1]
            self._listeners.append(listener)
            self._start(self._accept(listener))

    async def _close(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()

    def _start(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = await self._loop.sock_accept(listener)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        try:
            tls = await pve_http.speaks_tls(self._loop, connection)
            client = await pve_http.streams(self._loop, connection, self._tls if tls else None)
        except (OSError, asyncio.TimeoutError):  # the handshake failed, or the client left; SSLError is an OSError
            connection.close()
            return
        try:
            if not tls:
                # Proxmox redirects plain HTTP on the TLS port.
                location = f"https://127.0.0.1:{self.port}/"
                await pve_http.answer(client, 301, "Moved Permanently", b"", {"Location": location})
                return
            await self._request(client)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass
        finally:
            abort(client)

    async def _request(self, client: Stream) -> None:
        request, body = await asyncio.wait_for(pve_http.read_request(client.reader), pve_http.REQUEST_SECONDS)
        self.requests.append(request)
        started = time.monotonic()
        try:
            result = self._route(request, body)
        except Refused as refused:
            if refused.code == 401:
                await asyncio.sleep(REFUSAL_SECONDS - (time.monotonic() - started))
            await pve_http.answer(client, refused.code, refused.reason, refused.body)
            return
        if isinstance(result, Upgrade):
            await self._open(client, request, result.grant)
        else:
            await pve_http.answer(client, 200, "OK", json.dumps({"data": result}).encode())

    def _route(self, request: Request, body: bytes) -> Any:
        """Returns the data to answer, or the Upgrade to a console."""
        path, _, query = request.path.partition("?")
        parameters = pve_http.decode_urlencoded(body.decode()) | pve_http.decode_urlencoded(query)
        if request.method not in METHODS:
            raise Refused(501, f"method '{request.method}' not available")
        if (request.method, path) == ("POST", "/api2/json/access/ticket"):
            return self.access.login(parameters.get("username", ""), parameters.get("password", ""))
        identity, with_ticket = self.access.identify(request.headers)
        if request.method != "GET" and with_ticket:
            self.access.check_csrf(identity, request.headers)
        match = API.fullmatch(path)
        if not match or (request.method, match[4] == "vncwebsocket") not in {("GET", True), ("POST", False)}:
            raise Refused(501, f"Method '{request.method} {path}' not implemented")
        node, type, vmid, action = match.groups()
        if action != "vncwebsocket":
            dropped = set() if self.knows_generate_password else {"generate-password"}
            if unknown := parameters.keys() - (PARAMETERS[type, action] - dropped):
                raise _bad_parameter(dict.fromkeys(sorted(unknown), NOT_IN_SCHEMA))
            return self._grant(node, type, vmid, action, identity)
        return self._upgrade(request, node, type, vmid, identity, parameters)

    def _grant(self, node: str, type: str, vmid: str, action: str, identity: str) -> dict[str, Any]:
        """Answers POST …/vncproxy and …/termproxy. Proxmox: the field is `ticket`; there is no `vncticket`."""
        guest, path = self._guest(node, type, vmid, identity)
        port = self._next_port
        self._next_port = port + 1 if port + 1 in PORTS else PORTS.start
        ticket = self.access.vnc_ticket(identity, path, port)
        # Proxmox: the VNC password is the ticket's first 8 characters (RFB knows no more).
        password = ticket[:8]
        if guest.set_password:
            guest.set_password(password)
        deadline = time.monotonic() + GRANT_SECONDS
        self._grants[port] = Grant(path, port, identity, ticket, deadline, guest.connect)
        upid = f"UPID:{node}:{port:08X}:00000000:{int(time.time()):08X}:{action}:{vmid}:{identity}:"
        answer: dict[str, Any] = {"ticket": ticket, "port": str(port), "upid": upid, "user": identity}
        if action == "vncproxy":
            answer["cert"] = self._cert.ca.read_text()
        if (type, action) == ("qemu", "vncproxy"):
            answer["password"] = password
        return answer

    def _upgrade(
        self, request: Request, node: str, type: str, vmid: str, identity: str, parameters: dict[str, str]
    ) -> Any:
        """Answers GET …/vncwebsocket. Proxmox runs the API call, including the ticket's check, before it
        reads the upgrade headers; it ignores Connection, Host and Origin."""
        port, ticket = parameters.pop("port", ""), parameters.pop("vncticket", "")
        bad_port = not port.isdecimal() or int(port) not in PORTS
        if parameters or bad_port or not 0 < len(ticket) <= VNC_TICKET_MAX:
            raise _bad_parameter()
        _, path = self._guest(node, type, vmid, identity)
        self.access.check_vnc_ticket(ticket, identity, path, int(port))
        upgrade = request.headers.get("upgrade", "").lower()
        if not upgrade:
            return {"port": port}
        if upgrade != "websocket":
            raise Refused(500, f"unable to upgrade to protocol '{upgrade}'")
        if (version := request.headers.get("sec-websocket-version", "")) != "13":
            raise Refused(500, f"unsupported websocket-version '{version}'")
        if not request.headers.get("sec-websocket-key"):
            raise Refused(500, "missing websocket-key")
        # The first connection uses the port up; a second one gets no console, even with the same ticket.
        grant = self._grants.get(int(port))
        if grant is None or grant.ticket != ticket:
            return Upgrade(None)
        del self._grants[int(port)]
        return Upgrade(grant if time.monotonic() < grant.deadline else None)

    def _guest(self, node: str, type: str, vmid: str, identity: str) -> tuple[Guest, str]:
        if not re.fullmatch(r"[1-9][0-9]{2,8}", vmid):
            raise _bad_parameter()
        path = f"/vms/{vmid}"
        self.access.check_console(identity, path)
        guest = self._guests.get((type, int(vmid)))
        if node != self.node or guest is None:
            folder = "qemu-server" if type == "qemu" else "lxc"
            raise Refused(500, f"Configuration file 'nodes/{node}/{folder}/{vmid}.conf' does not exist")
        return guest, path

    async def _open(self, client: Stream, request: Request, grant: Grant | None) -> None:
        try:
            guest = await grant.connect(grant) if grant else None
        except OSError:
            guest = None
        if guest is None:
            # Proxmox: a request for a port that is dead, expired or already used gets no answer, ever.
            await discard(client.reader)
            return
        key = request.headers["sec-websocket-key"] + WEBSOCKET_GUID
        headers = {
            "Upgrade": "websocket",
            "Connection": "upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(hashlib.sha1(key.encode()).digest()).decode(),
        }
        # Proxmox returns the requested protocols verbatim; it ignores extensions.
        if protocol := request.headers.get("sec-websocket-protocol"):
            headers["Sec-WebSocket-Protocol"] = protocol
        client.writer.write(pve_http.head(101, "Switching Protocols", headers))
        await relay(client, guest, Record(self.violations, self.closes))


def _bad_parameter(errors: Mapping[str, str] | None = None) -> Refused:
    body: dict[str, object] = {"data": None, **({"errors": errors} if errors else {})}
    return Refused(400, "Parameter verification failed.", json.dumps(body).encode())
