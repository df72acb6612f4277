# SPDX-License-Identifier: Apache-2.0
"""Who opened a console with which link: in the log, and in the text that systemctl status and the list of sessions
show."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO
from lib.activator import Activator
from lib.payload import seal_jwe, target
from lib.standin import StandIn
from lib.wire import CLOSE, Client, close_payload

CLIENT = "203.0.113.7"


def use(proxxy: Activator, payload: str, address: str) -> None:
    """Opens a console, for a client at that address, and closes it."""
    with Client.upgraded(proxxy.port, target(payload), {"X-Real-IP": address}) as client:
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code()[0] == 1000


def fields(proxxy: Activator, words: str) -> dict[str, str]:
    """The name=value pairs of the record with these words."""
    [record] = [line for line in proxxy.wait_log(words).splitlines() if words in line]
    return dict(re.findall(r' ([a-z_]+)=("[^"]*"|\S+)', record))


def test_log_says_who_opened_which_link(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    named = {**settings, "SIGNATURE_KEY": f"main:{key}"}
    claims = {"sub": 'alice "the \\ first" \u009b', "jti": 'a "1" outcome=ok'}
    with Activator({**named, "PROXXY_CLIENT_ADDRESS": "x-real-ip"}) as proxxy:
        payload = seal_jwe(standin.console("qemu", ECHO), key, {"kid": "main"}, **claims)
        use(proxxy, payload, CLIENT)
        for words in ("Session began", "Session ended"):
            record = fields(proxxy, words)
            assert record["sub"] == "\"alice 'the \\ first' ?\""
            assert record["jti"] == "\"a '1' outcome=ok\""
            assert record["kid"] == "main" and record["client"] == CLIENT
        assert fields(proxxy, "Session ended")["outcome"] == "client-closed"


@pytest.mark.parametrize(
    "claims, header, told, status",
    [
        (
            {"sub": "alice", "jti": "a1"},
            {"kid": "main"},
            CLIENT,
            'qemu 100 on pve01 for 203.0.113.7; sub "alice", jti "a1", kid "main"',
        ),
        (
            {"sub": 'a"b\\c; jti "x"'},
            {},
            "[2001:db8::7]:80",
            'qemu 100 on pve01 for 2001:db8::7; sub "a\\"b\\\\c; jti \\"x\\""',
        ),
        (
            {"sub": "é\u009b[2J", "jti": '"' * 256},
            {},
            "unknown",
            'qemu 100 on pve01; sub "é?[2J", jti "' + '\\"' * 256 + '"',
        ),
        ({"jti": "\\" * 256}, {}, CLIENT, 'qemu 100 on pve01 for 203.0.113.7; jti "' + "\\\\" * 256 + '"'),
        ({"sub": 7}, {}, CLIENT, 'qemu 100 on pve01 for 203.0.113.7; sub "7"'),
        ({}, {}, CLIENT, "qemu 100 on pve01 for 203.0.113.7"),
    ],
)
def test_status_text(
    settings: dict[str, Any],
    standin: StandIn,
    key: str,
    tmp_path: Path,
    claims: dict[str, Any],
    header: dict[str, str],
    told: str,
    status: str,
) -> None:
    """What systemctl status and the list of sessions show."""
    name = "main:" if header else ""
    named = {**settings, "SIGNATURE_KEY": name + key, "PROXXY_CLIENT_ADDRESS": "x-real-ip"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        with Activator(named, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as proxxy:
            payload = seal_jwe(standin.console("qemu", ECHO), key, header, **claims)
            use(proxxy, payload, told)
            text = manager.recv(65536).decode()
    escaped = status.replace("\\", "\\\\")  # systemd drops one of two
    assert text == f"STATUS={escaped}"
    for quoted in re.findall(r'"(?:[^"\\]|\\.)*"', status):
        json.loads(quoted)


def test_service_manager_may_listen_on_an_abstract_socket(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """A session in its first sandbox can connect to abstract sockets only then."""
    name = f"proxxy-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(5)
        with Activator(settings, environment={"NOTIFY_SOCKET": f"@{name}"}) as proxxy:
            use(proxxy, seal_jwe(standin.console("qemu", ECHO), key), "192.0.2.1")
            assert manager.recv(65536).startswith(b"STATUS=qemu ")
