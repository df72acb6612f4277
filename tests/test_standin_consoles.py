# SPDX-License-Identifier: Apache-2.0
"""The consoles behind the stand-in for Proxmox VE are as strict as the real ones: VNC authentication as QEMU and
vncterm do it, termproxy's login, and the consoles of guests that are off or on a node that is off."""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
import urllib.parse
from typing import Any, Iterator

import pytest

from lib.certs import Cert
from lib.desktop import Desktop
from lib.pve_frames import Stream
from lib.rfb import Recorder
from lib.standin import StandIn
from lib.termproxy import termproxy_console
from lib.vnc_console import NO_TYPES, UNKNOWN_TYPES, VncConsole, response, text
from lib.wire import BINARY, TEXT, Client, upgrade_request

QEMU_WORDS = text(b"Authentication failed\0")
CHALLENGE = bytes(range(16))
ACCEPTED, REFUSED = struct.pack(">I", 0), struct.pack(">I", 1)


@pytest.fixture
def standin(cert: Cert) -> Iterator[StandIn]:
    with StandIn(cert) as running:
        yield running


@pytest.fixture
def tls(cert: Cert) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cert.ca)


def open_console(
    standin: StandIn, tls: ssl.SSLContext, answer: dict[str, Any], type: str = "qemu", node: str = "pve01"
) -> Console:
    """Opens the console of guest 100 for root@pam's token."""
    client = Console.connect(standin.port)
    client.sock = tls.wrap_socket(client.sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
    query = urllib.parse.urlencode({"port": answer["port"], "vncticket": answer["ticket"]})
    path = f"/api2/json/nodes/{node}/{type}/100/vncwebsocket?{query}"
    client.send(upgrade_request(standin.port, path, {"Authorization": standin.access.token("root@pam")}))
    assert client.read_head().status == 101
    return client


def request(standin: StandIn, action: str = "vncproxy", type: str = "qemu", node: str = "") -> dict[str, Any]:
    call = standin.vncproxy if action == "vncproxy" else standin.termproxy
    return call(type, 100, node, "root@pam!proxxy")


class Console(Client):
    """A client that takes a console's bytes apart, whatever frames they came in."""

    def take(self, count: int) -> bytes:
        while len(self._taken) < count:
            self._taken += self.read_data(1)
        taken, self._taken = self._taken[:count], self._taken[count:]
        return taken

    def ended(self) -> bool:
        """Returns whether the console ended, and sent nothing that was not taken."""
        return self._taken + self.read_all() == b""

    _taken = b""


def open_vnc(standin: StandIn, tls: ssl.SSLContext, console: VncConsole) -> tuple[Console, str]:
    """Returns a client and the password that Proxmox answered."""
    standin.add("qemu", 100, console.connect)
    answer = request(standin)
    return open_console(standin, tls, answer), answer["password"]


def answer_challenge(client: Console, password: str) -> None:
    client.send_frame(BINARY, response(password, client.take(16)))


def test_the_response_to_a_challenge() -> None:
    """Calculated with openssl enc -des-ecb."""
    assert response("password", bytes(range(16))).hex() == "b866924125c8eebb9debc1db61c538e2"
    assert response("password and more", bytes(16)) == response("password", bytes(16))


def test_the_response_satisfies_a_real_vnc_server() -> None:
    async def login(port: int, password: str) -> bytes:
        stream = Stream(*await asyncio.open_connection("127.0.0.1", port))
        stream.writer.write(await stream.reader.readexactly(12))
        types = await stream.reader.readexactly((await stream.reader.readexactly(1))[0])
        assert 2 in types
        stream.writer.write(b"\x02")
        stream.writer.write(response(password, await stream.reader.readexactly(16)))
        result = await stream.reader.readexactly(4)
        stream.writer.close()
        return result

    with Desktop() as desktop:
        desktop.set_password("12345678")
        assert asyncio.run(login(desktop.rfb_port, "12345678")) == ACCEPTED
        assert asyncio.run(login(desktop.rfb_port, "12345679")) == REFUSED


def test_a_vm_asks_for_the_password_that_proxmox_answered(standin: StandIn, tls: ssl.SSLContext) -> None:
    recorder = Recorder()
    console = VncConsole(recorder.session)
    client, password = open_vnc(standin, tls, console)
    with client:
        assert client.take(12) == b"RFB 003.008\n"
        client.send_frame(BINARY, b"RFB 003.008\n")
        assert client.take(2) == b"\x01\x02"
        client.send_frame(BINARY, b"\x02")
        answer_challenge(client, password)
        assert client.take(4) == ACCEPTED
        client.send_frame(BINARY, b"\x01")
        assert client.take(4) == struct.pack(">HH", 640, 480)
        client.send_frame(BINARY, struct.pack(">BBxxI", 4, 1, ord("a")))
        client.take(28)
    assert console.logins == ["accepted"] and console.client_versions == [b"RFB 003.008\n"]


@pytest.mark.parametrize("release", ["9.1", "9.2"])
@pytest.mark.parametrize("type", ["qemu", "lxc"])
def test_the_password_of_each_release(standin: StandIn, tls: ssl.SSLContext, release: str, type: str) -> None:
    """Before 9.2 the ticket's first 8 characters are a container's password."""
    standin.release = release
    console = VncConsole(program="vncterm" if type == "lxc" else "QEMU")
    standin.add(type, 100, console.connect)
    answer = request(standin, type=type)
    with open_console(standin, tls, answer, type) as client:
        client.take(12)
        client.send_frame(BINARY, b"RFB 003.008\n")
        client.take(2)
        client.send_frame(BINARY, b"\x02")
        answer_challenge(client, answer.get("password", answer["ticket"][:8]))
        assert client.take(4) == ACCEPTED
    assert ("password" in answer) == (type == "qemu" or release == "9.2")


@pytest.mark.parametrize(
    ("program", "version", "refusal"),
    [
        ("QEMU", b"RFB 003.008\n", QEMU_WORDS),
        ("vncterm", b"RFB 003.008\n", text(b"password check failed!")),
        ("QEMU", b"RFB 003.007\n", b""),
        ("vncterm", b"RFB 003.007\n", b""),
        ("QEMU", b"RFB 003.003\n", b""),
    ],
)
def test_a_wrong_password(standin: StandIn, tls: ssl.SSLContext, program: Any, version: bytes, refusal: bytes) -> None:
    console = VncConsole(program=program)
    client, _ = open_vnc(standin, tls, console)
    with client:
        client.take(12)
        client.send_frame(BINARY, version)
        if version == b"RFB 003.003\n":
            assert client.take(4) == b"\0\0\0\x02"
        else:
            assert client.take(2) == b"\x01\x02"
            client.send_frame(BINARY, b"\x02")
        answer_challenge(client, "a wrong one")
        assert client.take(4 + len(refusal)) == REFUSED + refusal
        assert client.ended()
    assert console.logins == ["refused"]


def test_a_vms_password_expires(standin: StandIn, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.vnc_console.PASSWORD_SECONDS", 0.0)
    client, password = open_vnc(standin, tls, VncConsole())
    with client:
        client.take(12)
        client.send_frame(BINARY, b"RFB 003.003\n")
        client.take(4)
        answer_challenge(client, password)
        assert client.take(4) == REFUSED


@pytest.mark.parametrize(
    ("version", "chosen", "last"),
    [
        (b"RFB 004.000\n", b"", bytes(4)),
        (b"RFB 003.006\n", b"", bytes(4)),
        (b"HTTP/1.1 400", b"", b""),
        (b"RFB 003.008\n", b"\x01", b"\x01\x02" + REFUSED + QEMU_WORDS),
    ],
)
def test_a_client_that_breaks_the_protocol(
    standin: StandIn, tls: ssl.SSLContext, version: bytes, chosen: bytes, last: bytes
) -> None:
    console = VncConsole()
    client, _ = open_vnc(standin, tls, console)
    with client:
        client.take(12)
        client.send_frame(BINARY, version + chosen)
        assert client.take(len(last)) == last
        assert client.ended()
    assert console.logins == ["ended"]


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"version": b"RFB 003.003\n"}, b"RFB 003.003\n"),
        ({"version": b"SSH-2.0-Open", "ends_after": "version"}, b"SSH-2.0-Open"),
        ({"types": NO_TYPES, "ends_after": "types"}, b"RFB 003.008\n" + NO_TYPES),
        ({"types": UNKNOWN_TYPES, "ends_after": "types"}, b"RFB 003.008\n" + UNKNOWN_TYPES),
        ({"challenge": b"short", "ends_after": "challenge"}, b"RFB 003.008\n\x01\x02short"),
        ({"result": b"\0\0\0\x02"}, b"RFB 003.008\n\x01\x02" + CHALLENGE + b"\0\0\0\x02"),
        (
            {"result": ACCEPTED, "behind_result": b"early"},
            b"RFB 003.008\n\x01\x02" + CHALLENGE + ACCEPTED + b"early",
        ),
        ({"byte_seconds": 0.001, "ends_after": "types"}, b"RFB 003.008\n\x01\x02"),
    ],
)
def test_servers_that_break_the_protocol(
    standin: StandIn, tls: ssl.SSLContext, options: dict[str, Any], sent: bytes
) -> None:
    options = {"challenge": CHALLENGE, **options}
    client, _ = open_vnc(standin, tls, VncConsole(**options))
    with client:
        client.send_frame(BINARY, b"RFB 003.008\n\x02" + bytes(16))
        assert client.take(len(sent)) == sent


@pytest.mark.parametrize(
    ("version", "chosen", "sent"),
    [
        (b"RFB 003.003\n", b"", b"\0\0\0\x01"),
        (b"RFB 003.007\n", b"\x01", b"\x01\x01"),
        (b"RFB 003.008\n", b"\x01", b"\x01\x01" + ACCEPTED),
    ],
)
def test_a_server_without_authentication(
    standin: StandIn, tls: ssl.SSLContext, version: bytes, chosen: bytes, sent: bytes
) -> None:
    client, _ = open_vnc(standin, tls, VncConsole(types=b"\x01\x01"))
    sent = b"RFB 003.008\n" + sent
    with client:
        client.send_frame(BINARY, version + chosen)
        assert client.take(len(sent)) == sent
        client.send_frame(BINARY, b"\x01")
        assert client.take(4) == struct.pack(">HH", 640, 480)


def test_a_server_that_stops(standin: StandIn, tls: ssl.SSLContext) -> None:
    client, _ = open_vnc(standin, tls, VncConsole(stops_after="version"))
    with client:
        client.send_frame(BINARY, b"RFB 003.008\n")
        client.take(12)
        with pytest.raises(TimeoutError):
            client.read(1, 0.5)


def test_a_console_that_was_not_requested_for_a_websocket_speaks_tls(standin: StandIn, tls: ssl.SSLContext) -> None:
    standin.add("qemu", 100, VncConsole().connect)
    answer = standin.request("qemu", 100, "vncproxy", {})
    with open_console(standin, tls, answer) as client:
        with pytest.raises(TimeoutError):
            client.read(1, 0.5)
        client.send_frame(BINARY, b"RFB 003.008\n")
        assert client.ended()


def test_a_guest_that_is_off(standin: StandIn, tls: ssl.SSLContext) -> None:
    """Its console is granted, and ends without a byte. Its terminal logs in before."""
    guest = standin.add("qemu", 100, VncConsole().connect, terminal=termproxy_console(), status="stopped")
    with open_console(standin, tls, request(standin)) as client:
        assert client.ended()
    answer = request(standin, "termproxy")
    with open_console(standin, tls, answer) as client:
        client.send_frame(TEXT, f"root@pam!proxxy:{answer['ticket']}\n".encode())
        expected = b"OKVM 100 not running\r\n"
        assert client.take(len(expected)) == expected
        assert client.ended()
    guest.status = "running"
    with open_console(standin, tls, request(standin)) as client:
        assert client.take(12) == b"RFB 003.008\n"


def test_a_guest_on_a_node_that_is_off(standin: StandIn, tls: ssl.SSLContext) -> None:
    standin.add("qemu", 100, VncConsole().connect, terminal=termproxy_console(), node="pve02")
    with open_console(standin, tls, request(standin, node="pve02"), node="pve02") as client:
        assert client.take(12) == b"RFB 003.008\n"
    standin.cluster.dead.add("pve02")
    standin.cluster.no_route_seconds = 0.5
    started = time.monotonic()
    with open_console(standin, tls, request(standin, node="pve02"), node="pve02") as client:
        assert client.ended()
        assert time.monotonic() - started >= 0.5
    answer = request(standin, "termproxy", node="pve02")
    with open_console(standin, tls, answer, node="pve02") as client:
        client.send_frame(TEXT, f"root@pam!proxxy:{answer['ticket']}\n".encode())
        expected = b"OKssh: connect to host pve02 port 22: No route to host\r\n"
        assert client.take(len(expected)) == expected


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("root@pam!proxxy:{ticket}\r\n", 0),
        ("root@pam!proxxy:{ticket}x\n", 0),
        ("root@pam!proxxy {ticket}\n", 0),
        ("\xff\n", 0),
        ("root@pam:{ticket}\n", 3),
        ("x" * 5000 + "\n", 0),
    ],
)
def test_termproxy_refuses_without_a_word(standin: StandIn, tls: ssl.SSLContext, line: str, seconds: float) -> None:
    standin.add("lxc", 100, termproxy_console())
    answer = request(standin, "termproxy", "lxc")
    with open_console(standin, tls, answer, "lxc") as client:
        started = time.monotonic()
        client.send_frame(TEXT, line.format(ticket=answer["ticket"]).encode("latin-1"))
        assert client.ended()
        assert seconds <= time.monotonic() - started < seconds + 1
