# SPDX-License-Identifier: Apache-2.0
"""The reverse proxies for which the project ships a configuration. They serve the console pages and forward to proxxy,
on loopback, without TLS unless a certificate is given."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Mapping, Self, Sequence

from . import fronts
from .activator import TREE
from .certs import Cert
from .fronts import Front
from .process import free_port

PAGES = "/usr/local/share/proxxy/console"
SITE = f"{TREE}/console/dist/site"  # made by "make console"
PANEL = "<!DOCTYPE html><title>Panel</title><link rel='icon' href='data:,'><body></body>"


class Nginx(Front):
    """Runs for as long as the with block lasts. logs() returns all that it logged. socket is the path of the UNIX
    socket of unix-socket.conf; if it is not there, proxxy's port is used. With cert, the port has TLS."""

    client_address = "x-real-ip"  # what proxxy's PROXXY_CLIENT_ADDRESS must be
    socket_path = "/run/proxxy/proxxy.sock"

    def __init__(self, proxxy_port: int, socket: Path | None = None, cert: Cert | None = None) -> None:
        super().__init__(proxxy_port)
        self.socket = socket
        self.cert = cert
        self.url = f"{'https' if cert else 'http'}://127.0.0.1:{self.port}"

    def _listens(self) -> bool:
        if self.cert:
            return super()._listens()
        try:
            with urllib.request.urlopen(f"{self.url}/console/favicon.svg", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def shipped(self, name: str) -> str:
        """Returns a shipped configuration with changed paths and addresses."""
        places = {
            PAGES: SITE,
            "127.0.0.1:8443": f"127.0.0.1:{self.proxxy_port}",
            self.socket_path: str(self.socket or self.directory / "none.sock"),
        }
        return self._adapted((TREE / "deploy" / name).read_text(), places)

    @staticmethod
    def _adapted(text: str, replaced: Mapping[str, str]) -> str:
        for there, here in replaced.items():
            assert there in text, there
            text = text.replace(there, here)
        return text

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.directory)}

    def command(self) -> list[str | Path]:
        snippet = self.directory / "console.conf"
        shipped = self.shipped("nginx.conf")
        snippet.write_text(shipped.replace("/var/log/nginx/error.log", f"{self.directory}/error.log"))
        panel = f'location = /panel {{ default_type text/html; return 200 "{PANEL}"; }}'
        tls = f"ssl_certificate {self.cert.cert}; ssl_certificate_key {self.cert.key};" if self.cert else ""
        server = f"{tls} include {snippet}; {panel}"
        http = "include /etc/nginx/mime.types;"
        return fronts.nginx(self.directory, self.port, server, http, tls=self.cert is not None)


class Caddy(Nginx):
    client_address = "x-forwarded-for"

    def command(self) -> list[str | Path]:
        panel = f'\thandle /panel {{\n\t\theader Content-Type text/html\n\t\trespond "{PANEL}"\n\t}}'
        tls = f"\ttls {self.cert.cert} {self.cert.key}\n" if self.cert else ""
        site = f"{self.url} {{\n\tlog\n{tls}{panel}"
        text = self.shipped("Caddyfile").replace("panel.example.com {", site)
        assert "\n{\n" in text
        options = "\tadmin off\n\tauto_https disable_redirects\n"
        (self.directory / "Caddyfile").write_text(text.replace("\n{\n", f"\n{{\n{options}", 1))
        return ["/usr/bin/caddy", "run", "--config", self.directory / "Caddyfile", "--adapter", "caddyfile"]


class Apache(Nginx):
    client_address = "x-forwarded-for"
    MODULES = "mpm_event authz_core alias mime dir ssl headers rewrite reqtimeout proxy proxy_http".split()

    def command(self) -> list[str | Path]:
        text = self.shipped("apache.conf")
        text = text.replace("<VirtualHost *:443>", f"<VirtualHost 127.0.0.1:{self.port}>\n{self._panel()}")
        if self.cert:
            text = text.replace("/etc/ssl/certs/panel.pem", str(self.cert.cert))
            text = text.replace("/etc/ssl/private/panel.key", str(self.cert.key))
        else:
            text, count = re.subn(r"\tSSL.*\n", "", text)
            assert count == 3
        modules = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in self.MODULES)
        own = f"""{modules}
ServerName localhost
Define APACHE_LOG_DIR {self.directory}
Listen 127.0.0.1:{self.port}
PidFile {self.directory}/pid
ErrorLog {self.directory}/error.log
DefaultRuntimeDir {self.directory}
TypesConfig /etc/mime.types
RequestReadTimeout header=20-40,minrate=500 body=10,minrate=500
"""
        return ["/usr/sbin/apache2", "-X", "-d", self.directory, "-f", self._write(own + text)]

    def _panel(self) -> str:
        (self.directory / "panel").write_text(PANEL)
        granted = "AuthMerging Off\nRequire all granted"
        return f"Alias /panel {self.directory}/panel\n<Location /panel>\n{granted}\nForceType text/html\n</Location>"


class HAProxy(Nginx):
    """With the nginx that serves the pages, and answers for the panel. With cert, plain_port has the redirection to
    https. hosts are the ports of several hosts, in place of proxxy on this host; with by_hash, a link's payload selects
    the host. replaced has more changes: text of the configuration -> text."""

    client_address = "proxy-protocol"
    socket_path = "/proxxy.sock"  # below HAProxy's chroot

    def __init__(
        self,
        proxxy_port: int,
        socket: Path | None = None,
        cert: Cert | None = None,
        hosts: Sequence[int] = (),
        by_hash: bool = False,
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(proxxy_port, socket, cert)
        self._hosts = hosts
        self._by_hash = by_hash
        self._replaced = replaced or {}
        self.plain_port = free_port()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._pages = stack.enter_context(Nginx(free_port()))
            super().__enter__()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *reason: object) -> None:
        super().__exit__(*reason)
        self._stack.close()

    def logs(self) -> str:
        return super().logs() + self._pages.logs()

    def command(self) -> list[str | Path]:
        text = self._adapted(self.shipped("haproxy.cfg"), self._replaced)
        if self._by_hash:  # as the configuration itself says
            [script] = re.findall(r"#\s+sed -i '(.*)' /etc/haproxy/haproxy.cfg", text)
            text = subprocess.run(["sed", script], input=text, capture_output=True, text=True, check=True).stdout
        return ["/usr/sbin/haproxy", "-db", "-f", self._write(text)]

    def shipped(self, name: str) -> str:
        text = (TREE / "deploy" / name).read_text()
        places = self._places()
        if self._hosts:
            text, count = re.subn(r"\tserver (socket|port) .*\n", "", text)
            assert count == 2
            places["#default-server observe"] = "default-server observe"
            for number, port in enumerate(self._hosts, 1):
                places[f"#server host{number} 192.0.2.{10 + number}:8443"] = f"server host{number} 127.0.0.1:{port}"
        else:
            places |= self._this_host()
        return self._adapted(text, places)

    def _this_host(self) -> dict[str, str]:
        socket = self.socket.name if self.socket else "none.sock"
        return {"unix@/proxxy.sock": f"unix@/{socket}", "127.0.0.1:8443": f"127.0.0.1:{self.proxxy_port}"}

    def _places(self) -> dict[str, str]:
        """Returns the lines that differ in a test: those with addresses, paths and users."""
        chroot = self.socket.parent if self.socket else self.directory
        places = {
            "log /dev/log local0": "log stdout format raw local0",
            "chroot /var/lib/haproxy": f"chroot {chroot}",
            "/run/haproxy/admin.sock": f"{self.directory}/admin.sock",
            "\tuser haproxy\n\tgroup haproxy\n": "",
            "127.0.0.1:8080": f"127.0.0.1:{self._pages.port}",
            "127.0.0.1:8000": f"127.0.0.1:{self._pages.port}",
            "bind :::": "#bind :::",
        }
        if self.cert:
            pem = self.directory / "panel.pem"
            pem.write_bytes(self.cert.cert.read_bytes() + self.cert.key.read_bytes())
            bound = {"bind :80": f"bind 127.0.0.1:{self.plain_port}", "bind :443": f"bind 127.0.0.1:{self.port}"}
            return {**places, **bound, "/etc/haproxy/panel.pem": str(pem)}
        bound = {"bind :80": f"bind 127.0.0.1:{self.port}", "bind :443": "#bind"}
        return {**places, **bound, "http-request redirect": "#http-request redirect"}

    def ask(self, command: str) -> str:
        """Returns the answer to a command for HAProxy's admin socket."""
        return fronts.ask_haproxy(self.directory / "admin.sock", command)

    def state(self, server: str) -> dict[str, str]:
        """Returns what HAProxy knows about that server of the backend proxxy."""
        names, *rows = [line.split(",") for line in self.ask("show stat").lstrip("# ").splitlines()]
        [found] = [row for row in rows if row[:2] == ["proxxy", server]]
        return dict(zip(names, found))
