# SPDX-License-Identifier: Apache-2.0
"""proxxy-listen: its signals, what a session inherits, its limits, PID 1, and what it does when the machine has no
process or descriptor left."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO
from lib.account import unused_account
from lib.activator import ANYWHERE, TREE, binary
from lib.listen import CAT, acceptor, as_account, check, connected, consoles, echoes, is_cut_off, is_silent, opened
from lib.payload import seal, target
from lib.process import children, free_port, wait_for
from lib.standin import StandIn
from lib.wire import CLOSE, Client, close_payload


@pytest.fixture
def port() -> int:
    return free_port()


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


def test_client_above_the_sessions_limit_gets_an_answer(
    tmp_path: Path, settings: dict[str, Any], standin: StandIn, key: str, port: int
) -> None:
    limited = {**settings, "PROXXY_MAX_SESSIONS": 1}
    with consoles(tmp_path, limited, f"--listen=127.0.0.1:{port}"), opened(port, standin, key) as first:
        with Client.connect(port, target(seal(standin.console("qemu", ECHO), key))) as second:
            head = second.read_head()
            assert head.status == 503 and int(head.headers["retry-after"]) > 0
        check(first)


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
