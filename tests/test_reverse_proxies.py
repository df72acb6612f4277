# SPDX-License-Identifier: Apache-2.0
"""proxxy behind nginx, Caddy, HAProxy and Apache, configured well and badly: consoles work, health checks find it
healthy, and the proxies' logs contain no payload."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from conftest import ECHO, console
from lib.activator import TREE, Activator
from lib.certs import Cert
from lib.fronts import Apache, Front, HAProxy, PlainCaddy, PlainNginx
from lib.payload import protocols, seal, seal_jwe, target
from lib.process import free_port, wait_for
from lib.standin import StandIn
from lib.web import Caddy, Nginx
from lib.wire import BINARY, CLOSE, Client, close_payload

UPGRADE = "proxy_set_header Upgrade $http_upgrade;"
UPGRADE_11 = f"proxy_http_version 1.1; {UPGRADE}"
CONNECTION = 'proxy_set_header Connection "upgrade";'
FRONTS: dict[str, Callable[[int], Front]] = {
    "nginx as documented": lambda port: PlainNginx(port, f"{UPGRADE_11} {CONNECTION}"),
    "nginx without proxy_http_version": lambda port: PlainNginx(port, f"{UPGRADE} {CONNECTION}"),
    "nginx without Connection": lambda port: PlainNginx(port, UPGRADE_11),
    "nginx without both": lambda port: PlainNginx(port, UPGRADE),
    "nginx with keep-alive": lambda port: PlainNginx(port, f'{UPGRADE_11} proxy_set_header Connection "";'),
    "HAProxy": HAProxy,
    "Caddy": PlainCaddy,
    "Apache, mod_proxy_http": lambda port: Apache(port, "ProxyPass / http://{proxxy}/ upgrade=websocket"),
    "Apache, mod_proxy_wstunnel": lambda port: Apache(port, "ProxyPass / ws://{proxxy}/"),
}  # fmt: skip


@pytest.mark.parametrize("name", FRONTS)
def test_console_behind_a_front(relay: Activator, standin: StandIn, key: str, name: str) -> None:
    with FRONTS[name](relay.port) as front:
        payload = seal_jwe(standin.console("qemu", ECHO), key)
        with Client.upgraded(front.port, target(payload), {"Sec-WebSocket-Protocol": "binary"}) as client:
            for data in (b"x", b"y" * 200_000):
                client.send_frame(BINARY, data)
                assert client.read_data(len(data), 10) == data
            client.send_frame(CLOSE, close_payload(1000))
            assert client.close_code() == (1000, "")
    relay.wait_sessions(0, 10)


@pytest.mark.parametrize("name", FRONTS)
def test_refusal_behind_a_front(relay: Activator, key: str, name: str) -> None:
    """Behind each proxy, a browser gets the refusal in a Close, another client as HTTP."""
    with FRONTS[name](relay.port) as front:
        payload = seal_jwe(console(8006), key, client="192.0.2.1")
        with Client.upgraded(front.port, target(payload), {"Origin": "https://panel.example.com"}) as client:
            code, reason = client.close_code()
            assert code == 1008 and reason.startswith("Client address not allowed")
        if name == "Apache, mod_proxy_wstunnel":  # answers 502 instead of any answer but 101
            return
        with Client.connect(front.port, target(payload)) as client:
            head = client.read_head()
            assert head.status == 403 and json.loads(client.read_body(head))["error"] == "Client address not allowed"


CHECKS = {
    "OPTIONS, its default": "option httpchk",
    "HEAD": "option httpchk HEAD /api/status",
    "GET with HTTP/1.1": "option httpchk\nhttp-check send meth GET uri /api/status ver HTTP/1.1 hdr Host a",
    "OPTIONS with HTTP/1.1": "option httpchk\nhttp-check send meth OPTIONS uri * ver HTTP/1.1 hdr Host a",
}


@pytest.mark.parametrize("name", CHECKS)
def test_haproxys_health_check_finds_it_well(relay: Activator, name: str) -> None:
    with HAProxy(relay.port, CHECKS[name]) as front:
        wait_for(lambda: front.stats()["check_status"] == "L7OK", 10, lambda: f"{front.stats()}\n{front.logs()}")
        assert front.stats()["status"] == "UP" and front.stats()["check_code"] in ("200", "204")


def test_haproxys_health_check_finds_wrong_settings(settings: dict[str, Any]) -> None:
    with Activator(settings | {"SIGNATURE_KEY": "short"}) as broken, HAProxy(broken.port, "option httpchk") as front:
        wait_for(lambda: front.stats()["status"] == "DOWN", 10, lambda: f"{front.stats()}\n{front.logs()}")
        assert front.stats()["check_code"] == "500"


# --- limits for each client -------------------------------------------------------------------


class LimitedNginx(Nginx):
    """With the shipped configuration's limit of consoles for each client, lowered to 2."""

    def command(self) -> list[str | Path]:
        command = super().command()
        config = self.directory / "nginx.conf"
        config.write_text(config.read_text().replace("http {", f"http {{ {self.zone}"))
        return command

    def shipped(self, name: str) -> str:
        text = super().shipped(name)
        [self.zone] = re.findall(r"limit_conn_zone .*;", text)
        assert text.count("\t#limit_conn proxxy 32;\n") == 1
        return text.replace("#limit_conn proxxy 32;", "limit_conn proxxy 2;")


def limited_haproxy(port: int) -> Front:
    text = (TREE / "docs" / "reverse-proxies.md").read_text()
    lines = re.findall(r"^ +((?:stick-table|http-request) .*)$", text, re.M)
    assert len(lines) == 3 and "gt 32" in lines[2]
    return HAProxy(port, "\n".join(lines).replace("gt 32", "gt 2"))


@pytest.mark.parametrize("limited, status", [(LimitedNginx, 503), (limited_haproxy, 429)], ids=["nginx", "HAProxy"])
def test_limit_of_consoles_for_each_client(
    relay: Activator, standin: StandIn, key: str, limited: Callable[[int], Front], status: int
) -> None:
    with limited(relay.port) as front:

        def url() -> str:
            return target(seal_jwe(standin.console("qemu", ECHO), key), "/console/ws")

        with Client.upgraded(front.port, url()), Client.upgraded(front.port, url()) as second:
            with Client.connect(front.port, url()) as third:
                assert third.read_head().status == status
            second.send_frame(CLOSE, close_payload(1000))
            assert second.close_code() == (1000, "")
            relay.wait_sessions(1, 10)
            with Client.upgraded(front.port, url()) as again:
                again.send_frame(BINARY, b"x")
                assert again.read_data(1) == b"x"


# --- the shipped configurations --------------------------------------------------------------


@pytest.fixture(scope="module", params=[Nginx, Caddy], ids=["nginx", "caddy"])
def shipped(request: pytest.FixtureRequest) -> type[Nginx]:
    return request.param


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
    shipped: type[Nginx], relay: Activator, key: str, running: bool
) -> None:
    with shipped(relay.port if running else free_port()) as web:
        for number, path in enumerate(NEAR_MISSES):
            for name in NAMES if "console" in path else NAMES[:1]:
                secret = f"eyJhbGciOi{number}.{seal(console(8006), key)}"
                asked: list[dict[str, str]] = [{}, {"Upgrade": ""}]
                for headers in asked:
                    with Client.connect(web.port, f"{path}?x=1&{name}={secret}&y=2", headers) as client:
                        client.read_head()
        with Client.connect(web.port, "/panel?page=7", {"Upgrade": ""}) as client:
            client.read_head()
        wait_for(lambda: "page=7" in web.logs(), 5, web.logs)  # other requests are still logged
        found = re.findall(r".*eyJhbGciOi.*", web.logs())
        assert found == []


@pytest.mark.parametrize("running", [True, False], ids=["", "when-proxxy-is-down"])
def test_no_payload_in_a_header_is_logged(shipped: type[Nginx], relay: Activator, key: str, running: bool) -> None:
    """Caddy's log has the header of each request."""
    payload = seal_jwe(console(8006), key)
    asked = ({"Sec-WebSocket-Protocol": protocols(payload)}, {"Upgrade": "", "Proxxy-Payload": payload})
    with shipped(relay.port if running else free_port()) as web:
        for path in ("/console/ws", "/console/WS", "/panel"):
            for headers in asked:
                with Client.connect(web.port, path, headers) as client:
                    client.read_head()
        with Client.connect(web.port, "/panel?page=7", {"Upgrade": ""}) as client:
            client.read_head()
        wait_for(lambda: "page=7" in web.logs(), 5, web.logs)
        assert payload[:40] not in web.logs()


def test_console_of_a_payload_in_a_subprotocol(
    shipped: type[Nginx], relay: Activator, standin: StandIn, key: str
) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key)
    with shipped(relay.port) as web:
        with Client.connect(web.port, "/console/ws", {"Sec-WebSocket-Protocol": protocols(payload)}) as client:
            head = client.read_head()
            assert head.status == 101 and head.headers["sec-websocket-protocol"] == "binary"
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
        with Client.connect(web.port, "/console/ws", {"Upgrade": "", "Proxxy-Payload": payload}) as client:
            assert client.read_head().status == 426


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


def test_cookies_of_the_panel_are_not_passed_on(shipped: type[Nginx], listener: socket.socket) -> None:
    with shipped(listener.getsockname()[1]) as web:
        with Client.connect(web.port, "/console/ws?payload=x", {"Cookie": "session=secret; big=" + "c" * 30000}):
            came, _ = listener.accept()
            with came:
                head = came.recv(65536)
    assert head.startswith(b"GET /console/ws?payload=x HTTP/1.1\r\n") and b"\r\n\r\n" in head
    assert b"ookie" not in head and b"secret" not in head
    assert b"\r\nupgrade: websocket\r\n" in head.lower() and b"\r\nsec-websocket-key: " in head.lower()


def test_console_with_a_panel_full_of_cookies(
    shipped: type[Nginx], relay: Activator, standin: StandIn, cert: Cert, key: str
) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key)
    with shipped(relay.port) as web:
        with Client.upgraded(web.port, target(payload, "/console/ws"), {"Cookie": "c" * 60000}) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"


def test_pages_are_served_without_a_log_of_them(shipped: type[Nginx], relay: Activator) -> None:
    with shipped(relay.port) as web:
        for path, status in (("/console/novnc.html", 200), ("/console/none", 404)):
            try:
                with urllib.request.urlopen(f"{web.url}{path}?payload=eyJhbGciOi") as answer:
                    assert answer.status == status
            except urllib.error.HTTPError as error:
                assert error.code == status
        assert "eyJhbGciOi" not in web.logs()
