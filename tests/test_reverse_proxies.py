# SPDX-License-Identifier: Apache-2.0
"""proxxy behind nginx, Caddy, HAProxy and Apache with a line or two, right or wrong: consoles work, and health checks
find it healthy. test_fronts_shipped.py has the shipped configurations."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.fronts import Apache, Front, HAProxy, PlainCaddy, PlainNginx
from lib.payload import seal_jwe, target
from lib.process import wait_for
from lib.standin import StandIn
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
