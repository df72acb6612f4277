# SPDX-License-Identifier: Apache-2.0
"""proxxy under a real xinetd with the configuration that the project ships.

xinetd also connects stderr to the client, so each test reads everything that the client gets, up to
the end, and checks every byte.
"""

from __future__ import annotations

import json
import os
from typing import Any, Iterator

import pytest

from lib.activator import Xinetd
from lib.certs import Authority, Cert
from lib.payload import seal, target
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, CONTINUATION, Client, close_payload

VMID = 100  # the guest in conftest.py that echoes


@pytest.fixture(scope="module")
def proxxy(settings: dict[str, Any]) -> Iterator[Xinetd]:
    with Xinetd(settings) as running:
        yield running


def read_answer(client: Client) -> tuple[int, dict[str, Any]]:
    """Reads the only HTTP answer; it must have a Content-Length, and nothing may follow."""
    head = client.read_head()
    assert head.start.startswith("HTTP/1.1 ")
    body = client.read(int(head.headers["content-length"]))
    assert client.at_end(), "something came behind the answer"
    return head.status, json.loads(body)


def read_goodbye(client: Client) -> int | None:
    """Reads the Close, which must be the next and last frame; returns its code."""
    frame = client.read_frame()
    assert frame.opcode == CLOSE, frame
    client.send_frame(CLOSE, frame.payload)
    assert client.at_end(), "something came behind the Close"
    return int.from_bytes(frame.payload[:2], "big")


def test_shipped_configuration_is_understood(proxxy: Xinetd) -> None:
    with Client.connect(proxxy.port, "/api/status") as client:
        status, body = read_answer(client)
    assert status == 200 and list(body) == ["uptime"]
    assert "ERROR" not in proxxy.log() and "WARNING" not in proxxy.log(), proxxy.log()


def test_session_is_nothing_but_its_own_bytes(proxxy: Xinetd, standin: StandIn, key: str) -> None:
    sent = os.urandom(200_000)
    with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", VMID), key))) as client:
        client.send_frame(BINARY, sent)
        assert client.read_data(len(sent)) == sent
        client.send_frame(CLOSE, close_payload(1000))
        frame = client.read_frame()
        assert (frame.opcode, frame.payload[:2]) == (CLOSE, close_payload(1000))
        assert client.at_end()
    assert standin.violations == []


@pytest.mark.parametrize(
    "raw, status",
    [
        (b"GET /?payload=00:11 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00 a TLS client's first bytes\r\n\r\n", 400),
        (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    ],
    ids=["bad payload", "no payload", "no host", "method", "not HTTP", "too large"],
)
def test_refusals_are_one_answer_and_no_log_line(proxxy: Xinetd, raw: bytes, status: int) -> None:
    with Client.connect(proxxy.port, raw=raw) as client:
        code, body = read_answer(client)
    assert code == body["code"] == status


def test_console_that_cannot_be_reached_is_one_close(proxxy: Xinetd, standin: StandIn, key: str) -> None:
    console = standin.console("qemu", VMID)
    with Client.upgraded(proxxy.port, target(seal({**console, "host": "127.0.0.1:1"}, key))) as client:
        assert read_goodbye(client) == 1011


def test_client_that_breaks_websocket_gets_one_close(proxxy: Xinetd, standin: StandIn, key: str) -> None:
    with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", VMID), key))) as client:
        client.send_frame(CONTINUATION, b"of nothing")
        assert read_goodbye(client) == 1002


@pytest.mark.parametrize(
    "setting",
    [
        {"PROXXY_TLS_VERIFY": "off"},  # logs a warning
        {"PROXXY_LOG": "stderr"},  # stderr is the client's socket
        {"PROXXY_LOG": "syslog"},
        {"PROXXY_LOG": "journal"},
    ],
    ids=lambda setting: "=".join(*setting.items()),
)
def test_settings_that_talk_do_not_talk_to_the_client(
    settings: dict[str, Any], standin: StandIn, key: str, setting: dict[str, str]
) -> None:
    with Xinetd({**settings, **setting}) as proxxy:
        with Client.connect(proxxy.port, "/?payload=00:11") as client:
            assert read_answer(client)[0] == 400
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", VMID), key))) as client:
            client.send_frame(BINARY, b"hello")
            assert client.read_data(5) == b"hello"
            client.send_frame(CLOSE, close_payload(1000))
            assert read_goodbye(client) == 1000


@pytest.mark.parametrize(
    "broken",
    [
        {"SIGNATURE_KEY": "no key"},
        {"PROXXY_NO_SUCH_SETTING": "1"},
    ],
    ids=["key", "setting"],
)
def test_bad_configuration_is_one_answer(settings: dict[str, Any], broken: dict[str, str]) -> None:
    with Xinetd({**settings, **broken}) as proxxy, Client.connect(proxxy.port, "/?payload=00:11") as client:
        status, body = read_answer(client)
    assert status == body["code"] == 500


def test_untrusted_proxmox_is_one_close(authority: Authority, settings: dict[str, Any], key: str) -> None:
    untrusted: Cert = authority.self_signed()
    with Xinetd(settings) as proxxy, StandIn(untrusted) as proxmox:
        console = {
            "vmid": VMID,
            "type": "qemu",
            "host": f"127.0.0.1:{proxmox.port}",
            "node": proxmox.node,
            "ticket": "PVEAPIToken=a@pam!b=c",
            "vncticket": "PVEVNC:d",
            "port": 5900,
        }
        with Client.upgraded(proxxy.port, target(seal(console, key))) as client:
            assert read_goodbye(client) == 1011
