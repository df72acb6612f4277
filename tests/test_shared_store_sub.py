# SPDX-License-Identifier: Apache-2.0
"""PROXXY_MAX_PER_SUB with a shared store: the sessions of a sub count on all machines together."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest
from lib.answers import echoes, refusal
from lib.certs import Authority
from lib.process import wait_for
from lib.redis_server import RedisServer
from lib.shared_store import USED, Consoles, Machines, entry_of_alice, secure
from lib.wire import BINARY


pytest_plugins = ("lib.shared_store",)

# --- sessions of a sub on all machines ------------------------------------------------------------


@pytest.fixture
def consoles(machines: Machines) -> Consoles:
    return Consoles(machines)


def test_sub_is_limited_on_all_machines_together(machines: Machines, consoles: Consoles, store: RedisServer) -> None:
    store.ask("FLUSHALL")
    one, other = (machines.add(store.url, PROXXY_MAX_PER_SUB=2) for _ in range(2))
    first, _ = consoles.open(one), consoles.open(other)
    refused = consoles.payload()
    for proxxy in (one, other):
        assert refusal(proxxy, refused)[:2] == (429, "Too many consoles of this user are open")
    consoles.open(other, sub="bob")
    assert store.ask("ZCARD", entry_of_alice()) == "2"
    first.sock.close()
    wait_for(lambda: store.ask("ZCARD", entry_of_alice()) == "1", 5, "the entry of a session that ended stays")
    # The refusal did not use up the link.
    assert echoes(one, refused)


def test_entry_of_a_killed_session_expires(machines: Machines, consoles: Consoles, store: RedisServer) -> None:
    store.ask("FLUSHALL")
    proxxy = machines.add(store.url, PROXXY_MAX_PER_SUB=1)
    consoles.open(proxxy)
    [pid] = proxxy.sessions()
    os.kill(pid, signal.SIGKILL)
    proxxy.wait_sessions(0)
    assert 0 < int(store.ask("TTL", entry_of_alice())) <= 90
    [member, score] = store.ask("ZRANGE", entry_of_alice(), 0, -1, "WITHSCORES").split()
    assert re.fullmatch("[0-9a-f]{32}", member)
    assert 0 < float(score) - time.time() <= 91
    assert refusal(proxxy, consoles.payload())[0] == 429
    store.ask("ZADD", entry_of_alice(), int(time.time()) - 1, member)  # in place of 90 s
    consoles.open(proxxy)
    assert store.ask("ZCARD", entry_of_alice()) == "1"


def test_link_that_is_refused_leaves_no_entry(machines: Machines, consoles: Consoles, store: RedisServer) -> None:
    store.ask("FLUSHALL")
    proxxy = machines.add(store.url, PROXXY_MAX_PER_SUB=2)
    other = machines.add(store.url, PROXXY_MAX_PER_SUB=2)
    payload = consoles.payload()
    assert echoes(proxxy, payload)
    assert refusal(other, payload) == USED
    wait_for(lambda: store.ask("EXISTS", entry_of_alice()) == "0", 5, "an entry stays")


def test_connection_stays_open_only_for_an_entry(machines: Machines, consoles: Consoles, store: RedisServer) -> None:
    before = int(store.ask("CLIENT", "LIST").count("\n"))
    consoles.open(machines.add(store.url))
    consoles.open(machines.add(store.url, PROXXY_MAX_PER_SUB=9), sub="")
    wait_for(lambda: store.ask("CLIENT", "LIST").count("\n") == before, 5, "a connection stays open")
    consoles.open(machines.add(store.url, PROXXY_MAX_PER_SUB=9))
    wait_for(lambda: store.ask("CLIENT", "LIST").count("\n") == before + 1, 5, "no connection stays open")


def test_entries_are_renewed_and_a_store_that_fails_ends_no_session(
    machines: Machines, consoles: Consoles, authority: Authority
) -> None:
    """Four consoles, each with a store of its own: one that works, one that restarts, one that is paused, and one with
    TLS."""
    tls = secure(authority)
    with RedisServer() as working, RedisServer() as restarted, RedisServer() as paused, tls as encrypted:
        stores = [working, restarted, paused, encrypted]
        urls = [*(store.url for store in stores[:3]), f"rediss://127.0.0.1:{tls.tls_port}?ca={authority.ca}"]
        proxxys = [machines.add(url, PROXXY_MAX_PER_SUB=1) for url in urls]
        clients = [consoles.open(proxxy) for proxxy in proxxys]

        def expiry(store: RedisServer) -> float:
            return float(store.ask("ZRANGE", entry_of_alice(), 0, -1, "WITHSCORES").split()[1])

        before = [expiry(store) for store in stores]
        restarted.end()
        restarted.start()
        paused.pause()
        wait_for(lambda: expiry(working) >= before[0] + 29, 60, "the entry is not renewed")
        wait_for(lambda: expiry(encrypted) >= before[3] + 29, 60, "the entry is not renewed over TLS")
        proxxys[1].wait_log("This session does not count any more for PROXXY_MAX_PER_SUB on other machines", 60)
        assert "it closed the connection" in proxxys[1].log()
        for client in clients:
            client.send_frame(BINARY, b"y")
            assert client.read_data(1) == b"y"
        # The renewal waits in the paused store's connection.
        paused.resume()
        wait_for(lambda: expiry(paused) >= before[2] + 29, 60, "the entry is not renewed later")
        assert "does not count" not in proxxys[0].log() + proxxys[2].log() + proxxys[3].log()
        clients[3].sock.close()
        wait_for(lambda: encrypted.keys() == [key for key in encrypted.keys() if "jti" in key], 5, "an entry stays")
        # The restarted store has lost the first console.
        consoles.open(machines.add(restarted.url, PROXXY_MAX_PER_SUB=1))
