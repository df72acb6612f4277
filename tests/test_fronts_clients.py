# SPDX-License-Identifier: Apache-2.0
"""Behind each shipped configuration of a reverse proxy, proxxy knows the client's address, for its log, the claim
"client" and the limits, whatever the client says about its address."""

from __future__ import annotations

import re
import socket
from typing import Any, Iterator, Mapping

import pytest
from conftest import ECHO
from lib.activator import Activator
from lib.fronts import UnixActivator
from lib.payload import seal_jwe, target
from lib.standin import StandIn
from lib.web import Apache, Caddy, HAProxy, Nginx
from lib.wire import BINARY, CLOSE, Client, close_payload, upgrade_request

HERE, NEIGHBOUR = "127.0.0.5", "127.0.0.6"  # addresses of clients
FORGED = "198.51.100.7"
TRUSTED = "127.0.0.1,unix"  # the proxies on this machine, but not all of loopback, where the clients are too


@pytest.fixture(scope="module", params=[Nginx, Caddy, HAProxy, Apache], ids=["nginx", "caddy", "haproxy", "apache"])
def shipped(request: pytest.FixtureRequest) -> type[Nginx]:
    return request.param


@pytest.fixture(scope="module", params=[Activator, UnixActivator], ids=["port", "socket"])
def proxxy(request: pytest.FixtureRequest, shipped: type[Nginx], settings: dict[str, Any]) -> Iterator[Activator]:
    told: dict[str, Any] = {"PROXXY_CLIENT_ADDRESS": shipped.client_address, "PROXXY_TRUSTED_PROXIES": TRUSTED}
    with request.param({**settings, **told, "PROXXY_MAX_PER_CLIENT": 2}) as proxxy:
        yield proxxy


@pytest.fixture(scope="module")
def web(shipped: type[Nginx], proxxy: Activator) -> Iterator[Nginx]:
    with shipped(proxxy.port, socket=proxxy.socket if isinstance(proxxy, UnixActivator) else None) as web:
        yield web


def connect(web: Nginx, url: str, headers: Mapping[str, str] | None = None, source: str = HERE) -> Client:
    client = Client(socket.create_connection(("127.0.0.1", web.port), 5, source_address=(source, 0)))
    client.send(upgrade_request(web.port, url, headers or {}))
    return client


def end(client: Client) -> None:
    client.send_frame(CLOSE, close_payload(1000))
    client.close_code(10)


def logged_client(proxxy: Activator, sub: str) -> str:
    """Returns who used the payload with that sub."""
    lines = [line for line in proxxy.wait_log(f" sub={sub} ").splitlines() if f" sub={sub} " in line]
    [client] = {client for line in lines for client in re.findall(r" client=(\S+)", line)}
    return client


SAID: dict[str, dict[str, str]] = {
    "nothing": {},
    "fields": {name: FORGED for name in ("X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP")}
    | {"Forwarded": f"for={FORGED}"},
    "a list": {"X-Forwarded-For": f"{FORGED}, {FORGED}, 127.0.0.1", "X-Real-IP": f"{FORGED}, 127.0.0.1"},
    # A proxy that obeys this when it has added its own fields takes them away again (CVE-2022-31813).
    "fields that are to be dropped": {
        "Connection": "Upgrade, X-Forwarded-For, X-Real-IP, Forwarded",
        "X-Forwarded-For": FORGED,
    },
    "other spellings": {"x_forwarded_for": FORGED, "X_Real_IP": FORGED, "x-forwarded-for": FORGED},
    "the proxy itself": {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
}


@pytest.mark.parametrize("name", SAID)
def test_log_has_the_clients_address(web: Nginx, proxxy: Activator, standin: StandIn, key: str, name: str) -> None:
    sub = name.replace(" ", "-")
    payload = seal_jwe(standin.console("qemu", ECHO), key, sub=sub)
    with connect(web, target(payload, "/console/ws"), SAID[name]) as client:
        assert client.read_head().status == 101
        client.send_frame(BINARY, b"x")
        assert client.read_data(1, 10) == b"x"
        port = client.sock.getsockname()[1]
        end(client)
    proxxy.wait_sessions(0, 10)
    assert logged_client(proxxy, sub) in (HERE, f"{HERE}:{port}")


def test_claim_client_limits_the_link(web: Nginx, proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key, client=HERE)
    with connect(web, target(payload, "/console/ws"), {"X-Forwarded-For": FORGED}) as client:
        assert client.read_head().status == 101
        end(client)
    payload = seal_jwe(standin.console("qemu", ECHO), key, client=FORGED)
    with connect(web, target(payload, "/console/ws"), {"X-Forwarded-For": FORGED, "X-Real-IP": FORGED}) as client:
        assert client.read_head().status == 403
    proxxy.wait_sessions(0, 10)


def test_one_clients_limit_hinders_no_other(web: Nginx, proxxy: Activator, standin: StandIn, key: str) -> None:
    def url() -> str:
        return target(seal_jwe(standin.console("qemu", ECHO), key), "/console/ws")

    with connect(web, url()) as first, connect(web, url()) as second:
        assert first.read_head().status == second.read_head().status == 101
        with connect(web, url(), {"X-Forwarded-For": FORGED, "X-Real-IP": FORGED}) as third:
            assert third.read_head().status == 429
        with connect(web, url(), source=NEIGHBOUR) as other:
            assert other.read_head().status == 101
            end(other)
        end(second)
        proxxy.wait_sessions(1, 10)
        with connect(web, url()) as again:
            assert again.read_head().status == 101
            end(again)
        end(first)
    proxxy.wait_sessions(0, 10)


def test_client_cannot_send_a_proxy_header_itself(web: Nginx, proxxy: Activator, standin: StandIn, key: str) -> None:
    url = target(seal_jwe(standin.console("qemu", ECHO), key, sub="header"), "/console/ws")
    request = upgrade_request(web.port, url, {})
    for header in (
        f"PROXY TCP4 {FORGED} 127.0.0.1 1 2\r\n".encode(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\x01" * 12,
    ):
        with Client.connect(web.port, raw=header + request) as client:
            client.at_end(10)  # some proxies answer 400 first
    assert " sub=header " not in proxxy.log()
