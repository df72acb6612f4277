# SPDX-License-Identifier: Apache-2.0
"""RFC 6455, sections 1, 4 and 9 to 11: the opening handshakes of a client with proxxy and of proxxy with Proxmox."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, Iterator

from lib.process import free_port
from lib.rfc6455 import Case, Ends, Sessions, hear_frame, in_parts, over
from lib.upstream import WEBSOCKET_GUID
from lib.wire import BINARY, CLOSE, Client, close_payload, encode_frame

pytest_plugins = "lib.rfc6455"

# --- 4: the opening handshake, client to proxxy ----------------------------------------------

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # from section 1.3
ASKED = "GET TARGET HTTP/1.1"
FIELDS: dict[str, Any] = {
    "Host": "proxxy.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Key": KEY,
    "Sec_WebSocket_Version": "13",
}
ABSENT = ""


def accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()).decode()


def head(start: str, fields: dict[str, Any]) -> str:
    """Returns a head. In names of fields `_` stands for `-`; a list gives a line for each value, None gives no line."""
    values = {name.replace("_", "-"): v if isinstance(v, list) else [v] for name, v in fields.items()}
    lines = [f"{name}: {value}" for name, each in values.items() for value in each if value is not None]
    return "\r\n".join([start, *lines, "", ""])


def asked(section: str, name: str, status: int, line: str = ASKED, answer: Any = None, **fields: Any) -> Case:
    """Returns a case with changed fields in the request. answer: expected fields of the answer, or ABSENT."""
    return Case(section, name, head(line, FIELDS | fields), (status, answer or {}))


def handshakes() -> Iterator[Case]:
    yield asked("1.3", "sample-key", 101)
    for name in ("websocket", "WebSocket", "WEBSOCKET"):
        yield asked("4.2.1", f"upgrade-{name}", 101, Upgrade=name)
    for name in ("upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive", "Upgrade ,\tx"):
        yield asked("4.2.1", f"connection-{name}", 101, Connection=name)
    yield asked("4.2.1", "upgrade-in-a-list", 101, Upgrade="h2c, websocket")
    yield asked("4.2.1", "upgrade-in-two-lines", 101, Upgrade=["h2c", "websocket"])
    yield asked("4.2.1", "connection-in-two-lines", 101, Connection=["keep-alive", "Upgrade"])
    for value in (None, "", "websockets", "web socket", "h2c", "websocket-x"):
        yield asked("4.2.1", f"upgrade-is-{value}", 426, Upgrade=value)
    for value in (None, "", "keep-alive", "close", "upgrades", "websocket"):
        # proxxy accepts this because a proxy in front may not forward the field: http.h.
        yield asked("4.2.1", f"connection-is-{value}", 101, Connection=value)
    for value in (None, "", "0", "8", "12", "14", "013", "13.0", "13, 8", "-13", "256", "x"):
        wanted = {"sec-websocket-version": "13"}
        yield asked("4.2.2", f"version-is-{value}", 426, answer=wanted, Sec_WebSocket_Version=value)
    yield asked("11.3.5", "two-versions", 400, Sec_WebSocket_Version=["13", "13"])
    yield asked("11.3.5", "two-versions-that-differ", 400, Sec_WebSocket_Version=["8", "13"])
    yield from handshake_keys()
    yield asked("4.1", "POST", 405, "POST TARGET HTTP/1.1")
    yield asked("4.1", "HTTP-1.0", 101, "GET TARGET HTTP/1.0")
    yield asked("4.1", "HTTP-2.0", 505, "GET TARGET HTTP/2.0")
    yield asked("4.2.1", "absolute-URI", 101, "GET http://proxxy.example.comTARGET HTTP/1.1")
    yield asked("4.2.1", "no-Host", 400, Host=None)
    for value in (None, "https://panel.example.com", "null"):
        yield asked("10.2", f"origin-{value}-where-any-is-allowed", 101, Origin=value)
    for value in ("permessage-deflate", "permessage-deflate; client_max_window_bits, x", "x-webkit", ""):
        yield asked("9.1", f"extension-{value}-is-not-taken", 101, Sec_WebSocket_Extensions=value)
    yield asked("11.3.2", "extensions-in-two-lines", 101, Sec_WebSocket_Extensions=["x", "y; z=1"])
    yield from handshake_protocols()


def handshake_keys() -> Iterator[Case]:
    for key in ("AQIDBAUGBwgJCgsMDQ4PEA==", "/////////////////////w==", "++++++++++++++++++++++=="):
        wanted = {"sec-websocket-accept": accept(key)}
        yield asked("4.2.2", f"key-{key}", 101, answer=wanted, Sec_WebSocket_Key=key)
    padded = {"sec-websocket-accept": ACCEPT}
    yield asked("4.2.2", "white-space-around-key", 101, answer=padded, Sec_WebSocket_Key=f" \t{KEY}\t ")
    wrong = {
        "absent": None,
        "empty": "",
        "of-16-characters": "0123456789abcdef",
        "of-15-bytes": "AQIDBAUGBwgJCgsMDQ4P",
        "of-17-bytes": "AQIDBAUGBwgJCgsMDQ4PEBE=",
        "not-padded": KEY[:-2],
        "padded-once": KEY[:-1],
        "padded-thrice": KEY + "=",
        "in-the-other-alphabet": "_-__________________-w==",
        "with-a-space": "dGhlIHNhbXBs ZSBub25jZQ==",
        "not-base64": "*" * 22 + "==",
        "in-quotes": f'"{KEY}"',
        "beyond-ASCII": "é" * 22 + "==",
    }
    for name, key in wrong.items():
        yield asked("4.2.1", f"key-{name}", 400, Sec_WebSocket_Key=key)
    yield asked("11.3.1", "two-keys", 400, Sec_WebSocket_Key=[KEY, KEY])


def handshake_protocols() -> Iterator[Case]:
    """Section 4.2.2: the answer has one of the offered protocols, or none; a browser fails at any other."""
    offers: dict[Any, str] = {
        "binary": "binary",
        "base64": "base64",
        "base64, binary": "binary",
        "binary, binary": "binary",
        "chat,superchat": "chat",
        "BINARY": "BINARY",
        "b@d, fine": "fine",
        "": ABSENT,
        ",": ABSENT,
        "b@d": ABSENT,
    }
    for offer, chosen in offers.items():
        wanted = {"sec-websocket-protocol": chosen}
        yield asked("4.2.2", f"protocols-{offer}", 101, answer=wanted, Sec_WebSocket_Protocol=offer)
    two = {"sec-websocket-protocol": "chat"}
    lines = ["chat", "superchat"]
    yield asked("11.3.4", "protocols-in-two-lines", 101, answer=two, Sec_WebSocket_Protocol=lines)


AGREED = {
    "upgrade": "websocket",
    "connection": "upgrade",
    "sec-websocket-extensions": ABSENT,
    "sec-websocket-protocol": ABSENT,
    "content-length": ABSENT,
    "transfer-encoding": ABSENT,
}


@over(*handshakes())
def test_opening_handshake(sessions: Sessions, case: Case) -> None:
    """Checks proxxy's answer to a client. No Proxmox listens: the 101 depends only on the client's request."""
    raw = case.sent.replace("TARGET", sessions.target(free_port())).encode()
    with Client.connect(sessions.port, raw=raw) as client:
        answer = client.read_head()
        status, fields = case.expected
        assert answer.status == status, answer.raw
        for name, value in (AGREED | fields if status == 101 else fields).items():
            got = answer.headers.get(name, ABSENT)
            assert got == value or (name in ("upgrade", "connection") and got.lower() == value), name
        if status == 101 and "sec-websocket-accept" not in fields:
            assert answer.headers["sec-websocket-accept"] == ACCEPT
        names = re.findall(rb"(?m)^([^:\r\n]+):", answer.raw.lower())
        assert len(names) == len(set(names)), "section 4.2.2: each field once"
        if status != 101:
            assert client.read(int(answer.headers["content-length"])) and client.at_end()


# --- 4.1: the opening handshake, proxxy to Proxmox -------------------------------------------


@over(
    Case("4.1", "request-is-GET-with-HTTP-1.1", rb"\AGET /[\x21-\x7e]* HTTP/1\.1\r\n", 1),
    Case("4.1", "request-has-one-Host-with-its-port", rb"(?im)^Host: 127\.0\.0\.1:[0-9]+\r$", 1),
    Case("4.1", "request-has-one-Upgrade", rb"(?im)^Upgrade: websocket\r$", 1),
    Case("4.1", "request-has-one-Connection", rb"(?im)^Connection: Upgrade\r$", 1),
    Case("4.1", "request-has-one-key-of-16-bytes", rb"(?m)^Sec-WebSocket-Key: [\w+/]{21}[AQgw]==\r$", 1),
    Case("4.1", "request-has-one-version-13", rb"(?m)^Sec-WebSocket-Version: 13\r$", 1),
    Case("4.1", "request-offers-each-protocol-once", rb"(?m)^Sec-WebSocket-Protocol: binary\r$", 1),
    Case("4.1", "request-has-no-field-twice", rb"(?ims)^([^:\r\n]+):.*^\1:", 0),
    Case("9.1", "request-offers-no-extension", rb"(?i)Sec-WebSocket-Extensions", 0),
    Case("10.2", "request-poses-as-no-browser's", rb"(?im)^(Origin|Cookie):", 0),
    Case("4.1", "request-has-no-body", rb"(?im)^(Content-Length|Transfer-Encoding):", 0),
    Case("4.1", "request-has-no-line-end-but-CRLF", rb"(?<!\r)\n|\r(?!\n)|[^\x20-\x7e\r\n]", 0),
)
def test_request_to_proxmox(unanswered: Ends, case: Case) -> None:
    """case.sent is a pattern; case.expected is the number of its matches in proxxy's request."""
    raw = unanswered.proxmox.read_request().raw
    assert len(re.findall(case.sent, raw)) == case.expected, raw


@over(Case("4.1", "key-is-chosen-at-random-for-each-connection", 3))
def test_key_is_fresh(sessions: Sessions, case: Case) -> None:
    keys = set()
    for _ in range(case.sent):
        ends = sessions.open()
        keys.add(ends.proxmox.read_request().headers["sec-websocket-key"])
        for end in ends:
            end.sock.close()
        sessions.end()
    assert len(keys) == case.sent


SWITCHING = "101 Switching Protocols"
ANSWER: dict[str, Any] = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Accept": "{accept}"}


def answered(section: str, name: str, accepted: bool, status: str = SWITCHING, **fields: Any) -> Case:
    return Case(section, name, head(f"HTTP/1.1 {status}", ANSWER | fields), accepted)


def answers() -> Iterator[Case]:
    fine: dict[str, dict[str, Any]] = {
        "plain": {},
        "any-case": {"Upgrade": "WebSocket", "Connection": "UPGRADE"},
        "connection-list": {"Connection": "keep-alive, Upgrade"},
        "unknown-fields": {"Server": "pve-api-daemon/3.0"},
        "white-space": {"Sec_WebSocket_Accept": " \t{accept}\t "},
        "offered-protocol": {"Sec_WebSocket_Protocol": "binary"},
        "no-words": {"status": "101 "},
        "other-words": {"status": "101 Web Socket Protocol Handshake"},
    }
    for name, options in fine.items():
        yield answered("4.1", f"answer-{name}-is-accepted", True, **options)
    yield answered("4.1", "answer-byte-by-byte-is-accepted", True)._replace(chop=1)
    small = head("HTTP/1.1 101 x", {name.lower(): value for name, value in ANSWER.items()})
    yield Case("4.1", "answer-in-small-letters-is-accepted", small, True)
    # RFC 9112 section 6.3: a 101 has no body, whatever its fields say.
    yield answered("4.1", "answer-with-a-Content-Length-of-0-is-accepted", True, Content_Length="0")
    wrong: dict[str, dict[str, Any]] = {
        "accept-absent": {"Sec_WebSocket_Accept": None},
        "accept-empty": {"Sec_WebSocket_Accept": ""},
        "accept-cut": {"Sec_WebSocket_Accept": "{cut}"},
        "accept-and-more": {"Sec_WebSocket_Accept": "{accept}x"},
        "accept-of-another-key": {"Sec_WebSocket_Accept": ACCEPT},
        "accept-is-the-key": {"Sec_WebSocket_Accept": "{key}"},
        "accept-in-quotes": {"Sec_WebSocket_Accept": '"{accept}"'},
        "accept-twice": {"Sec_WebSocket_Accept": ["{accept}", "{accept}"]},
        "upgrade-absent": {"Upgrade": None},
        "upgrade-empty": {"Upgrade": ""},
        "upgrade-h2c": {"Upgrade": "h2c"},
        "connection-absent": {"Connection": None},
        "connection-close": {"Connection": "close"},
        "extension-not-asked-for": {"Sec_WebSocket_Extensions": "permessage-deflate"},
        "extensions-not-asked-for": {"Sec_WebSocket_Extensions": ["x", "y; z=1"]},
        "protocol-not-asked-for": {"Sec_WebSocket_Protocol": "chat"},
    }
    for name, options in wrong.items():
        yield answered("4.1", f"answer-{name}-fails", False, **options)
    for status in ("200", "204", "301", "400", "401", "403", "426", "500", "1O1", "0101", "1"):
        yield answered("4.1", f"answer-{status}-fails", False, f"{status} whatever")
    yield Case("4.1", "answer-HTTP-2.0-fails", head("HTTP/2.0 101 x", ANSWER), False)
    yield Case("4.1", "answer-without-HTTP-fails", "\x82\x02hi\r\n\r\n", False)
    # RFC 9110 section 15.2: proxxy must skip interim answers before the final one.
    for interim in ("100 Continue", "103 Early Hints"):
        heads = head(f"HTTP/1.1 {interim}", {}) + head(f"HTTP/1.1 {SWITCHING}", ANSWER)
        yield Case("4.1", f"answer-after-{interim[:3]}-is-accepted", heads, True)


@over(*answers())
def test_answer_of_proxmox(unanswered: Ends, case: Case) -> None:
    """Proxmox sends a frame directly after its answer. If the answer is wrong, proxxy must not forward the frame."""
    client, proxmox = unanswered
    key = proxmox.read_request().headers["sec-websocket-key"]
    answer = case.sent.format(key=key, accept=accept(key), cut=accept(key)[:-1])
    raw = answer.encode("latin-1") + encode_frame(BINARY, b"hello")
    for part in in_parts(raw, case.chop or len(raw)):
        proxmox.send(part)
    frame = hear_frame(client)[0]
    if case.expected:
        assert frame == (1, 0, BINARY, b"hello")
    else:
        assert frame.opcode == CLOSE and frame.payload[:2] == close_payload(1011)
        client.send_frame(CLOSE, frame.payload)
        assert client.at_end() and proxmox.at_end()
