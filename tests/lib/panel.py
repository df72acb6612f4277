# SPDX-License-Identifier: Apache-2.0
"""A minimal hosting panel: it does what a backend must do so that a browser gets a console.

`/SECRET/` makes a link to a desktop and redirects the browser to it; `/SECRET/terminal` does the same for a container's
terminal. A real panel has logins; this one has a secret in the URL, because other users of the machine can reach its
port. `/console/` serves the pages that the project ships, unchanged. `/console/ws` is forwarded to proxxy.
"""

from __future__ import annotations

import contextlib
import hmac
import io
import re
import secrets
import socket
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote, urlencode

from .payload import seal_jwe
from .splice import splice

PAGES = Path(__file__).resolve().parents[2] / "console/dist/site"  # made by "make console"
PREFIX = "/console/"
WEBSOCKET = "/console/ws"  # where the pages look for proxxy, unless their meta tag is changed
SECRET_BYTES = 16
# Names that an attacker's DNS server cannot resolve to this machine (DNS rebinding). Any port: ssh -L may use another.
LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
WRONG_HOST = "Open this page by the address 127.0.0.1 or localhost: it answers to no other name.\n"
WRONG_ORIGIN = "Another site's page may not open consoles here.\n"
CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 10.0  # for a client to send its request and to receive the answer
CONNECTIONS_MAX = 64  # at once; a page needs about six while it loads, and one for its console


class Links(NamedTuple):
    """A panel's configuration, and the links that it makes: who may open which guest's console until when. It does not
    talk to Proxmox, and has no token."""

    cluster: str  # name of proxxy's cluster file
    signature_key: str  # shared with proxxy
    seconds: int = 300  # how long a link is valid

    def make(self, name: str, title: str, **claims: Any) -> str:
        """Returns the path of a console page. The payload is in the fragment: browsers do not send it, so it appears in
        no server's log."""
        now = int(time.time())
        claims |= {"cluster": self.cluster, "sub": "demo", "iat": now, "exp": now + self.seconds}
        return page(name, payload=seal_jwe(claims, self.signature_key), title=title)

    def desktop(self, vmid: int) -> str:
        return self.make("novnc", f"VM {vmid}", vmid=vmid, type="qemu")

    def terminal(self, vmid: int) -> str:
        return self.make("xterm", f"Container {vmid}", vmid=vmid, type="lxc", protocol="term")


def page(name: str, **parameters: str) -> str:
    return f"/console/{name}.html#" + urlencode(parameters, quote_via=quote, safe="")


class Panel:
    """Serves on loopback for as long as the with block lasts; a person opens `url`."""

    def __init__(self, links: Links, proxxy_at: int, desktop: int, terminal: int, port: int = 0) -> None:
        """proxxy_at is proxxy's port, desktop a VM's vmid, terminal a container's."""
        secret = secrets.token_urlsafe(SECRET_BYTES)

        class Handler(_Handler):
            proxxy_port = proxxy_at
            makers = {
                f"/{secret}/": lambda: links.desktop(desktop),
                f"/{secret}/terminal": lambda: links.terminal(terminal),
            }

        self._server = _Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="panel")
        self.port = self._server.server_port
        self.path = f"/{secret}/"
        self.url = f"http://127.0.0.1:{self.port}{self.path}"

    def __enter__(self) -> Panel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Ends its connections, and waits for their threads, when it is closed."""

    daemon_threads = False
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, *arguments: Any) -> None:
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            full = len(self._connections) >= CONNECTIONS_MAX
            if not full:
                self._connections.add(request)
        if full:
            super().shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
            super().shutdown_request(request)

    def server_close(self) -> None:
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, *_: object) -> None:
        """Does nothing: a client that disconnects is not worth a message to the person who runs the demo."""


class _Handler(SimpleHTTPRequestHandler):
    timeout = REQUEST_SECONDS
    server_version = "panel"
    sys_version = ""
    proxxy_port: int
    makers: dict[str, Any]

    def do_GET(self) -> None:
        if not self._host_is_ours():
            return
        path = self.path.partition("?")[0]
        if path == WEBSOCKET:
            self._pass_on()
        elif make := self._maker(path):
            self._redirect(make)
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._host_is_ours():
            super().do_HEAD()

    def _host_is_ours(self) -> bool:
        hosts: list[str] = self.headers.get_all("Host", [])
        if len(hosts) == 1 and LOOPBACK.fullmatch(hosts[0].strip()):
            return True
        self._say(421, WRONG_HOST)
        return False

    def _maker(self, path: str) -> Any:
        """Finds the function for a path. The time does not depend on how much of the secret is correct."""
        found = None
        for at, make in self.makers.items():
            if hmac.compare_digest(at.encode(), path.encode()):
                found = make
        return found

    def translate_path(self, path: str) -> str:
        if not path.startswith(PREFIX):
            return "/nonexistent"
        self.directory = str(PAGES)
        return super().translate_path("/" + path.removeprefix(PREFIX))

    def list_directory(self, _: object) -> None:
        self.send_error(404)

    def _redirect(self, make: Any) -> None:
        self.send_response(302)
        self.send_header("Location", make())
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _pass_on(self) -> None:
        """Forwards the request and then the connection's bytes to proxxy, which decides whether to upgrade."""
        origins: list[str] = self.headers.get_all("Origin", [])
        if origins not in ([], [f"http://{self.headers['Host'].strip()}"]):
            self._say(403, WRONG_ORIGIN)
            return
        lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
        try:
            proxxy = socket.create_connection(("127.0.0.1", self.proxxy_port), CONNECT_SECONDS)
        except OSError as error:
            self._say(502, f"proxxy: {error}\n")
            return
        with proxxy:
            self.connection.setblocking(False)
            early = cast(io.BufferedReader, self.rfile).peek()  # bytes that arrived after the request
            splice(self.connection, proxxy, "\r\n".join(lines).encode("latin-1") + early)
        self.close_connection = True

    def _say(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Referrer-Policy", "no-referrer")  # the URL contains the secret
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Logs nothing: the person who runs the demo wants to see proxxy's log."""
