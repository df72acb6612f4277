# SPDX-License-Identifier: Apache-2.0
"""The reverse proxies for which the project ships a configuration. They serve the console pages and forward to proxxy,
on loopback and without TLS."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path

from .activator import TREE
from .fronts import Front, nginx

PAGES = "/usr/local/share/proxxy/console"
SITE = f"{TREE}/console/dist/site"  # made by "make console"
PANEL = "<!DOCTYPE html><title>Panel</title><link rel='icon' href='data:,'><body></body>"


class Nginx(Front):
    """Runs for as long as the with block lasts. logs() returns all that it logged."""

    def __init__(self, proxxy_port: int) -> None:
        super().__init__(proxxy_port)
        self.url = f"http://127.0.0.1:{self.port}"

    def _listens(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/console/favicon.svg", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def shipped(self, name: str) -> str:
        """Returns a shipped configuration with changed paths and addresses."""
        text = (TREE / "deploy" / name).read_text()
        for there, here in ((PAGES, SITE), ("127.0.0.1:8443", f"127.0.0.1:{self.proxxy_port}")):
            assert there in text
            text = text.replace(there, here)
        return text

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.directory)}

    def command(self) -> list[str | Path]:
        snippet = self.directory / "console.conf"
        shipped = self.shipped("nginx.conf")
        snippet.write_text(shipped.replace("/var/log/nginx/error.log", f"{self.directory}/error.log"))
        panel = f'location = /panel {{ default_type text/html; return 200 "{PANEL}"; }}'
        return nginx(self.directory, self.port, f"include {snippet}; {panel}", "include /etc/nginx/mime.types;")


class Caddy(Nginx):
    def command(self) -> list[str | Path]:
        panel = f'\thandle /panel {{\n\t\theader Content-Type text/html\n\t\trespond "{PANEL}"\n\t}}'
        site = f"http://127.0.0.1:{self.port} {{\n\tlog\n{panel}"
        text = self.shipped("Caddyfile").replace("panel.example.com {", site)
        assert "\n{\n" in text
        (self.directory / "Caddyfile").write_text(text.replace("\n{\n", "\n{\n\tadmin off\n", 1))
        return ["/usr/bin/caddy", "run", "--config", self.directory / "Caddyfile", "--adapter", "caddyfile"]
