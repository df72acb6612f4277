# SPDX-License-Identifier: Apache-2.0
"""Code that runs inside a session can open no file, make no connection and reach no process, and finds no secret in
memory. Before the session is connected, it can do only what opening takes."""

from __future__ import annotations

import base64
import ctypes
import os
import platform
import re
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import ECHO, console
from lib.activator import TREE, Activator, Xinetd, binary
from lib.certs import Cert
from lib.make import make
from lib.payload import seal, seal_jwe, target
from lib.process import memory, wait_for
from lib.random_peer import LIBSSL, UPDATE_REQUESTED, tls_of
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, CLOSE, PING, PONG, Client, close_payload

SOURCE = TREE / "tests" / "breakin.c"
# Attempts for other processors are left out: tests/breakin.c has them between #if and #else.
MACHINE = platform.machine() if sys.maxsize > 2**32 else "i386"
_common, _, _rest = SOURCE.read_text().partition("#ifdef __x86_64__\n")
_x86_64, _, _i386 = _rest.partition("#elif defined(__i386__)\n")
_abi = {"x86_64": _x86_64, "i386": _i386}.get(MACHINE, "")
_common, _, _first = _common.partition("#define ATTEMPTS_FIRST")


def _names(text: str) -> list[str]:
    return re.findall(r"^\t(?:CALL|TRY)\((\w+), ", text, re.M)


ATTEMPTS = _names(_common + _abi)
ATTEMPTS_FIRST = ATTEMPTS + _names(_first)
SIGSEGV, SIGSYS = 11, 31

# The sandbox kills the session at these calls, which no mistake in the program would make. Other calls fail.
KILLED = {
    "execute", "execute_at", "signal_parent", "signal_all", "pidfd_of_parent", "trace_parent", "read_parents_memory",
    "mount_tmpfs", "change_root", "fault_handler", "become_root", "take_capabilities", "new_namespace", "load_bpf",
    "io_uring", "perf_event", "key_ring",
} | {"x86_64": {"x32_call", "i386_call"}, "i386": {"become_root_32"}}.get(MACHINE, set())  # fmt: skip
# Attempts that succeed without the sandbox for any user: only the sandbox stops them.
GOOD = {
    "open_passwd", "open_own_memory", "open_environment", "open_directory", "create_tmpfile", "openat2_passwd",
    "stat_file", "read_link", "access_file", "change_directory", "memory_file", "watch_files", "socket_inet",
    "socket_inet6", "socket_udp", "socket_unix", "socket_netlink", "socket_pair", "disconnect", "socket_option",
    "send_message", "send_messages",
    "duplicate", "duplicate_by_fcntl", "pipe_pair", "event_fd", "pidfd_of_parent", "become_dumpable",
    "map_executable", "make_executable", "shared_memory", "personality_change", "raise_limit", "new_namespace",
}  # fmt: skip


@pytest.fixture(scope="module")
def breakin() -> Path:
    """Builds the program with the attempts in it."""
    make("BREAKIN=1", "all")
    return TREE / "build" / "breakin" / "proxxy-conn"


def attempt(standin: StandIn, key: str, proxxy: Activator) -> str:
    """Runs the attempt in a session; returns its report, or "" when the session was killed."""
    with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
        try:
            return client.read_frame().payload.decode()
        except (EOFError, ConnectionError):
            return ""


def test_every_attempt_is_known() -> None:
    assert len(ATTEMPTS_FIRST) == len(set(ATTEMPTS_FIRST)) > len(ATTEMPTS) > 70
    assert KILLED | GOOD <= set(ATTEMPTS)
    assert set(GOOD_FIRST) | BY_LANDLOCK.keys() <= set(ATTEMPTS_FIRST)


@pytest.mark.parametrize("spawner", [Activator, Xinetd], ids=["activate", "xinetd"])
@pytest.mark.parametrize("name", ATTEMPTS)
def test_attempt_is_stopped(
    breakin: Path, settings: dict[str, Any], standin: StandIn, key: str, name: str, spawner: type[Activator]
) -> None:
    with spawner(settings, program=breakin, environment={"PROXXY_BREAKIN": name}) as proxxy:
        answer = attempt(standin, key, proxxy)
        if name not in KILLED:
            assert answer == "stopped: EPERM"
            return
        assert answer == ""
        if spawner is Activator:
            log = proxxy.wait_log("died with code")
            # A kernel without 32-bit system calls kills the process with SIGSEGV here.
            assert f"died with code {SIGSYS}" in log or (name == "i386_call" and f"code {SIGSEGV}" in log)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_attempt_would_succeed_without_the_sandbox(
    breakin: Path, settings: dict[str, Any], standin: StandIn, key: str, name: str
) -> None:
    environment = {"PROXXY_BREAKIN": name, "PROXXY_BREAKIN_OUTSIDE": "1"}
    with Activator(settings, program=breakin, environment=environment) as proxxy:
        assert attempt(standin, key, proxxy) == "done"


def test_program_has_the_filters_of_its_build() -> None:
    """A unit test asks these filters about every system call (tests/unit/session/test_seccomp_filter.c)."""
    header = (binary().parent / "filter" / "filters.h").read_text()
    instructions = re.findall(r"\{ (0x\w+), +(\d+), +(\d+), (0x\w+) \}", header)
    code = b"".join(struct.pack("=HBBI", *(int(number, 0) for number in found)) for found in instructions)
    assert len(instructions) > 100 and code in binary().read_bytes()


# --- the first sandbox -----------------------------------------------------------------------

# The results in the first sandbox, which a session enters before it reads from the client. All others are ENOSYS.
FIRST = {
    "done": """open_passwd open_environment stat_file read_link access_file create_state create_state_directory
        socket_inet socket_inet6 socket_udp socket_unix socket_netlink socket_pair disconnect send_message
        send_messages socket_option duplicate duplicate_by_fcntl pipe_pair event_fd raise_limit""",
    "EACCES": """open_own_memory open_directory create_file create_tmpfile make_directory map_file write_etc list_root
        list_processes open_device open_parents_memory bind_port""",
    "EPERM": "connect_abstract",
    "ENOENT": "open_key remove_file rename_file",
    "EXDEV": "link_from_etc",
    "EAGAIN": "receive_message",
    "ECONNREFUSED": "connect_again fast_open",
    "EPIPE": "send_to",
    "EAFNOSUPPORT": "socket_packet socket_crypto socket_bluetooth",
    "SYS": """execute execute_at trace_parent read_parents_memory mount_tmpfs change_root fault_handler become_root
        take_capabilities new_namespace load_bpf perf_event x32_call i386_call become_root_32""",
}
# These depend on the machine, or are no attempts on one's own: the new thread would run on the attempt's stack.
NOT_FIRST = {"open_key", "clone_thread", "link_from_etc"}
# Landlock stops these, from the given version of its interface on.
BY_LANDLOCK = dict.fromkeys(FIRST["EACCES"].split(), 1) | {"map_file": 0, "bind_port": 4, "connect_abstract": 6}
# They succeed without the sandbox, for any user.
GOOD_FIRST = """open_directory create_tmpfile openat2_passwd change_directory memory_file watch_files listen_on
    fork_by_clone signal_parent signal_all signal_parents_thread pidfd_of_parent set_priority set_scheduler
    map_executable make_executable shared_memory become_dumpable new_namespace personality_change list_processes
    own_descriptor_for_parent choose_descriptors_signal map_shared_executable
    open_device create_set_user_id create_tmpfile_set_user_id make_directory_set_group_id set_user_id create_link
    create_pipe_file socket_netfilter connect_abstract open_own_memory""".split()


def landlock_version() -> int:
    """Returns the version of the kernel's interface, or -1 if it has none."""
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1))


def first_results(
    breakin: Path, settings: dict[str, Any], names: list[str], spawner: type[Activator], **environment: str
) -> dict[str, str]:
    """Makes attempts in the first sandbox of one session. Returns each name's result."""
    asked = {"PROXXY_BREAKIN_FIRST": "".join(f"{name}," for name in names)}
    with spawner(settings, program=breakin, environment=asked | environment) as proxxy:
        with socket.create_connection(("127.0.0.1", proxxy.port), timeout=20) as client:
            text = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    return dict(line.split() for line in text.splitlines())


def expected_first(name: str) -> str:
    return next((result for result, names in FIRST.items() if name in names.split()), "ENOSYS")


@pytest.mark.parametrize("spawner", [Activator, Xinetd], ids=["activate", "xinetd"])
def test_first_sandbox_stops_attempts(breakin: Path, settings: dict[str, Any], spawner: type[Activator]) -> None:
    """Whoever takes the process over while it reads the request can do little more than open a session."""
    names = [name for name in ATTEMPTS_FIRST if name not in NOT_FIRST]
    if MACHINE == "i386":  # its socketcall() cannot be filtered
        names = [name for name in names if not name.startswith("socket")]
    found = first_results(breakin, settings, names, spawner)
    assert found.keys() == set(names)
    wrong = {name: result for name, result in found.items() if result != expected_first(name)}
    version = landlock_version()
    assert {name: result for name, result in wrong.items() if BY_LANDLOCK.get(name, 0) <= max(version, 0)} == {}


def test_these_would_succeed_without_the_first_sandbox(breakin: Path, settings: dict[str, Any]) -> None:
    found = first_results(breakin, settings, GOOD_FIRST, Activator, PROXXY_BREAKIN_OUTSIDE="1")
    assert found == dict.fromkeys(GOOD_FIRST, "done")


@pytest.mark.skipif(landlock_version() < 1, reason="the kernel has no Landlock")
def test_setting_makes_more_files_readable(breakin: Path, settings: dict[str, Any]) -> None:
    more = settings | {"PROXXY_READABLE": "/nowhere, /"}
    found = first_results(breakin, more, ["open_directory", "list_processes", "create_file"], Activator)
    assert found == {"open_directory": "done", "list_processes": "done", "create_file": "EACCES"}


def test_first_sandbox_before_the_first_byte(settings: dict[str, Any]) -> None:
    with Activator(settings) as proxxy, socket.create_connection(("127.0.0.1", proxxy.port)):
        (pid,) = wait_for(proxxy.sessions, 5, "no session")
        wait_for(lambda: filters(pid) == filters(os.getpid()) + 1, 5, "no filter")


# Makes landlock_add_rule() fail, as a filter that does not know it: load the call's number, compare, EPERM or allow.
FORBID_RULES = """
import ctypes, os, struct, sys
code = 0x20, 0, 0, 0, 0x15, 0, 1, 445, 6, 0, 0, 0x50001, 6, 0, 0, 0x7FFF0000
code = ctypes.create_string_buffer(struct.pack("=" + "HBBI" * 4, *code))
program = ctypes.create_string_buffer(struct.pack("@HP", 4, ctypes.addressof(code)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""


class WithoutRules(Activator):
    """An activator whose sessions cannot add rules to a ruleset of Landlock."""

    def command(self) -> list[Any]:
        return [sys.executable, "-c", FORBID_RULES, *super().command()]


def test_without_rules_there_is_no_landlock(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """A service manager's filter may allow Landlock only in part: the session can still read what it must, and says
    so once."""
    members = standin.console("qemu", ECHO)
    members["host"] = f"localhost:{members['host'].rpartition(':')[2]}"
    with WithoutRules(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(members, key))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            client.send_frame(CLOSE, close_payload(1000))
        assert proxxy.wait_log("Session ended").count("Landlock is refused") == (landlock_version() > 0)


# --- when it is connected --------------------------------------------------------------------


def filters(pid: int) -> int:
    """Returns the number of a process's system call filters. A container may have added one."""
    return int(re.search(r"^Seccomp_filters:\t(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def test_confined_before_proxmox_has_said_anything(breakin: Path, settings: dict[str, Any], key: str) -> None:
    """The session enters the sandbox before TLS and HTTP, because the other host may not be Proxmox."""
    with socket.create_server(("127.0.0.1", 0)) as listener, Activator(settings, program=breakin) as proxxy:
        members = console(listener.getsockname()[1])
        with Client.upgraded(proxxy.port, target(seal(members, key))):
            upstream, _ = listener.accept()
            with upstream:
                assert upstream.recv(5)[:1] == b"\x16"  # a TLS handshake record, the first byte that proxxy sends
                wait_for(lambda: sleeps(proxxy.sessions()[0]), 5, "the session does not wait for an answer")
                (pid,) = proxxy.sessions()
                assert filters(pid) == filters(os.getpid()) + 2


def sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


class WithDescriptors(Activator):
    """An activator that leaks descriptors into its sessions."""

    def command(self) -> list[Any]:
        leaking = ["sh", "-c", 'exec 5</etc/passwd 7</etc 9>/dev/null; exec "$0"', self.binary]
        return [*super().command()[:-1], *leaking]


def test_session_has_no_descriptor_that_is_not_its_own(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with WithDescriptors(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            (pid,) = proxxy.sessions()
            open_now = {int(path.name): os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
    # 3 is Proxmox's socket, 4 holds this session's slot (PROXXY_MAX_PER_GUEST).
    assert sorted(open_now) == [0, 1, 2, 3, 4], open_now
    assert open_now[0] == open_now[1] != open_now[3] and open_now[3].startswith("socket:")
    assert Path(open_now[4]).parent == proxxy.used / "limits"


def test_session_cannot_fill_the_disk(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """The files of its slots are open for writing, because a lock needs that."""
    with Xinetd(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            (pid,) = proxxy.sessions()
            limits = Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"^Max file size +0 +0 ", limits, re.M), limits


# --- memory ----------------------------------------------------------------------------------


def secrets_of(console: dict[str, Any], key: str, payload: str) -> dict[str, bytes]:
    """Returns the secrets in each form that they ever had, and parts of them."""
    token = console["ticket"].rpartition("=")[2] or console["ticket"]
    vncticket = console["vncticket"]
    # The beginning only shows the ticket's type.
    signature = vncticket[-40:]
    found = {
        "key": bytes.fromhex(key),
        "half of the key": bytes.fromhex(key)[:16],
        "other half": bytes.fromhex(key)[16:],
        "key in hex": key.encode(),
        "part of it": key[8:32].encode(),
        "ticket": token.encode(),
        "part of the ticket": token[-16:].encode(),
        "vncticket": signature.encode(),
        "vncticket as sent": quote(signature, safe="").encode(),
        "part of the vncticket": vncticket[-16:].encode(),
    }
    for at in range(40, len(payload) - 32, 200):
        found[f"payload at {at}"] = payload[at : at + 32].encode()
        if ":" not in payload:
            raw = base64.urlsafe_b64decode(payload.split(".")[3][: len(payload.split(".")[3]) // 4 * 4])
            found[f"ciphertext at {at}"] = raw[at // 2 : at // 2 + 24]
    return found


@pytest.mark.parametrize("make", [seal, seal_jwe])
def test_relaying_session_has_no_secret_in_memory(
    settings: dict[str, Any], standin: StandIn, key: str, make: Any
) -> None:
    """/proc/PID/mem contains no form of the key, ticket, vncticket or payload."""
    with Activator(settings | {"SIGNATURE_KEY": f"new:{'5a' * 32}, old:{key}"}) as proxxy:
        console = standin.console("qemu", ECHO)
        payload = make(console, key)
        with Client.upgraded(proxxy.port, target(payload), {"Cookie": "session=panel-cookie-value"}) as client:
            client.send_frame(BINARY, b"marker of the session")
            client.read_data(21)
            (pid,) = wait_for(proxxy.sessions, 5, "no session")
            secrets = secrets_of(console, key, payload)
            secrets["other key"] = bytes.fromhex("5a" * 32)
            secrets["cookie"] = b"panel-cookie-value"
            seen, found = 0, []
            for line, content in memory(pid):
                seen += b"marker of the session" in content
                found += [
                    f"{name} in {line.strip()} at {content.index(s)}" for name, s in secrets.items() if s in content
                ]
            assert seen > 0, "the scan does not even see what is there"
            assert found == []
            environment = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
            assert key.encode() not in environment


def private_memory(pid: int) -> int:
    """Returns the private memory of the process in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(map(int, re.findall(r"^Private_\w+: +(\d+)", text, re.M)))


def has_returned_tables(pid: int) -> bool:
    """True if at least half of the pages that libcrypto's tables of addresses had are returned to the kernel, or if the
    process has no shared libcrypto, or has a sanitizer."""
    maps = Path(f"/proc/{pid}/smaps").read_text()
    parts = [part.split() for part in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", maps) if "/libcrypto.so." in part]
    own = sum(int(part[part.index("Private_Dirty:") + 1]) for part in parts if part[1] == "r--p")
    returned = sum(int(part[part.index("Size:") + 1]) for part in parts if part[1] == "---p")
    return not parts or "/libasan.so." in maps or returned > own


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="other processors keep their tables")
@pytest.mark.parametrize("end", ["close", "signal"])
def test_session_returns_openssls_tables(settings: dict[str, Any], standin: StandIn, key: str, end: str) -> None:
    """Tables that the dynamic linker wrote are returned while a session relays, and come back when OpenSSL needs them.
    A SIGSEGV that is not for them still ends the process."""
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            (pid,) = wait_for(proxxy.sessions, 5, "no session")
            wait_for(lambda: has_returned_tables(pid), 5, "the session keeps OpenSSL's tables")
            client.send_frame(BINARY, b"key")
            assert client.read_data(3) == b"key"
            if end == "signal":
                os.kill(pid, SIGSEGV)
            else:
                client.send_frame(CLOSE, close_payload(1000))
                assert client.close_code()[0] == 1000
        code = SIGSEGV if end == "signal" else 0
        assert f"died with code {code}" in proxxy.wait_log("died with code")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="other processors keep their tables")
@pytest.mark.parametrize("end", ["key update", "close_notify", "broken record"])
def test_tls_goes_on_with_returned_tables(settings: dict[str, Any], cert: Cert, key: str, end: str) -> None:
    """After the tables were returned, TLS changes its keys, or ends with a close_notify or at a broken record."""
    returned = threading.Event()

    def script(connection: Connection) -> None:
        connection.accept_upgrade()
        assert returned.wait(20)
        if end == "key update":
            LIBSSL.SSL_key_update(tls_of(connection.sock), UPDATE_REQUESTED)
            connection.send_frame(BINARY, b"new keys")
            assert connection.read_frame().payload == b"so here"
            connection.send_frame(CLOSE, close_payload(1000))
        elif end == "close_notify":
            connection.close_notify()
        else:
            os.write(connection.sock.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
            connection.hang()

    with Upstream(cert, script) as upstream, Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port), key))) as client:
            (pid,) = wait_for(proxxy.sessions, 5, "no session")
            wait_for(lambda: has_returned_tables(pid), 5, "the session keeps OpenSSL's tables")
            returned.set()
            if end == "key update":
                assert client.read_data(8) == b"new keys"
                client.send_frame(BINARY, b"so here")
            assert client.close_code()[0] == (1011 if end == "broken record" else 1000)
        assert f"died with code {SIGSEGV}" not in proxxy.wait_log("died with code")


def test_quiet_session_is_as_small_as_before_its_burst(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """When a Ping is due, the session returns the memory that a burst used: it does not grow with its traffic."""
    burst = bytes(range(256)) * 4096
    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            (pid,) = wait_for(proxxy.sessions, 5, "no session")

            def rested() -> int:
                assert client.read_frame(5).opcode == PING
                client.send_frame(PONG, b"")
                return private_memory(pid)

            before = rested()
            for _ in range(8):
                client.send_frame(BINARY, burst)
                assert client.read_data(len(burst), 20) == burst
                client.send_frame(PONG, b"")  # on a busy machine a Ping comes in the middle of a burst
            after = [rested()]
            while after[-1] > before + 64:
                assert len(after) < 5, f"{before} KiB before, {after} after"
                after.append(rested())
