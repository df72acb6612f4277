# SPDX-License-Identifier: Apache-2.0
"""deploy/haproxy.cfg in front of several hosts: health checks, hosts that do not take a console, draining, and the
variant in which a link always reaches the same host. The hosts are proxxy on other ports."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from typing import Any, Iterator

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.certs import Cert
from lib.payload import protocols, seal, seal_jwe, target
from lib.process import free_port, wait_for
from lib.standin import StandIn
from lib.web import HAProxy
from lib.wire import BINARY, CLOSE, Client, close_payload, upgrade_request

STATE_SECONDS = 20  # two checks, on a busy machine


@pytest.fixture(scope="module")
def behind(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings, "PROXXY_CLIENT_ADDRESS": "proxy-protocol"}


@pytest.fixture(scope="module")
def hosts(behind: dict[str, Any]) -> Iterator[list[Activator]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Activator(behind)) for _ in range(3)]


def ports(hosts: list[Activator]) -> list[int]:
    return [host.port for host in hosts]


def link(standin: StandIn, key: str, **claims: Any) -> str:
    return target(seal_jwe(standin.console("qemu", ECHO), key, **claims), "/console/ws")


def occupy(host: Activator, url: str) -> Client:
    """Opens a console on the host without HAProxy, but with its header."""
    client = Client.connect(host.port, raw=b"PROXY UNKNOWN\r\n" + upgrade_request(host.port, url, {}))
    assert client.read_head().status == 101
    return client


def check_echo(client: Client) -> None:
    client.send_frame(BINARY, b"x")
    assert client.read_data(1, 10) == b"x"


def use(client: Client) -> None:
    """Uses the client's console and ends it."""
    check_echo(client)
    client.send_frame(CLOSE, close_payload(1000))
    client.close_code(10)


def wait_state(web: HAProxy, server: str, state: str) -> None:
    wait_for(lambda: web.state(server)["status"] == state, STATE_SECONDS, lambda: f"{web.state(server)}\n{web.logs()}")


def test_check_of_a_host(hosts: list[Activator], behind: dict[str, Any], standin: StandIn, key: str) -> None:
    """A host with wrong settings gets no console. The check also sends the PROXY header."""
    with Activator({**behind, "SIGNATURE_KEY": "short"}) as broken:
        with HAProxy(0, hosts=[broken.port, *ports(hosts[:2])]) as web:
            wait_state(web, "host1", "DOWN")
            wait_state(web, "host2", "UP")
            assert web.state("host1")["check_code"] == "500"
            assert web.state("host2")["check_status"] == "L7OK"
            for _ in range(4):
                with Client.upgraded(web.port, link(standin, key)) as client:
                    use(client)


def test_no_host_is_up(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """Hosts that were not told of the PROXY protocol refuse it. HAProxy then says that there is no host."""
    with Activator(settings) as untold, HAProxy(0, hosts=[untold.port]) as web:
        wait_state(web, "host1", "DOWN")
        assert web.state("host1")["check_code"] == "400"
        with Client.connect(web.port, link(standin, key)) as client:
            assert client.read_head().status == 503


UNCHECKED = {
    "default-server check inter": "default-server inter",
    "default-server observe": "#",
}  # so that HAProxy does not learn of it by a check


def test_hosts_that_vanished_are_noticed(hosts: list[Activator], standin: StandIn, key: str) -> None:
    with HAProxy(0, hosts=[free_port(), free_port(), hosts[0].port]) as web:
        for server in ("host1", "host2"):
            wait_state(web, server, "DOWN")
        for _ in range(6):
            with Client.upgraded(web.port, link(standin, key)) as client:
                use(client)


def test_host_without_a_listener_costs_no_console(hosts: list[Activator], standin: StandIn, key: str) -> None:
    with HAProxy(0, hosts=[free_port(), hosts[0].port, hosts[1].port], replaced=UNCHECKED) as web:
        for _ in range(6):
            with Client.upgraded(web.port, link(standin, key, jti=os.urandom(8).hex())) as client:
                use(client)


def test_host_that_is_full_costs_no_console(
    hosts: list[Activator], behind: dict[str, Any], standin: StandIn, key: str
) -> None:
    """It answers 503, HAProxy asks another host, and the link is not used up."""
    with Activator({**behind, "PROXXY_MAX_SESSIONS": 1}) as full:
        with occupy(full, link(standin, key)) as occupant:
            with HAProxy(0, hosts=[full.port, hosts[0].port], replaced=UNCHECKED) as web:
                for _ in range(6):
                    with Client.upgraded(web.port, link(standin, key, jti=os.urandom(8).hex())) as client:
                        use(client)
            assert "outcome=limit-total" in full.log()
            use(occupant)


def test_all_hosts_are_full(behind: dict[str, Any], standin: StandIn, key: str) -> None:
    """The client gets proxxy's own words."""
    with Activator({**behind, "PROXXY_MAX_SESSIONS": 1}) as full:
        with HAProxy(0, hosts=[full.port]) as web, occupy(full, link(standin, key)) as occupant:
            with Client.connect(web.port, link(standin, key)) as client:
                head = client.read_head(10)
                assert head.status == 503 and b"All consoles of this server are in use" in client.read_body(head)
            use(occupant)


def test_draining_a_host(hosts: list[Activator], standin: StandIn, key: str) -> None:
    with HAProxy(0, hosts=ports(hosts[:2])) as web:
        first = Client.upgraded(web.port, link(standin, key))
        [stays] = [number for number, host in enumerate(hosts[:2], 1) if host.sessions()]
        assert web.ask(f"set server proxxy/host{stays} state drain").strip() == ""
        with contextlib.ExitStack() as stack:
            others = [stack.enter_context(Client.upgraded(web.port, link(standin, key))) for _ in range(4)]
            hosts[2 - stays].wait_sessions(4)
            hosts[stays - 1].wait_sessions(1)
            for client in (first, *others):
                check_echo(client)
            assert web.ask(f"set server proxxy/host{stays} state ready").strip() == ""
            wait_state(web, f"host{stays}", "UP")
            with Client.upgraded(web.port, link(standin, key)) as client:  # leastconn: one console against four
                hosts[stays - 1].wait_sessions(2)
                use(client)
            for client in (first, *others):
                use(client)
    for host in hosts:
        host.wait_sessions(0, 10)


# --- browsers ---------------------------------------------------------------------------------

# Opens a WebSocket in a stream of HTTP/2 (RFC 8441), as browsers do that have loaded the page over HTTP/2. Sends a
# frame with one byte and prints the status and the first bytes that come back.
HTTP2_CLIENT = """
const [url, ca, offered] = process.argv.slice(1);
const session = require("node:http2").connect(url, { ca: require("node:fs").readFileSync(ca) });
session.on("remoteSettings", (settings) => {
    if (!settings.enableConnectProtocol) process.exit(1);
    const head = { ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": "/console/ws" };
    const stream = session.request({ ...head, "sec-websocket-version": "13", "sec-websocket-protocol": offered });
    stream.on("response", (answer) => {
        console.log(answer[":status"]);
        stream.write(Buffer.from("8281000000" + "0078", "hex"));
    });
    stream.on("data", (data) => {
        console.log(data.toString("hex"));
        session.destroy();
    });
});
"""


def test_console_over_http2(hosts: list[Activator], standin: StandIn, cert: Cert, key: str) -> None:
    with HAProxy(0, hosts=ports(hosts), cert=cert) as web:
        offered = protocols(seal_jwe(standin.console("qemu", ECHO), key))
        command = ["node", "-e", HTTP2_CLIENT, web.url, str(cert.ca), offered]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.stdout == "200\n820178\n", done.stderr


def test_plain_port_leads_to_https(hosts: list[Activator], cert: Cert) -> None:
    with HAProxy(0, hosts=ports(hosts), cert=cert) as web:
        with Client.connect(web.plain_port, "/console/novnc.html", {"Upgrade": "", "Host": "a"}) as client:
            head = client.read_head()
        assert head.status == 308 and head.headers["location"] == "https://a/console/novnc.html"


# --- a link always reaches the same host ------------------------------------------------------


def requests(payload: str, decoy: str) -> dict[str, bytes]:
    """Returns requests for a console with that payload: as clients write them, and as somebody writes them who wants
    another host to get the link. decoy is a payload that proxxy does not open."""
    first = f"%{ord(payload[0]):02x}{payload[1:]}"
    field = {"Sec-WebSocket-Protocol": protocols(payload)}
    both = {"Sec-WebSocket-Protocol": f"xproxxy.payload.{decoy}, {protocols(payload)}"}
    behind = {"Sec-WebSocket-Protocol": f"{protocols(payload)}, xproxxy.payload.{decoy}"}
    no_token = {"Sec-WebSocket-Protocol": f"{protocols(payload)}, x proxxy.payload.{decoy}"}
    asked: dict[str, tuple[str, dict[str, str]]] = {
        "query": (f"?payload={payload}", {}),
        "field": ("", field),
        "escaped": (f"?payload={first}", {}),
        "escaped dots": ("?payload=" + payload.replace(".", "%2E"), {}),
        "escaped name": (f"?%70ayload={payload}", {}),
        "escaped name first": (f"?p%61yload={payload}&payload={decoy}", {}),
        "two": (f"?payload={payload}&payload={decoy}", {}),
        "two, the first empty": (f"?payload=&payload={payload}", {}),
        "behind another": (f"?x=;payload={decoy}&payload={payload}", {}),
        "in another": (f"?x=payload={decoy}&payload={payload}", {}),
        "other name": (f"?xpayload={decoy}&payload={payload}", {}),
        "escaped ampersand": (f"?x=%26payload={decoy}&payload={payload}", {}),
        "empty query, field": ("?payload=", field),
        "no value, field": ("?payload", field),
        "other query, field": (f"?x={decoy}", field),
        "decoy in the query, field": (f"?payload={decoy}", field),
        "no value, decoy, field": (f"?payload&payload={decoy}", field),
        "empty, decoy, field": (f"?payload=&payload={decoy}", field),
        "field after another": ("", both),
        "field before another": ("", behind),
        "field before another that is no token": ("", no_token),
        "query and field of another": (f"?payload={payload}", {"Sec-WebSocket-Protocol": f"binary, x.{decoy}"}),
    }
    found = {name: upgrade_request(1, f"/console/ws{query}", fields) for name, (query, fields) in asked.items()}
    twice = f"Sec-WebSocket-Protocol: {protocols(payload)}\r\nSec-WebSocket-Protocol: x.{decoy}\r\n\r\n"
    found["two fields"] = upgrade_request(1, "/console/ws", {})[:-2] + twice.encode()
    return found


REFUSED = {
    "escaped name", "escaped name first", "decoy in the query, field", "two fields", "two, the first empty",
    "two", "no value, decoy, field", "empty, decoy, field", "field before another that is no token",
}  # fmt: skip


def hosts_of(hosts: list[Activator], sub: str) -> set[int]:
    """Returns the hosts on which that customer had a console."""
    return {number for number, host in enumerate(hosts) if re.search(rf"Session began.* sub={sub} ", host.log())}


def test_link_always_reaches_the_same_host(hosts: list[Activator], key: str) -> None:
    """Whatever else is in the request. proxxy refuses some of them, as does HAProxy."""
    nowhere = free_port()
    with HAProxy(0, hosts=ports(hosts), by_hash=True) as web:
        used = set()
        for number in range(6):
            payload = seal_jwe(console(nowhere), key, sub=f"same-{number}")
            refused = set()
            for _ in range(3):
                for name, raw in requests(payload, seal_jwe(console(nowhere), "0" * 64)).items():
                    with Client.connect(web.port, raw=raw) as client:
                        if client.read_head(10).status != 101:
                            refused.add(name)
            assert refused == REFUSED
            assert len(hosts_of(hosts, f"same-{number}")) == 1
            used |= hosts_of(hosts, f"same-{number}")
        assert len(used) > 1  # one time in 243, it would be one


def test_old_payloads_are_spread_over_the_hosts(hosts: list[Activator], standin: StandIn, key: str) -> None:
    """They have no nonce that could select the host, and no jti."""
    with HAProxy(0, hosts=ports(hosts), by_hash=True) as web, contextlib.ExitStack() as stack:
        for _ in range(12):
            old = target(seal(standin.console("qemu", ECHO), key), "/console/ws")
            stack.enter_context(Client.upgraded(web.port, old))
        assert sum(bool(host.sessions()) for host in hosts) > 1
