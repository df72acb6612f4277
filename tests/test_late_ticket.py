# SPDX-License-Identifier: Apache-2.0
"""A payload without a console ticket: proxxy requests the console from Proxmox, on the connection that it uses."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import echo
from lib.activator import Activator
from lib.certs import Cert
from lib.late import GRANTED, LINK, TOKEN, answer, computes, echoes, end_of, open_link, read_call, shake_hands
from lib.payload import seal, seal_jwe, target
from lib.standin import StandIn
from lib.termproxy import termproxy_console
from lib.upstream import Connection, Upstream
from lib.vnc_console import VncConsole
from lib.wire import BINARY, Client

MINE = "root@pam!own=5ecc1e70-0000-4000-8000-000000000001"
API = "/api2/json"
VERSION_CALL = ("GET", f"{API}/version", "")
LIST_CALL = ("GET", f"{API}/cluster/resources?type=vm", "")


@pytest.fixture(scope="module")
def pve(cert: Cert) -> Iterator[StandIn]:
    """A cluster of its own, whose releases and guests these tests change."""
    with StandIn(cert) as pve:
        pve.access.add_token(*MINE.split("=", 1))
        for type, vmid in (("qemu", 100), ("lxc", 101)):
            pve.add(type, vmid, VncConsole(echo).connect, terminal=termproxy_console())
        yield pve
        assert pve.violations == []


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory, pve: StandIn) -> Path:
    directory = tmp_path_factory.mktemp("clusters")
    (directory / "dc1.conf").write_text(f"HOSTS=127.0.0.1:{pve.port}\nTOKEN={MINE}\n")
    return directory


@pytest.fixture(scope="module")
def proxxy(settings: dict[str, Any], clusters: Path) -> Iterator[Activator]:
    with Activator({**settings, "PROXXY_CLUSTER_DIRECTORY": clusters}) as proxxy:
        yield proxxy


@pytest.fixture(autouse=True)
def fresh(pve: StandIn) -> Iterator[None]:
    pve.requests.clear()
    yield
    pve.release, pve.knows_generate_password, pve.chunk, pve.near_connection_limit = "9.2", True, 0, False
    pve.move("qemu", 100, "pve01")


def link(pve: StandIn, **members: Any) -> dict[str, Any]:
    """Returns claims with which the stand-in opens a console; None removes one."""
    members = {**LINK, "host": f"127.0.0.1:{pve.port}", **members}
    return {name: value for name, value in members.items() if value is not None}


def calls(pve: StandIn) -> list[tuple[str, str, str]]:
    """Returns method, path and body of the requests before the upgrade. All must be on one connection."""
    assert len({request.connection for request in pve.requests}) == 1
    assert pve.requests[-1].path.split("?")[0].endswith("/vncwebsocket")
    return [(request.method, request.path, request.body.decode()) for request in pve.requests[:-1]]


def post(type: str, vmid: int, action: str, form: str, node: str = "pve01") -> tuple[str, str, str]:
    return ("POST", f"{API}/nodes/{node}/{type}/{vmid}/{action}", form)


@pytest.mark.parametrize(
    "release, type, vmid, expected",
    [
        ("9.2", "qemu", 100, [VERSION_CALL, post("qemu", 100, "vncproxy", "websocket=1")]),
        ("10.0", "qemu", 100, [VERSION_CALL, post("qemu", 100, "vncproxy", "websocket=1")]),
        ("9.1", "qemu", 100, [VERSION_CALL, post("qemu", 100, "vncproxy", "websocket=1&generate-password=1")]),
        ("8.4", "qemu", 100, [VERSION_CALL, post("qemu", 100, "vncproxy", "websocket=1&generate-password=1")]),
        ("9.2", "lxc", 101, [post("lxc", 101, "vncproxy", "websocket=1")]),
        ("8.4", "lxc", 101, [post("lxc", 101, "vncproxy", "websocket=1")]),
    ],
)
def test_vnc_console_of_each_release(
    proxxy: Activator, pve: StandIn, key: str, release: str, type: str, vmid: int, expected: list[tuple[str, str, str]]
) -> None:
    """The right parameters at once, and the right password: the client needs none."""
    pve.release = release
    pve.knows_generate_password = release in ("8.4", "9.1", "9.2")
    with open_link(proxxy, key, link(pve, type=type, vmid=vmid)) as client:
        shake_hands(client)
        echoes(client)
    assert calls(pve) == expected
    for request in pve.requests:
        assert request.headers["authorization"] == TOKEN
        assert request.headers["host"] == f"127.0.0.1:{pve.port}"
        assert request.headers["user-agent"].startswith("proxxy/")
        assert "cookie" not in request.headers and "csrfpreventiontoken" not in request.headers
        assert ("content-length" in request.headers) == (request.method == "POST")


@pytest.mark.parametrize("type, vmid", [("qemu", 100), ("lxc", 101)])
def test_terminal(proxxy: Activator, pve: StandIn, key: str, type: str, vmid: int) -> None:
    """The client sends no login line and sees no OK: the first bytes are the terminal's."""
    with open_link(proxxy, key, link(pve, type=type, vmid=vmid, protocol="term")) as client:
        computes(client)
    assert calls(pve) == [post(type, vmid, "termproxy", "")]
    assert pve.requests[0].headers["content-length"] == "0"


@pytest.mark.parametrize("chunk", [0, 1, 7])
def test_node_is_found(proxxy: Activator, pve: StandIn, key: str, chunk: int) -> None:
    """proxxy follows a guest that is migrated. Answers may come in chunks."""
    pve.chunk = chunk
    for node in ("pve01", "pve02"):
        pve.move("qemu", 100, node)
        pve.requests.clear()
        with open_link(proxxy, key, link(pve, node=None)) as client:
            shake_hands(client)
            echoes(client)
        assert calls(pve) == [VERSION_CALL, LIST_CALL, post("qemu", 100, "vncproxy", "websocket=1", node)]
    pve.requests.clear()
    with open_link(proxxy, key, link(pve, node=None, vmid=101, type="lxc", protocol="term")) as client:
        client.send_frame(BINARY, b"1:80:24:")
        assert client.read_frame().opcode == BINARY
    assert calls(pve) == [LIST_CALL, post("lxc", 101, "termproxy", "")]


def test_users_ticket_with_its_csrf_token(proxxy: Activator, pve: StandIn, key: str) -> None:
    login = pve.access.login("alice@pve", "alice's password")
    ticket, csrf = login["ticket"], login["CSRFPreventionToken"]
    with open_link(proxxy, key, link(pve, ticket=ticket, csrf=csrf)) as client:
        shake_hands(client)
        echoes(client)
    assert [request.headers.get("csrfpreventiontoken") for request in pve.requests] == [None, csrf, None]
    assert {request.headers["authorization"] for request in pve.requests} == {f"PVEAuthCookie={ticket}"}


@pytest.mark.parametrize("members", [{"cluster": "dc1", "host": None}, {}], ids=["cluster", "host"])
def test_own_token(proxxy: Activator, pve: StandIn, key: str, members: dict[str, Any]) -> None:
    """The payload has no secret of Proxmox: proxxy uses the cluster file's token."""
    with open_link(proxxy, key, link(pve, ticket=None, node=None, **members)) as client:
        shake_hands(client)
        echoes(client)
    assert {request.headers["authorization"] for request in pve.requests} == {f"PVEAPIToken={MINE}"}
    assert calls(pve)[1] == LIST_CALL


def test_link_opens_as_often_as_it_is_used(proxxy: Activator, pve: StandIn, key: str) -> None:
    payload = target(seal_jwe(link(pve), key))
    for _ in range(3):
        with Client.upgraded(proxxy.port, payload) as client:
            shake_hands(client)
            echoes(client)
    payload = target(seal_jwe(link(pve, jti=os.urandom(8).hex()), key))
    with Client.upgraded(proxxy.port, payload) as client:
        shake_hands(client)
    with Client.connect(proxxy.port, payload) as client:
        assert client.read_head().status == 403


@pytest.mark.parametrize(
    "privileges, node, words, log",
    [
        (("VM.Console",), "pve01", None, ""),
        (("VM.Console", "VM.Audit"), None, None, ""),
        (("VM.Console",), None, "Proxmox: no such guest", "or the user, or the token, has no role with VM.Audit on it"),
        (("VM.Audit",), None, "Proxmox: 403 permission denied", "Permission check failed (/vms/100, VM.Console)"),
    ],
)
def test_privileges(
    proxxy: Activator,
    pve: StandIn,
    key: str,
    privileges: tuple[str, ...],
    node: str | None,
    words: str | None,
    log: str,
) -> None:
    """A token with separate privileges needs VM.Console, and VM.Audit only if the payload has no node."""
    ticket = pve.access.add_token("alice@pve!few", "5ecc1e70-0000-4000-8000-000000000002", separated=True)
    pve.access.allow("alice@pve!few", "/vms/100", *privileges)
    client = open_link(proxxy, key, link(pve, node=node, ticket=ticket))
    if words:
        assert end_of(client) == (1011, words)
        proxxy.wait_log(log)
    else:
        shake_hands(client)
        client.sock.close()


def test_token_that_was_removed(proxxy: Activator, pve: StandIn, key: str) -> None:
    began = time.monotonic()
    client = open_link(proxxy, key, link(pve, ticket="PVEAPIToken=root@pam!gone=x"))
    assert end_of(client, 8) == (1011, "Proxmox: 401 authentication failed")
    assert time.monotonic() - began > 2.9  # Proxmox delays a 401
    proxxy.wait_log("version: 401 Authentication failed!; does the API token exist")


@pytest.mark.parametrize("error", [(595, "Connection refused"), (596, "Connection timed out")])
def test_daemon_that_does_not_answer(proxxy: Activator, pve: StandIn, key: str, error: tuple[int, str]) -> None:
    pve.daemon_error = error
    try:
        said = end_of(open_link(proxxy, key, link(pve)))
    finally:
        pve.daemon_error = None
    assert said == (1011, f"Proxmox: {error[0]} its API does not answer")


def test_large_cluster(proxxy: Activator, cert: Cert, key: str) -> None:
    """The list of 2,000 guests is a megabyte; only one element is in memory at a time."""
    guest = {"type": "qemu", "node": "pve01", "status": "running", "name": "x" * 450}
    guests = [{"vmid": vmid, **guest, "node": f"pve{vmid % 16}"} for vmid in range(2099, 99, -1)]
    seen: list[str] = []

    def script(c: Connection) -> None:
        read_call(c)
        answer(c, {"version": "9.2.1"})
        read_call(c)
        answer(c, guests)
        seen.append(read_call(c)[0].start)
        answer(c, GRANTED)
        c.accept_upgrade()
        c.close_notify()

    with Upstream(cert, script) as upstream:
        began = time.monotonic()
        said = end_of(open_link(proxxy, key, {**LINK, "node": None, "host": f"127.0.0.1:{upstream.port}"}))
        assert time.monotonic() - began < 3
    assert said == (1000, "Console closed before it sent anything: the guest or its node is off")
    assert seen == [f"POST {API}/nodes/pve{100 % 16}/qemu/100/vncproxy HTTP/1.1"]


def test_early_data_of_the_client_waits_in_order(proxxy: Activator, cert: Cert, key: str) -> None:
    """The client may send while proxxy still requests the console."""
    early = b"".join(b"%05d" % number for number in range(2000))

    def script(c: Connection) -> None:
        time.sleep(0.3)
        read_call(c)
        c.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        time.sleep(0.3)
        answer(c, GRANTED)
        c.accept_upgrade(delay=0.3)
        line = f"u@pve:{GRANTED['ticket']}\n".encode()
        assert c.read_data(len(line)) == line
        c.send_frame(BINARY, b"OKready")
        assert c.read_data(len(early)) == early
        c.send_frame(BINARY, b"got it")
        c.close_code()

    with Upstream(cert, script) as upstream:
        members = {**LINK, "host": f"127.0.0.1:{upstream.port}", "protocol": "term"}
        with open_link(proxxy, key, members) as client:
            for at in range(0, len(early), 100):
                client.send_frame(BINARY, early[at : at + 100])
            assert client.read_data(11) == b"readygot it"


def test_note_of_the_list_explains_an_empty_console(proxxy: Activator, cert: Cert, key: str) -> None:
    def script(c: Connection) -> None:
        read_call(c)
        answer(c, {"version": "9.2.1"})
        read_call(c)
        answer(c, [{"vmid": 100, "type": "qemu", "node": "pve01", "status": "unknown"}])
        read_call(c)
        answer(c, GRANTED)
        c.accept_upgrade()
        c.close_notify()

    with Upstream(cert, script) as upstream:
        said = end_of(open_link(proxxy, key, {**LINK, "node": None, "host": f"127.0.0.1:{upstream.port}"}))
    assert said[0] == 1000
    proxxy.wait_log("the guest's node is off, or does not report to the cluster")


def test_old_kind_sends_the_same_request(proxxy: Activator, cert: Cert, key: str) -> None:
    """A payload with a console ticket: one request, in the same bytes as before."""
    heads: list[bytes] = []

    def script(c: Connection) -> None:
        heads.append(c.accept_upgrade().raw)
        c.close_notify()

    with Upstream(cert, script) as upstream:
        members = {**LINK, "host": f"127.0.0.1:{upstream.port}", "vncticket": "a b", "port": 5901}
        for payload in (seal_jwe(members, key), seal(members, key)):
            Client.upgraded(proxxy.port, target(payload)).close_code()
    text = re.sub(r"(?m)^(Sec-WebSocket-Key): .*\r$", r"\1: KEY\r", heads[0].decode())
    assert re.sub(r"(?m)^(Sec-WebSocket-Key): .*\r$", r"\1: KEY\r", heads[1].decode()) == text
    assert re.sub(r"proxxy/\S+", "proxxy/VERSION", text) == (
        f"GET {API}/nodes/pve01/qemu/100/vncwebsocket?port=5901&vncticket=a%20b HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{upstream.port}\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: KEY\r\n"
        "Sec-WebSocket-Protocol: binary\r\n"
        f"Authorization: {TOKEN}\r\n"
        "User-Agent: proxxy/VERSION\r\n"
        "\r\n"
    )
