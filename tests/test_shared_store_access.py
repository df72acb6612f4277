# SPDX-License-Identifier: Apache-2.0
"""The way to the shared store: password, user, TLS, UNIX socket, the library; and what proxxy-conn --check says."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from conftest import ECHO
from lib.activator import Activator, binary
from lib.answers import ask, echoes, refusal
from lib.certs import Authority
from lib.payload import seal_jwe, target
from lib.process import free_port, memory, wait_for
from lib.redis_server import RedisServer
from lib.shared_store import FAILED, USED, Machines, secure
from lib.wire import BINARY, Client

PASSWORD = "pass word:@/%&"  # every character that a URL must escape
ESCAPED = "pass%20word%3A%40%2F%25%26"
MANUAL = Path(__file__).parents[1] / "man" / "proxxy.conf.5"


pytest_plugins = ("lib.shared_store",)

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


def test_tls_with_a_ca_of_its_own(machines: Machines, authority: Authority) -> None:
    cert = authority.leaf("store")
    with secure(authority) as store:
        url = f"rediss://127.0.0.1:{store.tls_port}"
        proxxy, other = machines.add(f"{url}?ca={cert.ca}", PROXXY_MAX_PER_SUB=2), machines.add(store.url)
        payload = machines.payload("tls", sub="alice")
        assert echoes(proxxy, payload) and refusal(other, payload) == USED
        # PROXXY_CA_FILE and PROXXY_TLS_VERIFY are for Proxmox only.
        for verify in ("on", "off"):
            untrusting = machines.add(url, PROXXY_TLS_VERIFY=verify)
            assert refusal(untrusting, machines.payload("untrusted")) == FAILED
            untrusting.wait_log("TLS: its CA is not known")
        plain = machines.add(f"rediss://127.0.0.1:{store.port}?ca={cert.ca}")
        assert refusal(plain, machines.payload("plain")) == FAILED
        plain.wait_log(": it does not answer TLS within 1 s")
    with secure(authority, "tls-auth-clients yes") as store:
        proxxy = machines.add(f"rediss://127.0.0.1:{store.tls_port}?ca={cert.ca}")
        assert refusal(proxxy, machines.payload("certificate")) == FAILED
        proxxy.wait_log("certificate required (tls-auth-clients in its configuration)")
        proxxy = machines.add(f"rediss://127.0.0.1:{store.tls_port}?ca=/dev/null", PROXXY_STORE_FAILURE="local")
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
    lines: dict[str, object] = {"PROXXY_PAYLOADS": "jwe", "PROXXY_REPLAY_STORE": url, **machines.settings, **settings}
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
    missing = {"LD_LIBRARY_PATH": str(tmp_path)}
    with Activator(machines.settings | {"PROXXY_REPLAY_STORE": store.url}, environment=missing) as proxxy:
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
