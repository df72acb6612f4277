# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Proxmox VE's pveproxy, as strict as the real one: its API for consoles, its TLS
port and its answers, in front of the consoles that a test or the demo registers.

What is marked "Proxmox:" was read from its sources (pve-http-server's AnyEvent.pm, qemu-server,
pve-container) or seen on a running pveproxy. pve_api.py has the API, pve_cluster.py the guests and nodes,
pve_access.py the access control, pve_http.py requests and answers, pve_frames.py the WebSocket's frames. consoles.py,
termproxy.py and vnc_console.py have consoles for guests.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import ssl
import threading
import time
from typing import Any, Callable, Mapping

from . import pve_http
from .certs import Cert
from .consoles import Connect, Grant
from .pve_access import Access
from .pve_api import Api, More, Upgrade
from .pve_cluster import RUNNING, Cluster, Guest
from .pve_frames import Record, Stream, abort, discard, relay
from .pve_http import JSON, Answer, Refused, Request

REFUSAL_SECONDS = 3.0  # Proxmox: a 401 comes after 3.0 s
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

DEFAULT_USERS = {"root@pam": "secret", "alice@pve": "alice's password", "auditor@pve": "only looks"}
DEFAULT_TOKENS = {
    "root@pam!proxxy": "6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11",
    "auditor@pve!proxxy": "0e9f3a77-52d6-4f0b-8a53-1c9be9d2a6f2",
}


class StandIn:
    """Runs in its own thread for as long as the with block lasts."""

    def __init__(
        self,
        cert: Cert,
        *,
        node: str = "pve01",
        joins: StandIn | None = None,
        users: Mapping[str, str] = DEFAULT_USERS,
        tokens: Mapping[str, str] = DEFAULT_TOKENS,
        without_console: frozenset[str] = frozenset({"auditor@pve"}),
        addresses: tuple[str, ...] = ("127.0.0.1",),
        port: int = 0,
    ) -> None:
        """joins: another stand-in, of whose cluster this one is a machine too; users and tokens are then its."""
        self.cluster: Cluster = joins.cluster if joins else Cluster(Access(users, tokens, without_console))
        self.cluster.nodes.add(node)
        self.access = self.cluster.access
        self._api = Api(node, self.cluster, cert)
        self.port = port
        # Proxmox: near the server's limit of connections each answer ends its connection.
        self.near_connection_limit = False
        self.keep_alive_requests = pve_http.KEEP_ALIVE_REQUESTS  # how many requests another connection takes
        self.denies = False  # Proxmox: DENY_FROM in /etc/default/pveproxy ends a connection before TLS begins
        self.chunk = 0  # if not 0, answers come in chunks of so many bytes, as from a proxy in between
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.closes: list[tuple[int | None, str]] = []
        self._addresses = addresses
        self._connections = 0
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2  # Proxmox: TLS 1.2 and 1.3, no ALPN
        self._tls.load_cert_chain(cert.cert, cert.key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in")

    @property
    def node(self) -> str:
        return self._api.node

    @property
    def release(self) -> str:
        """The release that GET …/version names ("9.2"), which decides about passwords of VNC consoles."""
        return self._api.release

    @release.setter
    def release(self, release: str) -> None:
        self._api.release = release

    @property
    def knows_generate_password(self) -> bool:
        """Proxmox: generate-password is deprecated since 9.2, which always sends a password. False plays a release
        that no longer knows the parameter."""
        return self._api.knows_generate_password

    @knows_generate_password.setter
    def knows_generate_password(self, known: bool) -> None:
        self._api.knows_generate_password = known

    @property
    def daemon_error(self) -> tuple[int, str] | None:
        """How pveproxy answers a request for a console when it does not reach pvedaemon, which prepares the console.
        Proxmox: (595, "Connection refused") if that does not run, (596, "Connection timed out") if it hangs."""
        return self._api.daemon_error

    @daemon_error.setter
    def daemon_error(self, error: tuple[int, str] | None) -> None:
        self._api.daemon_error = error

    def attach(self, more: More) -> None:
        """Answers other methods of the API too, such as Admin.handle() of pve_admin.py."""
        self._api.more = more

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
        *,
        terminal: Connect | None = None,
        node: str = "",
        status: str = RUNNING,
    ) -> Guest:
        """Register a guest, on this node unless another of the cluster is named. set_password is called with the VNC
        password of each requested console; terminal is its console for termproxy, else that is connect too."""
        guest = Guest(type, vmid, node or self.node, connect, terminal or connect, set_password, status)
        self.cluster.nodes.add(guest.node)
        self.cluster.guests[type, vmid] = guest
        return guest

    def guest(self, type: str, vmid: int) -> Guest:
        """Returns a guest, whose status, lock and node may be changed."""
        return self.cluster.guests[type, vmid]

    def move(self, type: str, vmid: int, node: str) -> None:
        """The guest was migrated to that node."""
        self.cluster.nodes.add(node)
        self.cluster.guests[type, vmid].node = node

    def vncproxy(self, type: str, vmid: int, node: str = "", user: str = "root@pam") -> dict[str, Any]:
        """Returns the answer of POST …/vncproxy to that identity (a user or a token's name)."""
        form = {"websocket": "1"} | ({"generate-password": "1"} if type == "qemu" else {})
        return self.request(type, vmid, "vncproxy", form, node=node, user=user)

    def termproxy(self, type: str, vmid: int, node: str = "", user: str = "root@pam") -> dict[str, Any]:
        """Returns the answer of POST …/termproxy to that identity."""
        return self.request(type, vmid, "termproxy", {}, node=node, user=user)

    def request(
        self,
        type: str,
        vmid: int,
        action: str,
        form: Mapping[str, str],
        *,
        node: str = "",
        user: str = "root@pam!proxxy",
    ) -> dict[str, Any]:
        """Returns the answer to a POST with that form, without a check of its parameters."""

        async def grant() -> dict[str, Any]:
            return self._api.grant(node or self.node, type, vmid, action, user, form)

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
            if self.denies:
                connection.close()
                continue
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
                await pve_http.send(
                    client, Answer(301, "Moved Permanently", headers={"Location": location}), keep=False
                )
                return
            self._connections += 1
            await self._requests(client, self._connections)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass
        finally:
            abort(client)

    async def _requests(self, client: Stream, connection: int) -> None:
        """Serves one connection. Proxmox keeps it open for more requests unless the client asks to close it."""
        left = 1 if self.near_connection_limit else self.keep_alive_requests
        keep = True
        while keep:
            left -= 1
            started = time.monotonic()
            passed_on = gzip = False
            version = ""
            try:
                request = await asyncio.wait_for(
                    pve_http.read_request(client.reader, connection), pve_http.REQUEST_SECONDS
                )
                started = time.monotonic()
                version = request.version
                self.requests.append(request)
                gzip = "gzip" in request.headers.get("accept-encoding", "")
                keep = left > 0 and not pve_http.asks_to_close(request)
                result = self._api.handle(request)
                if isinstance(result, Upgrade):
                    await self._open(client, request, result.grant)
                    return
                answer = Answer(200, "OK", json.dumps({"data": result.data}).encode(), JSON)
                passed_on = result.passed_on
            except Refused as refused:
                answer = refused.answer
                version = version or refused.version
                keep = False
                if answer.code == 401:
                    await asyncio.sleep(REFUSAL_SECONDS - (time.monotonic() - started))
            await pve_http.send(
                client, answer, keep=keep, version=version, passed_on=passed_on, chunk=self.chunk, gzip=gzip
            )

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
        client.writer.write(pve_http.head(request.version, 101, "Switching Protocols", list(headers.items())))
        await relay(client, guest, Record(self.violations, self.closes))
