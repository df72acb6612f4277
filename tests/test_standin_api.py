# SPDX-License-Identifier: Apache-2.0
"""The API of the stand-in for Proxmox VE is as strict as the real one: connections that stay open, releases, nodes,
permissions and the answers of POST …/vncproxy and …/termproxy."""

from __future__ import annotations

import gzip
import json
import ssl
import urllib.parse
from http.client import HTTPResponse, HTTPSConnection
from typing import Any, Iterator

import pytest
from conftest import echo

from lib.certs import Cert
from lib.consoles import handler_console
from lib.pve_api import NOT_IN_SCHEMA
from lib.standin import StandIn
from lib.wire import BINARY, Client, upgrade_request

CONSOLE = "/nodes/pve01/qemu/100/vncproxy"


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
        self.headers = {"Authorization": authorization or standin.access.token("root@pam")}

    def ask(self, method: str, path: str, form: dict[str, Any] | None = None, **headers: str) -> HTTPResponse:
        form_headers = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        body = urllib.parse.urlencode(form) if form is not None else None
        self._connection.request(method, f"/api2/json{path}", body, {**self.headers, **form_headers, **headers})
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
    lines = [f"{method} /api2/json{path} HTTP/1.1", "Host: x", f"Authorization: {caller.headers['Authorization']}"]
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
        client.send(upgrade_request(standin.port, path, {"Authorization": caller.headers["Authorization"]}))
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


@pytest.mark.parametrize(
    ("release", "type", "form", "password", "in_ticket"),
    [
        ("9.1", "qemu", {"websocket": 1}, False, False),
        ("9.1", "qemu", {"websocket": 1, "generate-password": 1}, True, False),
        ("9.1", "lxc", {"websocket": 1}, False, False),
        ("9.2", "qemu", {"websocket": 1}, True, True),
        ("9.2", "qemu", {"websocket": 1, "generate-password": 0}, True, True),
        ("9.10", "lxc", {"websocket": 1, "width": 800, "height": 600}, True, True),
        ("9.2", "lxc", {}, False, False),
    ],
)
def test_passwords_of_each_release(
    standin: StandIn, caller: Caller, release: str, type: str, form: dict, password: bool, in_ticket: bool
) -> None:
    standin.release = release
    answer = caller.data("POST", f"/nodes/pve01/{type}/{100 if type == 'qemu' else 102}/vncproxy", form)
    expected = {"user", "ticket", "port", "upid", "cert"} | ({"password"} if password else set())
    assert set(answer) == expected and answer["user"] == "root@pam!proxxy"
    assert answer["ticket"].startswith(f"{answer.get('password')}:PVEVNC:" if in_ticket else "PVEVNC:")
    assert len(answer.get("password", "8 signs.")) == 8


@pytest.mark.parametrize("type", ["qemu", "lxc"])
def test_a_terminal_has_no_password(caller: Caller, type: str) -> None:
    answer = caller.data("POST", f"/nodes/pve01/{type}/{100 if type == 'qemu' else 102}/termproxy", {})
    assert set(answer) == {"user", "ticket", "port", "upid"} and answer["ticket"].startswith("PVEVNC:")


@pytest.mark.parametrize(
    ("path", "form", "errors"),
    [
        (CONSOLE, {"width": 1}, {"width": NOT_IN_SCHEMA}),
        (CONSOLE, {"websocket": "yes"}, {"websocket": "type check ('boolean') failed - got 'yes'"}),
        ("/nodes/pve01/lxc/102/vncproxy", {"generate-password": 1}, {"generate-password": NOT_IN_SCHEMA}),
        ("/nodes/pve01/lxc/102/vncproxy", {"width": 8}, {"width": "value must have a minimum value of 16"}),
        ("/nodes/pve01/qemu/100/termproxy", {"websocket": 1}, {"websocket": NOT_IN_SCHEMA}),
        ("/nodes/pve01/qemu/99/vncproxy", {}, {"vmid": "invalid format - value does not look like a valid VM ID\n"}),
    ],
)
def test_parameters_that_are_refused(caller: Caller, path: str, form: dict, errors: dict) -> None:
    response = caller.ask("POST", path, form)
    assert (response.status, response.reason) == (400, "Parameter verification failed.")
    answer = {"data": None, "message": "Parameter verification failed.\n", "errors": errors}
    assert json.loads(response.read()) == answer


def test_a_release_without_generate_password(standin: StandIn, caller: Caller) -> None:
    standin.knows_generate_password = False
    response = caller.ask("POST", CONSOLE, {"generate-password": 1})
    assert json.loads(response.read())["errors"] == {"generate-password": NOT_IN_SCHEMA}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nodes/pve01/qemu/999/vncproxy", "Configuration file 'nodes/pve01/qemu-server/999.conf' does not exist"),
        ("/nodes/pve01/lxc/999/termproxy", "Configuration file 'nodes/pve01/lxc/999.conf' does not exist"),
        ("/nodes/pve09/qemu/100/vncproxy", "Configuration file 'nodes/pve09/qemu-server/100.conf' does not exist"),
        (
            "/nodes/pve09/lxc/102/vncproxy",
            "hostname lookup 'pve09' failed - failed to get address info for: pve09: Name or service not known",
        ),
    ],
)
def test_guests_and_nodes_that_are_not_there(caller: Caller, path: str, words: str) -> None:
    response = caller.ask("POST", path, {})
    assert (response.status, response.reason) == (500, words)
    assert json.loads(response.read()) == {"data": None, "message": f"{words}\n"}


def test_a_guest_that_was_migrated(standin: StandIn, tls: ssl.SSLContext, caller: Caller) -> None:
    standin.move("qemu", 100, "pve02")
    assert caller.data("POST", "/nodes/pve02/qemu/100/vncproxy", {"websocket": 1})["password"]
    assert Caller(standin, tls).ask("POST", CONSOLE, {"websocket": 1}).status == 500


def test_a_guest_that_was_migrated_before_the_upgrade(standin: StandIn, tls: ssl.SSLContext, caller: Caller) -> None:
    console = caller.data("POST", CONSOLE, {"websocket": 1})
    standin.move("qemu", 100, "pve02")
    query = urllib.parse.urlencode({"port": console["port"], "vncticket": console["ticket"]})
    with open_raw(standin, tls) as client:
        client.send(raw_request(caller, "GET", f"/nodes/pve01/qemu/100/vncwebsocket?{query}"))
        assert client.read_head().start.endswith("Configuration file 'nodes/pve01/qemu-server/100.conf' does not exist")


def test_a_lock_refuses_no_console(standin: StandIn, caller: Caller) -> None:
    standin.guest("qemu", 100).lock = "backup"
    assert caller.data("GET", "/cluster/resources?type=vm")[0]["lock"] == "backup"
    assert caller.data("POST", CONSOLE, {"websocket": 1})["password"]


@pytest.mark.parametrize("error", [(595, "Connection refused"), (596, "Connection timed out")])
def test_pvedaemon_cannot_be_reached(standin: StandIn, caller: Caller, error: tuple[int, str]) -> None:
    standin.daemon_error = error
    assert caller.data("GET", "/version") and caller.data("GET", "/cluster/resources?type=vm")
    response = caller.ask("POST", CONSOLE, {"websocket": 1})
    assert (response.status, response.reason) == error
    assert "Content-Length" not in response.headers and response.read() == b""


def test_two_machines_of_a_cluster(standin: StandIn, cert: Cert, tls: ssl.SSLContext) -> None:
    """Both know each guest and each token. A console's port is on the machine that was asked."""
    with StandIn(cert, node="pve02", joins=standin) as other:
        there = Caller(other, tls)
        console = there.data("POST", CONSOLE, {"websocket": 1})
        query = urllib.parse.urlencode({"port": console["port"], "vncticket": console["ticket"]})
        path = f"/api2/json/nodes/pve01/qemu/100/vncwebsocket?{query}"
        for machine, answers in ((standin, False), (other, True)):
            with open_raw(machine, tls) as client:
                client.send(upgrade_request(machine.port, path, there.headers))
                if answers:
                    assert client.read_head(1.0).status == 101
                else:
                    with pytest.raises(TimeoutError):
                        client.read_head(1.0)


def allowed(standin: StandIn, tls: ssl.SSLContext, authorization: str) -> tuple[list[int], dict[int, int]]:
    """Returns the guests that are listed, and how a request for each console is answered."""
    guests = Caller(standin, tls, authorization).data("GET", "/cluster/resources?type=vm")
    paths = {100: CONSOLE, 102: "/nodes/pve01/lxc/102/vncproxy"}
    answers = {vmid: Caller(standin, tls, authorization).ask("POST", path, {}) for vmid, path in paths.items()}
    for vmid, answer in answers.items():
        refusal = json.loads(answer.read()).get("message", "").strip()
        assert refusal in ("", f"Permission check failed (/vms/{vmid}, VM.Console)")
        assert not refusal or answer.reason == refusal
    return [guest["vmid"] for guest in guests], {vmid: answer.status for vmid, answer in answers.items()}


def test_permissions_of_users_and_tokens(standin: StandIn, tls: ssl.SSLContext) -> None:
    access = standin.access
    whole = access.add_token("alice@pve!whole", "1" * 36)
    own = access.add_token("alice@pve!own", "2" * 36, separated=True)
    assert allowed(standin, tls, whole) == ([100, 102], {100: 200, 102: 200})
    assert allowed(standin, tls, own) == ([], {100: 403, 102: 403})
    access.allow("alice@pve!own", "/vms/100", "VM.Console")
    assert allowed(standin, tls, own) == ([], {100: 200, 102: 403})
    access.allow("alice@pve!own", "/", "VM.Console", "VM.Audit")
    assert allowed(standin, tls, own) == ([102], {100: 200, 102: 200})
    access.allow("alice@pve", "/vms", "VM.Audit")
    assert allowed(standin, tls, own) == ([102], {100: 403, 102: 403})
    assert allowed(standin, tls, whole) == ([100, 102], {100: 403, 102: 403})
    access.allow("root@pam!own", "/vms/102", "VM.Audit")
    root = access.add_token("root@pam!own", "3" * 36, separated=True)
    assert allowed(standin, tls, root) == ([102], {100: 403, 102: 403})


def test_a_token_that_was_deleted(standin: StandIn, tls: ssl.SSLContext) -> None:
    caller = Caller(standin, tls, standin.access.add_token("alice@pve!gone", "1" * 36))
    assert caller.data("GET", "/version")
    standin.access.remove_token("alice@pve!gone")
    response = caller.ask("GET", "/version")
    assert (response.status, response.reason, response.read()) == (401, "Authentication failed!", b"")


def test_a_ticket_needs_the_csrf_token_for_a_post_alone(standin: StandIn, tls: ssl.SSLContext) -> None:
    cookie = f"PVEAuthCookie={urllib.parse.quote(standin.access.cookie('alice@pve'))}"
    caller = Caller(standin, tls, cookie)
    assert caller.data("GET", "/version")
    wanted = {"CSRFPreventionToken": standin.access.csrf_token("alice@pve")}
    assert caller.ask("POST", CONSOLE, {"websocket": 1}, **wanted).status == 200
    refused = Caller(standin, tls, cookie).ask("POST", CONSOLE, {"websocket": 1})
    assert (refused.status, refused.reason) == (401, "Permission denied - invalid csrf token")


@pytest.mark.parametrize(
    ("request_bytes", "start"),
    [
        (b"HEAD /api2/json/version HTTP/1.1\r\n\r\n", "HTTP/1.1 501 method 'HEAD' not available"),
        (b"bad\r\n", "HTTP/1.0 400 bad request"),
        (b"GET / HTTP/2.0\r\n", "HTTP/1.0 506 http protocol version 2.0 not supported"),
        (b"GET x@y/ HTTP/1.1\r\n", "HTTP/1.0 400 invalid url"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "HTTP/1.1 506 unable to parse request header"),
        (
            b"POST /api2/json/version HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 501 chunked transfer encoding not supported",
        ),
        (
            b"GET /api2/json/version HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 501 Unexpected content for method 'GET'",
        ),
        (
            b"POST /api2/json/version HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 506 upload 'Content-Type 'text/plain' not implemented",
        ),
    ],
)
def test_requests_that_the_server_refuses(
    standin: StandIn, tls: ssl.SSLContext, request_bytes: bytes, start: str
) -> None:
    with open_raw(standin, tls) as client:
        client.send(request_bytes)
        assert client.read_head().start == start
        client.read_all()


def test_a_body_as_json_and_a_compressed_answer(standin: StandIn, tls: ssl.SSLContext, caller: Caller) -> None:
    body = json.dumps({"websocket": True})
    with open_raw(standin, tls) as client:
        fields = {"Content_Type": "application/json", "Accept_Encoding": "deflate, gzip"}
        client.send(raw_request(caller, "POST", CONSOLE, body, **fields))
        head = client.read_head()
        assert (head.status, head.headers["content-encoding"]) == (200, "gzip")
        answer = gzip.decompress(client.read(int(head.headers["content-length"])))
        assert json.loads(answer)["data"]["password"]


def test_a_machine_that_denies_its_client(standin: StandIn, tls: ssl.SSLContext) -> None:
    standin.denies = True
    with pytest.raises(OSError):
        open_raw(standin, tls)
    assert standin.requests == []
