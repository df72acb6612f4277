# SPDX-License-Identifier: Apache-2.0
"""The stand-in for Proxmox VE is as strict as the real one. An independent client (python3-websockets)
tests it, and the raw client where the first cannot break the rules."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import urllib.parse
from http.client import HTTPSConnection
from typing import Iterator

import pytest
from conftest import echo
import websockets

from lib.certs import Cert
from lib.consoles import handler_console
from lib.standin import StandIn
from lib.termproxy import termproxy_console
from lib.wire import BINARY, PING, PONG, TEXT, Client, Peer, close_payload, upgrade_request

QUIET_SECONDS = 0.7  # long enough to say that nothing comes


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"x" * 300000)
    await writer.drain()


@pytest.fixture
def standin(cert: Cert) -> Iterator[StandIn]:
    with StandIn(cert) as running:
        running.add("qemu", 100, handler_console(echo))
        running.add("qemu", 101, handler_console(greet))
        running.add("lxc", 102, termproxy_console())
        yield running


@pytest.fixture
def tls(cert: Cert) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=cert.ca)
    # An end of TCP without a close_notify must raise an error; Python hides it in two places.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def target(console: dict) -> str:
    query = urllib.parse.urlencode(
        {"port": console["port"], "vncticket": console["vncticket"]}, quote_via=urllib.parse.quote, safe=""
    )
    return f"/api2/json/nodes/{console['node']}/{console['type']}/{console['vmid']}/vncwebsocket?{query}"


def open_raw(standin: StandIn, tls: ssl.SSLContext, path: str, headers: dict[str, str]) -> Client:
    client = Client.connect(standin.port)
    client.sock = tls.wrap_socket(client.sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
    client.send(upgrade_request(standin.port, path, headers))
    return client


def open_console(standin: StandIn, tls: ssl.SSLContext, console: dict) -> Client:
    client = open_raw(standin, tls, target(console), {"Authorization": console["ticket"]})
    assert client.read_head().status == 101
    return client


def post(standin: StandIn, tls: ssl.SSLContext, path: str, form: dict, headers: dict) -> tuple[int, str, bytes]:
    connection = HTTPSConnection("127.0.0.1", standin.port, context=tls, timeout=10)
    connection.request(
        "POST",
        f"/api2/json{path}",
        urllib.parse.urlencode(form),
        {"Content-Type": "application/x-www-form-urlencoded", **headers},
    )
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.reason, body


def is_quiet(peer: Peer) -> bool:
    try:
        peer.read(1, QUIET_SECONDS)
    except TimeoutError:
        return True
    return False


def test_an_independent_client_is_accepted(standin: StandIn, tls: ssl.SSLContext) -> None:
    async def talk() -> None:
        console = standin.console("qemu", 100)
        async with websockets.connect(
            f"wss://127.0.0.1:{standin.port}{target(console)}",
            ssl=tls,
            subprotocols=["binary"],
            **authorization(console["ticket"]),
        ) as session:
            assert session.subprotocol == "binary"
            await session.send(b"hello")
            assert await session.recv() == b"hello"
            await session.send("text is bytes")
            assert await session.recv() == b"text is bytes"
            await asyncio.wait_for(await session.ping(), 5)

    asyncio.run(talk())
    assert standin.violations == []
    assert standin.closes == [(1000, "")]
    assert standin.requests[0].headers["authorization"].startswith("PVEAPIToken=root@pam!proxxy=")


def authorization(value: str) -> dict[str, dict[str, str]]:
    """Returns connect()'s keyword argument for headers, which websockets 14 renamed."""
    major = int(websockets.__version__.split(".")[0])
    return {"additional_headers" if major >= 14 else "extra_headers": {"Authorization": value}}


def test_a_console_over_the_api_with_login_and_csrf_token(standin: StandIn, tls: ssl.SSLContext) -> None:
    status, _, body = post(standin, tls, "/access/ticket", {"username": "root@pam", "password": "secret"}, {})
    assert status == 200
    login = json.loads(body)["data"]
    cookie = {"Cookie": f"PVEAuthCookie={urllib.parse.quote(login['ticket'])}"}
    path = f"/nodes/{standin.node}/qemu/100/vncproxy"
    assert post(standin, tls, path, {}, cookie)[:2] == (401, "Permission denied - invalid csrf token")
    csrf = {"CSRFPreventionToken": login["CSRFPreventionToken"]}
    status, _, body = post(standin, tls, path, {}, cookie | csrf)
    assert status == 200
    answer = json.loads(body)["data"]
    assert set(answer) == {"ticket", "port", "password", "cert", "upid", "user"}
    assert answer["user"] == "root@pam" and 5900 <= int(answer["port"]) <= 5999
    console = {"node": standin.node, "type": "qemu", "vmid": 100, "port": answer["port"]}
    with open_raw(standin, tls, target(console | {"vncticket": answer["ticket"]}), cookie) as client:
        assert client.read_head().status == 101


@pytest.mark.parametrize(
    ("authorized", "reason"),
    [
        ("", "No ticket"),
        ("PVEAPIToken=root@pam!proxxy=wrong", "Authentication failed!"),
        ("another identity", "permission denied - invalid PVEVNC ticket"),
    ],
)
def test_401_comes_after_three_seconds(standin: StandIn, tls: ssl.SSLContext, authorized: str, reason: str) -> None:
    console = standin.console("qemu", 100)
    if authorized == "another identity":
        authorized = f"PVEAuthCookie={standin.access.cookie('root@pam')}"
    started = time.monotonic()
    with open_raw(standin, tls, target(console), {"Authorization": authorized}) as client:
        head = client.read_head()
        assert (head.status, head.start.split(" ", 2)[2]) == (401, reason)
        assert 3.0 <= time.monotonic() - started < 4.0
        # Only an API method's own refusal has a body.
        body = client.read_all()
        assert ("content-length" in head.headers) == ("PVEVNC" in reason) == bool(body)


def test_an_unencoded_ticket_is_refused(standin: StandIn, tls: ssl.SSLContext) -> None:
    console = standin.console("qemu", 100)
    # The signature's padding contains "=": unencoded it ends the value, as in Proxmox's parser.
    bare = target(console).replace("%3D", "=").replace("%3A", ":")
    with open_raw(standin, tls, bare, {"Authorization": console["ticket"]}) as client:
        assert client.read_head().status == 401


@pytest.mark.parametrize(
    ("change", "headers", "status"),
    [
        ({"port": "22"}, {}, 400),
        ({"vncticket": "x" * 513}, {}, 400),
        ({"node": "pve09"}, {}, 500),
        ({}, {"Upgrade": ""}, 200),
        ({}, {"Sec-WebSocket-Version": "12"}, 500),
        ({}, {"Sec-WebSocket-Key": ""}, 500),
    ],
)
def test_refusals_that_come_at_once(
    standin: StandIn, tls: ssl.SSLContext, change: dict, headers: dict, status: int
) -> None:
    console = standin.console("qemu", 100)
    path = target(console | change)
    with open_raw(standin, tls, path, {"Authorization": console["ticket"], **headers}) as client:
        assert client.read_head(1.0).status == status


def test_no_permission_and_unknown_paths(standin: StandIn, tls: ssl.SSLContext) -> None:
    auditor = {"Authorization": standin.access.token("auditor@pve")}
    path = f"/nodes/{standin.node}/qemu/100"
    assert post(standin, tls, f"{path}/vncproxy", {}, auditor)[0] == 403
    assert post(standin, tls, f"{path}/dance", {}, auditor)[0] == 501
    with Client.connect(standin.port, raw=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as plain:
        assert plain.read_head().status == 301


def test_a_used_port_hangs(standin: StandIn, tls: ssl.SSLContext) -> None:
    console = standin.console("qemu", 100)
    with open_console(standin, tls, console):
        with open_raw(standin, tls, target(console), {"Authorization": console["ticket"]}) as second:
            assert is_quiet(second)


def test_64_header_lines_are_never_answered(standin: StandIn, tls: ssl.SSLContext) -> None:
    console = standin.console("qemu", 100)
    headers = {"Authorization": console["ticket"]} | {f"X-{number}": "x" for number in range(60)}
    with open_raw(standin, tls, target(console), headers) as client:
        assert is_quiet(client)
        assert client.at_end(6.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"opcode": BINARY, "fin": 0}, "fragmented"),
        ({"opcode": 0}, "unhandled websocket opcode 0"),
        ({"opcode": BINARY, "rsv": 4}, "RSV"),
        ({"opcode": BINARY, "mask": None}, "unmasked"),
        ({"opcode": BINARY, "payload": b"x" * 131073}, "too large"),
    ],
)
def test_a_wrong_frame_kills_the_direction_and_is_recorded(
    standin: StandIn, tls: ssl.SSLContext, wrong: dict, words: str
) -> None:
    with open_console(standin, tls, standin.console("qemu", 100)) as client:
        client.send_frame(TEXT, b"y" * 131072)
        assert client.read_data(131072) == b"y" * 131072
        client.send_frame(**wrong)
        client.send_frame(BINARY, b"lost")
        client.send_frame(PING, b"lost")
        assert is_quiet(client)
    assert len(standin.violations) == 1 and words in standin.violations[0]


def test_pong_and_a_close_without_an_echo(standin: StandIn, tls: ssl.SSLContext) -> None:
    with open_console(standin, tls, standin.console("qemu", 100)) as client:
        client.send_frame(PING, b"are you there")
        assert client.read_frame()[2:] == (PONG, b"are you there")
        client.send_frame(8, close_payload(1001, "going"))
        with pytest.raises(ssl.SSLError, match="(?i)eof"):  # TCP ends without a close_notify
            client.read(1)
    assert standin.closes == [(1001, "going")]


def test_the_console_ends_with_close_notify_and_no_close(standin: StandIn, tls: ssl.SSLContext) -> None:
    with open_console(standin, tls, standin.console("qemu", 101)) as client:
        assert client.read_data(300000) == b"x" * 300000
        assert client.read_all() == b""


def test_termproxy_wants_the_ticket_first_and_gives_a_shell(standin: StandIn, tls: ssl.SSLContext) -> None:
    console = standin.console("lxc", 102)
    with open_console(standin, tls, console) as client:
        client.send_frame(TEXT, f"root@pam!proxxy:{console['vncticket']}\n".encode())
        assert client.read_data(2) == b"OK"
        client.send_frame(TEXT, b"1:101:37:")
        client.send_frame(TEXT, b"2")
        line = b"stty size; exit\n"
        client.send_frame(TEXT, b"0:%d:%s" % (len(line), line))
        shown = b""
        while b"37 101" not in shown:
            shown += client.read_data(1)
    with open_console(standin, tls, standin.console("lxc", 102)) as client:
        client.send_frame(TEXT, b"root@pam:wrong\n")
        assert client.read_all() == b""
