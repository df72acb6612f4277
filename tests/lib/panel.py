# SPDX-License-Identifier: Apache-2.0
"""A hosting panel in miniature: what a backend does so that a browser gets a console.

`/` asks Proxmox for a desktop, seals what proxxy needs to know, and sends the browser to the console page; `/terminal`
does the same for a container's terminal. `/console/` are the pages that the project ships, with noVNC from Debian's
package and xterm.js from npm's. Each visit is a fresh console.
"""

from __future__ import annotations

import json
import ssl
import threading
from http.client import HTTPSConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from .payload import seal_jwe

PAGES = Path(__file__).resolve().parents[2] / "console"
FOLDERS = {
    "/console/novnc/core/": "/usr/share/novnc/core/",
    "/console/novnc/vendor/": "/usr/share/novnc/vendor/",
    "/console/": f"{PAGES}/",
}
META = '<meta name="proxxy-websocket" content="{}">'
API_SECONDS = 10.0


class Backend(NamedTuple):
    """What a panel knows."""

    proxmox: str  # host:port, the node itself
    ca_file: str  # what its certificate chains to
    node: str
    token: str  # PVEAPIToken=user@realm!name=secret
    signature_key: str  # shared with proxxy
    proxxy_port: int

    def new_console(self, type: str, vmid: int, action: str = "vncproxy", **claims: Any) -> tuple[str, dict[str, str]]:
        """The payload for proxxy, and Proxmox's answer for the page."""
        api = HTTPSConnection(
            self.proxmox, context=ssl.create_default_context(cafile=self.ca_file), timeout=API_SECONDS
        )
        try:
            path = f"/api2/json/nodes/{self.node}/{type}/{vmid}/{action}"
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
        return seal_jwe(console, self.signature_key, **claims), answer

    def desktop(self, type: str, vmid: int, **claims: Any) -> str:
        """The console page's path. What it needs is in the fragment, which browsers keep to themselves: no server's log
        ever shows it."""
        payload, answer = self.new_console(type, vmid, **claims)
        return page("novnc", payload=payload, password=answer.get("password", answer["ticket"]), title=f"VM {vmid}")

    def terminal(self, type: str, vmid: int, **claims: Any) -> str:
        payload, answer = self.new_console(type, vmid, "termproxy", **claims)
        return page("xterm", payload=payload, user=answer["user"], ticket=answer["ticket"], title=f"Container {vmid}")


def page(name: str, **parameters: str) -> str:
    return f"/console/{name}.html#" + urlencode(parameters, quote_via=quote, safe="")


class Panel:
    """Serves on loopback for as long as the with block; `url` is what a person opens."""

    def __init__(self, backend: Backend, desktop: int, terminal: int, port: int = 0) -> None:
        """desktop is a VM's vmid, terminal a container's."""

        class Handler(_Handler):
            websocket = f"ws://127.0.0.1:{backend.proxxy_port}/"
            makers = {"/": lambda: backend.desktop("qemu", desktop), "/terminal": lambda: backend.terminal("lxc", terminal)}

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
    websocket: str
    makers: dict[str, Any]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in self.makers:
            self._redirect(self.makers[path])
        elif path.startswith("/console/") and path.endswith(".html"):
            self._page(PAGES / Path(path).name)
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        for prefix, folder in FOLDERS.items():
            if path.startswith(prefix):
                self.directory = folder
                return super().translate_path("/" + path.removeprefix(prefix))
        return "/nonexistent"

    def _redirect(self, make: Any) -> None:
        try:
            page = make()
        except (OSError, RuntimeError) as error:
            self.send_error(502, explain=str(error))
            return
        self.send_response(302)
        self.send_header("Location", page)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _page(self, file: Path) -> None:
        """As it is shipped, but with proxxy where it is: this server passes no WebSockets on."""
        try:
            text = file.read_text()
        except OSError:
            self.send_error(404)
            return
        assert META.format("ws") in text
        body = text.replace(META.format("ws"), META.format(self.websocket)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet: the person who runs the demo wants to see proxxy's log."""
