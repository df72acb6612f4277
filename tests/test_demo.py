# SPDX-License-Identifier: Apache-2.0
"""The demo, started by root and by a user: who has access, which uid its guests have, and that nothing is left after
it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlsplit

import pytest

from lib import first_byte
from lib.account import FIRST, LAST, Account, processes, unused_account
from lib.activator import TREE, binary
from lib.process import children, descendants, free_port, spawn, stop_tree, wait_for

START_SECONDS = 30.0
END_SECONDS = 15.0
SHOWN_SECONDS = 10.0
NEEDED = ("examples/demo.py", "tests/lib", "console")
LOOPBACK_HEX = {"0100007F", "00000000000000000000000001000000"}  # as in /proc/net/tcp and tcp6
LISTENS = "0A"
OPEN_EACH = r"""
import sys
for path in sys.stdin.read().split("\0"):
    try:
        open(path).close()
        print(path)
    except OSError:
        pass
"""

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="starts it as root and as others"),
]


class Demo:
    """A running demo and its output."""

    def __init__(self, user: Account | None, *arguments: str, environment: dict[str, str] | None = None) -> None:
        """user: who starts it; root, if None."""
        self.user = user
        self.directory = Path(tempfile.mkdtemp(prefix="proxxy-test-demo-", dir="/tmp"))
        tree = TREE
        if user:  # other users may have no access to the tree
            tree = self.directory / "tree"
            _copy_tree(tree)
        self.directory.chmod(0o755 if user else 0o700)
        self.output = self.directory / "output"
        # A shell's background job ignores SIGINT, and its children inherit that. These tests may be such a job.
        prefix = [*(user.prefix() if user else []), "env", "--default-signal=INT,HUP"]
        with self.output.open("wb") as out:
            self.process = spawn(
                [*prefix, "/usr/bin/python3", tree / "examples/demo.py", *arguments],
                stdout=out,
                stderr=out,
                cwd="/",
                env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **(environment or {})},
            )

    def url(self) -> str:
        def printed() -> re.Match | None:
            assert self.process.poll() is None, self.text()
            return re.search(r"http://\S+/\n(?=[\s\S]*Ctrl-C)", self.text())

        return wait_for(printed, START_SECONDS, self.text).group().strip()

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def stage(self) -> int:
        """The pid of the child that starts all other processes."""
        [pid] = children(self.process.pid)
        return pid

    def close(self) -> None:
        stop_tree(self.process)
        shutil.rmtree(self.directory)


def _copy_tree(tree: Path) -> None:
    for name in NEEDED:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (TREE / name).is_dir():
            shutil.copytree(TREE / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(TREE / name, target)
    (tree / "build").mkdir()
    shutil.copy(binary(), tree / "build" / "proxxy-conn")
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) and path.parent.name == "build" else 0o644)


@pytest.fixture(scope="module", params=["root", "user"])
def demo(request: pytest.FixtureRequest) -> Iterator[Demo]:
    demo = Demo(unused_account() if request.param == "user" else None, str(free_port()))
    try:
        demo.url()
        yield demo
    finally:
        demo.close()


@pytest.fixture
def started() -> Iterator[Demo]:
    """A demo of root, for one test that may end it."""
    demo = Demo(None, str(free_port()))
    try:
        demo.url()
        yield demo
    finally:
        demo.close()


def guest_uid(demo: Demo) -> int:
    servers = named(demo, "Xtigervnc")
    [uid] = {uid for pid, uids in processes() if pid in servers for uid in uids}
    return uid


def named(demo: Demo, *names: str) -> list[int]:
    return [pid for pid in descendants(demo.process.pid) if _name(pid) in names]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def run_as(account: Account, *argv: object, **options: Any) -> subprocess.CompletedProcess:
    command = [*account.prefix(), *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=START_SECONDS, **options)


def shell(url: str, line: str, pattern: str) -> tuple[socket.socket, re.Match]:
    """Types the line into a new terminal, and waits until the output matches."""
    sock = first_byte.upgraded(first_byte.console(f"{url}terminal")[0])
    assert len(line) < 100
    first_byte.write_frame(sock, f"0:{len(line) + 1}:{line}\n".encode())
    seen = ""
    while not (found := re.search(pattern, seen)):
        _, data = first_byte.read_frame(sock)
        seen += data.decode(errors="replace")
    return sock, found


def test_without_the_secret_there_is_nothing(demo: Demo) -> None:
    url = demo.url()
    secret = urlsplit(url).path
    assert len(secret.strip("/")) * 6 >= 128  # base64
    wrong = "A" * len(secret.strip("/"))
    for path in ("/", "/terminal", f"/{wrong}/", f"/{wrong}/terminal", secret[:-1], secret[:-2] + "/", secret + "x",
                 "/console/", "/console", f"/console/..{secret}", "/console/../tests/run", "/console/%2e%2e/tests/run",
                 "/tests/"):  # fmt: skip
        status, headers, body = first_byte.get(url, path)
        assert status in (404, 301) and "location" not in headers, (path, status)
        assert secret.strip("/") not in body.decode().replace(path, "")
    assert first_byte.get(url)[0] == 302


def test_only_names_of_this_machine_are_answered(demo: Demo) -> None:
    url = demo.url()
    secret = urlsplit(url).path
    port = urlsplit(url).port
    for host in ("panel.example", f"panel.example:{port}", "127.0.0.1.nip.example", "localhost.example", "localhost:",
                 "::1", f"user@localhost:{port}", "127.0.0.2", "localhost:80:80", ""):  # fmt: skip
        for path in (secret, "/console/novnc.html", "/console/ws?payload=x"):
            status, _, body = first_byte.get(url, path, {"Host": host})
            assert status == 421 and b"127.0.0.1" in body, (host, path, status)
    for host in ("localhost", "localhost:1", "127.0.0.1:65535", "[::1]", f"[::1]:{port}"):  # ssh -L may use any port
        assert first_byte.get(url, secret, {"Host": host})[0] == 302
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b" 421 " in sock.recv(1000)


def test_no_other_page_opens_a_websocket(demo: Demo) -> None:
    url = demo.url()
    port = urlsplit(url).port
    address, _ = first_byte.console(url)
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{port + 1}", f"https://127.0.0.1:{port}",
                   f"http://localhost:{port}", ""):  # fmt: skip
        with pytest.raises(RuntimeError, match="403"):
            first_byte.upgraded(address, {"Origin": origin})
    through_ssh = {"Host": "localhost:9090", "Origin": "http://localhost:9090"}
    with first_byte.upgraded(address, through_ssh) as sock:
        assert first_byte.read_frame(sock)[1].startswith(b"RFB ")


def test_pages_are_those_that_are_shipped(demo: Demo) -> None:
    url = demo.url()
    for file in (TREE / "console/dist/site").iterdir():
        status, headers, body = first_byte.get(url, f"/console/{file.name}")
        assert status == 200 and body == file.read_bytes()
        assert headers["referrer-policy"] == "no-referrer"
    status, headers, _ = first_byte.get(url)
    assert (status, headers["referrer-policy"], headers["cache-control"]) == (302, "no-referrer", "no-store")
    # The page sends this request to find out why the WebSocket did not open.
    assert b"error" in first_byte.get(url, "/console/ws?payload=x")[2]


def test_a_second_console_while_the_first_is_open(demo: Demo) -> None:
    with first_byte.upgraded(first_byte.console(demo.url())[0]) as first:
        assert first_byte.read_frame(first)[1] == b"RFB 003.008\n"
        with first_byte.upgraded(first_byte.console(demo.url())[0]) as second:
            assert first_byte.read_frame(second)[1] == b"RFB 003.008\n"
        first_byte.write_frame(first, b"RFB 003.008\n")
        assert first_byte.read_frame(first)[1] == b"\x01\x01"  # one security type: None. proxxy has the password


def test_page_gets_nothing_but_the_link(demo: Demo) -> None:
    for path in ("", "terminal"):
        _, link = first_byte.console(demo.url() + path)
        assert set(link) == {"payload", "title"}


def test_guests_have_no_rights(demo: Demo) -> None:
    wait_for(lambda: named(demo, "xterm") and named(demo, "icewm"), SHOWN_SECONDS, "no desktop")
    uid = guest_uid(demo)
    assert uid == demo.user.uid if demo.user else FIRST <= uid <= LAST
    sock, found = shell(demo.url(), "echo uid=$(id -u) home=$HOME.", r"uid=(\d+) home=(/\S+)\.")
    with sock:
        assert int(found[1]) == uid
        assert Path(found[2]).stat().st_uid == uid and Path(found[2]).stat().st_mode & 0o777 == 0o700
        guests = named(demo, "Xtigervnc", "icewm", "xterm", "sh", "bash", "dash")
        assert len(guests) >= 5  # a shell in the xterm, and one in the terminal
        for pid in guests:
            status = dict(re.findall(r"^(\w+):[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M))
            assert set(status["Uid"].split()) == {str(uid)} and set(status["Gid"].split()) == {str(uid)}
            assert status["Groups"].split() == [] and status["NoNewPrivs"] == "1"
            assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
            names = {entry.partition(b"=")[0] for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
            assert not {b"SUDO_USER", b"SSH_AUTH_SOCK", b"PROXXY_CONFIG"} & names
        if not demo.user:  # the guests cannot read root's files
            directory = _directory(demo)
            listed = run_as(Account(uid), "find", directory, "-name", "*.key", "-o", "-name", "proxxy.conf")
            assert listed.stdout == ""


def _directory(demo: Demo) -> Path:
    environment = Path(f"/proc/{named(demo, 'Xtigervnc')[0]}/environ").read_bytes()
    [home] = re.findall(rb"HOME=(/tmp/proxxy-demo-[^/\0]+)/", environment)
    return Path(os.fsdecode(home))


def test_other_users_read_nothing(demo: Demo) -> None:
    other = unused_account()
    assert other
    pids = [demo.process.pid, *descendants(demo.process.pid)]
    files = [path for path in _directory(demo).rglob("*") if path.is_file()]
    secret_files = {"passwords", "authority", "signature.key", "demo.conf", "proxxy.conf", "pve01.key"}
    assert secret_files <= {path.name for path in files}
    paths = [*files, *(f"/proc/{pid}/{name}" for pid in pids for name in ("environ", "mem", "fd/0", "cwd/."))]
    opened = run_as(other, "/usr/bin/python3", "-c", OPEN_EACH, input="\0".join(map(str, paths)))
    assert (opened.returncode, opened.stdout) == (0, ""), opened
    secret = urlsplit(demo.url()).path.strip("/").encode()
    key = next(path for path in files if path.name == "signature.key").read_bytes().strip()
    for pid in pids:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except FileNotFoundError:  # a short helper of the window manager has ended
            continue
        assert secret not in arguments and key not in arguments and b"PVEAPIToken" not in arguments


def test_everything_listens_on_loopback_and_wants_a_secret(demo: Demo) -> None:
    pids = [demo.process.pid, *descendants(demo.process.pid)]
    inodes = {link for pid in pids for link in _links(pid)}
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and f"socket:[{fields[9]}]" in inodes:
                address, port = fields[1].split(":")
                assert address in LOOPBACK_HEX, line
                ports.add(int(port, 16))
    assert len(ports) in (4, 5)  # panel, proxxy, Proxmox's stand-in, VNC (on ::1 as well, with the same port)
    # X: its abstract socket and its other socket refuse a client without the cookie.
    [server] = named(demo, "Xtigervnc")
    sockets = re.findall(r"(\d+) @/tmp/\.X11-unix/X(\d+)$", Path("/proc/net/unix").read_text(), re.M)
    display = next(number for inode, number in sockets if f"socket:[{inode}]" in _links(server))
    other = unused_account()
    assert other
    environment = {"DISPLAY": f":{display}", "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    refused = run_as(other, "xsetroot", "-solid", "red", env=environment)
    assert refused.returncode != 0 and "unable to open display" in refused.stderr


def _links(pid: int) -> list[str]:
    try:
        return [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


@pytest.mark.parametrize("how", ["INT", "TERM", "HUP", "KILL", "KILL the stage"])
def test_nothing_is_left(started: Demo, how: str) -> None:
    wait_for(lambda: named(started, "xterm"), SHOWN_SECONDS, "no desktop")
    uid, directory = guest_uid(started), _directory(started)
    # A guest's process that tries to outlive the demo.
    stays = "(trap '' TERM HUP; setsid env -i sleep 1234 >&- 2>&- <&- &)"
    sock, _ = shell(started.url(), f"{stays}; echo do''ne", "done")
    viewer = first_byte.upgraded(first_byte.console(started.url())[0])
    with sock, viewer:
        pids = [started.process.pid, *descendants(started.process.pid)]
        locks = _x_files(uid)
        assert locks
        number = getattr(signal, f"SIG{how.split()[0]}")
        os.kill(started.stage() if "stage" in how else started.process.pid, number)
        wait_for(lambda: started.process.poll() is not None, END_SECONDS, "still running")
        wait_for(lambda: not directory.exists(), END_SECONDS, lambda: f"left: {list(directory.rglob('*'))}")
        wait_for(lambda: not left(pids, uid), END_SECONDS, lambda: f"left: {[*map(_name, left(pids, uid))]}")
        assert not _x_files(uid)
        if "KILL" not in how:
            assert started.process.returncode == 0
            assert "Traceback" not in started.text()


def left(pids: list[int], uid: int) -> list[int]:
    return [pid for pid, uids in processes() if pid in pids or uid in uids]


def _x_files(uid: int) -> list[Path]:
    found = [*Path("/tmp").glob(".X*-lock"), *Path("/tmp/.X11-unix").glob("X*")]
    return [path for path in found if path.lstat().st_uid == uid]


def test_the_line_for_ssh_has_the_port(started: Demo) -> None:
    port = urlsplit(started.url()).port
    text = started.text()
    assert re.search(
        rf"^    ssh -L {port}:127\.0\.0\.1:{port} \S+@{re.escape(socket.gethostname())}$", text, re.M
    ), text
    assert text.index("ssh -L") < text.index("http://")  # without DISPLAY


def test_on_a_screen_the_url_comes_first() -> None:
    demo = Demo(None, str(free_port()), environment={"DISPLAY": ":0"})
    try:
        demo.url()
        assert demo.text().index("http://") < demo.text().index("ssh -L")
    finally:
        demo.close()


@pytest.mark.parametrize("who", ["root", "user"])
def test_check_prints_the_first_bytes(who: str) -> None:
    demo = Demo(unused_account() if who == "user" else None, "--check")
    try:
        wait_for(lambda: demo.process.poll() is not None, START_SECONDS, demo.text)
        assert (demo.process.returncode, demo.text()) == (0, "RFB 003.008\n")
    finally:
        demo.close()


def test_connections_end_when_a_client_is_silent(demo: Demo) -> None:
    """Silent clients open more connections than the demo accepts at once. After that it answers others again."""
    port = urlsplit(demo.url()).port
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(70)]
    time.sleep(0.2)
    for sock in silent:
        sock.close()
    wait_for(lambda: _answers(demo.url()), SHOWN_SECONDS, "no answer")


def _answers(url: str) -> bool:
    try:
        return first_byte.get(url)[0] == 302
    except OSError:
        return False
