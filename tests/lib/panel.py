# SPDX-License-Identifier: Apache-2.0
"""A hosting panel in miniature: what a backend does so that a browser gets a console.

`/` asks Proxmox for a console, seals what proxxy needs to know, and sends the browser to noVNC;
`/novnc/` is Debian's noVNC. Each visit of `/` is a fresh console.
"""

from __future__ import annotations

import json
import ssl
import threading
from http.client import HTTPSConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from .payload import seal, target

NOVNC = "/usr/share/novnc"
API_SECONDS = 10.0


class Backend(NamedTuple):
    """What a panel knows."""

    proxmox: str  # host:port, the node itself
    ca_file: str  # what its certificate chains to
    node: str
    token: str  # PVEAPIToken=user@realm!name=secret
    signature_key: str  # shared with proxxy
    proxxy_port: int

    def new_console(self, type: str, vmid: int) -> tuple[str, str]:
        """The payload for proxxy, and the VNC password for noVNC."""
        api = HTTPSConnection(
            self.proxmox, context=ssl.create_default_context(cafile=self.ca_file), timeout=API_SECONDS
        )
        try:
            path = f"/api2/json/nodes/{self.node}/{type}/{vmid}/vncproxy"
            api.request("POST", path, headers={"Authorization": self.token, "Content-Length": "0"})
            response = api.getresponse()
            if response.status != 200:
                raise RuntimeError(f"Proxmox: {response.status} {response.reason}")
            answer = json.load(response)["data"]
        finally:
            api.close()
        console = {
            "vmid": vmid,
            "type": type,
            "host": self.proxmox,
            "node": self.node,
            "ticket": self.token,
            "vncticket": answer["ticket"],
            "port": answer["port"],
        }
        return seal(console, self.signature_key), answer["password"]

    def page(self, type: str, vmid: int) -> str:
        """The address of noVNC's page. What it needs is in the fragment, which browsers keep to
        themselves: no server's log ever shows the password."""
        payload, password = self.new_console(type, vmid)
        settings = {
            "autoconnect": "1",
            "resize": "scale",
            "encrypt": "0",
            "host": "127.0.0.1",
            "port": str(self.proxxy_port),
            "path": target(payload, path=""),
            "password": password,
        }
        return "/novnc/vnc.html#" + urlencode(settings, quote_via=quote, safe="")


class Panel:
    """Serves on loopback for as long as the with block; `url` is what a person opens."""

    def __init__(self, backend: Backend, type: str, vmid: int, port: int = 0) -> None:
        class Handler(_Handler):
            def new_page(self) -> str:
                return backend.page(type, vmid)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="panel")
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Panel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, directory=NOVNC)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            self._redirect()
        elif path.startswith("/novnc/"):
            self.path = self.path.removeprefix("/novnc")
            super().do_GET()
        else:
            self.send_error(404)

    def _redirect(self) -> None:
        try:
            page = self.new_page()
        except (OSError, RuntimeError) as error:
            self.send_error(502, explain=str(error))
            return
        self.send_response(302)
        self.send_header("Location", page)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def new_page(self) -> str:
        raise NotImplementedError

    def log_message(self, *_: object) -> None:
        """Quiet: the person who runs the demo wants to see proxxy's log."""
