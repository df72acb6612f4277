# SPDX-License-Identifier: Apache-2.0
"""The shell example seals and opens the shared vectors, makes links, sends correct requests to Proxmox, and opens a
console through proxxy."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import parse_qs

import pytest
from conftest import NAMED, echo
from lib.activator import TREE, Activator
from lib.certs import Authority, Cert
from lib.late import VERSION, echoes, shake_hands
from lib.payload import target, unseal_cbc, unseal_jwe
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.vnc_console import VncConsole, response
from lib.wire import BINARY, Client

HERE = TREE / "examples" / "shell"
FILE = TREE / "sdk" / "vectors.json"
VECTORS = json.loads(FILE.read_text())["vectors"]
PAGE = "https://panel.example/console/"
RFB = 103
KID = "2026-11"
SECRET = "6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11"
TOKEN = f"root@pam!proxxy={SECRET}"
# Characters that percent-encoding, JSON, a shell or a URL could corrupt.
HARD_TICKET = "a%&+#=/;:PVEVNC:65A1B2C3::\"q'\\u0041\\\\ \t<>?$(id)`id`*é😀Zw=="


@dataclass
class Example:
    """The examples as commands, with settings that a test may change; None removes one."""

    settings: dict[str, Any]
    key: str

    def run(self, part: str, *arguments: Any, **changed: Any) -> subprocess.CompletedProcess:
        settings = {name: str(value) for name, value in {**self.settings, **changed}.items() if value is not None}
        # Only these variables, so that no proxy and no other CA comes from the environment.
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **settings}
        command = ["sh", f"{HERE}/{part}.sh", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)

    def opened(self, part: str, *arguments: Any, **changed: Any) -> dict[str, str]:
        """Runs it. Returns the parameters of the page in the link that it prints."""
        done = self.run(part, *arguments, **changed)
        assert (done.returncode, done.stderr) == (0, "")
        url, _, parameters = done.stdout.partition("#")
        assert url == f"{PAGE}novnc.html" and parameters.endswith("\n")
        return {name: value for name, [value] in parse_qs(parameters.strip(), strict_parsing=True).items()}

    def link(self, vmid: int = NAMED, type: str = "qemu", user: str = "alice", **changed: Any) -> str:
        """Returns the payload of a link, which is all that the page gets."""
        opened = self.opened("link", vmid, type, user, **changed)
        assert set(opened) == {"payload"}
        return opened["payload"]

    def ask(self, port: int, vmid: int = NAMED, type: str = "qemu", **changed: Any) -> subprocess.CompletedProcess:
        """Runs the example that asks Proxmox."""
        return self.run("ticket", "pve01", vmid, type, PROXMOX_HOST=f"127.0.0.1:{port}", **changed)

    def open(self, port: int, vmid: int = NAMED, type: str = "qemu", **changed: Any) -> dict[str, str]:
        """Does the same, and returns the parameters of the page."""
        opened = self.opened("ticket", "pve01", vmid, type, PROXMOX_HOST=f"127.0.0.1:{port}", **changed)
        assert set(opened) == {"payload", "password"}
        return opened

    def claims(self, payload: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The header (of a JWE) and the claims, decrypted without the example."""
        if ":" not in payload:
            header, text = unseal_jwe(payload, self.key)
            return json.loads(header), json.loads(text)
        return {}, json.loads(unseal_cbc(payload, self.key))


@pytest.fixture
def example(key: str, cert: Cert, tmp_path: Path) -> Example:
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "key").write_text(key + "\n")
    settings = {
        "PROXMOX_TOKEN_FILE": tmp_path / "token",
        "PROXMOX_CA_FILE": cert.ca,
        "PROXXY_CLUSTER": "main",
        "PROXXY_KEY_FILE": tmp_path / "key",
        "PROXXY_PAGE": PAGE,
    }
    return Example(settings, key)


# --- the vectors -----------------------------------------------------------------------------


def test_check(example: Example) -> None:
    done = example.run("check", FILE)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(VECTORS)} vectors\n", "")


@pytest.mark.parametrize("wrong", ["payload", "claims", "last", "none"])
def test_check_can_fail(example: Example, tmp_path: Path, wrong: str) -> None:
    vectors = [dict(vector) for vector in VECTORS]
    if wrong == "none":
        vectors = []
    elif wrong == "claims":
        vectors[0]["claims"] = {**vectors[0]["claims"], "vmid": 101}
    else:
        vector = vectors[-1 if wrong == "last" else 0]
        # In the middle of the ciphertext.
        at = len(vector["payload"]) - 60
        vector["payload"] = (
            vector["payload"][:at] + ("0" if vector["payload"][at] != "0" else "1") + vector["payload"][at + 1 :]
        )
    (tmp_path / "vectors.json").write_text(json.dumps({"vectors": vectors}))
    done = example.run("check", tmp_path / "vectors.json")
    assert done.returncode != 0 and "vectors\n" not in done.stdout and done.stderr


# --- links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["qemu", "lxc"])
@pytest.mark.parametrize("user", ["alice", "é😀 \"'\\$(id)"])
def test_link_has_the_claims_and_nothing_secret_to_proxmox(example: Example, type: str, user: str) -> None:
    """It needs no token, no host and no CA, so it cannot ask Proxmox."""
    without = {"PROXMOX_TOKEN_FILE": None, "PROXMOX_CA_FILE": None}
    began = int(time.time())
    header, claims = example.claims(example.link(NAMED, type, user, **without))
    assert header == {"alg": "dir", "enc": "A256GCM"}
    assert began <= claims["iat"] <= time.time() and claims["exp"] == claims["iat"] + 300
    del claims["iat"], claims["exp"]
    assert claims == {"vmid": NAMED, "type": type, "cluster": "main", "sub": user}


def test_every_link_is_another(example: Example) -> None:
    first, second = (example.link() for _ in range(2))
    assert first.split(".")[2] != second.split(".")[2]


def test_link_names_the_key(example: Example, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KID}:{example.key},old:{'00' * 32}\n")
    assert example.claims(example.link())[0] == {"alg": "dir", "enc": "A256GCM", "kid": KID}


@pytest.mark.parametrize("text", ["", "abc", "0" * 63, "0" * 65, "g" * 64, f"{KID}:"])
def test_bad_key_makes_no_link(example: Example, tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    done = example.run("link", NAMED, "qemu", "alice")
    assert done.returncode == 1 and done.stdout == "" and done.stderr
    assert len(text) < 63 or text not in done.stderr


# --- requests to Proxmox ---------------------------------------------------------------------


@pytest.fixture
def answering(cert: Cert) -> Iterator[Callable[..., tuple[int, list[tuple[str, dict[str, str], str]]]]]:
    """answering(status, reason, body) starts a Proxmox that sends this answer. Returns its port and its requests."""
    upstreams = []

    def start(status: int, reason: str, body: bytes | None, at: Cert = cert) -> tuple[int, list]:
        asked: list[tuple[str, dict[str, str], str]] = []

        def script(connection: Connection) -> None:
            head = connection.read_request()
            asked.append((head.start, head.headers, connection.read(int(head.headers["content-length"])).decode()))
            headers = {"Connection": "close", "Server": "pve-api-daemon/3.0"}
            if body is not None:
                headers |= {"Content-Length": str(len(body)), "Content-Type": "application/json;charset=UTF-8"}
            connection.respond(status, reason, headers, body or b"")
            connection.close_notify()

        upstreams.append(Upstream(at, script))
        upstreams[-1].__enter__()
        return upstreams[-1].port, asked

    yield start
    for upstream in upstreams:
        upstream.__exit__()


def answer(cert: Cert, **members: Any) -> bytes:
    data = {"ticket": HARD_TICKET, "port": "5901", "cert": cert.ca.read_text(), "upid": "UPID:", "user": "root@pam"}
    return json.dumps({"data": {**data, **members}}).encode()


@pytest.mark.parametrize("type", ["qemu", "lxc"])
def test_asks_what_proxmox_takes_and_seals_what_it_answers(
    example: Example, answering: Callable, cert: Cert, type: str
) -> None:
    password = {"password": "a\"b\\c'd$"} if type == "qemu" else {}
    port, asked = answering(200, "OK", answer(cert, **password))
    opened = example.open(port, type=type)

    ((start, headers, body),) = asked
    assert start == f"POST /api2/json/nodes/pve01/{type}/{NAMED}/vncproxy HTTP/1.1"
    assert headers["authorization"] == f"PVEAPIToken={TOKEN}"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    # Proxmox answers 400 to an unknown parameter, and a container's vncproxy does not know generate-password.
    expected = {"websocket": ["1"]} | ({"generate-password": ["1"]} if type == "qemu" else {})
    assert parse_qs(body, strict_parsing=True) == expected

    assert opened["password"] == password.get("password", HARD_TICKET)
    assert example.claims(opened["payload"])[1] == {
        "vmid": NAMED,
        "type": type,
        "host": f"127.0.0.1:{port}",
        "node": "pve01",
        "ticket": f"PVEAPIToken={TOKEN}",
        "vncticket": HARD_TICKET,
        "port": "5901",
    }


def test_asks_once_more_without_generate_password(example: Example, standin: StandIn) -> None:
    """If Proxmox does not know the parameter, the example asks again without it, and still gets a password."""
    standin.knows_generate_password = False
    before = len(standin.requests)
    try:
        opened = example.open(standin.port)
    finally:
        standin.knows_generate_password = True
    assert len(standin.requests) == before + 2 and len(opened["password"]) == 8


def test_the_port_may_be_a_number_and_every_payload_is_another(
    example: Example, answering: Callable, cert: Cert
) -> None:
    port, _ = answering(200, "OK", answer(cert, port=5901))
    first, second = (example.open(port) for _ in range(2))
    assert example.claims(first["payload"])[1]["port"] == 5901
    assert first["payload"] != second["payload"]


@pytest.mark.parametrize(
    "status, reason, body",
    [
        (401, "permission denied - invalid csrf token", None),
        (403, "Permission check failed (/vms/101, VM.Console)", b'{"data":null}'),
        (400, "Parameter verification failed.", b'{"errors":{"vmid":"no"},"data":null}'),
        (500, "Configuration file 'nodes/pve01/qemu-server/101.conf' does not exist", b'{"data":null}'),
        (596, "Connection timed out", None),
    ],
)
def test_refusal_is_one_clear_line(
    example: Example, answering: Callable, status: int, reason: str, body: bytes | None
) -> None:
    port, _ = answering(status, reason, body)
    done = example.ask(port)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{status} {reason}" in done.stderr and done.stderr.count("\n") == 1
    assert_no_secret(example, done)


def test_wrong_token(example: Example, standin: StandIn, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN.replace("6", "7"))
    done = example.ask(standin.port)
    assert (done.returncode, done.stdout) == (1, "")
    assert "401 Authentication failed!" in done.stderr and done.stderr.count("\n") == 1
    assert SECRET.replace("6", "7") not in done.stderr and example.key not in done.stderr


def assert_no_secret(example: Example, done: subprocess.CompletedProcess) -> None:
    for secret in (SECRET, example.key):
        assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "host, address",
    [
        ("pve1", "pve1:8006"),
        ("pve1:443", "pve1:443"),
        ("192.0.2.1", "192.0.2.1:8006"),
        ("2001:db8::1", "[2001:db8::1]:8006"),
        ("2001:db8::8006", "[2001:db8::8006]:8006"),
        ("[2001:db8::1]", "[2001:db8::1]:8006"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
    ],
)
def test_address(example: Example, tmp_path: Path, host: str, address: str) -> None:
    """The last part of an IPv6 address is no port."""
    curl = tmp_path / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/asked\n')
    curl.chmod(0o755)
    example.run("ticket", "pve01", NAMED, "qemu", PROXMOX_HOST=host, PATH=f"{curl.parent}:{os.environ['PATH']}")
    url = (tmp_path / "asked").read_text().splitlines()[-1]
    assert url == f"https://{address}/api2/json/nodes/pve01/qemu/{NAMED}/vncproxy"


@pytest.mark.parametrize("trusts", ["the system's CAs", "another CA"])
def test_proxmox_is_verified(example: Example, answering: Callable, cert: Cert, tmp_path: Path, trusts: str) -> None:
    """A server whose certificate the example does not trust gets no request, and so no token."""
    port, asked = answering(200, "OK", answer(cert))
    other = Authority(tmp_path, "another CA").ca if trusts == "another CA" else None
    done = example.ask(port, PROXMOX_CA_FILE=other)
    assert done.returncode == 1 and "certificate" in done.stderr.lower()
    assert asked == []
    assert_no_secret(example, done)


def test_nothing_around_it_switches_that_off(example: Example, answering: Callable, cert: Cert, tmp_path: Path) -> None:
    """Common workarounds for self-signed certificates, left on the machine, do not disable the verification."""
    (tmp_path / ".curlrc").write_text("insecure\n")
    port, asked = answering(200, "OK", answer(cert))
    around: dict[str, Any] = {"HOME": tmp_path, "NODE_TLS_REJECT_UNAUTHORIZED": 0, "PYTHONHTTPSVERIFY": 0}
    done = example.ask(port, PROXMOX_CA_FILE=None, **around)
    assert done.returncode == 1 and asked == []


def test_proxmox_is_verified_to_have_the_name(
    example: Example, answering: Callable, authority: Authority, cert: Cert
) -> None:
    port, asked = answering(200, "OK", answer(cert), authority.wrong_name())
    done = example.ask(port)
    assert done.returncode == 1 and asked == []
    assert_no_secret(example, done)


@pytest.mark.parametrize("text", ["", "abc", "0" * 63, "0" * 65, "g" * 64, f"{KID}:"])
def test_bad_key_seals_nothing(example: Example, answering: Callable, cert: Cert, tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    port, _ = answering(200, "OK", answer(cert))
    done = example.ask(port)
    assert done.returncode == 1 and done.stdout == "" and done.stderr
    assert SECRET not in done.stderr and (len(text) < 63 or text not in done.stderr)


@pytest.mark.parametrize("part", ["link", "ticket"])
def test_shell_shows_no_secret(example: Example, answering: Callable, cert: Cert, tmp_path: Path, part: str) -> None:
    """Every user of a machine sees the arguments of the programs that the shell examples start. They hold no token, no
    password and no ticket, and of a link no key."""
    spies = tmp_path / "spies"
    spies.mkdir()
    for name in ("basenc", "cat", "curl", "cut", "grep", "jose", "jq", "od", "openssl", "sed", "tr"):
        spy = spies / name
        spy.write_text(
            f'#!/bin/sh\nprintf "%s\\n" {name} "$@" >>{tmp_path}/seen.{name}\nexec {shutil.which(name)} "$@"\n'
        )
        spy.chmod(0o755)
    port, _ = answering(200, "OK", answer(cert, password="aVNCpassword"))
    path = f"{spies}:{os.environ['PATH']}"
    payload = example.link(PATH=path) if part == "link" else example.open(port, PATH=path)["payload"]
    seen = {path.name.removeprefix("seen."): path.read_text() for path in tmp_path.glob("seen.*")}
    assert {"basenc", "jose", "jq"} <= set(seen) if part == "link" else {"curl", "jq", "openssl"} <= set(seen)
    other_key = base64.urlsafe_b64encode(bytes.fromhex(example.key)).decode().rstrip("=")
    for name, arguments in seen.items():
        assert SECRET not in arguments and "aVNCpassword" not in arguments and HARD_TICKET not in arguments, name
        assert (example.key in arguments) == (name == "openssl"), name  # ticket.sh warns of this
        assert other_key not in arguments and payload not in arguments, name


# --- through proxxy --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def standin(standin: StandIn) -> StandIn:
    for type in ("qemu", "lxc"):
        standin.add(type, RFB, VncConsole(echo, program="QEMU" if type == "qemu" else "vncterm").connect)
    return standin


@pytest.fixture
def proxxy(example: Example, key: str, cert: Cert, standin: StandIn, tmp_path: Path) -> Iterator[Activator]:
    """Has a token in its cluster file."""
    directory = tmp_path / "clusters"
    directory.mkdir()
    (directory / "main.conf").write_text(f"HOSTS=127.0.0.1:{standin.port}\nTOKEN={TOKEN}\nCA_FILE={cert.ca}\n")
    settings = {"SIGNATURE_KEY": f"old:{'00' * 32},{KID}:{key}", "PROXXY_CLUSTER_DIRECTORY": str(directory)}
    settings["PROXXY_CA_FILE"] = str(cert.ca)
    with Activator(settings) as proxxy:
        yield proxxy


def console(proxxy: Activator, payload: str) -> Client:
    return Client.upgraded(proxxy.port, target(payload, "/console/ws"))


@pytest.mark.parametrize("kid", ["", f"{KID}:"], ids=["no kid", "kid"])
@pytest.mark.parametrize("type", ["qemu", "lxc"])
def test_link_opens_consoles(example: Example, proxxy: Activator, tmp_path: Path, kid: str, type: str) -> None:
    """The browser needs nothing but the link, and may open it again."""
    (tmp_path / "key").write_text(f"{kid}{example.key}" + (f",old:{'00' * 32}\n" if kid else ""))
    payload = example.link(RFB, type)
    for _ in range(2):
        with console(proxxy, payload) as client:
            shake_hands(client)
            echoes(client)
    assert " sub=alice" in proxxy.wait_log("Session ended")


@pytest.mark.parametrize("type", ["qemu", "lxc"])
def test_ticket_opens_a_console(example: Example, proxxy: Activator, standin: StandIn, type: str) -> None:
    opened = example.open(standin.port, RFB, type)
    assert example.claims(opened["payload"])[1]["vncticket"].startswith(opened["password"][:8])
    with console(proxxy, opened["payload"]) as client:
        assert client.read_data(12) == VERSION
        client.send_frame(BINARY, VERSION)
        assert client.read_data(2) == b"\x01\x02"
        client.send_frame(BINARY, b"\x02")
        client.send_frame(BINARY, response(opened["password"], client.read_data(16)))
        assert client.read_data(4) == bytes(4)
        echoes(client)
