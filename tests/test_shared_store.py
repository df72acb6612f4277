# SPDX-License-Identifier: Apache-2.0
"""Several machines share a Redis or Valkey server: single use across them, and what happens if it fails."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ECHO
from lib.answers import ask, echoes, refusal, told_in_close
from lib.payload import seal_jwe
from lib.process import free_port, wait_for
from lib.redis_server import RedisServer
from lib.shared_store import FAILED, USED, Machines


pytest_plugins = ("lib.shared_store",)

# --- single use across machines -------------------------------------------------------------------


def test_link_opened_on_one_machine_is_refused_on_the_other(machines: Machines, store: RedisServer) -> None:
    one, other = machines.add(store.url), machines.add(store.url)
    payload = machines.payload("shared")
    assert echoes(one, payload)
    assert refusal(other, payload) == USED and refusal(one, payload) == USED
    # Opened as a page, it says so too.
    assert ask(other, payload, {"Upgrade": "", "Connection": "close"})[0] == 403
    assert echoes(other, machines.payload("shared too"))


def test_one_link_tried_on_three_machines_at_once_opens_one_console(machines: Machines, store: RedisServer) -> None:
    three = [machines.add(store.url) for _ in range(3)]
    payload = machines.payload("race")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: ask(three[n % 3], payload)[0], range(20)))
    assert sorted(answers) == [101] + [403] * 19


def test_store_gets_a_hash_that_expires_with_the_payload(machines: Machines, store: RedisServer) -> None:
    proxxy = machines.add(store.url)
    store.ask("FLUSHALL")
    assert echoes(proxxy, machines.payload("customer-4711", sub="alice", exp=int(time.time()) + 100))
    name = hashlib.sha256(b":customer-4711").hexdigest()
    assert store.keys() == [f"proxxy:jti:{name}"]
    # The time by which clocks may differ, 600 s, comes on top.
    assert 600 < int(store.ask("TTL", store.keys()[0])) <= 100 + 5 + 600
    assert (proxxy.used / name).exists()


def test_payload_without_jti_asks_no_store(machines: Machines) -> None:
    proxxy = machines.add(f"redis://127.0.0.1:{free_port()}")
    assert echoes(proxxy, seal_jwe(machines.standin.console("qemu", ECHO), machines.key))


def test_machine_refuses_what_it_opened_even_if_the_store_lost_its_data(machines: Machines, store: RedisServer) -> None:
    one, other = machines.add(store.url), machines.add(store.url)
    payload = machines.payload("flushed")
    assert echoes(one, payload)
    store.ask("FLUSHALL")
    assert refusal(one, payload) == USED
    assert ask(other, payload)[0] == 101  # it cannot know


def test_refused_request_does_not_use_up_the_link(machines: Machines, store: RedisServer) -> None:
    one, other = machines.add(store.url), machines.add(store.url)
    payload = machines.payload("preview")
    assert ask(one, payload, {"Upgrade": "", "Connection": "close"})[0] == 426
    assert ask(one, payload, {"Sec-WebSocket-Key": ""})[0] == 400
    assert echoes(other, payload)


# --- a store that fails ---------------------------------------------------------------------------


def test_stopped_store_refuses_and_uses_up_nothing(machines: Machines) -> None:
    with RedisServer() as store:
        proxxy = machines.add(store.url)
        payload = machines.payload("stopped")
        store.end()
        assert refusal(proxxy, payload) == FAILED
        proxxy.wait_log(f"127.0.0.1:{store.port}: Connection refused")
        # A browser reads the reason in a Close.
        code, reason = told_in_close(proxxy, payload, {"Origin": "https://panel.example.com"})
        assert code == 1013 and reason == FAILED[1]
        assert not [path for path in proxxy.used.iterdir() if len(path.name) == 64]
        store.start()
        assert echoes(proxxy, payload)


def test_store_that_does_not_answer_refuses_after_a_second(machines: Machines) -> None:
    with RedisServer() as store:
        proxxy = machines.add(store.url)
        payload = machines.payload("slow")
        store.pause()
        began = time.monotonic()
        assert refusal(proxxy, payload) == FAILED
        # Five times the limit: the machine may be busy.
        assert 1 <= time.monotonic() - began < 5
        proxxy.wait_log(f"127.0.0.1:{store.port}: it does not answer within 1 s")
        store.resume()


def test_store_that_sends_a_byte_at_a_time_gets_no_more_than_a_second(machines: Machines) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def trickle() -> None:
        connection = listener.accept()[0]
        try:
            connection.sendall(b"+")
            while True:
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            connection.close()

    thread = threading.Thread(target=trickle)
    thread.start()
    proxxy = machines.add("redis://127.0.0.1:%d" % listener.getsockname()[1])
    began = time.monotonic()
    assert refusal(proxxy, machines.payload("trickle")) == FAILED
    assert 1 <= time.monotonic() - began < 5
    proxxy.wait_log("it does not answer within 1 s")
    thread.join()
    listener.close()


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak the protocol of Redis"),
        (b"*1000000000\r\n", "it does not speak the protocol of Redis"),
        (b"$1000000000\r\n" + b"x" * 40000, "its answer is too long"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "it is still loading its data"),
        (b"-MOVED 3999 127.0.0.1:6381\r\n", "it is a cluster"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", "it is a replica that has lost its primary server"),
        (b"-ERR max number of clients reached\r\n", "it accepts no more connections"),
        (b"-ERR unknown command, with args beginning with: 'jti'\r\n", "it refuses the command SET (ERR)"),
        (b"", "it closed the connection"),
    ],
    ids=["http", "array", "endless", "loading", "cluster", "replica", "clients", "unknown", "end"],
)
def test_what_a_store_answers_instead_is_said_in_the_log(machines: Machines, answer: bytes, words: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection = listener.accept()[0]
        with connection:
            connection.recv(4096)
            try:
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)
            except OSError:  # it did not read all
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    proxxy = machines.add("redis://127.0.0.1:%d" % listener.getsockname()[1])
    assert refusal(proxxy, machines.payload("instead")) == FAILED
    assert "args beginning" not in proxxy.wait_log(words)
    thread.join()
    listener.close()


def test_full_store_refuses(machines: Machines) -> None:
    # Less than a server without data needs: how much that is differs from one moment to the next.
    with RedisServer("maxmemory 100kb", "maxmemory-policy noeviction") as store:
        proxxy = machines.add(store.url, PROXXY_MAX_PER_SUB=5)
        for sub in ("", "alice"):  # the error of a command, and of a script
            assert refusal(proxxy, machines.payload(f"full {sub}", sub=sub)) == FAILED
        wait_for(lambda: proxxy.log().count("its memory is full (maxmemory)") == 2, 5, proxxy.log)


def test_read_only_replica_refuses(machines: Machines, store: RedisServer) -> None:
    with RedisServer(f"replicaof 127.0.0.1 {store.port}") as replica:
        proxxy = machines.add(replica.url, PROXXY_MAX_PER_SUB=5)
        for sub in ("", "alice"):
            assert refusal(proxxy, machines.payload(f"replica {sub}", sub=sub)) == FAILED
        wait_for(lambda: proxxy.log().count("it is a read-only replica") == 2, 5, proxxy.log)


def test_local_state_takes_the_place_of_a_store_that_fails(machines: Machines) -> None:
    with RedisServer() as store:
        local = {"PROXXY_STORE_FAILURE": "local"}
        one, other = machines.add(store.url, **local), machines.add(store.url, **local)
        store.end()
        payload = machines.payload("local")
        assert echoes(one, payload) and refusal(one, payload) == USED
        one.wait_log("PROXXY_STORE_FAILURE is local, and the store fails: 127.0.0.1")
        # The client is not told of the store, and nor is the record of the session's end.
        with_sub = machines.add(store.url, **local, PROXXY_MAX_PER_SUB=5)
        used = machines.payload("with sub", sub="alice")
        assert echoes(with_sub, used) and refusal(with_sub, used) == USED
        ended = with_sub.wait_log("Session ended").partition("Session ended")[2].partition("\n")[0]
        assert "client" in ended and str(store.port) not in ended
        # The price of it: each machine accepts the link once.
        assert ask(other, payload)[0] == 101
        store.start()
        assert refusal(one, payload) == USED
        with_store = machines.payload("again")
        assert echoes(one, with_store) and refusal(other, with_store) == USED
