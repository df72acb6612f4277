# SPDX-License-Identifier: Apache-2.0
"""Who the client is, behind a trusted proxy: PROXXY_CLIENT_ADDRESS and PROXXY_TRUSTED_PROXIES decide what the log and
the claim client use."""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import time
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Iterator

import pytest
from conftest import ECHO
from lib.activator import Activator, binary
from lib.payload import seal, seal_jwe, target
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, Client, close_payload, encode_frame, upgrade_request

CLIENT, OTHER = "203.0.113.7", "198.51.100.9"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
V1 = f"PROXY TCP4 {CLIENT} 192.0.2.1 56324 443\r\n".encode()
NOBODY = {"PROXXY_TRUSTED_PROXIES": "192.0.2.1"}  # loopback, where the tests come from, is not among them


def v2(address: str = CLIENT, port: int = 56324, more: bytes = b"") -> bytes:
    """A header of version 2 for a TCP connection from address; more are its TLVs."""
    packed = ip_address(address).packed
    there = ip_address("192.0.2.1" if len(packed) == 4 else "2001:db8::1").packed
    block = packed + there + struct.pack(">HH", port, 443) + more
    return SIGNATURE + bytes([0x21, 0x11 if len(packed) == 4 else 0x21]) + struct.pack(">H", len(block)) + block


def behind(settings: dict[str, Any], source: str, **more: object) -> Activator:
    return Activator({**settings, "PROXXY_CLIENT_ADDRESS": source, **more})


def fields(proxxy: Activator, words: str, count: int = 1) -> dict[str, str]:
    """The name=value pairs of the count-th record with these words."""

    def records() -> list[str]:
        return [line for line in proxxy.log().splitlines() if words in line]

    deadline = time.monotonic() + 5
    while len(records()) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(records()) >= count, proxxy.log()
    return dict(re.findall(r' ([a-z_]+)=("[^"]*"|\S+)', records()[count - 1]))


def refused(proxxy: Activator, raw: bytes, count: int = 1) -> tuple[int, str]:
    """Sends raw, which must be refused. Returns the status and the record of it."""
    with Client.connect(proxxy.port, raw=raw) as client:
        head = client.read_head()
        assert client.read_body(head).startswith(b'{"error":')
    log = proxxy.wait_log("Request refused")
    deadline = time.monotonic() + 5
    while log.count("Request refused") < count and time.monotonic() < deadline:
        time.sleep(0.01)
        log = proxxy.log()
    return head.status, [line for line in log.splitlines() if "Request refused" in line][count - 1]


@contextmanager
def session(proxxy: Activator, payload: str, before: bytes = b"", lines: bytes = b"") -> Iterator[Client]:
    """An open console. before is sent before the request, and lines are fields of it."""
    request = upgrade_request(proxxy.port, target(payload), {})
    with Client.connect(proxxy.port, raw=before + request[:-2] + lines + b"\r\n") as client:
        head = client.read_head()
        assert head.status == 101, head.raw + client.read_all()
        yield client
        client.send_frame(BINARY, b"still here")
        assert client.read_data(10) == b"still here"
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code()[0] == 1000


# --- PROXY protocol --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header, name",
    [
        (V1, f"{CLIENT}:56324"),
        (b"PROXY TCP6 2001:DB8::7 2001:db8::1 1 443\r\n", "[2001:db8::7]:1"),
        (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 443\r\n", f"{CLIENT}:1"),
        (b"PROXY UNKNOWN\r\n", None),
        (v2(), f"{CLIENT}:56324"),
        (v2("2001:db8::7"), "[2001:db8::7]:56324"),
        (v2("::ffff:203.0.113.7"), f"{CLIENT}:56324"),
        (v2(more=b"\x04\x0f\xe1" + b"\r\n\r\nGET" * 500 + b"\0" * 561), f"{CLIENT}:56324"),  # 4,096 bytes
        (SIGNATURE + b"\x21\x31\x00\xd8" + b"/run/front.sock".ljust(108, b"\0") * 2, None),
        (SIGNATURE + b"\x21\x00\x00\x00", None),
        (LOCAL, "the peer"),
    ],
    ids=["v1", "v1 IPv6", "v1 mapped", "v1 unknown", "v2", "v2 IPv6", "v2 mapped", "v2 TLVs", "v2 unix", "v2 unspec"]
    + ["v2 local"],
)
def test_proxy_header_names_the_client(
    settings: dict[str, Any], standin: StandIn, key: str, header: bytes, name: str | None
) -> None:
    with behind(settings, "proxy-protocol") as proxxy:
        with session(proxxy, seal(standin.console("qemu", ECHO), key), header) as client:
            peer = "%s:%d" % client.sock.getsockname()
        for words in ("Session began", "Session ended"):
            record = fields(proxxy, words)
            assert record["peer"] == peer
            assert record.get("client") == (peer if name == "the peer" else name)


def test_header_in_pieces_and_with_all_the_rest_at_once(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """Nothing behind the header is lost: not the request, and not the first frames behind that."""
    early = encode_frame(BINARY, b"early", mask=b"abcd")
    with behind(settings, "proxy-protocol") as proxxy:
        for header in (V1, v2(), b"PROXY UNKNOWN\r\n", LOCAL):
            for piece in (1, 7, 1_000_000):
                payload = seal(standin.console("qemu", ECHO), key)
                raw = header + upgrade_request(proxxy.port, target(payload), {}) + early
                with Client.connect(proxxy.port) as client:
                    for at in range(0, len(raw), piece):
                        client.send(raw[at : at + piece])
                    assert client.read_head().status == 101
                    assert client.read_data(5) == b"early"


REQUEST = b"GET /?payload=00:00 HTTP/1.1\r\nHost: a\r\n\r\n"
MISSING = "PROXY header, which PROXXY_CLIENT_ADDRESS demands: there is none"


@pytest.mark.parametrize(
    "raw, words",
    [
        (REQUEST, MISSING),
        (b"\x16\x03\x01\x02\x00" + b"a" * 20, MISSING),
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 56324\r\n" + REQUEST, "two addresses and two ports"),
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\n" + REQUEST, "its line does not end in CRLF"),
        (b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n" + REQUEST, "an address is not of its protocol"),
        (SIGNATURE + b"\x31\x11\x00\x0c" + REQUEST, "its version is not 2"),
        (SIGNATURE + b"\x21\x11\xff\xff" + REQUEST, "it is longer than 4096 bytes"),
        (V1 + V1 + REQUEST, "it begins with a second PROXY header"),
        (v2() + v2() + REQUEST, "it begins with a second PROXY header"),
    ],
    ids=["none", "TLS", "no port", "LF", "zone", "version 3", "64 KiB", "twice", "v2 twice"],
)
def test_missing_or_malformed_header_is_refused(settings: dict[str, Any], raw: bytes, words: str) -> None:
    with behind(settings, "proxy-protocol") as proxxy:
        status, record = refused(proxxy, raw)
        assert status == 400
        assert words in record and "outcome=request-malformed" in record and "peer=127.0.0.1:" in record
        assert ("client=203.0.113.7:56324" in record) == ("second" in words)


def test_header_of_a_peer_that_is_not_trusted(settings: dict[str, Any]) -> None:
    with behind(settings, "proxy-protocol", **NOBODY) as proxxy:
        for count, header in enumerate((V1, v2()), 1):
            status, record = refused(proxxy, header + REQUEST, count)
            assert status == 400
            assert "begins with a PROXY header, and the peer is not in PROXXY_TRUSTED_PROXIES" in record
            assert "client=127.0.0.1:" in record and CLIENT not in record


def test_peer_that_is_not_trusted_needs_no_header(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with behind(settings, "proxy-protocol", **NOBODY) as proxxy:
        with session(proxxy, seal(standin.console("qemu", ECHO), key)):
            pass
        assert fields(proxxy, "Session ended")["client"].startswith("127.0.0.1:")


@pytest.mark.parametrize("source", ["peer", "x-forwarded-for"])
def test_header_that_nobody_demands(settings: dict[str, Any], source: str) -> None:
    with behind(settings, source) as proxxy:
        for count, header in enumerate((V1, v2()), 1):
            status, record = refused(proxxy, header + REQUEST, count)
            assert status == 400
            assert "begins with a PROXY header, and PROXXY_CLIENT_ADDRESS is not proxy-protocol" in record


def test_wrong_settings_are_blamed_before_a_header(settings: dict[str, Any]) -> None:
    """The setting that demands the header may stand behind the mistake."""
    with Activator({**settings, "PROXXY_NO_SUCH": "1", "PROXXY_CLIENT_ADDRESS": "proxy-protocol"}) as proxxy:
        status, record = refused(proxxy, V1 + REQUEST)
        assert status == 500 and "there is no such setting" in record and "outcome=config" in record


def test_header_counts_for_the_request_timeout(settings: dict[str, Any]) -> None:
    with behind(settings, "proxy-protocol", PROXXY_REQUEST_TIMEOUT=1) as proxxy:
        for part in (b"PROXY TCP4 203.", SIGNATURE + b"\x21\x11\x00\x0c\xcb", V1):
            with Client.connect(proxxy.port, raw=part) as client:
                if part != V1:
                    assert client.read_head().status == 408
                else:  # as without a header: nothing came, and nothing is said
                    assert client.at_end()
        assert fields(proxxy, "Request refused", 2)["outcome"] == "request-timeout"


def test_probe_is_not_logged(settings: dict[str, Any]) -> None:
    """A balancer's check of the port: a header of its own, and then the end."""
    with behind(settings, "proxy-protocol") as proxxy:
        for raw in (b"", LOCAL, V1):
            with Client.connect(proxxy.port, raw=raw or None) as client:
                client.sock.shutdown(socket.SHUT_WR)
                assert client.at_end()
        with Client.connect(proxxy.port, raw=b"PROXY TCP4") as client:
            client.sock.shutdown(socket.SHUT_WR)
            assert client.at_end()
        assert fields(proxxy, "Request refused")["outcome"] == "client-gone"
        assert proxxy.log().count("Request refused") == 1


def test_health_check_with_a_local_header(settings: dict[str, Any]) -> None:
    with behind(settings, "proxy-protocol") as proxxy:
        with Client.connect(proxxy.port, raw=LOCAL + b"GET /api/status HTTP/1.1\r\nHost: a\r\n\r\n") as client:
            head = client.read_head()
            assert head.status == 200 and "uptime" in json.loads(client.read_body(head))


# --- header fields ---------------------------------------------------------------------------------

FIELDS = {
    "forwarded": ("Forwarded", f"for=192.0.2.3, for={CLIENT};proto=https"),
    "x-forwarded-for": ("X-Forwarded-For", f"192.0.2.3, {CLIENT}"),
    "x-real-ip": ("X-Real-IP", CLIENT),
    "cf-connecting-ip": ("CF-Connecting-IP", CLIENT),
}


def line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


@pytest.mark.parametrize("source", FIELDS)
def test_only_the_configured_field_counts(settings: dict[str, Any], standin: StandIn, key: str, source: str) -> None:
    name, value = FIELDS[source]
    others = b"".join(line(other, OTHER) for other, _ in FIELDS.values() if other != name)
    with behind(settings, source) as proxxy:
        payload = seal(standin.console("qemu", ECHO), key)
        with session(proxxy, payload, lines=others + line(name.upper(), value) + others + line("X-Client-IP", OTHER)):
            pass
        record = fields(proxxy, "Session ended")
        assert record["client"] == CLIENT and record["peer"].startswith("127.0.0.1:")


def test_others_are_never_malformed(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    """What is not configured is not read, however wrong and however long it is."""
    rubbish = [line(name, "rubbish \"'[" + "a" * 5000) * 3 for name, _ in FIELDS.values()]
    for source in ("peer", *FIELDS):
        lines = b"".join(text for text, mine in zip(rubbish, FIELDS) if mine != source)
        with behind(settings, source) as proxxy:
            with session(proxxy, seal(standin.console("qemu", ECHO), key), lines=lines):
                pass
            assert fields(proxxy, "Session ended")["client"].startswith("127.0.0.1:")


@pytest.mark.parametrize(
    "values, name",
    [
        ([f"{OTHER}, {CLIENT}"], CLIENT),
        ([OTHER, f"{CLIENT}:4711"], f"{CLIENT}:4711"),
        ([OTHER, CLIENT, "10.1.2.3, 127.0.0.1"], CLIENT),
        (["rubbish", "2001:DB8::7", "10.1.2.3"], "2001:db8::7"),
        (["[2001:db8::7]:80"], "[2001:db8::7]:80"),
        (["::ffff:203.0.113.7"], CLIENT),
        (["10.1.2.3, 10.1.2.4"], "10.1.2.3"),
        (["unknown"], None),
        ([f"{CLIENT}, unknown, 10.1.2.3"], None),
    ],
)
def test_last_address_that_is_no_proxys(
    settings: dict[str, Any], standin: StandIn, key: str, values: list[str], name: str | None
) -> None:
    proxies = {"PROXXY_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8"}
    lines = b"Accept: a\r\n".join(line("X-Forwarded-For", value) for value in values)
    with behind(settings, "x-forwarded-for", **proxies) as proxxy:
        with session(proxxy, seal(standin.console("qemu", ECHO), key), lines=lines):
            pass
        assert fields(proxxy, "Session ended").get("client") == name


@pytest.mark.parametrize(
    "source, values, words",
    [
        ("x-forwarded-for", [f"{CLIENT}, rubbish"], "X-Forwarded-For: an address is malformed"),
        ("x-forwarded-for", ["fe80::1%eth0"], "X-Forwarded-For: an address is malformed"),
        ("x-forwarded-for", [""], "X-Forwarded-For: it is empty"),
        ("x-forwarded-for", [CLIENT] * 9, "X-Forwarded-For: more than 8 fields"),
        ("x-forwarded-for", [", ".join(["127.0.0.1"] * 101)], "X-Forwarded-For: it has more than 100 addresses"),
        ("forwarded", [f'for={CLIENT};host="a'], "Forwarded: it does not have the syntax of RFC 7239"),
        ("forwarded", ['for="fe80::1"'], "Forwarded: an address is malformed"),
        ("x-real-ip", [CLIENT, CLIENT], "X-Real-IP: it names more than one address"),
        ("cf-connecting-ip", [f"{CLIENT}, {OTHER}"], "CF-Connecting-IP: it names more than one address"),
    ],
)
def test_malformed_field_is_refused(settings: dict[str, Any], source: str, values: list[str], words: str) -> None:
    lines = b"".join(line(FIELDS[source][0], value) for value in values)
    with behind(settings, source) as proxxy:
        status, record = refused(proxxy, REQUEST[:-2] + lines + b"\r\n")
        assert status == 400 and words in record and "outcome=request-malformed" in record
        assert "peer=127.0.0.1:" in record and " client=" not in record
        # It is said to nobody but the log.
        with Client.connect(proxxy.port, raw=REQUEST[:-2] + lines + b"\r\n") as client:
            head = client.read_head()
            assert json.loads(client.read_body(head))["issues"] == []


@pytest.mark.parametrize("source", FIELDS)
def test_field_of_a_peer_that_is_not_trusted_is_ignored(
    settings: dict[str, Any], standin: StandIn, key: str, source: str
) -> None:
    with behind(settings, source, **NOBODY) as proxxy:
        for count, value in enumerate((FIELDS[source][1], "rubbish"), 1):
            payload = seal(standin.console("qemu", ECHO), key)
            with session(proxxy, payload, lines=line(FIELDS[source][0], value)):
                pass
            assert fields(proxxy, "Session ended", count)["client"].startswith("127.0.0.1:")
        assert CLIENT not in proxxy.log()


# --- the claim client ------------------------------------------------------------------------------


def claim(proxxy: Activator, standin: StandIn, key: str, network: str, before: bytes = b"", lines: bytes = b"") -> int:
    """Returns the status that a console for that client's network gets."""
    payload = seal_jwe(standin.console("qemu", ECHO), key, client=network)
    request = upgrade_request(proxxy.port, target(payload), {})
    with Client.connect(proxxy.port, raw=before + request[:-2] + lines + b"\r\n") as client:
        return client.read_head().status


def test_claim_is_checked_against_the_told_address(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with behind(settings, "proxy-protocol") as proxxy:
        assert claim(proxxy, standin, key, "203.0.113.0/24", v2()) == 101
        assert claim(proxxy, standin, key, "127.0.0.1", v2()) == 403
        assert claim(proxxy, standin, key, "127.0.0.1", LOCAL) == 101
        assert claim(proxxy, standin, key, CLIENT, v2("::ffff:203.0.113.7")) == 101
        for network in ("0.0.0.0/0", "::/0"):  # an unknown address is in no network
            assert claim(proxxy, standin, key, network, b"PROXY UNKNOWN\r\n") == 403
    with behind(settings, "x-real-ip") as proxxy:
        assert claim(proxxy, standin, key, CLIENT, lines=line("X-Real-IP", CLIENT)) == 101
        assert claim(proxxy, standin, key, CLIENT, lines=line("X-Real-IP", OTHER)) == 403
        assert claim(proxxy, standin, key, CLIENT) == 403


@pytest.mark.parametrize(
    "source, more, before, lines, words",
    [
        ("peer", {}, b"", b"", "this is a proxy's address, and PROXXY_CLIENT_ADDRESS is peer"),
        ("peer", NOBODY, b"", b"", None),
        ("x-real-ip", {}, b"", b"", "the proxy sent no X-Real-IP"),
        ("x-real-ip", {}, b"", b"X-Real-IP: unknown\r\n", "the proxy's X-Real-IP does not tell the address"),
        (
            "x-real-ip",
            {},
            b"",
            b"X-Real-IP: ::1\r\n",
            "the proxy's X-Real-IP tells only addresses in PROXXY_TRUSTED_PROXIES",
        ),
        ("x-real-ip", {}, b"", b"X-Real-IP: 198.51.100.9\r\n", None),
        (
            "x-forwarded-for",
            NOBODY,
            b"",
            b"X-Forwarded-For: 203.0.113.7\r\n",
            "the peer is not in PROXXY_TRUSTED_PROXIES, so its X-Forwarded-For was not used",
        ),
        ("x-forwarded-for", NOBODY, b"", b"", None),
        ("proxy-protocol", {}, LOCAL, b"", "the proxy's PROXY header is LOCAL"),
        ("proxy-protocol", {}, b"PROXY UNKNOWN\r\n", b"", "the proxy's PROXY header does not tell the address"),
        ("proxy-protocol", NOBODY, b"", b"", None),
    ],
)
def test_refusal_says_why_the_address_is_not_known(
    settings: dict[str, Any],
    standin: StandIn,
    key: str,
    source: str,
    more: dict[str, str],
    before: bytes,
    lines: bytes,
    words: str | None,
) -> None:
    """Only the log gets these words: a client that holds the payload gets the others."""
    payload = seal_jwe(standin.console("qemu", ECHO), key, client=CLIENT)
    with behind(settings, source, **more) as proxxy:
        request = upgrade_request(proxxy.port, target(payload), {})
        with Client.connect(proxxy.port, raw=before + request[:-2] + lines + b"\r\n") as client:
            head = client.read_head()
            answer = json.loads(client.read_body(head))
        record = fields(proxxy, "Request refused")
        log = proxxy.log()
    assert head.status == 403 and record["outcome"] == "client-address"
    assert answer["issues"] == [{"message": "the payload is for another client address"}]
    assert "PROXXY_" not in json.dumps(answer)
    message = re.search(r"Client address not allowed: (.*?) peer=", log)
    assert message and message[1] == "the payload is for another client address" + (f"; {words}" if words else "")


# --- proxxy-conn --check ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"PROXXY_CLIENT_ADDRESS": "x-real-ip", "PROXXY_TRUSTED_PROXIES": "10.0.0.1, ::/0"}, "has every address"),
        ({"PROXXY_CLIENT_ADDRESS": "proxy-protocol", "PROXXY_TRUSTED_PROXIES": "0.0.0.0/0"}, "has every address"),
        ({"PROXXY_CLIENT_ADDRESS": "x-real-ip", "PROXXY_TRUSTED_PROXIES": ""}, "has no effect"),
        ({"PROXXY_CLIENT_ADDRESS": "x-real-ip"}, None),
        ({"PROXXY_TRUSTED_PROXIES": "0.0.0.0/0"}, None),
        ({"PROXXY_TRUSTED_PROXIES": ""}, None),
    ],
)
def test_check_warns(settings: dict[str, Any], tmp_path: Any, changed: dict[str, str], words: str | None) -> None:
    config = tmp_path / "proxxy.conf"
    config.touch(mode=0o600)
    config.write_text("".join(f"{name}={value}\n" for name, value in {**settings, **changed}.items()))
    result = subprocess.run(
        [binary(), "--check"], env={"PROXXY_CONFIG": str(config)}, capture_output=True, text=True, timeout=20
    )
    assert result.returncode == 0, result.stderr
    warnings = [text for text in result.stderr.splitlines() if "PROXIES" in text or "CLIENT_ADDRESS" in text]
    assert len(warnings) == (words is not None) and (words or "") in "".join(warnings), result.stderr


@pytest.mark.parametrize(
    "changed",
    [
        {"PROXXY_CLIENT_ADDRESS": "x-forwarded"},
        {"PROXXY_CLIENT_ADDRESS": "Peer"},
        {"PROXXY_CLIENT_ADDRESS": ""},
        {"PROXXY_TRUSTED_PROXIES": "10.0.0.1/8"},
        {"PROXXY_TRUSTED_PROXIES": "proxy.example.com"},
        {"PROXXY_TRUSTED_PROXIES": "127.0.0.1 ::1"},
        {"PROXXY_TRUSTED_PROXIES": "Unix"},
    ],
)
def test_wrong_values_are_refused(settings: dict[str, Any], changed: dict[str, str]) -> None:
    with Activator({**settings, **changed}) as proxxy:
        status, record = refused(proxxy, REQUEST)
        assert status == 500 and next(iter(changed)) in record
