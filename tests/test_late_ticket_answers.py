# SPDX-License-Identifier: Apache-2.0
"""What Proxmox may answer to the request for a console: refusals in words for client and log, and answers of servers
that are slow, broken or hostile."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Callable, Iterator

import pytest
from lib.activator import Activator
from lib.certs import Cert
from lib.late import GRANTED, LINK, Script, answer, end_of, grants, open_link, read_call, until_vncproxy
from lib.process import wait_for
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.vnc_console import VncConsole
from lib.wire import Client

API = "Proxmox: no WebSocket answer: "
FOREIGN = "is not from Proxmox's API"
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def proxxy(settings: dict[str, Any]) -> Iterator[Activator]:
    with Activator(settings) as proxxy:
        yield proxxy


@pytest.fixture(scope="module")
def quick(settings: dict[str, Any]) -> Iterator[Activator]:
    with Activator({**settings, "PROXXY_CONNECT_TIMEOUT": 1}) as proxxy:
        yield proxxy


@pytest.fixture
def opens(cert: Cert, key: str) -> Iterator[Callable[..., Client]]:
    """opens(proxxy, script, …) returns a client of a session with that Proxmox."""
    upstreams: list[Upstream] = []

    def opens(proxxy: Activator, script: Script, **members: Any) -> Client:
        upstreams.append(Upstream(cert, script))
        upstreams[-1].__enter__()
        link = {**LINK, "host": f"127.0.0.1:{upstreams[-1].port}", **members}
        return open_link(proxxy, key, {name: value for name, value in link.items() if value is not None})

    yield opens
    for upstream in upstreams:
        upstream.__exit__()
        assert upstream.connections == 1  # whatever happens, there is no second one


def refuses(code: int, reason: str, body: bytes = b"", length: bool = True) -> Script:
    """Refuses vncproxy, as Proxmox does."""

    def script(c: Connection) -> None:
        until_vncproxy(c)
        c.respond(code, reason, {"Connection": "close", **({"Content-Length": str(len(body))} if length else {})}, body)

    return script


@pytest.mark.parametrize(
    "code, reason, words, log",
    [
        (
            500,
            "Configuration file 'nodes/pve01/qemu-server/100.conf' does not exist",
            "Proxmox: 500 no such guest",
            "does not exist; it was removed, has the other type, or is on another node",
        ),
        (
            403,
            "Permission check failed (/vms/100, VM.Console)",
            "Proxmox: 403 permission denied",
            "vncproxy: 403 Permission check failed (/vms/100, VM.Console); the user needs a role with VM.Console",
        ),
        (
            401,
            "no such token 'proxxy' for user 'root@pam'",
            "Proxmox: 401 authentication failed",
            "no such token 'proxxy' for user 'root@pam'; does the API token exist",
        ),
        (595, "Connection refused", "Proxmox: 595 its API does not answer", "595 Connection refused; does"),
        (596, "Connection timed out", "Proxmox: 596 its API does not answer", "596 Connection timed out; does"),
        (
            500,
            "hostname lookup 'pve01' failed - failed to get address info for: pve01",
            "Proxmox: 500 no such node",
            "hostname lookup 'pve01' failed",
        ),
        (500, "VM is locked (backup)", "Proxmox: 500 the guest is locked", "VM is locked (backup); a backup, snapshot"),
        (502, "Bad Gateway", "Proxmox: 502 it does not answer", "502 Bad Gateway; does a proxy in front"),
        (301, "Moved", "Proxmox: 301 a redirect", "301 Moved; this is not the port of Proxmox's API"),
        (500, "a new error", "Proxmox: 500", "vncproxy: 500 a new error"),
        (201, "Created", "Proxmox: 201", "vncproxy: 201 Created"),
    ],
)
def test_refusals(
    proxxy: Activator, opens: Callable[..., Client], code: int, reason: str, words: str, log: str
) -> None:
    assert end_of(opens(proxxy, refuses(code, reason))) == (1011, words)
    proxxy.wait_log(log)


def test_words_of_the_body(proxxy: Activator, opens: Callable[..., Client]) -> None:
    """The parameter that was refused; the message, if the reason phrase is empty. It may end with the connection."""
    body = b'{"errors":{"bogus":"property is not defined in schema\\n"},"message":"Parameter verification failed.\\n"}'
    for length in (True, False):
        script = refuses(400, "Parameter verification failed.", body, length)
        assert end_of(opens(proxxy, script)) == (1011, "Proxmox: 400 a parameter was refused")
        proxxy.wait_log("400 Parameter verification failed. (bogus: property is not defined in schema)")
    assert end_of(opens(proxxy, refuses(500, "", b'{"message":"VM is locked (migrate)\\n"}'))) == (
        1011,
        "Proxmox: 500 the guest is locked",
    )
    proxxy.wait_log("500 VM is locked (migrate)")


def test_refusal_counts_whatever_its_body_is(proxxy: Activator, opens: Callable[..., Client]) -> None:
    def endless(c: Connection) -> None:
        until_vncproxy(c)
        c.respond(403, "Permission check failed", {"Content-Length": "100"})
        c.hang()

    def huge(c: Connection) -> None:
        until_vncproxy(c)
        c.respond(403, "Permission check failed", {"Content-Length": "1000000"}, b"x" * 1000000)

    def garbage(c: Connection) -> None:
        until_vncproxy(c)
        c.respond(403, "Permission check failed", {"Transfer-Encoding": "chunked"}, b"xyz")

    for script in (endless, huge, garbage):
        began = time.monotonic()
        assert end_of(opens(proxxy, script)) == (1011, "Proxmox: 403 permission denied")
        assert time.monotonic() - began < 4


def test_echoed_secrets_are_not_logged(proxxy: Activator, opens: Callable[..., Client]) -> None:
    def parrot(c: Connection) -> None:
        read_call(c)
        answer(c, {"version": "9.2.1"})
        token = read_call(c)[0].headers["authorization"]
        body = b'{"errors":{"a":"%s"},"message":"%s"}' % (token.encode(), token.encode())
        c.respond(400, f"no: {token}", {"Content-Length": str(len(body))}, body)

    assert end_of(opens(proxxy, parrot)) == (1011, "Proxmox: 400 a parameter was refused")
    log = proxxy.wait_log("vncproxy: 400 (a)")
    assert LINK["ticket"].rpartition("=")[2] not in log


def test_echoed_secrets_that_are_cut_off_are_not_logged(proxxy: Activator, opens: Callable[..., Client]) -> None:
    secret = LINK["ticket"].rpartition("=")[2]
    for before in (110, 125, 140, 155):
        assert end_of(opens(proxxy, refuses(500, "x" * before + secret))) == (1011, "Proxmox: 500")
    proxxy.wait_sessions(0)
    assert secret[:4] not in proxxy.log()


@pytest.mark.parametrize(
    "guests, words, log",
    [
        ([], "Proxmox: no such guest", "its list has no guest 100: it does not exist, or the user, or the token"),
        (
            [{"vmid": 100, "type": "lxc", "node": "pve01"}],
            "Proxmox: the guest is of the other type",
            "guest 100 is a container: type must be lxc",
        ),
        (
            [{"vmid": 100, "type": "qemu", "node": "pve01", "template": 1}],
            "Proxmox: the guest is a template",
            "guest 100 is a template, which has no console",
        ),
        (None, API + "its answer to the list of guests is not from Proxmox's API", ""),
        ([{"vmid": 100, "type": "qemu", "node": "../x"}], API + f"its answer to the list of guests {FOREIGN}", ""),
        (
            [{"vmid": 100, "type": "qemu", "node": "pve01", "tags": "y;" * 5000}],
            "Proxmox: no such guest",
            "has no role with VM.Audit on it; an entry of more than 8 KiB was not read",
        ),
    ],
)
def test_guest_is_not_found(proxxy: Activator, opens: Callable[..., Client], guests: Any, words: str, log: str) -> None:
    def script(c: Connection) -> None:
        read_call(c)
        answer(c, {"version": "9.2.1"})
        read_call(c)
        answer(c, guests)
        c.hang()

    assert end_of(opens(proxxy, script, node=None)) == (1011, words)
    proxxy.wait_log(log)


def test_endless_list(proxxy: Activator, opens: Callable[..., Client]) -> None:
    """A list of more than 16 MiB is not read to its end."""
    sent = 0

    def script(c: Connection) -> None:
        nonlocal sent
        read_call(c)
        answer(c, {"version": "9.2.1"})
        read_call(c)
        c.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b'{"vmid":101,"x":"%s"},' % (b"y" * 500)
        first, piece = b'{"data":[', piece * 100
        c.send(b"%x\r\n%s\r\n" % (len(first), first))
        while True:
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            sent += len(piece)

    assert end_of(opens(proxxy, script, node=None), 15) == (1011, API + f"its answer to the list of guests {FOREIGN}")
    assert 15 << 20 < sent < 24 << 20


@pytest.mark.parametrize("what", ["Proxmox near its limit", "HTTP/1.0", "a body that the connection's end ends"])
def test_connection_that_ends_after_an_answer(
    proxxy: Activator, opens: Callable[..., Client], what: str, cert: Cert, key: str
) -> None:
    """The console could not follow on another connection: the port is on the machine that answered."""
    words = "Proxmox: it closes the connection after its answer"
    if what == "Proxmox near its limit":
        with StandIn(cert) as pve:
            pve.near_connection_limit = True
            pve.add("qemu", 100, VncConsole().connect)
            assert end_of(open_link(proxxy, key, {**LINK, "host": f"127.0.0.1:{pve.port}"})) == (1011, words)
        proxxy.wait_log("is pveproxy near its limit of connections")
        return

    def script(c: Connection) -> None:
        until_vncproxy(c)
        if what == "HTTP/1.0":
            c.send(b'HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\n{"data":{}}')
        else:
            c.send(OK + b'\r\n{"data":{}}')

    assert end_of(opens(proxxy, script)) == (1011, words)


CONSOLE = (
    b'{"data":{"ticket":"PVEVNC:1::x","port":"5900","password":"12345678","user":"u@pve"}}'  # a valid one, for lengths
)
LENGTH = b"Content-Length: %d\r\n" % len(CONSOLE)


@pytest.mark.parametrize(
    "raw, words",
    [
        (b"SSH-2.0-OpenSSH\r\n", "it is not HTTP"),
        (b"\x00" * 100, "it is not HTTP"),
        (OK + b"A: " + b"b" * 9000, "it is not HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", f"its answer to vncproxy {FOREIGN}"),
        (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "it is not HTTP"),
        (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "it is not HTTP"),
        (OK + b"Transfer-Encoding: gzip\r\n\r\n", "it is not HTTP"),
        (OK + b"Content-Length: 4\r\n\r\nnope", f"its answer {FOREIGN}"),
        (OK + b"Content-Length: 0\r\n\r\n", f"its answer {FOREIGN}"),
        (OK + b'Content-Length: 13\r\n\r\n{"data":null}', f"its answer {FOREIGN}"),
        (OK + b'Content-Length: 11\r\n\r\n{"data":{}}', "no valid ticket in its answer"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", f"its answer to vncproxy {FOREIGN}"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\nhello", f"its answer to vncproxy {FOREIGN}"),
        (OK + b"Content-Length: 70000\r\n\r\n" + b"x" * 70000, f"its answer to vncproxy {FOREIGN}"),
        (OK + LENGTH + b"\r\n" + CONSOLE + b"x", "it sent more than its answer to vncproxy"),
        (OK + LENGTH + b"\r\n" + CONSOLE + OK, "it sent more than its answer to vncproxy"),
        (OK + LENGTH + b"\r\n" + CONSOLE[:-1], "connection closed"),
        (OK + LENGTH, "connection closed"),
        (b"", "connection closed"),
    ],
)
def test_hostile_answers(proxxy: Activator, opens: Callable[..., Client], raw: bytes, words: str | None) -> None:
    def script(c: Connection) -> None:
        until_vncproxy(c)
        if raw:
            c.send(raw)
        c.close_notify()

    assert end_of(opens(proxxy, script)) == (1011, "Proxmox: 204" if words is None else API + words)


@pytest.mark.parametrize("member, value", [("port", "0"), ("port", "5900x"), ("ticket", "x" * 513), ("password", 1)])
def test_console_that_is_not_valid(proxxy: Activator, opens: Callable[..., Client], member: str, value: Any) -> None:
    def script(c: Connection) -> None:
        until_vncproxy(c)
        answer(c, {**GRANTED, member: value})
        c.hang()

    assert end_of(opens(proxxy, script)) == (1011, f"{API}no valid {member} in its answer")


def test_version_that_is_not_valid(proxxy: Activator, opens: Callable[..., Client]) -> None:
    def script(c: Connection) -> None:
        read_call(c)
        answer(c, {"version": "nine"})
        c.hang()

    assert end_of(opens(proxxy, script)) == (1011, f"{API}its answer to version {FOREIGN}")


def test_interim_answers_are_skipped(proxxy: Activator, opens: Callable[..., Client]) -> None:
    def script(c: Connection) -> None:
        read_call(c)
        c.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
        answer(c, {"version": "9.2.1"})
        read_call(c)
        c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        answer(c, GRANTED)
        c.send(b"")
        c.accept_upgrade()
        c.close_notify()

    assert end_of(opens(proxxy, script))[1].startswith("Console closed before it sent anything")


def silent(c: Connection) -> None:
    read_call(c)
    c.hang()


def silent_console(c: Connection) -> None:
    until_vncproxy(c)
    c.hang()


def half_a_head(c: Connection) -> None:
    read_call(c)
    c.send(OK)
    c.hang()


def half_a_body(c: Connection) -> None:
    until_vncproxy(c)
    c.send(OK + LENGTH + b"\r\n" + CONSOLE[:-1])
    c.hang()


def trickle(c: Connection) -> None:
    until_vncproxy(c)
    for byte in OK + LENGTH + b"\r\n" + CONSOLE:
        c.send(bytes([byte]))
        time.sleep(0.02)
    c.hang()


def endless_interim(c: Connection) -> None:
    read_call(c)
    while True:
        c.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def one_interim(c: Connection) -> None:
    read_call(c)
    c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    c.hang()


def endless_spaces(c: Connection) -> None:
    read_call(c)
    c.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        c.send(b"1;" + b"x" * 200 + b"\r\n \r\n")
        time.sleep(0.01)


def no_upgrade(c: Connection) -> None:
    grants(c)
    c.read_request()
    c.hang()


@pytest.mark.parametrize(
    "script, words",
    [
        (silent, "it does not answer version"),
        (silent_console, "it does not answer vncproxy"),
        (half_a_head, "it does not answer version"),
        (half_a_body, "its answer is incomplete"),
        (trickle, "its answer is incomplete"),
        (endless_interim, "its answer does not end"),
        (one_interim, "its answer does not end"),
        (endless_spaces, "its answer is incomplete"),
        (no_upgrade, "its console does not answer"),
    ],
)
def test_connect_timeout_covers_the_whole(
    quick: Activator, opens: Callable[..., Client], script: Script, words: str
) -> None:
    began = time.monotonic()
    assert end_of(opens(quick, script)) == (1011, f"Proxmox: no answer in time: {words}")
    assert 0.9 < time.monotonic() - began < 2.5


def test_log_names_the_node_that_may_be_off(quick: Activator, opens: Callable[..., Client]) -> None:
    opens(quick, silent_console, node="pve07").close_code()
    quick.wait_log("it does not answer vncproxy: is node pve07 on?")


@pytest.mark.parametrize("script", [silent, silent_console, half_a_body, no_upgrade])
def test_client_that_leaves_ends_the_request(proxxy: Activator, opens: Callable[..., Client], script: Script) -> None:
    client = opens(proxxy, script)
    wait_for(lambda: len(proxxy.sessions()) == 1, 5, "no session")
    time.sleep(0.1)
    client.sock.close()
    proxxy.wait_sessions(0, 2)


def test_sigterm_ends_the_request(proxxy: Activator, opens: Callable[..., Client]) -> None:
    client = opens(proxxy, silent_console)
    (pid,) = wait_for(proxxy.sessions, 5, "no session")
    time.sleep(0.1)
    os.kill(pid, signal.SIGTERM)
    assert end_of(client)[0] == 1001
