# SPDX-License-Identifier: Apache-2.0
"""proxxy behind the shipped configurations of nginx, Caddy, HAProxy and Apache: consoles over the port, the UNIX socket
and TLS, quiet consoles, and no payload in the proxies' logs. test_fronts_clients.py has the client's address."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from typing import Any, Iterator

import pytest
import yaml  # type: ignore
from conftest import ECHO, console
from lib.activator import TREE, Activator
from lib.certs import Cert
from lib.fronts import UnixActivator
from lib.payload import protocols, seal, seal_jwe, target
from lib.process import free_port, wait_for
from lib.standin import StandIn
from lib.web import Apache, Caddy, HAProxy, Nginx
from lib.wire import BINARY, Client, upgrade_request

QUIET_SECONDS = 62  # longer than the timeouts that proxies have by default


FRONTS = (Nginx, Caddy, HAProxy, Apache)


@pytest.fixture(scope="module", params=[Nginx, Caddy, HAProxy, Apache], ids=["nginx", "caddy", "haproxy", "apache"])
def shipped(request: pytest.FixtureRequest) -> type[Nginx]:
    return request.param


def told(settings: dict[str, Any], shipped: type[Nginx]) -> dict[str, Any]:
    """Returns proxxy's settings behind that proxy."""
    return {**settings, "PROXXY_CLIENT_ADDRESS": shipped.client_address}


@pytest.fixture(scope="module")
def behind(shipped: type[Nginx], settings: dict[str, Any]) -> Iterator[Activator]:
    with Activator(told(settings, shipped)) as behind:
        yield behind


def check_echo(client: Client) -> None:
    client.send_frame(BINARY, b"x")
    assert client.read_data(1, 10) == b"x"


# --- the logs ---------------------------------------------------------------------------------

# Paths under the prefix, and paths similar to it; Caddy ignores the case of paths.
NEAR_MISSES = [
    "/console/", "/console/ws", "/console/ws/", "/console/WS", "/console/ws.", "/console/wss", "/console/ws%20",
    "/console//ws", "/console/./ws", "/console/x/../ws", "/console/%77s", "/%63onsole/ws", "/%63onsole/WS",
    "/console/novnc.html", "/console/none", "/console/page-vnc.ABCDEFGH.js", "/console/none/ws",
    "//console/ws", "/console/" + "w" * 300, "/console/ws;x", "/console/%6eovnc/ws",
    "/console/ws%2f",
]  # fmt: skip
NAMES = ["payload", "%70ayload", "Payload"]


@pytest.mark.parametrize("running", [True, False], ids=["", "when-proxxy-is-down"])
def test_no_path_under_the_prefix_has_its_query_logged(
    shipped: type[Nginx], behind: Activator, key: str, running: bool
) -> None:
    with shipped(behind.port if running else free_port()) as web:
        for number, path in enumerate(NEAR_MISSES):
            for name in NAMES if "console" in path else NAMES[:1]:
                secret = f"eyJhbGciOi{number}.{seal(console(8006), key)}"
                asked: list[dict[str, str]] = [{}, {"Upgrade": ""}]
                for headers in asked:
                    with Client.connect(web.port, f"{path}?x=1&{name}={secret}&y=2", headers) as client:
                        client.read_head()
        check_logs_others(web)
        found = re.findall(r".*eyJhbGciOi.*", web.logs())
        assert found == []


def check_logs_others(web: Nginx) -> None:
    """Other requests are still logged: by the proxy or, of HAProxy and Apache without the query, by the panel."""
    with Client.connect(web.port, "/panel?page=7", {"Upgrade": ""}) as client:
        assert client.read_head().status == 200
    wait_for(lambda: re.search(r"/panel\b", web.logs()), 5, web.logs)


def test_payload_in_the_path_is_not_logged(shipped: type[Nginx], behind: Activator, key: str) -> None:
    payload = seal_jwe(console(8006), key)
    with shipped(behind.port) as web:
        for path in ("/console/ws%3Fpayload=", "/console/ws/", "/console/ws&payload=", "/Console/ws%3fpayload="):
            if path == "/Console/ws%3fpayload=" and shipped is Nginx:
                continue  # the panel's path
            with Client.connect(web.port, path + payload) as client:
                client.read_head()
        check_logs_others(web)
        assert [line for line in web.logs().splitlines() if payload[:40] in line] == []


@pytest.mark.parametrize("running", [True, False], ids=["", "when-proxxy-is-down"])
def test_no_payload_in_a_header_is_logged(shipped: type[Nginx], behind: Activator, key: str, running: bool) -> None:
    """Caddy's log has the header of each request."""
    payload = seal_jwe(console(8006), key)
    asked = ({"Sec-WebSocket-Protocol": protocols(payload)}, {"Upgrade": "", "Proxxy-Payload": payload})
    with shipped(behind.port if running else free_port()) as web:
        for path in ("/console/ws", "/console/WS", "/panel"):
            for headers in asked:
                with Client.connect(web.port, path, headers) as client:
                    client.read_head()
        check_logs_others(web)
        assert [line for line in web.logs().splitlines() if payload[:40] in line] == []


MALFORMED = {
    "incomplete": "GET {target} HTTP/1.1\r\nHost: a\r\n",
    "a space in the target": "GET {target} x HTTP/1.1\r\nHost: a\r\n\r\n",
    "another version": "GET {target} HTTP/7.0\r\nHost: a\r\n\r\n",
    "a method of its own": "PAYLOAD {target} HTTP/1.1\r\nHost: a\r\n\r\n",
    "no host": "GET {target} HTTP/1.1\r\n\r\n",
    "two lengths": "GET {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a field without a name": "GET {target} HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "a control character": "GET {target}\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
}


def test_malformed_requests_do_not_show_their_payload_in_the_log(
    shipped: type[Nginx], behind: Activator, key: str
) -> None:
    """nginx.conf says in which cases nginx does: where it has not found the location yet."""
    payload = seal_jwe(console(8006), key)
    with shipped(behind.port) as web:
        for text in MALFORMED.values():
            raw = text.format(target=f"/console/ws?payload={payload}").encode("latin-1")
            with Client.connect(web.port, raw=raw) as client:
                client.sock.shutdown(socket.SHUT_WR)
                client.at_end(20)
        check_logs_others(web)
        found = [line[:100] for line in web.logs().splitlines() if payload[:40] in line]
        assert found == [] or shipped is Nginx


# --- consoles ---------------------------------------------------------------------------------


def test_console_of_a_payload_in_a_subprotocol(
    shipped: type[Nginx], behind: Activator, standin: StandIn, key: str
) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key)
    with shipped(behind.port) as web:
        with Client.connect(web.port, "/console/ws", {"Sec-WebSocket-Protocol": protocols(payload)}) as client:
            head = client.read_head()
            assert head.status == 101 and head.headers["sec-websocket-protocol"] == "binary"
            check_echo(client)
        with Client.connect(web.port, "/console/ws", {"Upgrade": "", "Proxxy-Payload": payload}) as client:
            assert client.read_head().status == 426


def test_console_over_tls(shipped: type[Nginx], behind: Activator, standin: StandIn, cert: Cert, key: str) -> None:
    context = ssl.create_default_context(cafile=str(cert.ca))
    with shipped(behind.port, cert=cert) as web:
        raw = socket.create_connection(("127.0.0.1", web.port), 5)
        with Client(context.wrap_socket(raw, server_hostname="127.0.0.1")) as client:
            payload = seal_jwe(standin.console("qemu", ECHO), key)
            client.send(upgrade_request(web.port, target(payload, "/console/ws"), {}))
            assert client.read_head().status == 101
            for data in (b"x", b"y" * 200_000):
                client.send_frame(BINARY, data)
                assert client.read_data(len(data), 10) == data
        with urllib.request.urlopen(f"{web.url}/console/novnc.html", context=context) as answer:
            assert answer.status == 200


def test_console_over_the_unix_socket(
    shipped: type[Nginx], settings: dict[str, Any], standin: StandIn, key: str
) -> None:
    with UnixActivator(told(settings, shipped)) as unix, shipped(unix.port, socket=unix.socket) as web:
        payload = seal_jwe(standin.console("qemu", ECHO), key)
        with Client.upgraded(web.port, target(payload, "/console/ws")) as client:
            for data in (b"x", b"y" * 200_000):
                client.send_frame(BINARY, data)
                assert client.read_data(len(data), 10) == data
            unix.wait_sessions(1)
        unix.wait_sessions(0, 10)


@pytest.mark.timeout(QUIET_SECONDS + 60)
def test_quiet_consoles_stay_open(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """Without proxxy's Pings, the proxies see not a byte. One with a limit of 60 s would end the console."""
    with contextlib.ExitStack() as stack:
        clients = []
        for shipped in FRONTS:
            mute = stack.enter_context(Activator({**told(settings, shipped), "PROXXY_PING_INTERVAL": 0}))
            web = stack.enter_context(shipped(mute.port))
            payload = seal_jwe(standin.console("qemu", ECHO), key)
            clients.append(stack.enter_context(Client.upgraded(web.port, target(payload, "/console/ws"))))
            check_echo(clients[-1])
        time.sleep(QUIET_SECONDS)
        for client in clients:
            check_echo(client)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


def next_request(listener: socket.socket) -> bytes:
    """Returns the next request for a console that arrives there. HAProxy's health checks are others."""
    while True:
        came, _ = listener.accept()
        with came:
            came.settimeout(10)
            data = b""
            # A PROXY header of version 2 begins with an empty line too.
            while data.find(b"\r\n\r\n", 16) < 0 and (chunk := came.recv(65536)):
                data += chunk
            if b"GET /console/ws" in data:
                return data
            came.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_what_the_panel_gets_is_not_passed_on(shipped: type[Nginx], listener: socket.socket) -> None:
    """Neither its cookies nor its password, nor what the client says about its address."""
    said = {
        "Forwarded": "for=1.2.3.4",
        "X-Real-IP": "1.2.3.4",
        "X-Forwarded-For": "1.2.3.4",
        "CF-Connecting-IP": "1.2.3.4",
    }
    panel = {"Cookie": "session=secret; big=" + "c" * 30000, "Authorization": "Basic c2VjcmV0"}
    with shipped(listener.getsockname()[1]) as web:
        with Client.connect(web.port, "/console/ws?payload=x", {**panel, **said}):
            head = next_request(listener)
    assert b"GET /console/ws?payload=x HTTP/1.1\r\n" in head and b"\r\n\r\n" in head
    for word in (b"ookie", b"secret", b"uthorization", b"c2VjcmV0", b"1.2.3.4"):
        assert word not in head
    assert b"\r\nupgrade: websocket\r\n" in head.lower() and b"\r\nsec-websocket-key: " in head.lower()


def test_console_with_a_panel_full_of_cookies(
    shipped: type[Nginx], behind: Activator, standin: StandIn, key: str
) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key)
    with shipped(behind.port) as web:
        with Client.upgraded(web.port, target(payload, "/console/ws"), {"Cookie": "c" * 60000}) as client:
            check_echo(client)


def test_pages_are_served_without_a_log_of_them(shipped: type[Nginx], behind: Activator) -> None:
    with shipped(behind.port) as web:
        for path, status in (("/console/novnc.html", 200), ("/console/none", 404)):
            try:
                with urllib.request.urlopen(f"{web.url}{path}?payload=eyJhbGciOi") as answer:
                    assert answer.status == status
            except urllib.error.HTTPError as error:
                assert error.code == status
        assert "eyJhbGciOi" not in web.logs()


# --- Traefik ----------------------------------------------------------------------------------


def test_traefik_has_what_the_others_have() -> None:
    """Debian has no Traefik. This checks the file's structure, and what its comments say about the static
    configuration, which another file of the site contains."""
    text = (TREE / "deploy" / "traefik.yaml").read_text()
    http = yaml.safe_load(text)["http"]
    for name, router in http["routers"].items():
        assert router["service"] in http["services"] and set(router["middlewares"]) <= set(http["middlewares"])
        assert router["tls"] == {} and router["observability"] == {"accessLogs": False}, name
    assert "Path(`/console/ws`)" in http["routers"]["proxxy"]["rule"]
    assert http["routers"]["proxxy"]["priority"] > http["routers"]["proxxy-pages"]["priority"]
    dropped = http["middlewares"]["proxxy-headers"]["headers"]["customRequestHeaders"]
    assert dropped == dict.fromkeys(("Cookie", "Authorization", "Forwarded", "CF-Connecting-IP"), "")
    assert http["services"]["proxxy"]["loadBalancer"]["servers"] == [{"url": "http://127.0.0.1:8443"}]
    assert http["services"]["proxxy"]["loadBalancer"]["healthCheck"]["path"] == "/api/status"

    commented = re.findall(r"^#     (.*)$", text[text.index("#     entryPoints:") :], re.M)
    static = yaml.safe_load("\n".join(commented))
    assert static["accessLog"]["fields"]["names"] == {"RequestPath": "drop", "RequestLine": "drop"}
    assert static["accessLog"]["fields"]["headers"]["defaultMode"] == "drop"
    [entry] = static["entryPoints"]
    assert all(router["entryPoints"] == [entry] for router in http["routers"].values())
