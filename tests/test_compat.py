# SPDX-License-Identifier: Apache-2.0
"""Clients and backends of the original (masterjanic/proxxy 1.0.0) work against ours: what it
answered and did, case by case, and what ours does better on purpose."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from typing import Any

import pytest
from conftest import ECHO, NAMED, Open, console
from lib.activator import Activator, binary
from lib.certs import Authority, Cert
from lib.payload import seal, seal_jwe, target
from lib.process import free_port, wait_for
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Client, close_payload, encode_frame, upgrade_request

INVALID = b'{"error":"Invalid payload","code":400,"issues":[]}'
MIB = 1 << 20


def ask(port: int, method: str = "GET", path: str = "/", fields: str = "") -> tuple[int, dict[str, str], bytes]:
    """One plain request: status, headers, body."""
    request = f"{method} {path} HTTP/1.1\r\nHost: proxxy\r\n{fields}\r\n"
    with Client.connect(port, raw=request.encode()) as client:
        head = client.read_head()
        body = client.read_all()
    if method != "HEAD":
        assert int(head.headers["content-length"]) == len(body)
    assert head.headers["content-type"] == "application/json"
    return head.status, head.headers, body


def upgrade_answer(port: int, payload: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    with Client.connect(port, target(payload), headers or {}) as client:
        head = client.read_head()
        return head.status, head.headers, b"" if head.status == 101 else client.read_all()


# --- configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "abc", "0" * 63, "0" * 65, "g" * 64, "0" * 62 + "zz"])
def test_bad_signature_key_is_500_and_one_clear_line(value: str, tmp_path: Any) -> None:
    with Activator({"SIGNATURE_KEY": value, "PROXXY_KEY_FILE": tmp_path / "none"} if not value else {"SIGNATURE_KEY": value}) as proxxy:
        status, _, body = ask(proxxy.port, path="/?payload=00:00")
        assert (status, body) == (500, b'{"error":"Internal server error","code":500,"issues":[]}')
        log = proxxy.wait_log("openssl rand -hex 32")
        assert log.count("Request refused") == 1
        assert not value or value not in log


def test_settings_file_may_be_the_originals_dotenv(key: str, standin: StandIn, cert: Cert) -> None:
    with Activator({"SIGNATURE_KEY": f'"{key}"', "PORT": 9000, "PROXXY_CA_FILE": cert.ca}) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"


# --- HTTP ------------------------------------------------------------------------------------


def test_status(proxxy: Activator) -> None:
    status, _, body = ask(proxxy.port, path="/api/status")
    uptime = json.loads(body)
    assert status == 200 and list(uptime) == ["uptime"]
    assert isinstance(uptime["uptime"], int) and 0 <= uptime["uptime"] < 3600
    assert body == b'{"uptime":%d}' % uptime["uptime"]


def test_status_grows_by_whole_seconds(settings: dict[str, Any]) -> None:
    with Activator(settings) as proxxy:
        first = json.loads(ask(proxxy.port, path="/api/status")[2])["uptime"]
        time.sleep(2.1)
        second = json.loads(ask(proxxy.port, path="/api/status")[2])["uptime"]
        assert first <= 1 and 2 <= second - first <= 3


ALLOW = "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
@pytest.mark.parametrize("path", ["/", "/api/status"])
def test_other_methods_are_405(proxxy: Activator, method: str, path: str) -> None:
    status, headers, body = ask(proxxy.port, method, path, "Content-Length: 0\r\n")
    expected = b'{"error":"Method not allowed. Supported methods: GET","code":405,"issues":[]}'
    assert status == 405 and headers["allow"] == ALLOW
    assert body == expected


def test_other_methods_are_405_whatever_they_ask_for(proxxy: Activator) -> None:
    assert ask(proxxy.port, "BREW", "*")[0] == ask(proxxy.port, "CONNECT", "pve01:8006")[0] == 405


def test_head_is_get_without_the_body(proxxy: Activator, key: str) -> None:
    """The original answers 405, and whoever checks its health so takes it for dead."""
    for path in ("/api/status", "/", "/?payload=nonsense", target(seal(console(8006), key))):
        status, headers, body = ask(proxxy.port, path=path)
        assert ask(proxxy.port, "HEAD", path) == (status, headers, b"") and int(headers["content-length"]) == len(body)


@pytest.mark.parametrize("raw", [
    b"OPTIONS / HTTP/1.0\r\n\r\n",  # HAProxy's, when nothing else is configured
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
            assert ask(proxxy.port, method, "/api/status")[0] == 500


@pytest.mark.parametrize("path", ["/", "/anything/at/all", "/?payload=", "/?payload", "/?other=1", "/?payload=&payload=00:00"])
def test_missing_payload(proxxy: Activator, path: str) -> None:
    status, _, body = ask(proxxy.port, path=path)
    assert (status, body) == (400, b'{"error":"Missing payload","code":400,"issues":[]}')


def bad_payloads(key: str) -> dict[str, str]:
    """Everything that can be wrong with a payload that nobody has signed."""
    good = seal(console(8006), key)
    iv, cipher = good.split(":")

    def sealed(**members: Any) -> str:
        return seal(console(8006, **members), key)

    return {
        "no colon": iv + cipher,
        "bad hex": f"{iv}:{'zz' + cipher[2:]}",
        "odd hex": good + "0",
        "junk behind": good + "xx",
        "bad iv": f"{iv[:-2]}:{cipher}",
        "long iv": f"{iv}00:{cipher}",
        "empty cipher": f"{iv}:",
        "half a block": good[:-16],
        "wrong key": seal(console(8006), "00" * 32),
        "bad padding": good[:-32] + "00" * 16,
        "not JSON": seal(b"hello", key),
        "empty plaintext": seal(b"", key),
        "array": seal(b"[1]", key),
        "trailing": seal(b'{"vmid":100} x', key),
        "no members": seal(b"{}", key),
        "vmid 0": sealed(vmid=0),
        "vmid text": sealed(vmid="100"),
        "vmid fraction": sealed(vmid=100.5),
        "type": sealed(type="vm"),
        "host path": sealed(host="pve/../x"),
        "host credentials": sealed(host="user@pve"),
        "host port 0": sealed(host="pve:0"),
        "node path": sealed(node="../../access"),
        "node CRLF": sealed(node="pve\r\nX: y"),
        "ticket missing": seal(b'{"vmid":100,"type":"qemu","host":"h","node":"n","vncticket":"t","port":5900}', key),
        "ticket CRLF": sealed(ticket="PVE:x\r\nX-Injected: 1"),
        "ticket NUL": sealed(ticket="PVE:x\0"),
        "ticket number": sealed(ticket=1),
        "vncticket LF": sealed(vncticket="a\nb"),
        "port 0": sealed(port="0"),
        "port 65536": sealed(port=65536),
        "port text": sealed(port="59oo"),
        "port list": sealed(port=[5900]),
    }


def test_invalid_payload_is_one_answer_byte_for_byte(proxxy: Activator, key: str) -> None:
    answers = {}
    for name, payload in bad_payloads(key).items():
        with Client.connect(proxxy.port, target(payload)) as client:
            answers[name] = client.read_all()
    assert len(set(answers.values())) == 1, answers
    assert next(iter(answers.values())).endswith(b"\r\n\r\n" + INVALID)


def test_invalid_payload_takes_the_same_time_whatever_is_wrong(proxxy: Activator, key: str) -> None:
    """Not a measurement: the answer waits for a fixed moment, and that it waits can be seen."""
    for payload in bad_payloads(key).values():
        started = time.monotonic()
        assert upgrade_answer(proxxy.port, payload)[2] == INVALID
        assert time.monotonic() - started >= 0.05


def test_invalid_payload_is_explained_in_the_log_without_its_text(settings: dict[str, Any], key: str) -> None:
    with Activator(settings) as proxxy:
        assert upgrade_answer(proxxy.port, seal(console(8006, vmid=0, ticket="top secret"), key))[0] == 400
        log = proxxy.wait_log("vmid is not an integer from 1 to 999999999")
        assert "top secret" not in log and "payload=" not in log


def test_valid_payload_without_upgrade_is_426(proxxy: Activator, key: str) -> None:
    status, headers, body = ask(proxxy.port, path=target(seal(console(8006), key)))
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
    assert ask(proxxy.port, path="/?payload=" + "0" * 17000)[0] == 431
    assert ask(proxxy.port, fields="X: " + "y" * 66000 + "\r\n")[0] == 431
    assert ask(proxxy.port, fields="X: y\r\n" * 150)[0] == 431


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
def test_cookies_of_the_panel_are_passed_over(proxxy: Activator, standin: StandIn, key: str, size: int, piece: int) -> None:
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


# What nginx sends without the line for Connection, without that for the version, and without either.
MISCONFIGURED = {"close": ("HTTP/1.1", "close"), "1.0": ("HTTP/1.0", "upgrade"), "1.0 and close": ("HTTP/1.0", "close")}


@pytest.mark.parametrize("case", MISCONFIGURED)
def test_front_that_asks_with_http_1_0_or_close_is_upgraded(proxxy: Activator, standin: StandIn, key: str, case: str) -> None:
    version, connection = MISCONFIGURED[case]
    raw = upgrade_request(proxxy.port, target(seal(standin.console("qemu", ECHO), key)), {"Connection": connection})
    with Client.connect(proxxy.port, raw=raw.replace(b"HTTP/1.1", version.encode())) as client:
        assert client.read_head().status == 101
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"


def test_colon_may_be_percent_encoded_and_hex_in_capitals(proxxy: Activator, standin: StandIn, key: str) -> None:
    iv, cipher = seal(standin.console("qemu", ECHO), key).split(":")
    with Client.upgraded(proxxy.port, f"/novnc/ws?payload={iv.upper()}%3A{cipher.upper()}&x=1") as client:
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"


def test_first_payload_counts(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal(standin.console("qemu", ECHO), key)
    Client.upgraded(proxxy.port, target(payload) + "&payload=nonsense").sock.close()
    assert upgrade_answer(proxxy.port, "nonsense&payload=" + payload)[0] == 400


# --- payload ---------------------------------------------------------------------------------


def reaches(proxxy: Activator, members: dict[str, Any], key: str) -> None:
    with Client.upgraded(proxxy.port, target(seal(members, key))) as client:
        client.send_frame(BINARY, b"ping")
        assert client.read_data(4) == b"ping"


def test_unknown_members_are_ignored(proxxy: Activator, standin: StandIn, key: str) -> None:
    reaches(proxxy, standin.console("qemu", ECHO) | {"note": {"deep": [1, None]}, "user": "x"}, key)


def test_port_may_be_a_number(proxxy: Activator, standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO)
    reaches(proxxy, members | {"port": int(members["port"])}, key)


def test_lxc(proxxy: Activator, standin: StandIn, key: str) -> None:
    reaches(proxxy, standin.console("lxc", ECHO), key)
    assert f"/lxc/{ECHO}/vncwebsocket" in standin.requests[-1].path


def test_api_token_goes_into_authorization_as_it_is(proxxy: Activator, standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO)
    reaches(proxxy, members, key)
    assert standin.requests[-1].headers["authorization"] == members["ticket"]


def test_cookie_ticket_goes_into_authorization_with_its_name(proxxy: Activator, standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO, cookie=True)
    reaches(proxxy, members, key)
    assert standin.requests[-1].headers["authorization"] == "PVEAuthCookie=" + members["ticket"]


def test_host_without_a_port_means_8006(key: str, cert: Cert, standin: StandIn) -> None:
    members = standin.console("qemu", ECHO)
    settings = {"SIGNATURE_KEY": key, "PROXXY_CA_FILE": cert.ca, "PROXXY_UPSTREAM_PORT": standin.port}
    with Activator(settings) as proxxy:
        reaches(proxxy, members | {"host": "127.0.0.1"}, key)
    told = subprocess.run([binary(), "--settings"], capture_output=True, text=True, check=True)
    assert "\n#PROXXY_UPSTREAM_PORT=8006\n" in told.stdout


@pytest.mark.parametrize("dotted", ["127.0.0.1.", "localhost."])
def test_host_with_a_trailing_dot(proxxy: Activator, standin: StandIn, key: str, dotted: str) -> None:
    """Whole names end in the root's dot; certificates' names do not."""
    members = standin.console("qemu", ECHO)
    reaches(proxxy, members | {"host": f"{dotted}:{standin.port}"}, key)


@pytest.mark.parametrize("make", [seal, seal_jwe])
def test_json_behind_a_byte_order_mark(proxxy: Activator, standin: StandIn, key: str, make: Any) -> None:
    plain = json.dumps(standin.console("qemu", ECHO) | {"exp": int(time.time()) + 60}).encode("utf-8-sig")
    with Client.upgraded(proxxy.port, target(make(plain, key))) as client:
        client.send_frame(BINARY, b"ping")
        assert client.read_data(4) == b"ping"


# --- WebSocket -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offered, chosen",
    [("", None), ("binary", "binary"), ("base64, binary", "binary"), ("base64", "base64"), ("a,b", "a"), ("b@d, ok", "ok")],
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


def refusal(proxxy: Activator, key: str, members: dict[str, Any], timeout: float = 5) -> str:
    """Why the client is told that it gets no console: in a Close 1011 behind a 101."""
    with Client.upgraded(proxxy.port, target(seal(members, key))) as client:
        code, reason = client.close_code(timeout)
        client.send_frame(CLOSE, close_payload(1011))
        assert client.at_end()
    assert code == 1011 and len(reason.encode()) <= 123
    for secret in (members["ticket"], members["vncticket"], members["host"].split(":")[0]):
        assert secret not in reason
    return reason


def test_upstream_refuses_the_ticket(proxxy: Activator, standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO) | {"vncticket": "wrong"}
    started = time.monotonic()
    assert refusal(proxxy, key, members) == "Proxmox: 401 permission denied - invalid PVEVNC ticket"
    assert time.monotonic() - started > 2.9  # Proxmox lets one wait


def test_upstream_is_unreachable(proxxy: Activator, key: str) -> None:
    assert refusal(proxxy, key, console(free_port())) == "Proxmox: cannot connect: Connection refused"


def test_upstream_is_untrusted(proxxy: Activator, authority: Authority, key: str) -> None:
    with Upstream(authority.self_signed(), lambda c: None) as upstream:
        assert refusal(proxxy, key, console(upstream.port)) == "Proxmox: certificate is not trusted: it is self-signed"


def test_upstream_reason_never_holds_our_secrets(proxxy: Activator, cert: Cert, key: str) -> None:
    def parrot(c: Connection) -> None:
        c.respond(403, "no: " + c.read_request().headers["authorization"])

    with Upstream(cert, parrot) as upstream:
        assert refusal(proxxy, key, console(upstream.port, ticket="PVEAPIToken=x")) == "Proxmox: 403"


def test_upstream_never_answers(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO)
    with Activator(settings | {"PROXXY_CONNECT_TIMEOUT": 2}) as proxxy:
        reaches(proxxy, members, key)  # which uses the port up: Proxmox hangs from now on
        started = time.monotonic()
        assert refusal(proxxy, key, members, 10).startswith("Proxmox: no answer in time")
        assert 1.9 < time.monotonic() - started < 4


def test_data_before_upstream_is_open_is_kept_in_order(proxxy: Activator, cert: Cert, key: str) -> None:
    got: list[bytes] = []

    def slow(c: Connection) -> None:
        time.sleep(0.5)
        c.accept_upgrade()
        got.append(c.read_data(MIB + 11, 10))
        c.send_frame(BINARY, b"ok")
        c.close_code()

    with Upstream(cert, slow) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port), key))) as client:
            client.send_frame(TEXT, b"user:ticket")
            flood = os.urandom(MIB)
            client.send_frame(BINARY, flood, mask=b"\0\0\0\0")
            assert client.read_data(2, 10) == b"ok"
            client.send_frame(CLOSE, close_payload(1000))
            assert client.close_code() == (1000, "")
    assert got == [b"user:ticket" + flood]


def test_data_in_one_segment_with_the_request_is_kept(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal(standin.console("qemu", ECHO), key)
    with Client.connect(proxxy.port) as client:
        client.send(upgrade_request(proxxy.port, target(payload), {}) + encode_frame(BINARY, b"early", mask=b"abcd"))
        assert client.read_head().status == 101
        assert client.read_data(5) == b"early"


def test_upstream_close_with_a_code_and_a_reason(scripted: Open) -> None:
    def close(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(CLOSE, close_payload(4001, "Auf Wiedersehen é"))
        assert c.close_code()[0] is not None

    assert scripted(close).close_code() == (4001, "Auf Wiedersehen é")


def test_upstream_close_with_a_code_alone(scripted: Open) -> None:
    def close(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(CLOSE, close_payload(1001))

    assert scripted(close).close_code() == (1001, "Upstream websocket closed")


def test_upstream_ends_without_a_close(opened: Open) -> None:
    """Every normal end of a Proxmox console."""
    client, other = opened(), opened()
    client.send_frame(BINARY, b"x")
    assert client.read_data(1) == b"x"
    client.send_frame(BINARY, b"quit")
    assert client.close_code() == (1000, "Console closed")
    client.send_frame(CLOSE, close_payload(1000))
    assert client.at_end()
    other.send_frame(BINARY, b"still here")
    assert other.read_data(10) == b"still here"


def test_upstream_breaks_off_between_frames(scripted: Open) -> None:
    def broken(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, b"last")
        c.end()

    client = scripted(broken)
    assert client.read_data(4) == b"last"
    assert client.close_code() == (1011, "Proxmox: connection lost: without close_notify")


def test_upstream_breaks_off_inside_a_frame(scripted: Open, opened: Open) -> None:
    other = opened()

    def broken(c: Connection) -> None:
        c.accept_upgrade()
        c.send(encode_frame(BINARY, b"x" * 1000)[:500])
        c.close_notify()

    client = scripted(broken)
    # No Close can stand inside a frame: the end of TCP says it.
    assert client.read_all() == encode_frame(BINARY, b"x" * 1000)[:500]
    other.send_frame(BINARY, b"still here")
    assert other.read_data(10) == b"still here"


@pytest.mark.parametrize(
    "frame, code",
    [
        (encode_frame(CLOSE, b"", mask=b"abcd"), 1000),
        (encode_frame(CLOSE, close_payload(1000, "bye"), mask=b"abcd"), 1000),
        (encode_frame(CLOSE, close_payload(3333), mask=b"abcd"), 3333),
        (encode_frame(CLOSE, b"\x03", mask=b"abcd"), 1002),
        (encode_frame(CLOSE, close_payload(1005), mask=b"abcd"), 1002),
        (encode_frame(CLOSE, close_payload(999), mask=b"abcd"), 1002),
        (encode_frame(CLOSE, close_payload(1000, b"\xff\xfe"), mask=b"abcd"), 1007),
        (encode_frame(BINARY, b"unmasked"), 1002),
        (encode_frame(BINARY, b"reserved", rsv=4, mask=b"abcd"), 1002),
        (encode_frame(3, b"opcode", mask=b"abcd"), 1002),
        (encode_frame(11, b"opcode", mask=b"abcd"), 1002),
        (encode_frame(PING, b"x" * 126, mask=b"abcd"), 1002),
        (encode_frame(PING, b"", fin=0, mask=b"abcd"), 1002),
        (encode_frame(CONTINUATION, b"of nothing", mask=b"abcd"), 1002),
        (encode_frame(TEXT, b"a", fin=0, mask=b"abcd") + encode_frame(TEXT, b"b", mask=b"abcd"), 1002),
        (encode_frame(BINARY, b"x", length_bytes=2, mask=b"abcd"), 1002),
        (encode_frame(BINARY, b"x", length_bytes=8, mask=b"abcd"), 1002),
        (encode_frame(BINARY, b"", length=1 << 63, length_bytes=8, mask=b"abcd"), 1002),
    ],
)
def test_client_close_or_violation_ends_that_session_only(opened: Open, frame: bytes, code: int) -> None:
    client, other = opened(), opened()
    client.send(frame)
    assert client.close_code()[0] == code
    assert client.at_end()
    other.send_frame(BINARY, b"still here")
    assert other.read_data(10) == b"still here"


@pytest.mark.parametrize("how", ["close", "reset", "half a frame"])
def test_client_drop_ends_that_session_only(opened: Open, proxxy: Activator, how: str) -> None:
    proxxy.wait_sessions(0, timeout=20)  # those of the test before
    client, other = opened(), opened()
    if how == "half a frame":
        client.send(encode_frame(BINARY, b"x" * 1000, mask=b"abcd")[:300])
    if how == "reset":
        client.reset()
    else:
        client.sock.close()
    proxxy.wait_sessions(1)
    other.send_frame(BINARY, b"still here")
    assert other.read_data(10) == b"still here"


def test_client_close_reaches_upstream(opened: Open, standin: StandIn) -> None:
    client = opened()
    before = len(standin.closes)
    client.send_frame(BINARY, b"last words")
    client.send_frame(CLOSE, close_payload(1000))
    assert client.close_code() == (1000, "")
    for _ in range(100):
        if len(standin.closes) > before:
            break
        time.sleep(0.02)
    assert standin.closes[-1] == (1000, "")


def test_two_clients_on_one_vmid_are_independent(opened: Open) -> None:
    first, second, elsewhere = opened(), opened(), opened(NAMED)
    assert elsewhere.read_data(11) == b"this is 101"
    first.send_frame(TEXT, b"to the first")
    second.send_frame(TEXT, b"to the second")
    elsewhere.send_frame(TEXT, b"to the third")
    assert second.read_data(13) == b"to the second"
    assert first.read_data(12) == b"to the first"
    assert elsewhere.read_data(12) == b"to the third"
    first.send_frame(CLOSE, close_payload(1000))
    assert first.close_code() == (1000, "")
    second.send_frame(TEXT, b"alive")
    assert second.read_data(5) == b"alive"


@pytest.mark.parametrize("body", [b"", b"hello", bytes(range(125))])
def test_client_ping_is_answered_locally(scripted: Open, body: bytes) -> None:
    frames: list[Any] = []

    def listen(c: Connection) -> None:
        c.accept_upgrade()
        while not frames or frames[-1].opcode != CLOSE:
            frames.append(c.read_frame())

    client = scripted(listen)
    client.send_frame(PING, body)
    assert client.read_frame()[2:] == (PONG, body)
    client.send_frame(PONG, b"unasked")
    client.send_frame(CLOSE, close_payload(1000))
    assert client.close_code() == (1000, "")
    assert client.at_end()
    wait_for(lambda: frames, 5, "Proxmox heard nothing")
    assert [frame.opcode for frame in frames] == [CLOSE]


def test_many_pings_are_all_answered_in_order(opened: Open) -> None:
    client = opened()
    bodies = [b"%d" % n for n in range(500)]
    client.send(b"".join(encode_frame(PING, body, mask=b"abcd") for body in bodies))
    assert [client.read_frame().payload for _ in bodies] == bodies


def test_fragments_and_large_messages(opened: Open, standin: StandIn) -> None:
    """The stand-in records whatever Proxmox could not stand; the fixture looks at it."""
    client = opened()
    data = os.urandom(3 * MIB + 17)
    sent = threading.Thread(target=lambda: (
        client.send(
            encode_frame(BINARY, data[:5], fin=0, mask=b"abcd")
            + encode_frame(PING, b"between", mask=b"efgh")
            + encode_frame(CONTINUATION, b"", fin=0, mask=b"abcd")
            + encode_frame(CONTINUATION, data[5:70000], fin=0, mask=b"1234")
            + encode_frame(CONTINUATION, data[70000:MIB], fin=1, mask=b"wxyz")
            + encode_frame(TEXT, b"", mask=b"abcd")
            + encode_frame(BINARY, data[MIB:], mask=os.urandom(4)),
            30,
        )
    ))
    sent.start()
    got, pongs = bytearray(), []
    while len(got) < len(data):
        frame = client.read_frame(20)
        if frame.opcode == PONG:
            pongs.append(frame.payload)
        else:
            got += frame.payload
    sent.join()
    assert bytes(got) == data and pongs == [b"between"]
    assert standin.violations == []


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 131071, 131072, 131073, 262144, 262145])
def test_frame_sizes(opened: Open, size: int) -> None:
    client = opened()
    data = os.urandom(size)
    sender = threading.Thread(target=client.send_frame, args=(BINARY, data))
    sender.start()
    assert client.read_data(size, 10) == data
    sender.join()


def test_slow_client_gets_every_byte(scripted: Open, proxxy: Activator) -> None:
    """80 MiB, of which the original dropped 24."""
    block = os.urandom(131072)
    count = 80 * MIB // len(block)

    def flood(c: Connection) -> None:
        c.accept_upgrade()
        c.sock.settimeout(60)
        for n in range(count):
            c.send(encode_frame(BINARY, n.to_bytes(4, "big") + block[4:]), 60)
        c.close_notify()

    client = scripted(flood)
    time.sleep(1.5)  # it does not read, and everything on the way fills up
    memory = resident(proxxy)
    for n in range(count):
        frame = client.read_frame(30)
        assert frame.payload[:4] == n.to_bytes(4, "big") and frame.payload[4:] == block[4:]
    assert client.close_code() == (1000, "Console closed")
    assert memory < 24 * MIB


def resident(proxxy: Activator) -> int:
    """Bytes of the last session's process that are in memory."""
    pid = proxxy.sessions()[-1]
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_console_that_ends_without_a_byte(settings: dict[str, Any], scripted: Open) -> None:
    """A guest that is off: Proxmox answers 101, and ends in order. So it does to a terminal's wrong ticket, which comes first."""

    def off(c: Connection) -> None:
        c.accept_upgrade()
        c.close_notify()

    def refuse(c: Connection) -> None:
        c.accept_upgrade()
        c.read_data(len(ticket))
        c.close_notify()

    ticket = b"root@pam:no ticket\n"
    words = "Console closed before it sent anything: the guest is off"
    with Activator(settings) as proxxy:
        client = scripted(off, proxxy)
        assert client.close_code() == (1000, words + " or has stopped")
        client.send_frame(CLOSE, close_payload(1000))
        client = scripted(refuse, proxxy)
        client.send_frame(BINARY, ticket)
        assert client.close_code() == (1000, words + ", or its terminal refused the user and ticket")
        client.send_frame(CLOSE, close_payload(1000))
        proxxy.wait_sessions(0)
        log = proxxy.log()
    assert log.count(f"Session ended: {words}") == log.count("outcome=console-empty") == log.count("bytes_down=0") == 2


@pytest.mark.parametrize("authenticated", [False, True])
def test_vnc_password_that_is_refused(settings: dict[str, Any], scripted: Open, authenticated: bool) -> None:
    """The console ends where the authentication does; one whose client went on was a console."""
    reason = b"" if authenticated else b"Authentication failed\0"

    def server(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, b"RFB 003.008\n")
        c.read_data(12)
        c.send_frame(BINARY, b"\x01\x02")
        c.read_data(1)
        c.send_frame(BINARY, bytes(16))
        c.read_data(16)
        c.send_frame(BINARY, (not authenticated).to_bytes(4, "big") + len(reason).to_bytes(4, "big") * bool(reason) + reason)
        if authenticated:
            c.read_data(1)
        c.close_notify()

    with Activator(settings) as proxxy:
        client = scripted(server, proxxy)
        assert client.read_data(12) == b"RFB 003.008\n"
        client.send_frame(BINARY, b"RFB 003.008\n")
        client.read_data(2)
        client.send_frame(BINARY, b"\x02")
        client.read_data(16)
        client.send_frame(BINARY, bytes(16))
        client.read_data(4 + (4 + len(reason) if reason else 0))
        if authenticated:
            client.send_frame(BINARY, b"\x01")
        assert client.close_code() == ((1000, "Console closed") if authenticated else (1008, "Console refused the VNC password"))
        client.sock.close()
        assert ("outcome=password-refused" in proxxy.wait_log("Session ended")) != authenticated


def test_slow_upstream_means_bounded_memory(scripted: Open, proxxy: Activator) -> None:
    release = threading.Event()
    size = 32 * MIB
    data = os.urandom(size)
    got: list[bytes] = []

    def slow(c: Connection) -> None:
        c.accept_upgrade()
        release.wait(20)
        got.append(c.read_data(size, 60))
        c.send_frame(BINARY, b"all")
        c.close_notify()

    client = scripted(slow)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    sender = threading.Thread(target=lambda: client.send(encode_frame(BINARY, data, mask=b"\0\0\0\0"), 60))
    sender.start()
    time.sleep(1.5)
    assert sender.is_alive()  # back-pressure: it could not get rid of it
    assert resident(proxxy) < 24 * MIB
    release.set()
    sender.join()
    assert client.read_data(3, 30) == b"all"
    assert client.close_code(30) == (1000, "Console closed")
    assert got == [data]


def test_idle_session_is_kept_alive_by_pings(settings: dict[str, Any], scripted: Open) -> None:
    def quiet(c: Connection) -> None:
        c.accept_upgrade()
        c.read_frame(30)

    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(quiet, proxxy)
        for _ in range(4):
            assert client.read_frame(3)[2:] == (PING, b"")
            client.send_frame(PONG)
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code() == (1000, "")


def test_upgrade_of_the_program_drops_nobody(settings: dict[str, Any], standin: StandIn, key: str, tmp_path: Any) -> None:
    """A session lives on when the file it was started from is replaced."""
    with Activator(settings) as proxxy:
        copy = tmp_path / "proxxy-conn"
        copy.write_bytes(proxxy.binary.read_bytes())
        copy.chmod(0o755)
    os.environ["PROXXY_CONN"], before = str(copy), os.environ.get("PROXXY_CONN")
    try:
        with Activator(settings) as proxxy:
            client = Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key)))
            replacement = tmp_path / "new"
            replacement.write_bytes(copy.read_bytes())
            replacement.chmod(0o755)
            replacement.replace(copy)
            reaches(proxxy, standin.console("qemu", ECHO), key)
            client.send_frame(BINARY, b"old and well")
            assert client.read_data(12) == b"old and well"
            client.sock.close()
    finally:
        os.environ.pop("PROXXY_CONN")
        if before:
            os.environ["PROXXY_CONN"] = before
