# SPDX-License-Identifier: Apache-2.0
"""Refusals in a Close. Browsers hide the answer to a failed upgrade from the page, so they get a refusal in a Close;
other clients get it as HTTP."""

from __future__ import annotations

import time
from typing import Any

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.answers import INVALID, ask, echoes, refusal, told_in_close
from lib.payload import seal, seal_jwe, target
from lib.process import wait_for
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, PING, Client, close_payload, encode_frame, upgrade_request


@pytest.fixture(scope="module")
def proxxy(relay: Activator) -> Activator:
    """Only under Activator: a payload's meaning does not depend on what spawned the session."""
    return relay


PAGE = {"Origin": "https://panel.example.com"}
CLOSES: dict[str, tuple[dict[str, Any], tuple[str, str], str]] = {
    "expired": ({"exp": -60}, ("Payload has expired", "exp was 60 s ago"), "payload-expired"),
    "early": ({"nbf": 60}, ("Payload is not valid yet", "nbf is 60 s ahead"), "payload-early"),
    "origin": ({"origin": "https://x.example"}, ("Origin not allowed", "the payload is for another origin"), "origin"),
    "client": (
        {"client": "192.0.2.1"},
        ("Client address not allowed", "the payload is for another client address"), "client-address",
    ),
    "host": ({"host": "169.254.169.254"}, ("Proxmox: connecting to its address is not allowed", ""), "host-forbidden"),
    "too far ahead": (
        {"exp": 400},
        ("Invalid payload", "exp is 400 s ahead, more than PROXXY_PAYLOAD_LIFETIME"), "payload-invalid",
    ),
    "schema": ({"vmid": 0}, ("Invalid payload", "vmid is not an integer from 1 to 999999999"), "payload-invalid"),
    "ca": (
        {"ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        ("Invalid payload", ""), "payload-invalid",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLOSES)
def test_refusal_is_told_to_browsers_in_a_close(settings: dict[str, Any], key: str, case: str) -> None:
    """The Close has the same text, record and exit status as the HTTP refusal without Origin. A plain GET gets the
    same text."""
    members, (words, detail), outcome = CLOSES[case]
    now = int(time.time())
    dated = {n: now + v if n in ("exp", "nbf") else v for n, v in members.items()}
    sealed = lambda: seal_jwe(console(8006) | {"exp": now + 60} | dated, key)  # noqa: E731
    with Activator(settings | {"PROXXY_ALLOWED_HOSTS": "127.0.0.0/8"}) as proxxy:
        code, reason = told_in_close(proxxy, sealed(), PAGE)
        assert code == 1008 and reason.startswith(words) and len(reason.encode()) <= 123
        assert not detail or reason.split(" s ")[-1] == f"{words}: {detail}".split(" s ")[-1]
        in_close = proxxy.wait_log("Request refused")
        status, error, issue = refusal(proxxy, sealed())
        assert reason.split(" s ")[-1] == f"{error}: {issue}"[:123].split(" s ")[-1]
        if case != "origin":
            assert refusal(proxxy, sealed(), {"Upgrade": ""})[:2] == (status, error)
        wait_for(lambda: proxxy.log().count("Request refused") >= 2, 5, proxxy.log)
        for record in proxxy.log().splitlines():
            if "Request refused" in record:
                assert f"outcome={outcome}" in record and f"status={status}" in record and words in record
        assert "Session began" not in in_close


def test_used_link_is_told_so(proxxy: Activator, standin: StandIn, key: str) -> None:
    """A browser is told in a Close, a GET (which has no Origin) as HTTP. A refused request uses no payload up."""
    payload = seal_jwe(standin.console("qemu", ECHO), key, jti="told", origin=PAGE["Origin"])
    assert ask(proxxy, payload, {"Upgrade": ""})[0] == 426
    assert echoes(proxxy, payload, PAGE)
    assert told_in_close(proxxy, payload, PAGE) == (1008, "Payload was used already")
    assert refusal(proxxy, payload, {"Upgrade": ""})[:2] == (403, "Payload was used already")
    assert refusal(proxxy, payload)[:2] == (403, "Origin not allowed")


@pytest.mark.parametrize(
    "headers", [{"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": "short"}, {"Upgrade": "h2c"}]
)
def test_what_cannot_be_upgraded_has_an_http_answer(proxxy: Activator, key: str, headers: dict[str, str]) -> None:
    assert refusal(proxxy, seal_jwe(console(8006), key, client="192.0.2.1"), {**PAGE, **headers})[0] == 403


def test_what_was_not_sealed_with_the_key_has_an_http_answer(proxxy: Activator, key: str) -> None:
    for payload in (
        seal_jwe(console(8006), "0" * 64),
        seal(console(8006, vmid=0), key),
        seal(console(8006), "0" * 64),
        "x",
    ):
        started = time.monotonic()
        assert ask(proxxy, payload, PAGE) == (400, INVALID)
        assert time.monotonic() - started > 0.05


def test_client_that_does_not_hear_the_refusal_is_gone_in_time(proxxy: Activator, key: str) -> None:
    """The session ends in time whatever the client sends meanwhile: frames, other bytes or nothing."""
    payload = seal_jwe(console(8006), key, client="192.0.2.1")
    frames = encode_frame(PING, b"?", mask=b"abcd") + encode_frame(BINARY, b"x" * 70000, mask=b"abcd")
    for early in (b"", frames, encode_frame(CLOSE, close_payload(1000), mask=b"abcd"), b"GET / HTTP/1.1\r\n\r\n"):
        started = time.monotonic()
        with Client.connect(proxxy.port, raw=upgrade_request(proxxy.port, target(payload), PAGE) + early) as client:
            assert client.read_head().status == 101
            assert client.close_code()[0] in (1000, 1002, 1008)
            try:
                client.read_all(10)
            except ConnectionResetError:
                pass
        assert time.monotonic() - started < 6
    proxxy.wait_sessions(0, 10)
