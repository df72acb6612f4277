# SPDX-License-Identifier: Apache-2.0
"""proxxy-url: its message for each of Proxmox's answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Callable

import pytest

from conftest import NAMED
from lib.activator import Activator
from lib.certs import Authority, Cert
from lib.process import free_port
from lib.standin import DEFAULT_TOKENS, StandIn
from lib.upstream import Connection, Upstream
from lib.url_command import UrlCommand, fragment
from lib.url_pages import EX_CONFIG, EX_NOPERM, EX_PROTOCOL, EX_UNAVAILABLE, GUEST, open_page

pytest_plugins = "lib.url_pages"


def test_wrong_token(command: UrlCommand) -> None:
    command.secret("token", "root@pam!proxxy=00000000-0000-0000-0000-000000000000")
    words = command.refusal(EX_NOPERM, *GUEST, NAMED)
    hint = "Check that the token in PROXMOX_TOKEN_FILE is correct"
    assert re.match(rf"127\.0\.0\.1:\d+: 401 Authentication failed! {hint}", words)
    assert "00000000" not in words


def test_proxmox_that_no_longer_knows_generate_password(
    command: UrlCommand, relay: Activator, standin: StandIn
) -> None:
    standin.knows_generate_password = False
    before = len(standin.requests)
    try:
        url = command.ok(*GUEST, NAMED)
    finally:
        standin.knows_generate_password = True
    assert len(standin.requests) == before + 2 and len(fragment(url)["password"]) == 8
    with open_page(relay, url) as client:
        assert client.read_data(11) == b"this is 101"


def test_wrong_password(command: UrlCommand) -> None:
    command.settings["PROXMOX_USER"] = "alice@pve"
    command.settings["PROXMOX_PASSWORD_FILE"] = command.secret("password", "a wrong one")
    words = command.refusal(EX_NOPERM, *GUEST, NAMED)
    assert ": 401 authentication failure. Check that PROXMOX_USER" in words and "a wrong one" not in words


def test_no_permission(command: UrlCommand, standin: StandIn) -> None:
    command.secret("token", standin.access.token("auditor@pve"))  # as in a header, which is accepted too
    refusal = command.refusal(EX_NOPERM, *GUEST, NAMED)
    assert ": 403 Permission check failed (/vms/101, VM.Console). The user needs a role" in refusal


def test_no_such_guest(command: UrlCommand) -> None:
    words = command.refusal(EX_UNAVAILABLE, *GUEST, 999)
    assert words.endswith(": 500 Configuration file 'nodes/pve01/qemu-server/999.conf' does not exist")


def test_parameters_that_proxmox_refuses(command: UrlCommand) -> None:
    assert ": 400 Parameter verification failed." in command.refusal(EX_UNAVAILABLE, *GUEST, 1)


def test_untrusted_certificate(command: UrlCommand, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    command.settings["PROXXY_CA_FILE"] = Authority(tmp_path / "other").ca
    words = command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
    assert "its certificate is not trusted" in words and "PROXXY_CA_FILE" in words
    del command.settings["PROXXY_CA_FILE"]
    assert "its certificate is not trusted" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
    command.settings["PROXXY_CA_FILE"] = tmp_path / "missing.pem"
    assert "no certificate can be read from it" in command.refusal(EX_CONFIG, *GUEST, NAMED)


def test_certificate_itself_will_do(command: UrlCommand, relay: Activator, authority: Authority, cert: Cert) -> None:
    """PROXXY_CA_FILE may have the server's own certificate, which proxxy gets in the payload. Another server's
    certificate is not accepted."""
    command.settings["PROXXY_CA_FILE"] = cert.cert
    with open_page(relay, command.ok(*GUEST, NAMED)) as client:
        assert client.read_data(11) == b"this is 101"
    command.settings["PROXXY_CA_FILE"] = authority.leaf("another").cert
    assert "its certificate is not trusted" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)


def test_certificate_for_another_name(command: UrlCommand, authority: Authority) -> None:
    with StandIn(authority.leaf("elsewhere", dns=["elsewhere.example"], ips=[])) as elsewhere:
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{elsewhere.port}"
        assert "its certificate is not trusted" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
        assert elsewhere.requests == []


def test_nobody_there(command: UrlCommand) -> None:
    command.settings["PROXMOX_HOST"] = f"127.0.0.1:{free_port()}"
    assert "Failed to connect" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)


@pytest.mark.parametrize("ending", [Connection.end, Connection.close_notify], ids=["TCP ends", "TLS ends"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "its answer is not from Proxmox's API"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"data\":{}}", "its answer lacks a ticket, port or user"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"data\":[]}", "its answer is not from Proxmox's API"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b" " * 99999, "its answer is longer than 16384 bytes"),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            "301 Moved. This is not Proxmox's API port, which is 8006",
        ),
        (b"HTTP/1.1 500 \x1b[31mred\tand\x07loud\r\nContent-Length: 0\r\n\r\n", "500 ?[31mred?and?loud"),
        (b"HTTP/1.1 500 \xc2\x9b31m\r\nContent-Length: 0\r\n\r\n", "500 ??31m"),
        (b"HTTP/1.1 599\r\nContent-Length: 0\r\n\r\n", ": 599"),
        (b"", "Empty reply from server\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "its answer is incomplete\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"data\":{}}", "its answer is incomplete\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"data\":{}}\r\n", "its answer is incomplete\n"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"data":{"ticket":"t","user":"u","po', "its answer is not from Proxmox's API"),
        (f"HTTP/1.1 500 no {DEFAULT_TOKENS['root@pam!proxxy']} here\r\nContent-Length: 0\r\n\r\n".encode(), ": 500\n"),
        (
            b'HTTP/1.1 200 OK\r\n\r\n{"data":{"ticket":"t","user":"u","port":"99999"}}',
            "its answer lacks a ticket, port or user",
        ),
        (
            b"HTTP/1.1 400 Parameter verification failed.\r\n\r\n"
            b'{"errors":{"vmid":"too small\\n","node":"no such node"}}',
            "400 Parameter verification failed. (vmid: too small, node: no such node)",
        ),
    ],
)  # fmt: skip
def test_strange_answers(
    command: UrlCommand, cert: Cert, answer: bytes, words: str, ending: Callable[[Connection], None]
) -> None:
    """The message is the same however the connection ends, with any version of libcurl and OpenSSL."""

    def script(far: Connection) -> None:
        far.read_head()
        far.send(answer)
        ending(far)

    with Upstream(cert, script) as strange:
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{strange.port}"
        done = command.run(*GUEST, NAMED)
    unavailable = not words.startswith("its answer") or "incomplete" in words
    assert done.returncode == (EX_UNAVAILABLE if unavailable else EX_PROTOCOL) and done.stdout == ""
    assert words in done.stderr and DEFAULT_TOKENS["root@pam!proxxy"] not in done.stderr


@pytest.mark.parametrize("room", [20, 30])
def test_no_part_of_an_echoed_secret_is_shown(command: UrlCommand, cert: Cert, room: int) -> None:
    """Where words are cut off inside the token, with so many bytes of it left."""
    secret = DEFAULT_TOKENS["root@pam!proxxy"]
    reason, error = (f"Not {'x' * (size - room)} {secret}" for size in (250, 150))

    def script(far: Connection) -> None:
        far.read_head()
        body = json.dumps({"errors": {"a": error}}).encode()
        far.send(f"HTTP/1.1 400 {reason}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    with Upstream(cert, script) as parrot:
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{parrot.port}"
        words = command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
    assert ": 400" in words and secret[:4] not in words


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_close_before_tls_leads_to_pveproxys_lists(command: UrlCommand, reset: bool) -> None:
    with Upstream(None, lambda far: far.read(0 if reset else 5)) as closing:
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{closing.port}"
        words = command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
    assert "ALLOW_FROM and DENY_FROM in its /etc/default/pveproxy" in words


def test_tls_alert_is_named(command: UrlCommand, cert: Cert) -> None:
    with Upstream(cert, lambda far: far.read_head()) as demanding:
        demanding.demand_certificate(cert.ca)
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{demanding.port}"
        words = command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
    assert "TLS failed" in words and "certificate required" in words and "/etc/default" not in words


def test_user_with_a_second_factor(command: UrlCommand, cert: Cert) -> None:
    body = json.dumps({"data": {"ticket": "PVE:!tfa!%7B%7D:65A1B2C3::c2ln", "CSRFPreventionToken": "x"}}).encode()

    def script(far: Connection) -> None:
        far.read_head()
        far.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    command.settings["PROXMOX_USER"] = "alice@pve"
    command.settings["PROXMOX_PASSWORD_FILE"] = command.secret("password", "x")
    with Upstream(cert, script) as proxmox:
        command.settings["PROXMOX_HOST"] = f"127.0.0.1:{proxmox.port}"
        assert "alice@pve has a second factor" in command.refusal(EX_UNAVAILABLE, *GUEST, NAMED)
