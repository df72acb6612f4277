# SPDX-License-Identifier: Apache-2.0
"""Where a request may have its payload: in the query, in a subprotocol, or without an upgrade in Proxxy-Payload."""

from __future__ import annotations

import json
import time
from typing import Any, Callable

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.answers import INVALID, plain_request
from lib.payload import protocols, seal, seal_jwe, target
from lib.process import memory, wait_for
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, Client, close_payload, upgrade_request

OFFER = "Sec-WebSocket-Protocol"
TWICE = "More than one payload in the URL, Sec-WebSocket-Protocol and Proxxy-Payload"
ALONE = "Sec-WebSocket-Protocol has a payload, but not binary beside it"


@pytest.fixture
def sealed(standin: StandIn, key: str) -> str:
    return seal_jwe(standin.console("qemu", ECHO), key)


def answer_to(
    proxxy: Activator, path: str, headers: dict[str, str], more: str = ""
) -> tuple[int, dict[str, str], bytes, dict[str, Any]]:
    """Sends an upgrade, with more lines in its head; returns status, fields, the head, and a refusal's JSON."""
    raw = upgrade_request(proxxy.port, path, headers).replace(b"\r\n", f"\r\n{more}".encode(), 1)
    with Client.connect(proxxy.port, raw=raw) as client:
        head = client.read_head()
        return head.status, head.headers, head.raw, {} if head.status == 101 else json.loads(client.read_all())


@pytest.mark.parametrize(
    "offered, chosen",
    [
        ("binary, proxxy.payload.{}", "binary"),
        ("proxxy.payload.{} ,binary", "binary"),
        ("base64, proxxy.payload.{}, binary", "binary"),
        ("proxxy.payload.{}, base64", "base64"),
    ],
)
def test_subprotocol_carries_the_payload(proxxy: Activator, sealed: str, offered: str, chosen: str) -> None:
    status, headers, raw, _ = answer_to(proxxy, "/ws", {OFFER: offered.format(sealed)})
    assert (status, headers["sec-websocket-protocol"]) == (101, chosen)
    assert b"payload" not in raw and sealed[:30].encode() not in raw


def test_several_fields_are_one_list(proxxy: Activator, sealed: str) -> None:
    more = f"{OFFER}: proxxy.payload.{sealed}\r\n{OFFER}: binary\r\n"
    status, headers, _, _ = answer_to(proxxy, "/", {}, more)
    assert (status, headers["sec-websocket-protocol"]) == (101, "binary")


def test_console_works(proxxy: Activator, sealed: str) -> None:
    with Client.upgraded(proxxy.port, "/console/ws", {OFFER: protocols(sealed)}) as client:
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"


def refused(proxxy: Activator, path: str, headers: dict[str, str], more: str = "") -> tuple[int, str]:
    status, _, raw, answer = answer_to(proxxy, path, headers, more)
    assert b"proxxy.payload" not in raw and answer["issues"] == []
    return status, answer["error"]


def test_two_payloads_are_400(settings: dict[str, Any], sealed: str) -> None:
    twice = f"{protocols(sealed)}, proxxy.payload.{sealed}"
    with Activator(settings) as proxxy:
        for path, headers, more in (
            (target(sealed), {OFFER: protocols(sealed)}, ""),
            ("/?payload=%", {OFFER: protocols(sealed)}, ""),
            ("/", {OFFER: twice}, ""),
            ("/", {OFFER: protocols(sealed)}, f"{OFFER}: proxxy.payload.{sealed}\r\n"),
        ):
            assert refused(proxxy, path, headers, more) == (400, TWICE)
        assert "outcome=payload-twice" in proxxy.wait_log("Request refused") and sealed[:30] not in proxxy.log()


def test_payload_without_another_subprotocol_is_400(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """The payload stays unused: the same one then opens a console."""
    payload = seal_jwe({**standin.console("qemu", ECHO), "jti": "alone", "exp": int(time.time()) + 60}, key)
    with Activator(settings) as proxxy:
        assert refused(proxxy, "/", {OFFER: f"proxxy.payload.{payload}"}) == (400, ALONE)
        assert "outcome=subprotocol" in proxxy.wait_log("Request refused")
        assert answer_to(proxxy, "/", {OFFER: protocols(payload)})[0] == 101


def test_empty_payload_is_missing(proxxy: Activator) -> None:
    assert refused(proxxy, "/", {OFFER: "binary, proxxy.payload."}) == (400, "Missing payload")
    assert refused(proxxy, "/", {OFFER: "binary"}) == (400, "Missing payload")


def test_invalid_payload_gets_the_same_answer_as_in_the_query(
    settings: dict[str, Any], key: str, standin: StandIn
) -> None:
    """Also the original's format, whose colon no subprotocol can have."""
    with Activator(settings) as proxxy:
        for bad in ("nonsense", "e30..a.b.c", seal(standin.console("qemu", ECHO), key)):
            began = time.monotonic()
            with Client.connect(proxxy.port, "/", {OFFER: protocols(bad), "Origin": "https://panel"}) as client:
                assert client.read_head().status == 400 and client.read_all() == INVALID
            assert time.monotonic() - began > 0.045
        wait_for(lambda: "only a JWE can be there" in proxxy.log(), 5, proxxy.log)


def test_limit_is_that_of_the_query(proxxy: Activator) -> None:
    for size, want in ((15000, 400), (17000, 431)):
        assert answer_to(proxxy, "/", {OFFER: protocols("e30..a." + "b" * size + ".c")})[0] == want
        assert plain_request(proxxy.port, fields=f"Proxxy-Payload: {'b' * size}\r\n")[0] == want


def test_browser_gets_the_reason_in_a_close(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal_jwe({**standin.console("qemu", ECHO), "exp": int(time.time()) - 100}, key)
    with Client.upgraded(proxxy.port, "/", {OFFER: protocols(payload), "Origin": "https://panel"}) as client:
        code, reason = client.close_code()
        assert code == 1008 and reason.startswith("Payload has expired")
        client.send_frame(CLOSE, close_payload(1000))


# --- without upgrade ---------------------------------------------------------------------------


def no_upgrade(proxxy: Activator, fields: str, method: str = "GET", path: str = "/") -> tuple[int, str]:
    status, _, body = plain_request(proxxy.port, method, path, fields)
    return status, json.loads(body)["error"] if body else ""


def in_field(payload: str) -> str:
    return f"Proxxy-Payload: {payload}\r\n"


@pytest.mark.parametrize("seal_it", [seal, seal_jwe])
def test_field_asks_why_there_was_no_upgrade(
    proxxy: Activator, key: str, seal_it: Callable[[dict[str, Any], str], str]
) -> None:
    payload = seal_it(console(8006), key)
    by_query = plain_request(proxxy.port, path=target(payload))
    assert by_query[0] == 426
    assert plain_request(proxxy.port, fields=in_field(payload)) == by_query
    assert no_upgrade(proxxy, in_field(payload), "HEAD") == (426, "")


def test_reverse_proxy_that_drops_upgrade_is_told(proxxy: Activator, sealed: str) -> None:
    assert no_upgrade(proxxy, f"{OFFER}: {protocols(sealed)}\r\n")[0] == 426


def test_field_tells_what_is_wrong(proxxy: Activator, key: str) -> None:
    assert no_upgrade(proxxy, in_field("nonsense")) == (400, "Invalid payload")
    expired = seal_jwe({**console(8006), "exp": int(time.time()) - 100}, key)
    assert no_upgrade(proxxy, in_field(expired)) == (403, "Payload has expired")
    assert no_upgrade(proxxy, in_field("a"), path="/?payload=b") == (400, TWICE)
    assert no_upgrade(proxxy, in_field("a") + f"{OFFER}: {protocols('b')}\r\n") == (400, TWICE)
    assert no_upgrade(proxxy, in_field("a") + in_field("b")) == (400, "Malformed request")


def test_field_opens_no_console(proxxy: Activator, sealed: str) -> None:
    assert refused(proxxy, "/", {"Proxxy-Payload": sealed}) == (400, "Missing payload")


def test_payload_is_wiped_when_the_console_is_open(settings: dict[str, Any], sealed: str) -> None:
    """Also where fields before it were dropped, so that it was moved in the buffer."""
    headers = {"Cookie": "c" * 3000, OFFER: protocols(sealed), "Proxxy-Payload": sealed}
    with Activator(settings) as proxxy, Client.upgraded(proxxy.port, "/", headers) as client:
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"
        (pid,) = proxxy.sessions()
        regions = list(memory(pid))
        assert any(b"proxxy-conn" in content for _, content in regions), "the scan sees nothing"
        assert [line.strip() for line, content in regions if sealed[40:72].encode() in content] == []
        assert sealed[40:72] not in proxxy.log()
