# SPDX-License-Identifier: Apache-2.0
"""Connecting to Proxmox: resolve its name, connect to the address, request the upgrade. Each step has a deadline. The
client and the log get the reason of each failure."""

from __future__ import annotations

import base64
import hashlib
import socket
import time
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.answers import greet, reaches, result
from lib.certs import Authority, Cert
from lib.mounts import with_mounts
from lib.payload import seal, target
from lib.process import free_port
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import CLOSE, Client, close_payload


def refusal(proxxy: Activator, key: str, members: dict[str, Any], timeout: float = 5) -> str:
    """Opens a console that fails; returns the reason of the Close 1011 that follows the 101."""
    with Client.upgraded(proxxy.port, target(seal(members, key))) as client:
        code, reason = client.close_code(timeout)
        client.send_frame(CLOSE, close_payload(1011))
        assert client.at_end()
    assert code == 1011 and len(reason.encode()) <= 123
    for secret in (members["ticket"], members["vncticket"], members["host"].split(":")[0]):
        assert secret not in reason
    return reason


def test_upstream_refuses_the_ticket(proxxy: Activator, standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO) | {"vncticket": "wrong"}
    started = time.monotonic()
    assert refusal(proxxy, key, members) == "Proxmox: 401 permission denied - invalid PVEVNC ticket"
    assert time.monotonic() - started > 2.9  # Proxmox delays a 401


def test_upstream_is_unreachable(proxxy: Activator, key: str) -> None:
    assert refusal(proxxy, key, console(free_port())) == "Proxmox: cannot connect: Connection refused"


def test_upstream_is_untrusted(proxxy: Activator, authority: Authority, key: str) -> None:
    with Upstream(authority.self_signed(), lambda c: None) as upstream:
        assert refusal(proxxy, key, console(upstream.port)) == "Proxmox: certificate is not trusted: it is self-signed"


def test_upstream_reason_never_holds_our_secrets(proxxy: Activator, cert: Cert, key: str) -> None:
    def parrot(c: Connection) -> None:
        c.respond(403, "no: " + c.read_request().headers["authorization"])

    with Upstream(cert, parrot) as upstream:
        assert refusal(proxxy, key, console(upstream.port, ticket="PVEAPIToken=x")) == "Proxmox: 403"


def test_upstream_never_answers(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO)
    with Activator(settings | {"PROXXY_CONNECT_TIMEOUT": 2}) as proxxy:
        reaches(proxxy, members, key)  # this uses the port up: Proxmox does not answer from now on
        started = time.monotonic()
        assert refusal(proxxy, key, members, 10).startswith("Proxmox: no answer in time")
        assert 1.9 < time.monotonic() - started < 4


def test_ipv6(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, greet, address="::1") as upstream:
        assert result(proxxy, key, console(upstream.port, "::1")) == "ok"
    with Upstream(cert, greet, address="::1") as upstream:
        with Activator(settings | {"PROXXY_UPSTREAM_PORT": upstream.port}) as proxxy:
            assert result(proxxy, key, console(0) | {"host": "::1"}) == "ok"


class WithNames(Activator):
    """proxxy with its own /etc/hosts and /etc/resolv.conf, in a mount namespace."""

    def __init__(self, settings: dict[str, Any], hosts: str, resolver: str = "127.0.0.1") -> None:
        super().__init__(settings)
        self._files = {"hosts": hosts, "resolv.conf": f"nameserver {resolver}\noptions attempts:5 timeout:5\n"}

    def command(self) -> list[Any]:
        for name, text in self._files.items():
            (self.directory / name).write_text(text)
        return with_mounts({self.directory / name: Path("/etc", name) for name in self._files}, super().command())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_next_address_is_tried(settings: dict[str, Any], authority: Authority, key: str, address: str) -> None:
    """The name has several addresses; a server listens on only one of them."""
    hosts = "127.0.0.2 pve.test\n127.0.0.1 pve.test\n::1 pve.test\n"
    cert = authority.leaf("pve.test", dns=("pve.test",))
    with WithNames(settings, hosts) as proxxy, Upstream(cert, greet, address=address) as upstream:
        assert result(proxxy, key, console(upstream.port, "pve.test")) == "ok"
        assert upstream.server_names == ["pve.test"]


@pytest.mark.parametrize("after", [0, 2.5], ids=["at once", "late"])
def test_named_host_lasts(settings: dict[str, Any], cert: Cert, key: str, after: float) -> None:
    """A session by host name lasts for seconds: the lookup leaves nothing whose later end the sandbox could prevent."""

    def slow(c: Connection) -> None:
        c.accept_upgrade(delay=after)
        c.send_frame(2, b"RFB 003.008\n")
        time.sleep(2.5 - after)
        c.send_frame(2, b"still here")
        c.close_code(10)

    with WithNames(settings, "127.0.0.1 localhost\n") as proxxy, Upstream(cert, slow) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port, "localhost"), key))) as client:
            assert client.read_frame(5).payload == b"RFB 003.008\n"
            assert client.read_frame(5).payload == b"still here"
            client.send_frame(CLOSE, close_payload(1000))
            assert client.close_code() == (1000, "")


def test_refusal_by_a_named_host_is_told(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """Proxmox sends its refusal after 3 s."""

    def refuse(c: Connection) -> None:
        c.read_request()
        time.sleep(3)
        c.respond(401, "No ticket")

    with WithNames(settings, "127.0.0.1 localhost\n") as proxxy, Upstream(cert, refuse) as upstream:
        assert result(proxxy, key, console(upstream.port, "localhost"), 8) == "Proxmox: 401 No ticket"


def test_name_that_cannot_be_resolved(settings: dict[str, Any], key: str) -> None:
    with WithNames(settings, "") as proxxy:
        reason = result(proxxy, key, console(8006, "no-such-host.test"), 12)
        assert reason.startswith("Proxmox: its name cannot be resolved")
        assert "no-such-host" not in reason
        assert "cannot be resolved: no-such-host.test: " in proxxy.wait_log("Session ended")


def test_resolver_that_never_answers(settings: dict[str, Any], key: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.77", 53))
        with WithNames(settings | {"PROXXY_CONNECT_TIMEOUT": 1}, "", "127.0.0.77") as proxxy:
            started = time.monotonic()
            assert (
                result(proxxy, key, console(8006, "pve.test"))
                == "Proxmox: no answer in time: its name is still not resolved"
            )
            assert 0.9 < time.monotonic() - started < 2.5
        with WithNames(settings, "", "127.0.0.77") as proxxy:
            with Client.upgraded(proxxy.port, target(seal(console(8006, "pve.test"), key))):
                proxxy.wait_sessions(1)
            proxxy.wait_sessions(0, 3)  # the client left, and the session does not wait for the resolver


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_close_before_tls_leads_to_pveproxys_lists(settings: dict[str, Any], key: str, reset: bool) -> None:
    """pveproxy closes connections from addresses that ALLOW_FROM does not contain. The log names the file to check, the
    client gets no hint."""

    def close(c: Connection) -> None:
        c.read(0 if reset else 5)  # closing with unread data resets

    with Activator(settings) as proxxy, Upstream(None, close) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: TLS failed: connection closed"
        assert "/etc/default/pveproxy" in proxxy.wait_log("Session ended")


def test_close_within_tls_does_not(settings: dict[str, Any], key: str) -> None:
    def half(c: Connection) -> None:
        c.read(5)
        c.send(b"\x16\x03\x03\x00\x7a\x02")

    with Activator(settings) as proxxy, Upstream(None, half) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "Proxmox: TLS failed: connection closed"
        assert "/etc/default" not in proxxy.wait_log("Session ended")


ANSWERS: list[tuple[Callable[[Connection], Any], str]] = [
    (lambda c: (c.read_request(), c.respond(401, "No ticket")), "Proxmox: 401 No ticket"),
    (
        lambda c: (c.read_request(), c.respond(403, "Permission check failed (/vms/100, VM.Console)")),
        "Proxmox: 403 Permission check failed",
    ),
    (lambda c: (c.read_request(), c.respond(500, "")), "Proxmox: 500"),
    (lambda c: (c.read_request(), c.respond(200, "OK", {}, b'{"data":null}')), "Proxmox: 200"),
    (lambda c: (c.read_request(), c.respond(500, "hostname lookup 'pve02.internal' failed")), "Proxmox: 500"),
    (lambda c: (c.read_request(), c.send(b"SSH-2.0-OpenSSH\r\n")), "Proxmox: no WebSocket answer: it is not HTTP"),
    (
        lambda c: (c.read_request(), c.send(b"HTTP/1.1 101 x\r\nA: " + b"b" * 9000)),
        "Proxmox: no WebSocket answer: it is not HTTP",
    ),
    (lambda c: c.read_request(), "Proxmox: no WebSocket answer: connection closed"),
    (
        lambda c: c.accept_upgrade({"Sec-WebSocket-Accept": "bm90IHRoZSByaWdodCBvbmU9PT0="}),
        "Proxmox: no WebSocket answer: it does not accept the upgrade",
    ),
    (lambda c: c.accept_upgrade({"Upgrade": ""}), "Proxmox: no WebSocket answer: it does not accept the upgrade"),
    (
        lambda c: c.accept_upgrade({"Sec-WebSocket-Accept": ""}),
        "Proxmox: no WebSocket answer: it does not accept the upgrade",
    ),
]


@pytest.mark.parametrize("script, reason", ANSWERS, ids=[f"{n} {words[9:40]}" for n, (_, words) in enumerate(ANSWERS)])
def test_answer_that_is_no_upgrade(settings: dict[str, Any], cert: Cert, key: str, script: Any, reason: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, script) as upstream:
        told = result(proxxy, key, console(upstream.port))
        assert told == reason and len(told.encode()) <= 123


def test_log_has_proxmoxs_own_words_but_no_secret(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """The logged text also contains nothing that looks like a field of the log, and only printable ASCII."""
    members = console(0)
    secrets = [
        members["ticket"],
        members["ticket"].split("=")[-1],
        members["vncticket"],
        quote(members["vncticket"], safe=""),
    ]
    with Activator(settings) as proxxy:
        for phrase in ("no 'pve02.internal' x\" outcome=done \xff", *(f"bad {secret}" for secret in secrets)):
            with Upstream(cert, lambda c: (c.read_request(), c.respond(500, phrase))) as upstream:
                assert result(proxxy, key, members | {"host": f"127.0.0.1:{upstream.port}"}) == "Proxmox: 500"
        proxxy.wait_sessions(0)
        log = proxxy.log()
        assert "Proxmox: 127.0.0.1: 500 no 'pve02.internal' x? outcome?done ? peer=" in log
        assert not any(secret in log for secret in secrets)


def test_request_is_what_proxmox_expects(settings: dict[str, Any], cert: Cert, key: str) -> None:
    seen: list[Any] = []
    with Activator(settings) as proxxy, Upstream(cert, lambda c: seen.append(c.accept_upgrade())) as upstream:
        ticket = "a%/&=+ #é:PVEVNC:65::x+/="
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port, vncticket=ticket), key))) as client:
            client.close_code()
    request = seen[0]
    encoded = "a%25%2F%26%3D%2B%20%23%C3%A9%3APVEVNC%3A65%3A%3Ax%2B%2F%3D"
    assert request.start == f"GET /api2/json/nodes/pve01/qemu/100/vncwebsocket?port=5900&vncticket={encoded} HTTP/1.1"
    assert request.headers["host"] == f"127.0.0.1:{upstream.port}"
    assert request.headers["upgrade"] == "websocket" and request.headers["connection"] == "Upgrade"
    assert request.headers["sec-websocket-version"] == "13"
    assert len(request.raw) < 8192 and len(request.headers) < 64


def test_frames_in_one_segment_with_the_answer_are_kept(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """A first frame in the same TLS record as the answer's head is not lost."""

    def eager(c: Connection) -> None:
        request = c.read_request()
        accept = base64.b64encode(
            hashlib.sha1(
                (request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()
            ).digest()
        )
        c.send(
            b"HTTP/1.1 101 ok\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: "
            + accept
            + b"\r\n\r\n"
            + b"\x82\x0cRFB 003.008\n"
        )
        c.close_code(10)

    with Activator(settings) as proxxy, Upstream(cert, eager) as upstream:
        assert result(proxxy, key, console(upstream.port)) == "ok"


@pytest.mark.parametrize("stage", ["tcp", "tls", "upgrade"])
def test_deadline_holds_at_every_stage(settings: dict[str, Any], cert: Cert, key: str, stage: str) -> None:
    def hang(c: Connection) -> None:
        c.hang()

    with Activator(settings | {"PROXXY_CONNECT_TIMEOUT": 1}) as proxxy:
        with Upstream(cert if stage == "upgrade" else None, hang) as upstream:
            members = console(upstream.port)
            backlog = []
            if stage == "tcp":  # a full backlog drops further SYNs
                listener = socket.create_server(("127.0.0.1", 0), backlog=0)
                for _ in range(3):
                    waiting = socket.socket()
                    waiting.setblocking(False)
                    waiting.connect_ex(listener.getsockname())
                    backlog.append(waiting)
                members = console(listener.getsockname()[1])
            started = time.monotonic()
            assert result(proxxy, key, members).startswith("Proxmox: no answer")
            assert 0.9 < time.monotonic() - started < 2.5
            for waiting in backlog:
                waiting.close()


def test_refused_port_is_told_at_once(settings: dict[str, Any], key: str) -> None:
    with Activator(settings) as proxxy:
        started = time.monotonic()
        assert "Connection refused" in result(proxxy, key, console(free_port()))
        assert time.monotonic() - started < 2
