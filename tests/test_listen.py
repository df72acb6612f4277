# SPDX-License-Identifier: Apache-2.0
"""proxxy-listen: sessions over TCP and UNIX sockets, its signals, PID 1, its limits, and what it does when the machine
has no process, descriptor or port left."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

import pytest
from conftest import ECHO
from lib.account import unused_account
from lib.activator import ANYWHERE, TREE, binary
from lib.payload import seal, target
from lib.process import children, descendants, free_port, spawn, wait_for
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, Client, close_payload

LISTEN = binary().with_name("proxxy-listen")
CAT = "/bin/cat"  # as a session: echoes what its client sends
GOODBYE_SECONDS = 30.0  # more than a session and proxxy-listen need together, on a slow machine
EX_USAGE, EX_UNAVAILABLE, EX_OSERR, EX_NOPERM, EX_CONFIG = 64, 69, 71, 77, 78


class Acceptor:
    """A proxxy-listen that runs as long as the with block lasts, and its log."""

    def __init__(self, process: subprocess.Popen, log: Path, program: str) -> None:
        self.process = process
        self._log = log
        self._program = Path(program).name

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_log(self, words: str, timeout: float = 10.0) -> str:
        wait_for(lambda: words in self.log(), timeout, lambda: f"no {words!r} in:\n{self.log()}")
        return self.log()

    def sessions(self) -> list[int]:
        return [pid for pid, name in children(self.pid).items() if name == self._program]

    def wait_sessions(self, count: int) -> None:
        wait_for(
            lambda: len(self.sessions()) == count, 10, lambda: f"{self.sessions()}, {count} awaited:\n{self.log()}"
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait_end(self) -> int:
        """The exit status."""
        return self.process.wait(GOODBYE_SECONDS)


@contextmanager
def acceptor(
    tmp_path: Path,
    *arguments: str,
    program: Sequence[str] = (CAT,),
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    listen: Path = LISTEN,
) -> Iterator[Acceptor]:
    log = tmp_path / "log"
    command = [*prefix, str(listen), *arguments, "--", *program]
    with log.open("wb") as out:
        process = spawn(command, stdout=out, stderr=out, env={**os.environ, **(environment or {})})
    try:
        started = Acceptor(process, log, program[0])
        wait_for(lambda: "Listening on" in started.log() or process.poll() is not None, 10, "not listening")
        assert process.poll() is None, started.log()
        yield started
    finally:
        left = [process.pid, *descendants(process.pid)]
        for pid in left if process.poll() is None else left[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait()


@pytest.fixture
def port() -> int:
    return free_port()


@contextmanager
def connected(address: int | str) -> Iterator[socket.socket]:
    """A connection to a port of 127.0.0.1 or to a UNIX socket."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as sock:
        sock.settimeout(10)
        sock.connect(address if isinstance(address, str) else ("127.0.0.1", address))
        yield sock


def echoes(sock: socket.socket, data: bytes = b"x") -> bool:
    sock.sendall(data)
    return sock.recv(len(data)) == data


def is_cut_off(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def is_silent(sock: socket.socket, seconds: float = 0.5) -> bool:
    sock.settimeout(seconds)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(10)
    return False


@contextmanager
def consoles(tmp_path: Path, settings: dict[str, Any], *arguments: str) -> Iterator[Acceptor]:
    """proxxy-listen with proxxy-conn."""
    used = tmp_path / "used"
    used.mkdir(mode=0o700)
    config = tmp_path / "proxxy.conf"
    config.touch(mode=0o600)
    lines = {"PROXXY_ALLOWED_HOSTS": ANYWHERE, "PROXXY_STATE_DIRECTORY": used, **settings}
    config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    with acceptor(tmp_path, *arguments, program=[str(binary())], environment={"PROXXY_CONFIG": str(config)}) as started:
        yield started


def opened(port: int, standin: StandIn, key: str) -> Client:
    client = Client.upgraded(port, target(seal(standin.console("qemu", ECHO), key)))
    check(client)
    return client


def check(client: Client) -> None:
    client.send_frame(BINARY, b"x")
    assert client.read_data(1) == b"x"


# --- sessions and signals -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_signal_ends_every_session_with_a_close(
    tmp_path: Path, settings: dict[str, Any], standin: StandIn, key: str, port: int, number: int
) -> None:
    with consoles(tmp_path, settings, f"--listen=127.0.0.1:{port}") as listen:
        clients = [opened(port, standin, key) for _ in range(3)]
        listen.signal(number)
        for client in clients:
            assert client.close_code() == (1001, "Session was ended by the operator")
            client.send_frame(CLOSE, close_payload(1001))
            assert client.at_end()
        assert listen.wait_end() == 0
        log = listen.log()
        assert log.count("Session ended") == 3, log
        assert "accepts nothing more, ends all sessions sessions=3" in log and log.endswith("Stopped\n")
        with pytest.raises(ConnectionRefusedError), connected(port):
            pass


def test_ctrl_c_reaches_only_the_acceptor(
    tmp_path: Path, settings: dict[str, Any], standin: StandIn, key: str, port: int
) -> None:
    """A terminal sends SIGINT to the whole process group; a session would end without a Close."""
    with consoles(tmp_path, settings, f"--listen=127.0.0.1:{port}") as listen, opened(port, standin, key) as client:
        os.killpg(listen.pid, signal.SIGINT)
        assert client.close_code()[0] == 1001
        client.send_frame(CLOSE, close_payload(1001))
        assert listen.wait_end() == 0


def test_drain_waits_for_the_sessions(
    tmp_path: Path, settings: dict[str, Any], standin: StandIn, key: str, port: int
) -> None:
    with consoles(tmp_path, settings, f"--listen=127.0.0.1:{port}") as listen, opened(port, standin, key) as client:
        listen.signal(signal.SIGUSR1)
        listen.wait_log("Draining")
        with pytest.raises(ConnectionRefusedError), connected(port):
            pass
        check(client)
        assert listen.process.poll() is None
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code()[0] == 1000
        assert listen.wait_end() == 0
        assert "Session ended" in listen.log()


def test_sigterm_ends_a_drain(tmp_path: Path, settings: dict[str, Any], standin: StandIn, key: str, port: int) -> None:
    with consoles(tmp_path, settings, f"--listen=127.0.0.1:{port}") as listen, opened(port, standin, key) as client:
        listen.signal(signal.SIGUSR1)
        listen.wait_log("Draining")
        listen.signal(signal.SIGTERM)
        assert client.close_code()[0] == 1001
        client.send_frame(CLOSE, close_payload(1001))
        assert listen.wait_end() == 0


def test_drain_without_sessions_ends_at_once(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}") as listen:
        listen.signal(signal.SIGUSR1)
        assert listen.wait_end() == 0


def test_drain_serves_those_who_connected_before(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}") as listen:
        listen.signal(signal.SIGSTOP)
        with connected(port) as first, connected(port) as second:
            for sock in (first, second):
                sock.sendall(b"early")
            time.sleep(0.2)  # until the data completes the connections (TCP_DEFER_ACCEPT)
            listen.signal(signal.SIGUSR1)
            listen.signal(signal.SIGCONT)
            for sock in (first, second):
                assert sock.recv(5, socket.MSG_WAITALL) == b"early"
            listen.wait_log("Draining")
        assert listen.wait_end() == 0


@pytest.mark.timeout(90)
def test_session_that_does_not_end_is_killed(tmp_path: Path, port: int) -> None:
    script = 'trap "" TERM; echo deaf; while :; do read -r line || sleep 1; done'
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", program=["/bin/sh", "-c", script]) as listen:
        with connected(port) as sock:
            sock.sendall(b"x\n")
            assert sock.recv(5, socket.MSG_WAITALL) == b"deaf\n"
            listen.signal(signal.SIGTERM)
            assert listen.wait_end() == 0
            assert "Kills the sessions that did not end within 8 s sessions=1" in listen.log()


def test_crash_of_a_session_is_logged_and_harms_no_other(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}") as listen, connected(port) as one, connected(port) as other:
        assert echoes(one) and echoes(other)
        victim = min(listen.sessions())
        os.kill(victim, signal.SIGSEGV)
        listen.wait_log(f"Session {victim} was ended by signal 11 (Segmentation fault)")
        listen.wait_sessions(1)
        alive = [sock for sock in (one, other) if not is_gone(sock)]
        assert len(alive) == 1 and echoes(alive[0])


def is_gone(sock: socket.socket) -> bool:
    try:
        return not echoes(sock)
    except ConnectionError:
        return True


# --- what a session inherits --------------------------------------------------------------------


def output(port: int) -> str:
    with connected(port) as sock:
        sock.sendall(b"\n")
        text = b""
        while data := sock.recv(65536):
            text += data
        return text.decode()


def test_session_inherits_only_its_connection(tmp_path: Path, port: int) -> None:
    local = f"--listen=unix:{tmp_path}/socket"
    program = ["/bin/sh", "-c", "read -r line; cat /proc/self/stat; exec ls -l /proc/self/fd"]
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", local, program=program) as listen:
        status, *lines = output(port).splitlines()
        files = dict(re.findall(r" (\d+) -> (\S+)$", "\n".join(lines), re.M))
        assert set(files) == {"0", "1", "2", "3"} and files["3"].startswith("/proc/")  # ls reads that folder
        assert files["0"] == files["1"] and files["0"].startswith("socket:")
        assert files["2"] == str(tmp_path / "log")
        group = int(status.split()[4])
        assert group != os.getpgid(listen.pid)


def test_session_has_default_signals(tmp_path: Path, port: int) -> None:
    """Also if the parent ignored or blocked some: SIGCHLD that is ignored would leave no child to wait for."""
    ignoring = (
        "import os, signal, sys\n"
        "for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGPIPE):\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGQUIT})\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    prefix = [sys.executable, "-c", ignoring]
    program = ["/bin/sh", "-c", "read -r line; exec grep ^Sig /proc/self/status"]
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", program=program, prefix=prefix) as listen:
        masks = dict(re.findall(r"^(Sig\w+):\s+(\w+)$", output(port), re.M))
        assert int(masks["SigBlk"], 16) == 0, masks
        assert int(masks["SigIgn"], 16) & 0x7FFFFFFF == 0, masks  # glibc ignores two of its own above 31
        listen.wait_sessions(0)
        listen.signal(signal.SIGTERM)
        assert listen.wait_end() == 0


def test_other_processes_of_its_user_cannot_read_its_environment(tmp_path: Path, port: int) -> None:
    """It may have SIGNATURE_KEY. A build with sanitizers does not hide it: they attach to their own process."""
    account = unused_account()
    assert account, "the tests run as root"
    prefix, release = as_account(account.uid), TREE / "build" / "proxxy-listen"
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", prefix=prefix, listen=release) as listen:
        environ = Path(f"/proc/{listen.pid}/environ")
        read = subprocess.run([*account.prefix(), "cat", environ], capture_output=True, text=True)
        assert read.returncode != 0 and "Permission denied" in read.stderr


def as_account(uid: int, *limits: str) -> list[str]:
    """Arguments that make proxxy-listen run as the uid. It may be unable to enter the folders above the program, so the
    program is started through a descriptor."""
    account = f"setpriv --reuid={uid} --regid={uid} --clear-groups --pdeathsig TERM --"
    limited = f"prlimit {' '.join(limits)} --" if limits else ""
    return ["/bin/sh", "-c", f'exec 9<"$1"; shift; exec {account} {limited} /proc/self/fd/9 "$@"', "sh"]


# --- limits -------------------------------------------------------------------------------------


def test_client_above_the_limit_waits(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", "--max", "2") as listen:
        with connected(port) as first, connected(port) as second, connected(port) as third:
            assert echoes(first) and echoes(second)
            third.sendall(b"z")
            assert is_silent(third) and len(listen.sessions()) == 2
            assert "All processes are in use, clients wait sessions=2" in listen.log()
            first.close()
            assert third.recv(1) == b"z"


@pytest.mark.parametrize("environment, processes", [({}, 1024), ({"PROXXY_MAX_SESSIONS": "0"}, 1024),
                                                    ({"PROXXY_MAX_SESSIONS": "200"}, 314)])  # fmt: skip
def test_limit_leaves_room_for_answers_above_the_sessions_limit(
    tmp_path: Path, port: int, environment: dict[str, str], processes: int
) -> None:
    """proxxy-conn answers a client above PROXXY_MAX_SESSIONS with 503; a client who waits would learn nothing."""
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", environment=environment) as listen:
        assert f"at most {processes} processes" in listen.log()


def test_no_process_left_cuts_clients_off_and_goes_on(tmp_path: Path, port: int) -> None:
    """fork fails with EAGAIN: its user may have three processes, of which one is proxxy-listen itself."""
    account = unused_account()
    assert account, "the tests run as root"
    prefix = as_account(account.uid, "--nproc=3")
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", prefix=prefix) as listen:
        with connected(port) as first, connected(port) as second:
            assert echoes(first) and echoes(second)
            for _ in range(2):
                with connected(port) as refused:
                    refused.sendall(b"x")
                    assert is_cut_off(refused)
            log = listen.wait_log("Cannot start")
            assert f"Cannot start {CAT}: Resource temporarily unavailable. A client was cut off sessions=2" in log
            assert echoes(first) and echoes(second)
            with connected(port) as held:  # a client who waits is served as soon as a process ends
                held.sendall(b"held")
                time.sleep(0.2)
                first.close()
                assert held.recv(4, socket.MSG_WAITALL) == b"held"
        listen.signal(signal.SIGTERM)
        assert listen.wait_end() == 0


def test_a_flood_without_processes_is_one_line_a_second(tmp_path: Path, port: int) -> None:
    """A program that cannot be started at all: each client is cut off at once."""
    program = tmp_path / "program"
    program.write_text("#!/nonexistent\n")
    program.chmod(0o755)
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", program=[str(program)]) as listen:
        began = time.monotonic()
        for _ in range(50):
            with connected(port) as sock:
                sock.sendall(b"x")
                assert is_cut_off(sock)
        seconds = time.monotonic() - began
        assert 1 <= listen.log().count("Cannot start") <= seconds + 1
        program.write_text("#!/bin/sh\ncat\n")  # it was mended
        with connected(port) as sock:
            assert echoes(sock)


def test_no_descriptor_left_lets_clients_wait(tmp_path: Path, port: int) -> None:
    """accept fails with EMFILE: standard input, output and error, signals and the socket take all that are allowed."""
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", prefix=["prlimit", "--nofile=5:64"]) as listen:
        with connected(port) as sock:
            sock.sendall(b"x")
            listen.wait_log("Cannot accept: Too many open files. Clients wait sessions=0")
            assert is_silent(sock)
            busy = cpu_seconds(listen.pid)
            time.sleep(1)
            assert cpu_seconds(listen.pid) - busy < 0.5  # it waits, and does not spin
            resource.prlimit(listen.pid, resource.RLIMIT_NOFILE, (64, 64))
            assert sock.recv(1) == b"x"
        with connected(port) as sock:
            assert echoes(sock)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_client_that_sends_nothing_has_no_process(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}") as listen, connected(port) as silent, connected(
        port
    ) as other:
        assert echoes(other)
        listen.wait_sessions(1)
        silent.sendall(b"y")
        assert silent.recv(1) == b"y"
        listen.wait_sessions(2)


def test_many_clients_at_once(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}") as listen:
        socks = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(200)]
        for sock in socks:
            sock.sendall(b"hello")
        assert all(sock.recv(5, socket.MSG_WAITALL) == b"hello" for sock in socks)
        listen.wait_sessions(200)
        for sock in socks:
            sock.close()
        listen.wait_sessions(0)
        assert zombies(listen.pid) == []


def zombies(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if state == "Z" and int(ppid) == parent:
            found.append(int(entry.parent.name))
    return found


# --- as PID 1 -----------------------------------------------------------------------------------


def test_as_pid_1(tmp_path: Path, settings: dict[str, Any], standin: StandIn, key: str, port: int) -> None:
    """Without an init: it gets SIGTERM, which the kernel keeps from a PID 1 that does not handle it."""
    used = tmp_path / "used"
    used.mkdir(mode=0o700)
    environment = {
        "SIGNATURE_KEY": key,
        "PROXXY_CA_FILE": str(settings["PROXXY_CA_FILE"]),
        "PROXXY_ALLOWED_HOSTS": ANYWHERE,
        "PROXXY_STATE_DIRECTORY": str(used),
    }
    prefix = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child"]
    listener, program = f"--listen=127.0.0.1:{port}", [str(binary())]
    with acceptor(tmp_path, listener, program=program, environment=environment, prefix=prefix) as unshare:
        [pid] = children(unshare.pid)
        assert "proxxy-listen[1]: Listening" in unshare.log()
        with Client.connect(port, "/api/status") as client:
            head = client.read_head()
            assert head.status == 200 and b'{"uptime":' in client.read_body(head)
        with opened(port, standin, key) as client:
            os.kill(pid, signal.SIGTERM)
            assert client.close_code()[0] == 1001
            client.send_frame(CLOSE, close_payload(1001))
            assert unshare.wait_end() == 0
        assert "Session ended" in unshare.log() and unshare.log().endswith("Stopped\n")


def test_pid_1_reaps_orphans(tmp_path: Path, port: int) -> None:
    """A child of a session that outlives it becomes a child of PID 1."""
    program = ["/bin/sh", "-c", "read -r line; (sleep 0.5; echo late >&2) >/dev/null & echo $line"]
    prefix = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child"]
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}", program=program, prefix=prefix) as unshare:
        [pid] = children(unshare.pid)
        with connected(port) as sock:
            sock.sendall(b"hello\n")
            assert sock.recv(6, socket.MSG_WAITALL) == b"hello\n"
            wait_for(lambda: "sh" in children(pid).values(), 5, "the orphan is no child of PID 1")
        unshare.wait_log("late")
        wait_for(lambda: not children(pid) and not zombies(pid), 5, lambda: f"left: {children(pid)} {zombies(pid)}")
        os.kill(pid, signal.SIGUSR1)
        assert unshare.wait_end() == 0


# --- addresses ----------------------------------------------------------------------------------


def test_console_over_a_unix_socket(
    tmp_path: Path, settings: dict[str, Any], standin: StandIn, key: str, port: int
) -> None:
    path = tmp_path / "proxxy.sock"
    with consoles(tmp_path, settings, f"--listen=unix:{path}", f"--listen=127.0.0.1:{port}") as listen:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        request = (
            f"GET {target(seal(standin.console('qemu', ECHO), key))} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        with connected(str(path)) as sock:
            client = Client(sock)
            client.send(request.encode())
            assert client.read_head().status == 101
            check(client)
            with opened(port, standin, key) as other:  # both at once
                listen.signal(signal.SIGTERM)
                for each in (client, other):
                    assert each.close_code()[0] == 1001
                    each.send_frame(CLOSE, close_payload(1001))
            assert listen.wait_end() == 0
        assert not path.exists()


def test_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with acceptor(tmp_path, f"--listen=unix:{path}", "--mode=0600") as listen:
        listen.signal(signal.SIGKILL)
        listen.process.wait()
    assert path.exists()
    with acceptor(tmp_path, f"--listen=unix:{path}", "--mode=0600") as listen, connected(str(path)) as sock:
        assert echoes(sock) and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_of_others_are_kept(tmp_path: Path) -> None:
    """Neither a file that is no socket nor a socket on which another process listens is replaced or removed."""
    path = tmp_path / "socket"
    path.write_text("precious")
    ended = run(f"--listen=unix:{path}", CAT)
    assert ended.returncode == EX_OSERR and "Address already in use" in ended.stderr
    assert path.read_text() == "precious"
    path.unlink()
    with acceptor(tmp_path, f"--listen=unix:{path}") as listen:
        assert run(f"--listen=unix:{path}", CAT).returncode == EX_OSERR
        with connected(str(path)) as sock:
            assert echoes(sock)
        path.rename(tmp_path / "moved")
        path.write_text("precious")
        listen.signal(signal.SIGTERM)
        assert listen.wait_end() == 0
        assert path.read_text() == "precious"


def test_port_alone_is_both_ipv6_and_ipv4(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, environment={"PORT": str(port)}) as listen:
        assert f"Listening on port {port}" in listen.log()
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port), 10) as sock:
                assert echoes(sock)


def test_address_alone_is_that_one(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=[::1]:{port}"):
        with socket.create_connection(("::1", port), 10) as sock:
            assert echoes(sock)
        with pytest.raises(ConnectionRefusedError), connected(port):
            pass
    with acceptor(tmp_path, f"--listen=[::]:{port}", f"--listen=0.0.0.0:{port}"):  # two sockets, one port
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port), 10) as sock:
                assert echoes(sock)


# --- the command line ---------------------------------------------------------------------------


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(LISTEN), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env={**os.environ, **environment})


def test_port_in_use(tmp_path: Path, port: int) -> None:
    with acceptor(tmp_path, f"--listen=127.0.0.1:{port}"):
        ended = run(f"--listen=unix:{tmp_path}/socket", f"--listen=127.0.0.1:{port}", CAT)
        assert ended.returncode == EX_OSERR
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr
        assert not (tmp_path / "socket").exists()  # the sockets that it had opened are closed


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["--listen=8443", "/nonexistent"], EX_UNAVAILABLE, "cannot start /nonexistent: No such file or directory"),
        (["--listen=8443", "/etc/passwd"], EX_UNAVAILABLE, "cannot start /etc/passwd: Permission denied"),
        (["--listen=0"], EX_USAGE, '--listen is "0": it must be PORT'),
        (["--listen=65536"], EX_USAGE, "must be PORT"),
        (["--listen=localhost:8443"], EX_USAGE, "numeric address"),
        (["--listen=::1:8443"], EX_USAGE, "[ADDRESS]:PORT for IPv6"),
        (["--listen=[::1]"], EX_USAGE, "must be PORT"),
        (["--listen=[]:80"], EX_USAGE, "must be PORT"),
        (["--listen=:80"], EX_USAGE, "must be PORT"),
        (["--listen=1.2.3:80"], EX_USAGE, "must be PORT"),
        (["--listen=unix:relative"], EX_USAGE, "unix:/PATH"),
        (["--listen=unix:/" + "x" * 107], EX_USAGE, "at most 107 bytes"),
        (["--listen=unix:/nonexistent/socket", CAT], EX_OSERR, "cannot listen on unix:/nonexistent/socket: No such"),
        ([f"--listen={number}" for number in range(1, 18)], EX_USAGE, "16 at most"),
        (["--mode=999"], EX_USAGE, "octal"),
        (["--mode=4755"], EX_USAGE, "octal"),
        (["--max=0"], EX_USAGE, "from 1 to 100000"),
        (["--max=100001"], EX_USAGE, "from 1 to 100000"),
        (["--max=1x"], EX_USAGE, "whole number"),
        (["--unknown"], EX_USAGE, "--help lists the options"),
        (["--health", CAT], EX_USAGE, "takes no program"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else None,
)
def test_mistakes_have_words_and_a_status(arguments: list[str], status: int, words: str) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (status, "") and words in ended.stderr, ended.stderr


@pytest.mark.parametrize("name, value", [("PORT", "84x3"), ("PORT", "0"), ("PROXXY_MAX_SESSIONS", "-1")])
def test_mistakes_in_the_environment(name: str, value: str) -> None:
    ended = run(CAT, **{name: value})
    assert ended.returncode == EX_CONFIG and f'{name} is "{value}"' in ended.stderr


def test_socket_that_is_not_allowed(tmp_path: Path) -> None:
    account = unused_account()
    assert account, "the tests run as root"
    command = [*as_account(account.uid), str(LISTEN), f"--listen=unix:{tmp_path}/socket", CAT]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == EX_NOPERM and "Permission denied" in ended.stderr, ended.stderr


def test_help_fits_on_a_screen() -> None:
    ended = run("--help")
    assert ended.returncode == 0 and ended.stderr == ""
    assert len(ended.stdout.splitlines()) <= 24 and max(map(len, ended.stdout.splitlines())) <= 100
    assert re.fullmatch(r"proxxy-listen \d+\.\d+\.\d+\n", run("--version").stdout)


# --- the health check ---------------------------------------------------------------------------


def test_health(tmp_path: Path, settings: dict[str, Any], port: int) -> None:
    path = f"unix:{tmp_path}/proxxy.sock"
    with consoles(tmp_path, settings, f"--listen={port}", f"--listen={path}"):
        for listener in (str(port), f"127.0.0.1:{port}", path):
            healthy = run("--health", f"--listen={listener}")
            assert (healthy.returncode, healthy.stdout, healthy.stderr) == (0, "", "")
        assert run("--health", PORT=str(port)).returncode == 0
    for listener, words in ((str(port), "Connection refused"), (path, "Connection refused")):
        gone = run("--health", f"--listen={listener}")
        assert gone.returncode == 1 and words in gone.stderr


def test_health_of_a_proxxy_without_a_key(tmp_path: Path, port: int) -> None:
    with consoles(tmp_path, {"SIGNATURE_KEY": "short"}, f"--listen=127.0.0.1:{port}"):
        sick = run("--health", f"--listen=127.0.0.1:{port}")
        assert sick.returncode == 1 and 'its answer begins with "HTTP/1.1 500"' in sick.stderr


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"", "it closed the connection without an answer"),
        (b"SSH-2.0-Open\x1b[2JSSH_9", 'its answer begins with "SSH-2.0-Open?"'),
    ],
)
def test_health_of_something_else(port: int, answer: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        asking = subprocess.Popen(
            [LISTEN, "--health", f"--listen=127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True, env=os.environ
        )
        connection, _ = server.accept()
        with connection:
            assert connection.recv(65536).startswith(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n")
            connection.sendall(answer)
        _, stderr = asking.communicate(timeout=30)
        assert asking.returncode == 1 and words in stderr


def test_health_sends_a_header_where_proxxy_expects_one(port: int) -> None:
    """Version 2 of the PROXY protocol, LOCAL: a health check of a proxy itself."""
    header = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
    with socket.create_server(("127.0.0.1", port)) as server:
        environment = {**os.environ, "PROXXY_CLIENT_ADDRESS": "proxy-protocol"}
        asking = subprocess.Popen([LISTEN, "--health", f"--listen=127.0.0.1:{port}"], env=environment)
        connection, _ = server.accept()
        with connection:
            sent = b""
            while b"\r\n\r\n" not in sent[16:]:
                sent += connection.recv(65536)
            assert sent.startswith(header + b"GET /api/status ")
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        assert asking.wait(30) == 0


def test_silent_port_is_not_healthy(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        sick = run("--health", f"--listen=127.0.0.1:{port}")
        assert sick.returncode == 1 and "no answer in time" in sick.stderr
