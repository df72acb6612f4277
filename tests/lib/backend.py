# SPDX-License-Identifier: Apache-2.0
"""A backend of the old way: it asks Proxmox for a console, seals the answer into a payload, and makes a link with what
the page needs to log in to the console."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import urlencode

from .panel import page
from .payload import seal_jwe

API_SECONDS = 10.0


class Backend(NamedTuple):
    """A panel's configuration, and the links that it makes."""

    proxmox: str  # host:port, the node itself
    ca_file: str  # CA of the node's certificate
    node: str
    token: str  # PVEAPIToken=user@realm!name=secret
    signature_key: str  # shared with proxxy
    proxxy_port: int

    def new_console(self, type: str, vmid: int, action: str = "vncproxy", **claims: Any) -> tuple[str, dict[str, str]]:
        """Requests a console; returns the payload for proxxy, and Proxmox's answer for the page."""
        api = HTTPSConnection(
            self.proxmox, context=ssl.create_default_context(cafile=self.ca_file), timeout=API_SECONDS
        )
        try:
            path = f"/api2/json/nodes/{self.node}/{type}/{vmid}/{action}"
            form = {} if action == "termproxy" else {"websocket": "1"}
            if (action, type) == ("vncproxy", "qemu"):
                form["generate-password"] = "1"
            fields = {"Authorization": self.token, "Content-Type": "application/x-www-form-urlencoded"}
            api.request("POST", path, urlencode(form), fields)
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
        """Returns the console page's path. The parameters are in the fragment: browsers do not send it, so it appears
        in no server's log."""
        payload, answer = self.new_console(type, vmid, **claims)
        return page("novnc", payload=payload, password=answer.get("password", answer["ticket"]), title=f"VM {vmid}")

    def terminal(self, type: str, vmid: int, **claims: Any) -> str:
        payload, answer = self.new_console(type, vmid, "termproxy", **claims)
        return page("xterm", payload=payload, user=answer["user"], ticket=answer["ticket"], title=f"Container {vmid}")
