# SPDX-License-Identifier: Apache-2.0
"""Several machines share a Redis or Valkey server: single use across them, and what happens if it fails."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import ECHO
from lib.activator import Activator, binary
from lib.answers import ask, echoes, refusal, told_in_close
from lib.certs import Authority
from lib.payload import seal_jwe, target
from lib.process import free_port, memory, wait_for
from lib.redis_server import RedisServer, installed
from lib.standin import StandIn
from lib.wire import BINARY, Client

USED = (403, "Payload was used already", "")
FAILED = (503, "The store of used payloads does not answer", "")
PASSWORD = "pass word:@/%&"  # every character that a URL must escape
ESCAPED = "pass%20word%3A%40%2F%25%26"
MANUAL = Path(__file__).parents[1] / "man" / "proxxy.conf.5"


@pytest.fixture(scope="module", params=installed() or ["redis-server"])
def store(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(program=request.param) as store:
        yield store


class Machines:
    """Several proxxys, each with a state directory of its own, that share a store."""

    def __init__(self, settings: dict[str, Any], standin: StandIn, key: str) -> None:
        self.settings, self.standin, self.key = settings, standin, key
        self.stack = ExitStack()

    def add(self, url: str, **settings: object) -> Activator:
        return self.stack.enter_context(Activator(self.settings | {"PROXXY_REPLAY_STORE": url} | settings))

    def payload(self, jti: str, **claims: Any) -> str:
        return seal_jwe(self.standin.console("qemu", ECHO), self.key, jti=jti, **claims)


@pytest.fixture
def machines(settings: dict[str, Any], standin: StandIn, key: str) -> Iterator[Machines]:
    machines = Machines(settings, standin, key)
    with machines.stack:
        yield machines


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


def test_machine_refuses_what_it_opened_even_if_the_store_lost_its_data(
    machines: Machines, store: RedisServer
) -> None:
    one, other = machines.add(store.url), machines.add(store.url)
    payload = machines.payload("flushed")
    assert echoes(one, payload)
    store.ask("FLUSHALL")
    assert refusal(one, payload) == USED


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


# --- access ---------------------------------------------------------------------------------------


def test_password_in_url_file_and_credential(machines: Machines, tmp_path: Path) -> None:
    with RedisServer(f'requirepass "{PASSWORD}"') as store:
        at = f"127.0.0.1:{store.port}"
        wrong, right = tmp_path / "wrong", tmp_path / "right"
        wrong.write_text("wrong")
        right.write_text(f"{PASSWORD}\n")
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        (credentials / "replay-store-password").write_text(PASSWORD)
        opened = [
            machines.add(f"redis://:{ESCAPED}@{at}"),
            machines.add(f"redis://{at}", PROXXY_STORE_SECRET_FILE=right),
            machines.add(f"redis://default@{at}", PROXXY_STORE_SECRET_FILE=right),
        ]
        for n, proxxy in enumerate(opened):
            assert echoes(proxxy, machines.payload(f"password {n}"))
        settings = machines.settings | {"PROXXY_REPLAY_STORE": f"redis://{at}", "PROXXY_STORE_SECRET_FILE": wrong}
        with Activator(settings, environment={"CREDENTIALS_DIRECTORY": str(credentials)}) as proxxy:
            assert echoes(proxxy, machines.payload("credential"))
        refused = {
            f"redis://{at}": "it wants a password: set PROXXY_STORE_SECRET_FILE",
            f"redis://:x@{at}": "it refuses the user or the password",
            f"redis://nobody:{ESCAPED}@{at}": "it refuses the user or the password",
        }
        for url, words in refused.items():
            proxxy = machines.add(url)
            assert refusal(proxxy, machines.payload("refused")) == FAILED
            assert "word" not in proxxy.wait_log(words).replace("password", "")


def test_password_file_that_cannot_be_read_is_an_error_of_the_settings(machines: Machines, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name in ("missing", "empty"):
        proxxy = machines.add("redis://127.0.0.1:1", PROXXY_STORE_SECRET_FILE=tmp_path / name)
        assert ask(proxxy, machines.payload("file"))[0] == 500
        proxxy.wait_log("no password for the store: ")
    proxxy = machines.add("redis://alice@127.0.0.1:%d" % free_port(), PROXXY_STORE_FAILURE="local")
    assert echoes(proxxy, machines.payload("no server"))


def test_password_for_a_store_that_has_none(machines: Machines, store: RedisServer) -> None:
    proxxy = machines.add(store.url.replace("//", "//:x@"))
    assert refusal(proxxy, machines.payload("surplus")) == FAILED
    proxxy.wait_log("it has no password, so proxxy must have none")


def documented_rules() -> str:
    """The rules for an ACL user that proxxy.conf(5) gives."""
    found = re.search(r"^user proxxy on >PASSWORD (.*?)^\.Ed", MANUAL.read_text(), re.M | re.S)
    assert found
    return " ".join(found[1].split())


def test_user_with_only_the_documented_rights(machines: Machines) -> None:
    rules = documented_rules()
    with RedisServer(f"user proxxy on >secret {rules}", "user other on >secret resetkeys ~x:* +@all") as store:
        at = f"127.0.0.1:{store.port}"
        proxxy = machines.add(f"redis://proxxy:secret@{at}/2", PROXXY_MAX_PER_SUB=2)
        payload = machines.payload("acl", sub="alice")
        assert ask(proxxy, payload, {"Upgrade": "", "Connection": "close"})[0] == 426
        assert echoes(proxxy, payload)
        assert "NOPERM" in store.ask("-n", 2, "--user", "proxxy", "KEYS", "*", password="secret")
        other = machines.add(f"redis://other:secret@{at}", PROXXY_MAX_PER_SUB=2)
        for sub in ("", "alice"):
            assert refusal(other, machines.payload(f"keys {sub}", sub=sub)) == FAILED
        wait_for(lambda: other.log().count("its user may not use a command or key") == 2, 5, other.log)
        assert (0, "") == check(machines, f"redis://proxxy:secret@{at}/2")


def test_unix_socket_and_database(machines: Machines, store: RedisServer) -> None:
    store.ask("FLUSHALL")
    proxxy = machines.add(f"unix://{store.socket}?db=3")
    assert echoes(proxxy, machines.payload("socket"))
    assert store.ask("-n", 3, "DBSIZE") == "1" and store.ask("DBSIZE") == "0"
    assert refusal(machines.add(f"{store.url}/3"), machines.payload("socket")) == USED
    proxxy = machines.add(f"{store.url}/99")
    assert refusal(proxxy, machines.payload("database")) == FAILED
    proxxy.wait_log("it has no database of that number")


def test_tls_with_a_ca_of_its_own(machines: Machines, authority: Authority, tmp_path: Path) -> None:
    cert = authority.leaf("store")
    files = [f"tls-cert-file {cert.cert}", f"tls-key-file {cert.key}", f"tls-ca-cert-file {cert.ca}"]
    port = free_port()
    url = f"rediss://127.0.0.1:{port}"
    with RedisServer(*files, "tls-auth-clients no", tls_port=port) as store:
        proxxy, other = machines.add(f"{url}?ca={cert.ca}", PROXXY_MAX_PER_SUB=2), machines.add(store.url)
        payload = machines.payload("tls", sub="alice")
        assert echoes(proxxy, payload) and refusal(other, payload) == USED
        # PROXXY_CA_FILE and PROXXY_TLS_VERIFY are for Proxmox only.
        for more in ({}, {"PROXXY_TLS_VERIFY": "off"}):
            untrusting = machines.add(url, **more)
            assert refusal(untrusting, machines.payload("untrusted")) == FAILED
            untrusting.wait_log("TLS: its CA is not known")
        plain = machines.add(f"rediss://127.0.0.1:{store.port}?ca={cert.ca}")
        assert refusal(plain, machines.payload("plain")) == FAILED
        plain.wait_log(": it does not answer TLS within 1 s")
    with RedisServer(*files, tls_port=port):
        proxxy = machines.add(f"{url}?ca={cert.ca}")
        assert refusal(proxxy, machines.payload("certificate")) == FAILED
        proxxy.wait_log("certificate required (tls-auth-clients in its configuration)")
    proxxy = machines.add(f"{url}?ca=/dev/null", PROXXY_STORE_FAILURE="local")
    with RedisServer(*files, tls_port=port):
        assert ask(proxxy, machines.payload("file"))[0] == 500
    proxxy.wait_log("ca=/dev/null: no certificate can be read from it")


# --- secrets --------------------------------------------------------------------------------------


def test_session_keeps_no_password_of_the_store(machines: Machines, tmp_path: Path, store: RedisServer) -> None:
    secret = "5ecretOfTheStore"
    with RedisServer(f"requirepass {secret}") as guarded:
        url = guarded.url.replace("//", f"//:{secret}@")
        file = tmp_path / "password"
        file.write_text(secret)
        in_file = {"PROXXY_MAX_PER_SUB": 3, "PROXXY_STORE_SECRET_FILE": file}
        with ExitStack() as stack:
            started = [
                stack.enter_context(Activator(machines.settings, environment={"PROXXY_REPLAY_STORE": url})),
                machines.add(url, PROXXY_MAX_PER_SUB=3),
                machines.add(guarded.url, **in_file),
            ]
            for n, proxxy in enumerate(started):
                with Client.upgraded(proxxy.port, target(machines.payload(f"secret {n}", sub="alice"))) as client:
                    client.send_frame(BINARY, b"x")
                    assert client.read_data(1) == b"x"
                    [pid] = proxxy.sessions()
                    shown = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
                    assert secret.encode() not in shown
                    if "sanitize" not in str(binary()):  # the sanitizers keep what was freed
                        assert not [line for line, text in memory(pid) if secret.encode() in text]
                assert secret not in proxxy.log()


# --- --check --------------------------------------------------------------------------------------


def check(machines: Machines, url: str, **settings: object) -> tuple[int, str]:
    """Runs proxxy-conn --check; returns its exit status and what it says about the store."""
    lines = {"PROXXY_PAYLOADS": "jwe", "PROXXY_REPLAY_STORE": url, **machines.settings, **settings}
    with Activator(lines) as proxxy:
        environment = {"PROXXY_CONFIG": str(proxxy.config), "PATH": os.environ["PATH"]}
        done = subprocess.run([binary(), "--check"], env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_check_says_what_is_wrong_with_the_store(machines: Machines, store: RedisServer) -> None:
    assert check(machines, store.url) == (0, "")
    port = free_port()
    status, told = check(machines, f"redis://alice:secret@127.0.0.1:{port}")
    assert status == os.EX_UNAVAILABLE and told == (
        f"proxxy-conn: PROXXY_REPLAY_STORE 127.0.0.1:{port}: Connection refused\n"
    )
    status, told = check(machines, "redis://alice:secret@")
    assert status == os.EX_CONFIG and "PROXXY_REPLAY_STORE has an invalid value" in told and "secret" not in told
    with RedisServer("requirepass x") as guarded:
        status, told = check(machines, guarded.url)
        assert status == os.EX_UNAVAILABLE and "it wants a password" in told
        status, told = check(machines, f"redis://alice@127.0.0.1:{guarded.port}")
        assert status == os.EX_CONFIG and "there is no password" in told
    with RedisServer(f"replicaof 127.0.0.1 {store.port}") as replica:
        assert "read-only replica" in check(machines, replica.url)[1]


def test_library_that_is_missing_is_named(machines: Machines, store: RedisServer, tmp_path: Path) -> None:
    for version in ("0.14", "1.1.0", "1.3.0"):  # the dynamic linker finds these first, and cannot load them
        (tmp_path / f"libhiredis.so.{version}").write_text("no library")
    with Activator(machines.settings | {"PROXXY_REPLAY_STORE": store.url}) as proxxy:
        environment = {"PROXXY_CONFIG": str(proxxy.config), "LD_LIBRARY_PATH": str(tmp_path)}
        done = subprocess.run([binary(), "--check"], env=environment, capture_output=True, text=True)
    assert done.returncode == os.EX_CONFIG and "PROXXY_REPLAY_STORE needs libhiredis.so." in done.stderr
    assert "no library" not in done.stderr
    session = {"environment": {"LD_LIBRARY_PATH": str(tmp_path)}}
    with Activator(machines.settings | {"PROXXY_REPLAY_STORE": store.url}, **session) as proxxy:
        assert ask(proxxy, machines.payload("library"))[0] == 500
        proxxy.wait_log("PROXXY_REPLAY_STORE needs libhiredis.so.")
        assert echoes(proxxy, seal_jwe(machines.standin.console("qemu", ECHO), machines.key))


def test_session_without_a_store_does_not_load_the_library(machines: Machines, store: RedisServer) -> None:
    def maps(settings: dict[str, Any]) -> str:
        with Activator(machines.settings | settings) as proxxy:
            with Client.upgraded(proxxy.port, target(machines.payload(f"maps {len(settings)}"))) as client:
                client.send_frame(BINARY, b"x")
                assert client.read_data(1) == b"x"
                return Path(f"/proc/{proxxy.sessions()[0]}/maps").read_text()

    assert "libhiredis" in maps({"PROXXY_REPLAY_STORE": store.url}) and "libhiredis" not in maps({})


# --- sessions of a sub on all machines ------------------------------------------------------------


def entry_of(store: RedisServer) -> str:
    return "proxxy:sub:" + hashlib.sha256(b":alice").hexdigest()


class Consoles:
    """Opens consoles of the sub alice, and keeps them open."""

    def __init__(self, machines: Machines) -> None:
        self.machines, self.count = machines, 0

    def payload(self, **claims: Any) -> str:
        self.count += 1
        return self.machines.payload(f"console {self.count} {time.monotonic()}", **{"sub": "alice", **claims})

    def open(self, proxxy: Activator, **claims: Any) -> Client:
        client = Client.upgraded(proxxy.port, target(self.payload(**claims)))
        self.machines.stack.callback(client.sock.close)
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"
        return client


@pytest.fixture
def consoles(machines: Machines) -> Consoles:
    return Consoles(machines)


def test_sub_is_limited_on_all_machines_together(
    machines: Machines, consoles: Consoles, store: RedisServer
) -> None:
    store.ask("FLUSHALL")
    one, other = (machines.add(store.url, PROXXY_MAX_PER_SUB=2) for _ in range(2))
    first, _ = consoles.open(one), consoles.open(other)
    refused = consoles.payload()
    for proxxy in (one, other):
        assert refusal(proxxy, refused)[:2] == (429, "Too many consoles of this user are open")
    consoles.open(other, sub="bob")
    assert store.ask("ZCARD", entry_of(store)) == "2"
    first.sock.close()
    wait_for(lambda: store.ask("ZCARD", entry_of(store)) == "1", 5, "the entry of a session that ended stays")
    # The refusal did not use up the link.
    assert echoes(one, refused)


def test_entry_of_a_killed_session_expires(machines: Machines, consoles: Consoles, store: RedisServer) -> None:
    store.ask("FLUSHALL")
    proxxy = machines.add(store.url, PROXXY_MAX_PER_SUB=1)
    consoles.open(proxxy)
    [pid] = proxxy.sessions()
    os.kill(pid, signal.SIGKILL)
    proxxy.wait_sessions(0)
    assert 0 < int(store.ask("TTL", entry_of(store))) <= 90
    [member, score] = store.ask("ZRANGE", entry_of(store), 0, -1, "WITHSCORES").split()
    assert re.fullmatch("[0-9a-f]{32}", member)
    assert 0 < float(score) - time.time() <= 91
    assert refusal(proxxy, consoles.payload())[0] == 429
    store.ask("ZADD", entry_of(store), int(time.time()) - 1, member)  # in place of 90 s
    consoles.open(proxxy)
    assert store.ask("ZCARD", entry_of(store)) == "1"


def test_link_that_is_refused_leaves_no_entry(machines: Machines, consoles: Consoles, store: RedisServer) -> None:
    store.ask("FLUSHALL")
    proxxy = machines.add(store.url, PROXXY_MAX_PER_SUB=2)
    other = machines.add(store.url, PROXXY_MAX_PER_SUB=2)
    payload = consoles.payload()
    assert echoes(proxxy, payload)
    assert refusal(other, payload) == USED
    wait_for(lambda: store.ask("EXISTS", entry_of(store)) == "0", 5, "an entry stays")


def test_connection_stays_open_only_for_an_entry(machines: Machines, consoles: Consoles, store: RedisServer) -> None:
    before = int(store.ask("CLIENT", "LIST").count("\n"))
    consoles.open(machines.add(store.url))
    consoles.open(machines.add(store.url, PROXXY_MAX_PER_SUB=9), sub="")
    wait_for(lambda: store.ask("CLIENT", "LIST").count("\n") == before, 5, "a connection stays open")
    consoles.open(machines.add(store.url, PROXXY_MAX_PER_SUB=9))
    wait_for(lambda: store.ask("CLIENT", "LIST").count("\n") == before + 1, 5, "no connection stays open")


def test_entries_are_renewed_and_a_store_that_fails_ends_no_session(machines: Machines, consoles: Consoles) -> None:
    """Three consoles, each with a store of its own: one that works, one that restarts, one that is paused."""
    with RedisServer() as working, RedisServer() as restarted, RedisServer() as paused:
        stores = [working, restarted, paused]
        proxxys = [machines.add(store.url, PROXXY_MAX_PER_SUB=1) for store in stores]
        clients = [consoles.open(proxxy) for proxxy in proxxys]

        def expiry(store: RedisServer) -> float:
            return float(store.ask("ZRANGE", entry_of(store), 0, -1, "WITHSCORES").split()[1])

        before = [expiry(store) for store in stores]
        restarted.end()
        restarted.start()
        paused.pause()
        wait_for(lambda: expiry(working) >= before[0] + 29, 60, "the entry is not renewed")
        proxxys[1].wait_log("This session does not count any more for PROXXY_MAX_PER_SUB on other machines", 60)
        assert "it closed the connection" in proxxys[1].log()
        for client in clients:
            client.send_frame(BINARY, b"y")
            assert client.read_data(1) == b"y"
        # The renewal waits in the paused store's connection.
        paused.resume()
        wait_for(lambda: expiry(paused) >= before[2] + 29, 60, "the entry is not renewed later")
        assert "does not count" not in proxxys[0].log() + proxxys[2].log()
        # The restarted store has lost the first console.
        consoles.open(machines.add(restarted.url, PROXXY_MAX_PER_SUB=1))
