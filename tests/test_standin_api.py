# SPDX-License-Identifier: Apache-2.0
"""The API of the stand-in for Proxmox VE is as strict as the real one: connections that stay open, releases, nodes,
permissions and the answers of POST …/vncproxy and …/termproxy."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.parse
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, Iterator

import pytest

from lib.certs import Authority, Cert
from lib.consoles import handler_console
from lib.standin import StandIn
from lib.wire import BINARY, Client, upgrade_request

CONSOLE = "/nodes/pve01/qemu/100/vncproxy"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@pytest.fixture(scope="module")
def cert(tmp_path_factory: pytest.TempPathFactory) -> Cert:
    return Authority(tmp_path_factory.mktemp("certs")).leaf()


@pytest.fixture
def standin(cert: Cert) -> Iterator[StandIn]:
    with StandIn(cert) as running:
        running.add("qemu", 100, handler_console(echo))
        running.add("lxc", 102, handler_console(echo))
        yield running


@pytest.fixture
def tls(cert: Cert) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cert.ca)


class Caller:
    """An API client with one connection, which it opens only once."""

    def __init__(self, standin: StandIn, tls: ssl.SSLContext, authorization: str = "") -> None:
        self._connection = HTTPSConnection("127.0.0.1", standin.port, context=tls, timeout=10)
        self._connection.connect()
        self._connection.auto_open = False  # type: ignore[attr-defined]
        self._headers = {"Authorization": authorization or standin.access.token("root@pam")}

    @property
    def raw(self) -> HTTPConnection:
        return self._connection

    def ask(self, method: str, path: str, form: dict[str, Any] | None = None, **headers: str) -> HTTPResponse:
        form_headers = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        body = urllib.parse.urlencode(form) if form is not None else None
        self._connection.request(method, f"/api2/json{path}", body, {**self._headers, **form_headers, **headers})
        return self._connection.getresponse()

    def data(self, method: str, path: str, form: dict[str, Any] | None = None) -> Any:
        response = self.ask(method, path, form)
        body = response.read()
        assert response.status == 200, body
        assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
        return json.loads(body)["data"]


@pytest.fixture
def caller(standin: StandIn, tls: ssl.SSLContext) -> Caller:
    return Caller(standin, tls)


def raw_request(caller: Caller, method: str, path: str, body: str = "", **headers: str) -> bytes:
    lines = [f"{method} /api2/json{path} HTTP/1.1", "Host: x", f"Authorization: {caller._headers['Authorization']}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def open_raw(standin: StandIn, tls: ssl.SSLContext) -> Client:
    client = Client.connect(standin.port)
    client.sock = tls.wrap_socket(client.sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
    return client


def test_one_connection_asks_and_is_upgraded(standin: StandIn, tls: ssl.SSLContext, caller: Caller) -> None:
    with open_raw(standin, tls) as client:
        for path in ("/version", "/cluster/resources?type=vm"):
            client.send(raw_request(caller, "GET", path))
            head = client.read_head()
            assert (head.status, head.headers["connection"]) == (200, "Keep-Alive")
            assert json.loads(client.read(int(head.headers["content-length"])))["data"]
        client.send(raw_request(caller, "POST", CONSOLE, "websocket=1"))
        head = client.read_head()
        answer = json.loads(client.read(int(head.headers["content-length"])))["data"]
        query = urllib.parse.urlencode({"port": answer["port"], "vncticket": answer["ticket"]})
        path = f"/api2/json/nodes/pve01/qemu/100/vncwebsocket?{query}"
        client.send(upgrade_request(standin.port, path, {"Authorization": caller._headers["Authorization"]}))
        assert client.read_head().status == 101
        client.send_frame(BINARY, b"hello")
        assert client.read_data(5) == b"hello"
    used = [request.connection for request in standin.requests]
    assert len(used) == 4 and len(set(used)) == 1


def test_an_answer_that_pvedaemon_made_has_two_connection_fields(caller: Caller) -> None:
    """pveproxy passes pvedaemon's own "close" on and adds its "Keep-Alive"; the connection stays open."""
    response = caller.ask("POST", CONSOLE, {"websocket": 1})
    assert response.headers.get_all("Connection") == ["close", "Keep-Alive"]


@pytest.mark.parametrize(
    ("method", "path", "form", "status"),
    [
        ("GET", "/dance", None, 501),
        ("POST", CONSOLE, {"bogus": 1}, 400),
        ("POST", "/nodes/pve01/qemu/999/vncproxy", {}, 500),
    ],
)
def test_an_error_ends_the_connection(
    standin: StandIn, caller: Caller, method: str, path: str, form: dict | None, status: int
) -> None:
    response = caller.ask(method, path, form)
    assert (response.status, response.headers.get_all("Connection")) == (status, ["close"])
    assert json.loads(response.read())["message"].strip() == response.reason


def test_near_the_limit_of_connections_each_answer_ends_its_own(
    standin: StandIn, tls: ssl.SSLContext, caller: Caller
) -> None:
    standin.near_connection_limit = True
    with open_raw(standin, tls) as client:
        client.send(raw_request(caller, "GET", "/version"))
        assert client.read_head().headers["connection"] == "close"
        assert json.loads(client.read_all())["data"]["release"] == "9.2"


def test_the_client_may_ask_to_close(standin: StandIn, tls: ssl.SSLContext, caller: Caller) -> None:
    with open_raw(standin, tls) as client:
        client.send(raw_request(caller, "GET", "/version", Connection="close"))
        assert client.read_head().headers["connection"] == "close"
        assert client.read_all()


def test_a_connection_takes_100_requests_and_may_be_idle_for_5_seconds(
    standin: StandIn, tls: ssl.SSLContext, caller: Caller
) -> None:
    with open_raw(standin, tls) as client:
        for number in range(100):
            client.send(raw_request(caller, "GET", "/version"))
            head = client.read_head()
            client.read(int(head.headers["content-length"]))
            assert head.headers["connection"] == ("close" if number == 99 else "Keep-Alive")
        assert client.read_all() == b""
    with open_raw(standin, tls) as client:
        client.send(raw_request(caller, "GET", "/version"))
        client.read(int(client.read_head().headers["content-length"]))
        assert client.at_end(6.0)


def test_answers_in_chunks(standin: StandIn, caller: Caller) -> None:
    standin.chunk = 7
    for _ in range(2):
        response = caller.ask("GET", "/version")
        assert response.headers["Transfer-Encoding"] == "chunked" and "Content-Length" not in response.headers
        assert json.loads(response.read())["data"]["version"] == "9.2.1"


def test_version(standin: StandIn, tls: ssl.SSLContext) -> None:
    nobody = standin.access.add_token("alice@pve!nothing", "x" * 36, separated=True)
    caller = Caller(standin, tls, nobody)
    for release in ("8.4", "9.1", "9.10"):
        standin.release = release
        answer = caller.data("GET", "/version")
        assert set(answer) == {"release", "version", "repoid"}
        assert answer["release"] == release and answer["version"].startswith(f"{release}.")


def test_resources(standin: StandIn, caller: Caller) -> None:
    standin.add("qemu", 1000, handler_console(echo), node="pve02", status="stopped")
    standin.add("lxc", 103, handler_console(echo), node="pve03")
    standin.cluster.dead.add("pve03")
    guests = caller.data("GET", "/cluster/resources?type=vm")
    found = [(guest["vmid"], guest["id"], guest["node"], guest["status"]) for guest in guests]
    assert found == [
        (100, "qemu/100", "pve01", "running"),
        (1000, "qemu/1000", "pve02", "stopped"),
        (102, "lxc/102", "pve01", "running"),
        (103, "lxc/103", "pve03", "unknown"),
    ]
    assert set(guests[3]) == {"id", "vmid", "node", "type", "status"} < set(guests[0])
    standin.move("qemu", 100, "pve02")
    assert caller.data("GET", "/cluster/resources?type=vm")[0]["node"] == "pve02"
    types = {entry["type"] for entry in caller.data("GET", "/cluster/resources")}
    assert types == {"qemu", "lxc", "node"}
    assert caller.ask("GET", "/cluster/resources?type=guests").status == 400
