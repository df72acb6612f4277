# SPDX-License-Identifier: Apache-2.0
"""The limits of sessions: in total, for a client's address, a guest and a sub, and of new ones per minute."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Callable

import pytest
from conftest import ECHO, console
from lib.activator import Activator, Xinetd, binary
from lib.answers import plain_request, told_in_close
from lib.certs import Cert
from lib.flood import Flood
from lib.payload import seal_jwe, target
from lib.process import wait_for
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, Client

# Else the tests' clients, which are on loopback, would be taken for a proxy.
CLIENTS = {"PROXXY_TRUSTED_PROXIES": "unix"}
ALL = ("PROXXY_MAX_SESSIONS", "PROXXY_MAX_PER_CLIENT", "PROXXY_MAX_PER_GUEST", "PROXXY_MAX_PER_SUB")
NO_LIMIT = dict.fromkeys((*ALL, "PROXXY_NEW_PER_MINUTE"), 0)
FLOOD, CUSTOMER = "127.0.0.2", "127.0.0.3"
SLOW = 60.0  # seconds, for a machine that runs 300 sessions with the sanitizers


def opens(proxxy: Activator, payload: str, source: str, held: ExitStack) -> tuple[int, dict[str, str], bytes]:
    """Asks for a console; returns status, header fields and body. A console stays open, and has echoed."""
    client = held.enter_context(Client.connect(proxxy.port, target(payload), source=source))
    head = client.read_head(SLOW)
    if head.status != 101:
        return head.status, head.headers, client.read_body(head)
    client.send_frame(BINARY, b"x")
    assert client.read_data(1, SLOW) == b"x"
    return 101, head.headers, b""


def refused(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str, str]:
    """Returns status, words and Retry-After of a refusal."""
    status, headers, body = answer
    said = json.loads(body)
    assert said["code"] == status
    return status, said["error"], headers["retry-after"]


Link = Callable[..., str]


@pytest.fixture
def link(standin: StandIn, key: str) -> Link:
    """link(type, **claims) returns another payload for a guest: its ticket is good for one console."""

    def make(type: str = "qemu", **claims: Any) -> str:
        return seal_jwe(standin.console(type, ECHO), key, **claims)

    return make


LIMITS = {
    "PROXXY_MAX_PER_CLIENT": (429, "Too many consoles are open from this address", "limit-client"),
    "PROXXY_MAX_SESSIONS": (503, "All consoles of this server are in use", "limit-total"),
    "PROXXY_MAX_PER_GUEST": (429, "Too many consoles of this guest are open", "limit-guest"),
    "PROXXY_MAX_PER_SUB": (429, "Too many consoles of this user are open", "limit-sub"),
}


@pytest.mark.parametrize("setting", LIMITS)
def test_limit_of_sessions_at_once(settings: dict[str, Any], link: Link, setting: str) -> None:
    status, words, outcome = LIMITS[setting]
    with Activator({**settings, **CLIENTS, **NO_LIMIT, setting: 2}) as proxxy, ExitStack() as held:
        first = ExitStack()
        with first:
            assert opens(proxxy, link(sub="alice"), FLOOD, first)[0] == 101
            assert opens(proxxy, link(sub="alice"), FLOOD, held)[0] == 101
            assert refused(opens(proxxy, link(sub="alice"), FLOOD, held)) == (status, words, "5")
            log = proxxy.wait_log(f"outcome={outcome}")
            assert f"Request refused: {words}: {setting} is 2" in log and f"status={status}" in log
            # Another client at another guest is not concerned.
            if setting != "PROXXY_MAX_SESSIONS":
                assert opens(proxxy, link("lxc", sub="bob"), CUSTOMER, held)[0] == 101
        # The end of a session makes room for another, and a refusal leaves nothing behind.
        wait_for(lambda: opens(proxxy, link(sub="alice"), FLOOD, held)[0] == 101, SLOW, "no slot became free")
        assert opens(proxxy, link(sub="alice"), FLOOD, held)[0] == status


@pytest.mark.parametrize("setting, code", [("PROXXY_MAX_PER_GUEST", "guest"), ("PROXXY_MAX_PER_SUB", "user")])
def test_page_is_told_in_a_close(settings: dict[str, Any], link: Link, setting: str, code: str) -> None:
    with Activator({**settings, setting: 1}) as proxxy, ExitStack() as held:
        assert opens(proxxy, link(sub="alice"), FLOOD, held)[0] == 101
        said = told_in_close(proxxy, link(sub="alice"), {"Origin": "https://panel.example.com"})
        assert said == (1013, f"Too many consoles of this {code} are open: {setting} is 1")
        assert "close_code=1013" in proxxy.wait_log(f"outcome={LIMITS[setting][2]}")


def test_refusal_does_not_use_a_payload_up(settings: dict[str, Any], link: Link) -> None:
    once = link(jti="once")
    with Activator({**settings, **CLIENTS, "PROXXY_MAX_PER_CLIENT": 1, "PROXXY_MAX_PER_GUEST": 1}) as proxxy:
        with ExitStack() as first:
            assert opens(proxxy, link(), FLOOD, first)[0] == 101
            assert opens(proxxy, once, FLOOD, first)[0] == 429
            assert opens(proxxy, once, CUSTOMER, first)[0] == 429
        proxxy.wait_sessions(0, SLOW)
        with ExitStack() as second:
            assert opens(proxxy, once, FLOOD, second)[0] == 101


def test_new_sessions_per_minute(settings: dict[str, Any], link: Link) -> None:
    with Activator({**settings, **CLIENTS, "PROXXY_NEW_PER_MINUTE": 3}) as proxxy, ExitStack() as held:
        for _ in range(3):
            with ExitStack() as ended:
                assert opens(proxxy, link(), FLOOD, ended)[0] == 101
        status, words, retry_after = refused(opens(proxxy, link(), FLOOD, held))
        assert (status, words) == (429, "Too many consoles were opened from this address in a short time")
        assert 1 <= int(retry_after) <= 20
        log = proxxy.wait_log("outcome=limit-rate")
        assert "PROXXY_NEW_PER_MINUTE is 3; a proxy must be in PROXXY_TRUSTED_PROXIES" in log
        assert opens(proxxy, link(), CUSTOMER, held)[0] == 101
        # Nobody gets round it with another kind of request that proxxy would have to open a payload for.
        assert plain(proxxy, link())[0] == 426
        assert [plain(proxxy, link())[0] for _ in range(3)] == [426, 426, 429]


def plain(proxxy: Activator, payload: str) -> tuple[int, dict[str, str], bytes]:
    """Asks as a page does that had no WebSocket."""
    return plain_request(proxxy.port, path=target(payload))


def test_page_learns_why_there_was_no_websocket(settings: dict[str, Any], link: Link) -> None:
    with Activator({**settings, **CLIENTS, "PROXXY_MAX_PER_CLIENT": 1}) as proxxy, ExitStack() as held:
        assert opens(proxxy, link(), "127.0.0.1", held)[0] == 101
        assert refused(plain(proxxy, link())) == (429, "Too many consoles are open from this address", "5")


def test_health_checks_are_not_limited(settings: dict[str, Any], link: Link) -> None:
    limits = {"PROXXY_MAX_SESSIONS": 1, "PROXXY_MAX_PER_CLIENT": 1, "PROXXY_NEW_PER_MINUTE": 1}
    with Activator({**settings, **CLIENTS, **limits}) as proxxy, ExitStack() as held:
        assert opens(proxxy, link(), "127.0.0.1", held)[0] == 101
        for _ in range(3):
            assert plain_request(proxxy.port, path="/api/status")[0] == 200
            with Client.connect(proxxy.port, raw=b"OPTIONS / HTTP/1.1\r\nHost: proxxy\r\n\r\n") as client:
                assert client.read_head().status == 204
        assert plain(proxxy, link())[0] == 429


def test_proxy_is_not_limited(settings: dict[str, Any], link: Link) -> None:
    """By default, loopback is where the reverse proxy is, and all clients come from there."""
    with Activator({**settings, "PROXXY_MAX_PER_CLIENT": 1, "PROXXY_NEW_PER_MINUTE": 1}) as proxxy, ExitStack() as held:
        assert [opens(proxxy, link(), "127.0.0.1", held)[0] for _ in range(3)] == [101] * 3


def test_0_is_no_limit(settings: dict[str, Any], link: Link) -> None:
    """More than each default would let pass."""
    with Activator({**settings, **CLIENTS, **NO_LIMIT}) as proxxy, ExitStack() as held:
        assert [opens(proxxy, link(sub="alice"), FLOOD, held)[0] for _ in range(70)] == [101] * 70
        assert not (proxxy.used / "limits").exists()


@pytest.mark.parametrize("spawner", [Activator, Xinetd])
def test_killed_sessions_free_their_slots(settings: dict[str, Any], link: Link, spawner: type[Activator]) -> None:
    with spawner(
        {**settings, **CLIENTS, "PROXXY_MAX_PER_CLIENT": 3, "PROXXY_MAX_SESSIONS": 4}
    ) as proxxy, ExitStack() as held:
        assert [opens(proxxy, link(), FLOOD, held)[0] for _ in range(4)] == [101, 101, 101, 429]
        proxxy.wait_sessions(3, SLOW)
        for pid in proxxy.sessions():
            os.kill(pid, signal.SIGKILL)
        proxxy.wait_sessions(0, SLOW)
        assert [opens(proxxy, link(), FLOOD, held)[0] for _ in range(4)] == [101, 101, 101, 429]


def test_sessions_go_on_where_limits_cannot_be_kept(settings: dict[str, Any], link: Link, tmp_path: Path) -> None:
    """They worked there before there were limits."""
    none = tmp_path / "none"
    limits = {"PROXXY_STATE_DIRECTORY": none, "PROXXY_MAX_PER_CLIENT": 1, "PROXXY_NEW_PER_MINUTE": 1}
    with Activator({**settings, **CLIENTS, **limits}) as proxxy, ExitStack() as held:
        assert [opens(proxxy, link(), FLOOD, held)[0] for _ in range(2)] == [101, 101]
        log = proxxy.wait_log(f"limits are not enforced: {str(none)[:100]}")
        assert "cannot be used: No such file or directory" in log
        consequence = "Limits are not enforced without it, and links with a jti are refused"
        assert f"{none} cannot be used: No such file or directory. {consequence}" in check(proxxy)
        none.touch()
        assert f"{none} cannot be used: Not a directory. {consequence}" in check(proxxy)
        none.unlink()
        none.mkdir()
        assert "cannot be used" not in check(proxxy)
        (none / "limits").symlink_to("/dev/null/x")
        assert f"{none}/limits cannot be used: Not a directory. Limits are not enforced without it" in check(proxxy)


def check(proxxy: Activator) -> str:
    """Returns what proxxy-conn --check reports of the settings of proxxy, which are valid."""
    environment = {"PATH": os.environ["PATH"], "PROXXY_CONFIG": str(proxxy.config)}
    return subprocess.run([binary(), "--check"], env=environment, capture_output=True, text=True, check=True).stderr


def hold(c: Connection) -> None:
    """A console that sends what opens() waits for. Its ticket is good for ever, also on a slow machine."""
    c.accept_upgrade()
    c.send_frame(BINARY, b"x")
    c.at_end(SLOW)


def seconds_to_open(proxxy: Activator, payload: str) -> float:
    """Returns how long the customer waits for a console's first answer."""
    with ExitStack() as opened:
        began = time.monotonic()
        assert opens(proxxy, payload, CUSTOMER, opened)[0] == 101
        return time.monotonic() - began


def test_300_connections_from_one_address_beside_a_customer(settings: dict[str, Any], cert: Cert, key: str) -> None:
    """With the defaults. The times are printed, not judged: the machine may have other work."""
    with Upstream(cert, hold) as upstream, Activator({**settings, **CLIENTS}) as proxxy:
        customers, other = (seal_jwe(console(upstream.port, vmid=vmid), key) for vmid in (100, 200))
        alone = median(seconds_to_open(proxxy, customers) for _ in range(9))
        with Flood(proxxy.port, target(other), FLOOD) as flood:
            during = [seconds_to_open(proxxy, customers)]
            while not flood.came() and len(during) < 50:  # PROXXY_NEW_PER_MINUTE holds for the customer too
                during.append(seconds_to_open(proxxy, customers))
            statuses = flood.statuses()
            began = time.monotonic()
            beside = [seconds_to_open(proxxy, customers) for _ in range(9)]
            seconds = time.monotonic() - began
            assert len(proxxy.sessions()) >= 64
            refused_meanwhile = flood.stop()
        assert (statuses.count(101), statuses.count(429)) == (64, 236)
    print(
        f"a customer's console, ms: {alone * 1000:.0f} alone; {median(during) * 1000:.0f} while 300 connections come; "
        f"{median(beside) * 1000:.0f} beside the 64 that stay and {refused_meanwhile / seconds:.0f} refused per second"
    )
