# SPDX-License-Identifier: Apache-2.0
"""A hosting company in network namespaces: browsers, HAProxy with the configuration that the project ships, several
hosts with proxxy, a store of used payloads, and a stand-in for Proxmox VE. Needs root."""

from __future__ import annotations

import asyncio
import csv
import itertools
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Mapping, Self

from .activator import ANYWHERE, TREE, binary
from .certs import Authority
from .console_load import Link, Load
from .consoles import handler_console
from .lan import Lan
from .payload import seal_jwe
from .process import children, spawn, stop, stop_tree, wait_for
from .standin import StandIn

# The last bytes of addresses.
PROXMOX, FRONT, STORE, HOSTS, CLIENTS = 1, 2, 3, (11, 12, 13), range(101, 141)
PORT, FRONT_PORT, STORE_PORT = 8443, 443, 6379
FIRST_VMID = 1000
READY_SECONDS = 15.0
END_SECONDS = 15.0
SHIPPED = TREE / "deploy" / "haproxy.cfg"


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


class Host:
    """A machine with proxxy, which has a state directory and a log of its own."""

    def __init__(self, lan: Lan, number: int, directory: Path, settings: Mapping[str, object]) -> None:
        self.name = f"host{HOSTS.index(number) + 1}"
        self.address = lan.address(number)
        self._lan, self.number = lan, number
        self._log = directory / f"{self.name}.log"
        self._config = directory / f"{self.name}.conf"
        state = directory / self.name
        state.mkdir(mode=0o700)
        self._config.touch(mode=0o600)
        settings = {"PROXXY_STATE_DIRECTORY": state, **settings}
        self._config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        listen = TREE / "build" / "proxxy-listen"
        argv: list[str | Path] = [listen, "--listen", f"{self.address}:{PORT}", binary()]
        environment = {**os.environ, "PROXXY_CONFIG": str(self._config)}
        with self._log.open("ab") as log:
            self.process = spawn(self._lan.command(self.number, argv), stdout=log, stderr=log, env=environment)
        wait_for(self._listens, READY_SECONDS, self.log)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def opened(self, vmid: int) -> str:
        """Returns this host's log line about the begin of the session with that guest, or ""."""
        found = re.search(rf".*Session began: qemu {vmid} .*", self.log())
        return found[0] if found else ""

    def sessions(self) -> int:
        return len(children(self.process.pid))

    def drain(self) -> None:
        """proxxy-listen accepts no connection more, and ends after its last session."""
        self.process.send_signal(signal.SIGUSR1)

    def drained(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        """Ends every process of the machine at once, without a goodbye."""
        self._lan.kill(self.number)
        self.process.wait()

    def pull(self) -> None:
        """Unplugs the machine's cable."""
        self._lan.pull(self.number)

    def end(self) -> None:
        if self.process:
            stop(self.process)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log()
        with self._lan.on(self.number):
            try:
                socket.create_connection((self.address, PORT), 1).close()
                return True
            except OSError:
                return False


class Front:
    """HAProxy on its machine, with deploy/haproxy.cfg. Only addresses and paths are changed, and what its comments
    offer is chosen: the hosts, and the variant in which a link always reaches the same host."""

    def __init__(self, lan: Lan, directory: Path, certificate: Path, *, hashed: bool) -> None:
        self._lan, self._certificate, self._hashed = lan, certificate, hashed
        self._config, self._admin, self._output = (directory / name for name in ("haproxy.cfg", "admin", "haproxy.log"))

    def start(self, hosts: list[Host]) -> None:
        self._write(hosts)
        with self._output.open("wb") as out:
            argv = self._lan.command(FRONT, ["/usr/sbin/haproxy", "-W", "-db", "-f", self._config])
            self._process = spawn(argv, stdout=out, stderr=out)
        self.wait_up(hosts)

    def end(self) -> None:
        stop_tree(self._process)

    @property
    def pid(self) -> int:
        """HAProxy's master. Its children do the work."""
        return self._process.pid

    def reload(self, hosts: list[Host]) -> None:
        """Changes the hosts as "systemctl reload haproxy" does: the old process stays until its last console ends."""
        self._write(hosts)
        workers = set(children(self._process.pid))
        self._process.send_signal(signal.SIGUSR2)
        wait_for(lambda: set(children(self._process.pid)) - workers, READY_SECONDS, self.log)
        self.wait_up(hosts)

    def log(self) -> str:
        return self._output.read_text(errors="replace")

    def command(self, text: str) -> str:
        """Returns the answer to a command on HAProxy's admin socket."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self._admin))
            asked.sendall(text.encode() + b"\n")
            answer = b""
            while chunk := asked.recv(65536):
                answer += chunk
        return answer.decode().strip()

    def servers(self) -> dict[str, dict[str, str]]:
        """Returns HAProxy's statistics of each host."""
        lines = self.command("show stat").lstrip("# ").splitlines()
        rows = [row for row in csv.DictReader(lines) if row["pxname"] == "proxxy"]
        return {row["svname"]: row for row in rows if row["svname"] != "BACKEND"}

    def wait_up(self, hosts: list[Host]) -> None:
        """Waits until HAProxy has checked each host, and it was well."""

        def up() -> bool:
            assert self._process.poll() is None, self.log()
            try:
                servers = self.servers()
            except OSError:  # it does not listen yet
                return False
            return set(servers) == {host.name for host in hosts} and all(
                row["status"] == "UP" and row["check_status"].endswith("L7OK") for row in servers.values()
            )

        wait_for(up, READY_SECONDS, lambda: f"{self.log()}")

    def _write(self, hosts: list[Host]) -> None:
        text = SHIPPED.read_text()
        text = _replaced(text, r"/etc/haproxy/panel\.pem", str(self._certificate))
        text = _replaced(text, r"(?m)^(\tstats socket )\S+", rf"\g<1>{self._admin}")
        text = _replaced(text, r"(?m)^\tserver (socket|port) .*\n", "")
        servers = "".join(f"\tserver {host.name} {host.address}:{PORT}\n" for host in hosts)
        text = _replaced(text, r"(?m)^\t#(default-server .*\n)(\t#server host.*\n)+", rf"\t\g<1>{servers}")
        if self._hashed:
            text = _replaced(text, r"(?m)^\tbalance leastconn\n", "")
            text = _replaced(text, r"(?m)^\t#hash ", "\t")
        self._config.write_text(text)


def _replaced(text: str, pattern: str, replacement: str) -> str:
    changed, count = re.subn(pattern, replacement, text)
    assert count, f"{SHIPPED} has no {pattern}"
    return changed


class Site:
    """All of it, for as long as the with block lasts."""

    def __init__(
        self, *, hosts: int = len(HOSTS), hashed: bool = False, store: bool = False, **settings: object
    ) -> None:
        """hosts: how many begin. hashed: HAProxy's variant. store: the hosts share a Redis. settings: of proxxy."""
        self._count, self._hashed, self._store, self._settings = hosts, hashed, store, settings
        self._vmids = itertools.count(FIRST_VMID)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="proxxy-hosts-")))
            self.lan = stack.enter_context(Lan())
            self.lan.here([PROXMOX, *CLIENTS])
            for number in (FRONT, *HOSTS):
                self.lan.machine(number)
            self._key = secrets.token_hex(32)
            authority = Authority(self._directory)
            proxmox = self.lan.address(PROXMOX)
            cert = authority.leaf("proxmox", ips=(proxmox,))
            self.standin = stack.enter_context(StandIn(cert, addresses=(proxmox,)))
            settings = {**self._proxxy(authority), **self._settings}
            if self._store:
                settings["PROXXY_REPLAY_STORE"] = self._start_store(stack)
            self.hosts = [Host(self.lan, number, self._directory, settings) for number in HOSTS]
            for host in self.hosts:
                stack.callback(host.end)
            for host in self.hosts[: self._count]:
                host.start()
            self.front = Front(self.lan, self._directory, self._certificate(authority), hashed=self._hashed)
            stack.callback(lambda: self.front.end())
            self.front.start(self.hosts[: self._count])
            tls = ssl.create_default_context(cafile=str(authority.ca))
            clients = [self.lan.address(number) for number in CLIENTS]
            port = (self.lan.address(FRONT), FRONT_PORT)
            self.load = stack.enter_context(Load(port, tls, clients, self.link))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def link(self, **claims: Any) -> Link:
        """Returns a link to the console of another guest, which echoes."""
        vmid = next(self._vmids)
        self.standin.add("qemu", vmid, handler_console(_echo))
        console = self.standin.console("qemu", vmid, host=self.lan.address(PROXMOX))
        return Link(vmid, seal_jwe(console, self._key, **claims))

    def host_of(self, vmid: int) -> Host:
        """Returns the host whose log says that it began the session with that guest. The line comes after the 101."""
        found = wait_for(
            lambda: [host for host in self.hosts if host.opened(vmid)], 10, f"guest {vmid}: no host began a session"
        )
        assert len(found) == 1, f"guest {vmid}: {[host.name for host in found]}"
        return found[0]

    def _proxxy(self, authority: Authority) -> dict[str, object]:
        return {
            "SIGNATURE_KEY": self._key,
            "PROXXY_CA_FILE": authority.ca,
            "PROXXY_ALLOWED_HOSTS": ANYWHERE,
            "PROXXY_CLIENT_ADDRESS": "proxy-protocol",
            "PROXXY_TRUSTED_PROXIES": self.lan.address(FRONT),
            "PROXXY_LOG": "stderr",
        }

    def _certificate(self, authority: Authority) -> Path:
        """Returns a file with the front's certificate and key, as HAProxy wants them."""
        cert = authority.leaf("front", ips=(self.lan.address(FRONT),))
        both = self._directory / "front-with-key.pem"
        both.touch(mode=0o600)
        both.write_bytes(cert.cert.read_bytes() + cert.key.read_bytes())
        return both

    def _start_store(self, stack: ExitStack) -> str:
        """Starts a Redis on a machine of its own; returns its URL."""
        self.lan.machine(STORE)
        address = self.lan.address(STORE)
        options = ["--bind", address, "--port", str(STORE_PORT), "--save", "", "--protected-mode", "no"]
        argv: list[str | Path] = ["redis-server", *options, "--dir", self._directory]
        output = stack.enter_context((self._directory / "store.log").open("wb"))
        stack.callback(stop, spawn(self.lan.command(STORE, argv), stdout=output, stderr=output))

        def listens() -> bool:
            with self.lan.on(STORE):
                try:
                    socket.create_connection((address, STORE_PORT), 1).close()
                    return True
                except OSError:
                    return False

        wait_for(listens, READY_SECONDS, "Redis does not listen")
        return f"redis://{address}:{STORE_PORT}/0"
