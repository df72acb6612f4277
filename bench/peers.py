# SPDX-License-Identifier: Apache-2.0
"""What bench/run measures: proxxy and other relays, started on this machine, and loads for them."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

from lib.activator import Activator
from lib.certs import Authority, Cert
from lib.payload import console, seal_jwe, target
from lib.process import descendants, free_port, listens, spawn, stop_tree, wait_for

TREE = Path(__file__).resolve().parents[1]
PROGRAMS = TREE / "build" / "bench"
LIFETIME = 86400  # seconds that the payload may be used: as long as a run lasts
SETTLE = 0.5  # seconds until ended children are counted and sessions are at rest
VNC_PORT = 5901  # of bench/peer.h: a console with a whole VNC handshake
ROUND_TRIP_MS = 20  # of the upstream server that is further away


# --- what the kernel counts ---------------------------------------------------------------------


class Group:
    """A control group. It gives the CPU seconds of all processes that ever ran in it."""

    V1, V2 = Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")

    def __init__(self, name: str) -> None:
        self._is_v1 = self.V1.is_dir()
        self._path = (self.V1 if self._is_v1 else self.V2) / f"proxxy-bench-{os.getpid()}-{name}"
        self._path.mkdir()

    def take(self, pids: list[int]) -> None:
        for pid in pids:
            (self._path / "cgroup.procs").write_text(str(pid))

    def seconds(self) -> float:
        if self._is_v1:
            return int((self._path / "cpuacct.usage").read_text()) / 1e9
        return int(re.search(r"usage_usec (\d+)", (self._path / "cpu.stat").read_text())[1]) / 1e6

    def remove(self) -> None:
        deadline = time.monotonic() + 5
        while True:
            try:
                return self._path.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def memory(pids: list[int]) -> tuple[int, int]:
    """KiB of these processes: their private memory, and their PSS, which includes a share of shared memory."""
    private = pss = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        private += sum(map(int, re.findall(r"^Private_\w+: +(\d+)", text, re.M)))
        pss += int(re.search(r"^Pss: +(\d+)", text, re.M)[1])
    return private, pss


def kernel_memory() -> int:
    """KiB of kernel memory of the whole machine, of the kinds that processes and sockets use."""
    text = Path("/proc/meminfo").read_text()
    return sum(int(re.search(rf"^{name}: +(\d+)", text, re.M)[1]) for name in ("Slab", "PageTables", "KernelStack"))


def switches(pids: list[int]) -> tuple[int, int]:
    """How often threads of these processes gave a processor up and were woken, and how often they were preempted."""
    woken = preempted = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            text = (task / "status").read_text()
            woken += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])
            preempted += int(re.search(r"^nonvoluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])
    return woken, preempted


@contextmanager
def system_calls(pids: list[int], directory: Path) -> Iterator[dict[str, int]]:
    """Counts the system calls of these processes while the block runs. Their names and numbers are there after it."""
    found: dict[str, int] = {}
    summary = directory / "strace"
    strace = subprocess.Popen(["strace", "-f", "-c", "-q", "-o", summary, *(f"-p{pid}" for pid in pids)])
    tasks = [task / "status" for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
    wait_for(lambda: not any("TracerPid:\t0\n" in task.read_text() for task in tasks), 10, "strace does not trace")
    yield found
    strace.send_signal(signal.SIGINT)
    strace.wait()
    # % time, seconds, usecs/call, calls, perhaps errors, and the name
    for calls, name in re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) (?:.* )?(\w+)$", summary.read_text(), re.M):
        if name != "total":
            found[name] = int(calls)


# --- a peer and its loads -----------------------------------------------------------------------


class Peer(NamedTuple):
    name: str
    port: int
    path: str
    group: Group | None  # None: the load connects directly
    root: int
    tls: bool = False
    one_session: bool = False
    sessions: tuple[int, int] = (100, 500)  # two counts, whose difference gives the memory of one session
    # Of proxxy only:
    login: str = ""  # the security type of the client's VNC handshake, as bench/load calls it; "" for a banner alone
    far_path: str = ""  # leads to the upstream server with ROUND_TRIP_MS
    peak: Activator | None = None  # the same under bench/peak
    counted: Activator | None = None  # the same without its sandbox, under valgrind

    def at(self, activator: Activator) -> Peer:
        """The same sessions, of another activator."""
        return self._replace(port=activator.port, root=activator.pid)

    def load(self, *words: object) -> dict[str, float]:
        return json.loads(subprocess.run(self.command(*words), check=True, capture_output=True, text=True).stdout)

    def command(self, *words: object, staged: bool = False) -> list[str]:
        head = [str(PROGRAMS / "load"), *(["tls"] if self.tls else []), *([self.login] if self.login else [])]
        head += ["staged"] if staged else []
        return [*head, f"127.0.0.1:{self.port}", self.path, *map(str, words)]

    def cpu(self, *words: object) -> tuple[dict[str, float], float]:
        """Run a load. Returns its figures, and the CPU seconds that the peer needed for it, or without a peer those of
        the generator."""
        before = self.group.seconds() if self.group else 0.0
        result = self.load(*words)
        if not self.group:
            return result, result["cpu"]
        time.sleep(SETTLE / 2)
        return result, self.group.seconds() - before

    @contextmanager
    def typing(self, sessions: int, rate: int, count: int) -> Iterator[Callable[[], dict[str, float]]]:
        """Opens sessions, and gives a function that types in them. They end with the block."""
        command = self.command("echo", sessions, rate, count, staged=True)
        load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def type_in() -> dict[str, float]:
            load.stdin.write("\n")
            load.stdin.flush()
            return json.loads(load.stdout.readline())

        if load.stdout.readline() != "open\n":
            raise SystemExit(f"{self.name}: the sessions do not open")
        time.sleep(SETTLE)
        yield type_in
        load.stdin.close()
        load.wait()
        time.sleep(SETTLE)

    @contextmanager
    def idle(self, sessions: int) -> Iterator[None]:
        holder = subprocess.Popen(self.command("idle", sessions), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdout and holder.stdin and holder.stdout.readline() == b"ready\n"
        time.sleep(SETTLE)
        yield
        holder.stdin.close()
        holder.wait()
        time.sleep(SETTLE)

    def processes(self) -> list[int]:
        return [self.root, *descendants(self.root)]


# --- the peers ----------------------------------------------------------------------------------


class Bench:
    def __init__(self, stack: ExitStack, beside: dict[str, Path]) -> None:
        """beside: other builds of proxxy-conn, by their names in the tables."""
        self.stack, self.beside = stack, beside
        self._groups: list[Group] = []
        stack.callback(lambda: [group.remove() for group in self._groups])  # runs last: after all processes have ended
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="proxxy-bench-")))
        self.cert: Cert = Authority(self.directory).leaf()
        self.upstream, self.raw_upstream = self._upstream(), self._upstream("raw")
        self.far_upstream = self._upstream("delay", str(ROUND_TRIP_MS))
        self.missing: list[str] = []

    def start(self, argv: list[str | Path], port: int) -> int:
        process = spawn(argv, stdout=subprocess.DEVNULL, stderr=(self.directory / "errors").open("ab"))
        self.stack.callback(stop_tree, process)
        deadline = time.monotonic() + 10
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{argv[0]} does not listen:\n" + (self.directory / "errors").read_text())
            time.sleep(0.02)
        return process.pid

    def _upstream(self, *words: str) -> int:
        port = free_port()
        self.start([PROGRAMS / "upstream", f"127.0.0.1:{port}", self.cert.cert, self.cert.key, *words], port)
        return port

    def peer(self, name: str, port: int, root: int, path: str = "/", **options: Any) -> Peer:
        group = Group(re.sub(r"\W+", "-", name))
        self._groups.append(group)
        # Move the root first: the group then contains what it starts later, and descendants() lists what it started
        # before. The CPU time of a worker outside of the group would not be counted.
        group.take([root])
        group.take(descendants(root))
        return Peer(name, port, path, group, root, **options)

    def file(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    # Each method yields its peers, or nothing if the program is not installed.

    def straight(self) -> Iterator[Peer]:
        yield Peer("straight TLS", self.upstream, "/", None, 0, tls=True)

    def floor(self) -> Iterator[Peer]:
        port = free_port()
        pid = self.start([PROGRAMS / "floor", f"127.0.0.1:{port}", f"127.0.0.1:{self.upstream}"], port)
        yield self.peer("least relay", port, pid, one_session=True)
        # The same with a process per session: what that model costs without what proxxy does.
        upstream = {"UPSTREAM": f"127.0.0.1:{self.upstream}"}
        each = self.stack.enter_context(Activator({}, program=PROGRAMS / "floor", environment=upstream))
        yield self.peer("least relay, a process each", each.port, each.pid)

    def _proxxy(self, name: str, program: Path, kind: str) -> Peer:
        """proxxy with a payload of some kind: with a console ticket, or a link with or without node."""
        key = secrets.token_hex(32)
        settings: dict[str, object] = {
            "SIGNATURE_KEY": key,
            "PROXXY_CA_FILE": self.cert.ca,
            "PROXXY_PAYLOADS": "jwe",
            "PROXXY_PAYLOAD_LIFETIME": LIFETIME,
            "PROXXY_MAX_PER_GUEST": 0,  # all sessions have the same one
        }
        paths = []
        for cluster, port in (("near", self.upstream), ("far", self.far_upstream)):
            members = console(port, port=str(VNC_PORT))
            if kind != "ticket":
                token = members["ticket"].removeprefix("PVEAPIToken=")
                self.file(f"{cluster}.conf", f"HOSTS=127.0.0.1:{port}\nTOKEN={token}\nCA_FILE={self.cert.ca}\n")
                settings["PROXXY_CLUSTER_DIRECTORY"] = self.directory
                members = {"vmid": 100, "type": "qemu", "cluster": cluster}
                members |= {"node": "pve01"} if kind == "link" else {}
            paths.append(target(seal_jwe(members | {"exp": int(time.time()) + LIFETIME - 60}, key)))
        activator = self.stack.enter_context(Activator(settings, program=program))
        under = {"peak": self._under(f"{PROGRAMS / 'peak'} {program}", settings)}
        unconfined = program.parent / "bench" / "unconfined"
        if unconfined.exists() and shutil.which("valgrind"):
            # Beside the settings, the only place whose name the program has from its environment.
            valgrind = "valgrind -q --tool=callgrind --callgrind-out-file=${PROXXY_CONFIG%/*}/callgrind.%p"
            under["counted"] = self._under(f"{valgrind} {unconfined}", settings)
        login = "vnc" if kind == "ticket" else "none"
        return self.peer(name, activator.port, activator.pid, paths[0], login=login, far_path=paths[1], **under)

    def _under(self, command: str, settings: dict[str, object]) -> Activator:
        """Runs a command for each connection."""
        script = self.file(f"under-{secrets.token_hex(4)}", f"#!/bin/sh\nexec {command}\n")
        script.chmod(0o755)
        return self.stack.enter_context(Activator(settings, program=script))

    def proxxy(self) -> Iterator[Peer]:
        for name, build in (("proxxy", "build"), ("proxxy STATIC=1", "build/static")):
            yield self._proxxy(name, TREE / build / "proxxy-conn", "ticket")
        for name, program in self.beside.items():
            yield self._proxxy(name, program, "ticket")

    def link(self) -> Iterator[Peer]:
        for name, build in (("proxxy", "build"), ("proxxy STATIC=1", "build/static")):
            yield self._proxxy(f"{name}, link", TREE / build / "proxxy-conn", "link")
        yield self._proxxy("proxxy, link without node", TREE / "build/proxxy-conn", "link without node")

    def exec(self) -> Iterator[Peer]:
        """What systemd-socket-activate, fork and exec alone cost: a process that answers without an upstream."""
        activator = self.stack.enter_context(Activator({}, program=PROGRAMS / "nothing"))
        yield self.peer("empty exec", activator.port, activator.pid, sessions=(0, 0), one_session=True)

    def nginx(self) -> Iterator[Peer]:
        large = "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;"
        for name, buffers in (("nginx", ""), ("nginx, 64 KiB buffers", large)):
            port = free_port()
            place = self.directory / f"nginx-{port}"
            place.mkdir()
            kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            temp = " ".join(f"{kind}_temp_path {place}/{kind};" for kind in kinds)
            config = self.file(
                f"nginx-{port}.conf",
                f"""
                daemon off; user root; pid {place}/pid; error_log {place}/error.log; worker_processes auto;
                events {{ worker_connections 8192; }}
                http {{
                    access_log off; {temp}
                    server {{
                        listen 127.0.0.1:{port};
                        location / {{
                            proxy_pass https://127.0.0.1:{self.upstream};
                            proxy_http_version 1.1;
                            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
                            proxy_ssl_verify on; proxy_ssl_trusted_certificate {self.cert.ca}; proxy_ssl_name localhost;
                            proxy_read_timeout 1h; proxy_send_timeout 1h; {buffers}
                        }}
                    }}
                }}""",
            )
            yield self.peer(name, port, self.start(["nginx", "-c", config, "-e", place / "error.log"], port))

    def haproxy(self) -> Iterator[Peer]:
        port = free_port()
        config = self.file(
            "haproxy.cfg",
            f"""
global
    maxconn 8192
defaults
    mode http
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
listen bench
    bind 127.0.0.1:{port}
    server pve 127.0.0.1:{self.upstream} ssl verify required ca-file {self.cert.ca} verifyhost localhost
""",
        )
        yield self.peer("HAProxy", port, self.start(["haproxy", "-q", "-db", "-f", config], port))

    def stunnel(self) -> Iterator[Peer]:
        port = free_port()
        config = self.file(
            "stunnel.conf",
            f"""
foreground = yes
pid =
syslog = no
debug = err
[bench]
client = yes
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{self.upstream}
verifyChain = yes
CAfile = {self.cert.ca}
checkHost = localhost
""",
        )
        yield self.peer("stunnel", port, self.start(["stunnel", config], port))

    def websockify(self) -> Iterator[Peer]:
        port = free_port()
        pid = self.start(["websockify", "--ssl-target", f"127.0.0.1:{port}", f"127.0.0.1:{self.raw_upstream}"], port)
        yield self.peer("websockify", port, pid, sessions=(10, 50))

    def peers(self, only: list[str]) -> list[Peer]:
        programs = {"nginx": "nginx", "haproxy": "haproxy", "stunnel": "stunnel", "websockify": "websockify"}
        found: list[Peer] = []
        for name in ("straight", "floor", "proxxy", "link", "exec", *programs):
            if only and not any(word in name for word in only):
                continue
            if name in programs and not shutil.which(programs[name]):
                self.missing.append(name)
                continue
            found += getattr(self, name)()
        return found
