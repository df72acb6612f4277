# SPDX-License-Identifier: Apache-2.0
"""HTTP: the status page, the methods, a request's size and deadline, and the answer to each upgrade request."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.answers import plain_request, upgrade_answer
from lib.payload import seal, target
from lib.standin import StandIn
from lib.wire import BINARY, Client, encode_frame, upgrade_request


def test_status(proxxy: Activator) -> None:
    status, _, body = plain_request(proxxy.port, path="/api/status")
    uptime = json.loads(body)
    assert status == 200 and list(uptime) == ["uptime"]
    assert isinstance(uptime["uptime"], int) and 0 <= uptime["uptime"] < 3600
    assert body == b'{"uptime":%d}' % uptime["uptime"]


def test_status_grows_by_whole_seconds(settings: dict[str, Any]) -> None:
    with Activator(settings) as proxxy:
        first = json.loads(plain_request(proxxy.port, path="/api/status")[2])["uptime"]
        time.sleep(2.1)
        second = json.loads(plain_request(proxxy.port, path="/api/status")[2])["uptime"]
        assert first <= 1 and 2 <= second - first <= 3


ALLOW = "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
@pytest.mark.parametrize("path", ["/", "/api/status"])
def test_other_methods_are_405(proxxy: Activator, method: str, path: str) -> None:
    status, headers, body = plain_request(proxxy.port, method, path, "Content-Length: 0\r\n")
    expected = b'{"error":"Method not allowed. Supported methods: GET","code":405,"issues":[]}'
    assert status == 405 and headers["allow"] == ALLOW
    assert body == expected


def test_other_methods_are_405_whatever_they_ask_for(proxxy: Activator) -> None:
    assert plain_request(proxxy.port, "BREW", "*")[0] == plain_request(proxxy.port, "CONNECT", "pve01:8006")[0] == 405


def test_head_is_get_without_the_body(proxxy: Activator, key: str) -> None:
    """The original answers 405, so a health check with HEAD reports it as down."""
    for path in ("/api/status", "/", "/?payload=nonsense", target(seal(console(8006), key))):
        status, headers, body = plain_request(proxxy.port, path=path)
        assert plain_request(proxxy.port, "HEAD", path) == (status, headers, b"") and int(
            headers["content-length"]
        ) == len(body)


@pytest.mark.parametrize("raw", [
    b"OPTIONS / HTTP/1.0\r\n\r\n",  # HAProxy's health check by default
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS /api/status HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"OPTIONS /?payload=00:00 HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\nAccess-Control-Request-Method: GET\r\n\r\n",
])  # fmt: skip
def test_options_tells_the_methods(proxxy: Activator, raw: bytes) -> None:
    with Client.connect(proxxy.port, raw=raw) as client:
        head = client.read_head()
        assert head.status == 204 and head.headers["allow"] == ALLOW and client.read_all() == b""
        assert not any(name.startswith("access-control-") for name in head.headers)


def test_health_is_not_that_of_wrong_settings(settings: dict[str, Any]) -> None:
    with Activator(settings | {"SIGNATURE_KEY": "short"}) as proxxy:
        for method in ("GET", "HEAD", "OPTIONS"):
            assert plain_request(proxxy.port, method, "/api/status")[0] == 500


@pytest.mark.parametrize(
    "path", ["/", "/anything/at/all", "/?payload=", "/?payload", "/?other=1", "/?payload=&payload=00:00"]
)
def test_missing_payload(proxxy: Activator, path: str) -> None:
    status, _, body = plain_request(proxxy.port, path=path)
    assert (status, body) == (400, b'{"error":"Missing payload","code":400,"issues":[]}')


def test_valid_payload_without_upgrade_is_426(proxxy: Activator, key: str) -> None:
    status, headers, body = plain_request(proxxy.port, path=target(seal(console(8006), key)))
    assert status == 426 and headers["upgrade"] == "websocket"
    assert "noVNC" in json.loads(body)["error"] and json.loads(body)["code"] == 426


@pytest.mark.parametrize("version", ["", "8", "12", "14", "13, 8", "013"])
def test_wrong_websocket_version_is_426(proxxy: Activator, key: str, version: str) -> None:
    status, headers, _ = upgrade_answer(proxxy.port, seal(console(8006), key), {"Sec-WebSocket-Version": version})
    assert status == 426 and headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("bad", ["", "short", "x" * 24, "AAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAA AA=="])
def test_wrong_websocket_key_is_400(proxxy: Activator, key: str, bad: str) -> None:
    assert upgrade_answer(proxxy.port, seal(console(8006), key), {"Sec-WebSocket-Key": bad})[0] == 400


def test_too_large_is_431(proxxy: Activator) -> None:
    assert plain_request(proxxy.port, path="/?payload=" + "0" * 17000)[0] == 431
    assert plain_request(proxxy.port, fields="X: " + "y" * 66000 + "\r\n")[0] == 431
    assert plain_request(proxxy.port, fields="X: y\r\n" * 150)[0] == 431


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"GET / FTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client's hello
    ],
)
def test_malformed_is_400(proxxy: Activator, raw: bytes) -> None:
    with Client.connect(proxxy.port, raw=raw) as client:
        assert client.read_head().status == 400


def head_of(size: int, proxxy: Activator, payload: str) -> bytes:
    """An upgrade request of that size, with a panel's cookies."""
    headers = {"Cookie": "", "Accept-Language": "en"}
    short = len(upgrade_request(proxxy.port, target(payload), headers | {"Cookie": "c"}))
    return upgrade_request(proxxy.port, target(payload), headers | {"Cookie": "c" * (size - short + 1)})


@pytest.mark.parametrize("size", [17000, 65535, 65536])
@pytest.mark.parametrize("piece", [1 << 17, 1000])
def test_cookies_of_the_panel_are_passed_over(
    proxxy: Activator, standin: StandIn, key: str, size: int, piece: int
) -> None:
    raw = head_of(size, proxxy, seal(standin.console("qemu", ECHO), key)) + encode_frame(BINARY, b"early", mask=b"abcd")
    with Client.connect(proxxy.port) as client:
        for at in range(0, len(raw), piece):
            client.send(raw[at : at + piece])
        assert client.read_head().status == 101
        assert client.read_data(5) == b"early"


def test_head_beyond_64_kib_is_431(proxxy: Activator, key: str) -> None:
    with Client.connect(proxxy.port, raw=head_of(65537, proxxy, seal(console(8006), key))) as client:
        assert client.read_head().status == 431


def test_head_that_comes_byte_by_byte(proxxy: Activator, standin: StandIn, key: str) -> None:
    raw = head_of(8000, proxxy, seal(standin.console("qemu", ECHO), key))
    with Client.connect(proxxy.port) as client:
        for at in range(len(raw)):
            client.send(raw[at : at + 1])
        assert client.read_head().status == 101


def test_large_head_has_no_more_time_than_a_small_one(settings: dict[str, Any], key: str) -> None:
    with Activator(settings | {"PROXXY_REQUEST_TIMEOUT": 2}) as proxxy, Client.connect(proxxy.port) as client:
        raw = head_of(60000, proxxy, seal(console(8006), key))
        started = time.monotonic()
        try:
            for at in range(0, len(raw), 1000):
                client.send(raw[at : at + 1000])
                time.sleep(0.2)
        except OSError:
            pass
        assert 1.9 < time.monotonic() - started < 8
        assert "outcome=request-timeout" in proxxy.wait_log("Request refused")


# What nginx sends if its configuration does not set Connection, the HTTP version, or both.
MISCONFIGURED = {"close": ("HTTP/1.1", "close"), "1.0": ("HTTP/1.0", "upgrade"), "1.0 and close": ("HTTP/1.0", "close")}


@pytest.mark.parametrize("case", MISCONFIGURED)
def test_front_that_asks_with_http_1_0_or_close_is_upgraded(
    proxxy: Activator, standin: StandIn, key: str, case: str
) -> None:
    version, connection = MISCONFIGURED[case]
    raw = upgrade_request(proxxy.port, target(seal(standin.console("qemu", ECHO), key)), {"Connection": connection})
    with Client.connect(proxxy.port, raw=raw.replace(b"HTTP/1.1", version.encode())) as client:
        assert client.read_head().status == 101
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"


@pytest.mark.parametrize(
    "offered, chosen",
    [
        ("", None),
        ("binary", "binary"),
        ("base64, binary", "binary"),
        ("base64", "base64"),
        ("a,b", "a"),
        ("b@d, ok", "ok"),
    ],
)
def test_subprotocol(proxxy: Activator, standin: StandIn, key: str, offered: str, chosen: str | None) -> None:
    payload = seal(standin.console("qemu", ECHO), key)
    _, headers, _ = upgrade_answer(proxxy.port, payload, {"Sec-WebSocket-Protocol": offered})
    assert headers.get("sec-websocket-protocol") == chosen


def test_subprotocols_in_two_fields_are_one_list(proxxy: Activator, standin: StandIn, key: str) -> None:
    raw = upgrade_request(proxxy.port, target(seal(standin.console("qemu", ECHO), key)), {})
    fields = b"Sec-WebSocket-Protocol: chat, base64\r\nSec-WebSocket-Protocol: binary\r\n"
    with Client.connect(proxxy.port, raw=raw.replace(b"\r\n", b"\r\n" + fields, 1)) as client:
        head = client.read_head()
        assert head.status == 101 and head.headers["sec-websocket-protocol"] == "binary"


def test_never_permessage_deflate(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal(standin.console("qemu", ECHO), key)
    _, headers, _ = upgrade_answer(proxxy.port, payload, {"Sec-WebSocket-Extensions": "permessage-deflate"})
    assert "sec-websocket-extensions" not in headers
    assert "sec-websocket-extensions" not in standin.requests[-1].headers


UPGRADE = b"GET / HTTP/1.1\r\nHost: proxxy\r\n"


def test_silent_client_is_ended_without_an_answer(settings: dict[str, Any]) -> None:
    with Activator(settings | {"PROXXY_REQUEST_TIMEOUT": 1}) as proxxy:
        started = time.monotonic()
        with Client.connect(proxxy.port) as client:
            assert client.read_all() == b""
        assert 0.9 < time.monotonic() - started < 3
        proxxy.wait_sessions(0)


def test_dripping_client_is_ended_on_time(settings: dict[str, Any]) -> None:
    with Activator(settings | {"PROXXY_REQUEST_TIMEOUT": 2}) as proxxy:
        started = time.monotonic()
        with Client.connect(proxxy.port) as client:
            for byte in UPGRADE[:8]:
                client.send(bytes([byte]))
                time.sleep(0.2)
            assert client.read_head().status == 408
        assert 1.9 < time.monotonic() - started < 4
        assert "outcome=request-timeout" in proxxy.wait_log("Request refused")


def test_request_may_come_byte_by_byte(proxxy: Activator) -> None:
    with Client.connect(proxxy.port) as client:
        for byte in b"GET /api/status HTTP/1.1\r\nHost: proxxy\r\n\r\n":
            client.send(bytes([byte]))
        assert client.read_head().status == 200


def test_client_that_leaves_before_its_request_is_whole_is_noticed(settings: dict[str, Any]) -> None:
    with Activator(settings) as proxxy:
        for sent in (b"", UPGRADE):
            Client.connect(proxxy.port, raw=sent).sock.close()
        proxxy.wait_sessions(0)
