# SPDX-License-Identifier: Apache-2.0
"""Reverse proxies in front of proxxy, on loopback and without TLS, with only the configuration that tests need."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Self

from .activator import Activator
from .process import free_port, spawn, stop_tree, wait_for

READY_SECONDS = 15.0


class Front:
    """Forwards port to proxxy_port for as long as the with block lasts. options are lines for the configuration."""

    def __init__(self, proxxy_port: int, options: str = "") -> None:
        self.port = free_port()
        self.proxxy_port = proxxy_port
        self.options = options

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="proxxy-front-")
        self.directory = Path(self._temporary.name)
        with (self.directory / "output").open("wb") as out:
            self._process = spawn(self.command(), stdout=out, stderr=out, env=self.environment())
        wait_for(self._listens, READY_SECONDS, self.logs)
        return self

    def __exit__(self, *_: object) -> None:
        stop_tree(self._process)
        self._temporary.cleanup()

    def logs(self) -> str:
        files = [*self.directory.glob("*.log"), self.directory / "output"]
        return "".join(file.read_text(errors="replace") for file in files)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.directory)}

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def command(self) -> list[str | Path]:
        raise NotImplementedError

    def _write(self, text: str) -> Path:
        path = self.directory / "front.conf"
        path.write_text(text.rstrip(" "))
        return path


def nginx(directory: Path, port: int, server: str, http: str = "", tls: bool = False) -> list[str | Path]:
    """Returns the command of an nginx that keeps everything in directory. server and http are more lines for its
    configuration's blocks of these names."""
    kinds = ("proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
    config = directory / "nginx.conf"
    config.write_text(
        f"""
        daemon off;
        {"user root;" if os.getuid() == 0 else ""}
        pid {directory}/pid;
        error_log {directory}/error.log;
        events {{}}
        http {{
            {http}
            access_log {directory}/access.log;
            client_body_temp_path {directory}/body;
            {paths}
            server {{
                listen 127.0.0.1:{port}{' ssl' if tls else ''};
                {server}
            }}
        }}
    """
    )
    return ["/usr/sbin/nginx", "-e", directory / "error.log", "-c", config]


class PlainNginx(Front):
    def command(self) -> list[str | Path]:
        pass_on = f"location / {{ proxy_pass http://127.0.0.1:{self.proxxy_port}; {self.options} }}"
        return nginx(self.directory, self.port, pass_on)


def ask_haproxy(stats_socket: Path, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(str(stats_socket))
        asked.sendall(f"{command}\n".encode())
        answer = b""
        while chunk := asked.recv(65536):
            answer += chunk
    return answer.decode()


class HAProxy(Front):
    """stats() returns HAProxy's report of whether proxxy is up."""

    def command(self) -> list[str | Path]:
        config = self._write(
            f"""
            global
                stats socket {self.directory}/stats
            defaults
                mode http
                timeout connect 5s
                timeout client 30s
                timeout server 30s
                timeout tunnel 1h
            listen front
                bind 127.0.0.1:{self.port}
                {self.options}
                server proxxy 127.0.0.1:{self.proxxy_port} check inter 200
        """
        )
        return ["/usr/sbin/haproxy", "-db", "-f", config]

    def _listens(self) -> bool:
        return (self.directory / "stats").exists() and super()._listens()

    def stats(self) -> dict[str, str]:
        shown = ask_haproxy(self.directory / "stats", "show stat front 4 -1")
        names, values = shown.lstrip("# ").splitlines()[:2]
        return dict(zip(names.split(","), values.split(",")))


class PlainCaddy(Front):
    def command(self) -> list[str | Path]:
        config = self._write(
            f"""
            {{
                admin off
                auto_https off
            }}
            http://127.0.0.1:{self.port} {{
                reverse_proxy 127.0.0.1:{self.proxxy_port}
            }}
        """
        )
        return ["/usr/bin/caddy", "run", "--config", config, "--adapter", "caddyfile"]


class Apache(Front):
    def command(self) -> list[str | Path]:
        modules = "".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "proxy_wstunnel")
        )
        config = self._write(
            f"""{modules}
ServerName localhost
Listen 127.0.0.1:{self.port}
PidFile {self.directory}/pid
ErrorLog {self.directory}/error.log
DefaultRuntimeDir {self.directory}
{self.options.format(proxxy=f"127.0.0.1:{self.proxxy_port}")}
"""
        )
        return ["/usr/sbin/apache2", "-X", "-d", self.directory, "-f", config]


class UnixActivator(Activator):
    """proxxy behind a UNIX socket, as with unix-socket.conf. The port is closed."""

    @property
    def socket(self) -> Path:
        return self.directory / "proxxy.sock"

    def command(self) -> list[str | Path]:
        listen = f"127.0.0.1:{self.port}"
        return [self.socket if word == listen else word for word in super().command()]
