# SPDX-License-Identifier: Apache-2.0
"""HTTP requests that two parsers could read in two ways, and everything else that is no request.

Each case is a legal upgrade request with a good payload but for the one thing that it is about, so that
leniency would show as a console. Behind it comes a second request, which must never be answered: what a
proxy in front takes for the first one's body or for another's must stay unread. A refusal is one answer
and the end of the connection; an upgrade is one 101, and then what follows are frames.

A case's section begins with its RFC: 9110 (semantics), 9112 (HTTP/1.1), 9113 (HTTP/2), 3986 (URIs), 6455.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from typing import Any, Iterator, NamedTuple

import pytest
from conftest import console
from lib.activator import Activator
from lib.certs import Cert
from lib.payload import seal, target
from lib.upstream import Connection, Upstream
from lib.wire import CLOSE, Client, close_payload, encode_frame

SECOND = b"GET /api/status HTTP/1.1\r\nHost: second\r\n\r\n"
TARGET = b"TARGET"  # stands for a good payload's, until the proxy's key is known
LINE = b"GET TARGET HTTP/1.1"
HOST = b"Host: proxxy.example.com"
UPGRADE = (
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)
HEAD_MAX, FIELDS_MAX = 65536, 100  # bytes, and fields, of a head that is read
KEPT_MAX, NAME_MAX = 16384, 256  # bytes of what is kept of it, and of a field's name
NO_CHUNKS = b"0\r\n\r\n"
CONTROLS = b"\x00\x01\x08\x0b\x0c\x0e\x1b\x1f\x7f"


class Case(NamedTuple):
    section: str
    name: str
    sent: bytes
    expected: int = 400  # the answer's status, 0 for none

    def __str__(self) -> str:
        return f"{self.section}-{self.name}"


def request(*more: bytes, line: bytes = LINE, host: bytes = HOST) -> bytes:
    """An upgrade request with more field lines, another request line or another Host line (b"" for none)."""
    return b"\r\n".join([line, *filter(None, [host]), *more, *UPGRADE, b"", b""])


def shown(raw: bytes) -> str:
    return re.sub(r"[^\x21-\x7e]|\[|\]", lambda found: f"%{ord(found[0]):02X}", raw.decode("latin-1"))


def each(section: str, words: str, places: dict[str, bytes], status: int = 400) -> Iterator[Case]:
    for name, raw in places.items():
        yield Case(section, f"{words}-{name}", raw, status)


# --- fields that come twice ------------------------------------------------------------------


def twice() -> Iterator[Case]:
    yield Case("9112-3.2", "two-Hosts", request(HOST))
    yield Case("9112-3.2", "two-Hosts-that-differ", request(b"Host: evil.example.com"))
    yield Case("9112-3.2", "two-Hosts-in-other-case", request(b"hOST: proxxy.example.com"))
    yield Case("9112-3.2", "two-Hosts-one-empty", request(b"Host:"))
    yield Case("9112-3.2", "two-Hosts-apart", request()[:-2] + HOST + b"\r\n\r\n")
    for first, second in [(b"0", b"0"), (b"0", b"42"), (b"42", b"0"), (b"", b"0")]:
        name = f"two-Content-Lengths-{shown(first)}-and-{shown(second)}"
        yield Case("9110-8.6", name, request(b"Content-Length: " + first, b"Content-Length: " + second))
    for first, second in [(b"chunked", b"identity"), (b"identity", b"chunked"), (b"chunked", b"chunked")]:
        name = f"two-Transfer-Encodings-{shown(first)}-and-{shown(second)}"
        fields = (b"Transfer-Encoding: " + first, b"Transfer-Encoding: " + second)
        yield Case("9112-6.1", name, request(*fields) + NO_CHUNKS)
    yield Case("6455-11.3.1", "two-keys", request(UPGRADE[2]))
    yield Case("6455-11.3.1", "two-keys-that-differ", request(b"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=="))
    yield Case("6455-11.3.5", "two-versions", request(UPGRADE[3]))
    yield Case("6455-11.3.5", "two-versions-that-differ", request(b"Sec-WebSocket-Version: 8"))
    yield Case("9110-5.3", "two-Origins", request(b"Origin: https://a", b"Origin: https://b"))
    # Lists may go over several lines (RFC 9110 section 5.3).
    yield Case("9110-5.3", "two-Connections", request(b"Connection: keep-alive"), 101)
    yield Case("9110-5.3", "two-Upgrades", request(b"Upgrade: h2c"), 101)
    yield Case("6455-11.3.4", "two-protocol-lists", request(*[b"Sec-WebSocket-Protocol: a, b"] * 2), 101)
    # Among fields that nobody reads, which are dropped while they come, everything counts as it did.
    cookie = b"Cookie: " + b"c" * 20000
    for name, field in {"Host": HOST, "key": UPGRADE[2], "length": b"Content-Length: 5", "fold": b" folded"}.items():
        yield Case("9112-5", f"second-{name}-behind-a-long-cookie", request(cookie, field))
    yield Case(
        "9112-6.1", "chunked-between-long-cookies", request(cookie, b"Transfer-Encoding: chunked", cookie) + NO_CHUNKS
    )


# --- ends of lines ---------------------------------------------------------------------------


def line_ends() -> Iterator[Case]:
    """RFC 9112 section 2.2 lets a recipient take a bare LF; ours does not, as others might not. A bare CR it
    must not take."""
    good = request()
    places = {
        "everywhere": good.replace(b"\r\n", b"\n"),
        "behind-the-request-line": good.replace(b"\r\n", b"\n", 1),
        "behind-a-field": good.replace(b"\r\nUpgrade", b"\nUpgrade"),
        "at-the-end": good[:-2] + b"\n",
        "twice-at-the-end": good[:-4] + b"\n\n",
        "that-hides-a-field": request(b"X: a\nContent-Length: 5"),
        "before-the-request": b"\n" + good,
    }
    yield from each("9112-2.2", "bare-LF", places)
    places = {
        "everywhere": good.replace(b"\r\n", b"\r"),
        "behind-the-request-line": good.replace(b"\r\n", b"\r", 1),
        "in-a-value": request(b"X: a\rb"),
        "that-hides-a-field": request(b"X: a\rContent-Length: 5"),
        "in-a-name": request(b"X\rY: a"),
        "in-the-target": request(line=b"GET TARGET\r HTTP/1.1"),
        "in-the-version": request(line=b"GET TARGET HTTP/1.1\r"),
        "before-the-request": b"\r" + good,
    }
    yield from each("9112-2.2", "bare-CR", places)
    for end in (b"\r\r\n", b"\n\r", b"\r\n\r", b"\n\n", b"\x0b\r\n", b"\x85", b"\xe2\x80\xa8"):
        name = shown(end)
        yield Case("9112-2.2", f"{name}-behind-the-request-line", good.replace(b"\r\n", end, 1))
        yield Case("9112-2.2", f"{name}-behind-a-field", good.replace(b"\r\nUpgrade", end + b"Upgrade"))
        yield Case("9112-2.2", f"{name}-at-the-end", good[:-4] + end + b"\r\n")
    # Whether the end of a head is there must not depend on who reads it.
    hidden = request(b"Content-Length: 5").replace(b"\r\nContent", b"\r\r\nContent")
    yield Case("9112-2.2", "CR-CR-LF-before-a-Content-Length", hidden)
    yield Case("9112-2.2", "one-empty-line-first", b"\r\n" + good, 101)
    yield Case("9112-2.2", "two-empty-lines-first", b"\r\n\r\n" + good)
    yield Case("9112-2.2", "white-space-before-the-request", b" " + good)
    yield Case("9112-2.2", "white-space-before-the-first-field", good.replace(b"\r\nHost", b"\r\n Host"))


# --- where a body would be -------------------------------------------------------------------

LENGTHS = {
    101: [b"0", b"00", b"0 ", b"\t0"],  # digits are a number, and white space around a value is none of it
    400: [
        b"",
        b"1",
        b"41",
        b"-1",
        b"-0",
        b"+1",
        b"+0",
        b"1, 1",
        b"1,1",
        b"0, 0",
        b"0,41",
        b"0x0",
        b"0x29",
        b"29h",
        b"0.0",
        b"1e1",
        b"0 0",
        b"4 1",
        b"0;",
        b'"0"',
        b"0,",
        b",0",
        b"0_0",
        b"\xd9\xa1",
        b"\xa00",
        b"00000000041",
        b"9223372036854775807",
        b"9223372036854775808",
        b"18446744073709551615",
        b"18446744073709551616",
        b"18446744073709551657",
        b"4294967296",
        b"9" * 100,
    ],
}
ENCODINGS = [
    b"chunked",
    b"CHUNKED",
    b"identity",
    b"gzip",
    b"gzip, chunked",
    b"chunked, identity",
    b"chunked, chunked",
    b"\tchunked",
    b" chunked ",
    b"xchunked",
    b"chunked;q=1",
    b'"chunked"',
    b"chunked,",
    b", chunked",
    b"",
]


def bodies() -> Iterator[Case]:
    """A console's request has none, so there is nothing to disagree on: whatever promises one is refused."""
    for status, lengths in LENGTHS.items():
        for length in lengths:
            sent = request(b"Content-Length: " + length)
            yield Case("9112-6.3", f"Content-Length-is-{shown(length)}", sent, status)
    for encoding in ENCODINGS:
        sent = request(b"Transfer-Encoding: " + encoding) + NO_CHUNKS
        yield Case("9112-6.1", f"Transfer-Encoding-is-{shown(encoding)}", sent)
    chunked, length = b"Transfer-Encoding: chunked", b"Content-Length: 5"
    chunk = b"%x\r\n%s\r\n" % (len(SECOND), SECOND) + NO_CHUNKS
    none, own = b"Content-Length: 0", b"Content-Length: %d" % len(SECOND)
    old = request(chunked, line=b"GET TARGET HTTP/1.0")
    yield Case("9112-7.1", "request-inside-a-chunk", request(chunked) + chunk)
    huge = b"ffffffffff\r\n" + SECOND
    yield Case("9112-7.1", "request-inside-a-chunk-that-is-too-long", request(chunked) + huge)
    yield Case("9112-6.3", "request-inside-the-body", request(own) + SECOND)
    yield Case("9112-6.3", "Content-Length-then-Transfer-Encoding", request(length, chunked) + NO_CHUNKS)
    yield Case("9112-6.3", "Transfer-Encoding-then-Content-Length", request(chunked, length) + NO_CHUNKS)
    yield Case("9112-6.3", "Content-Length-of-0-with-Transfer-Encoding", request(none, chunked) + NO_CHUNKS)
    yield Case("9112-6.1", "Transfer-Encoding-in-HTTP-1.0", old + NO_CHUNKS)
    hidden = {
        "white-space-before-colon": b"Transfer-Encoding : chunked",
        "tab-before-colon": b"Transfer-Encoding\t: chunked",
        "vertical-tab-before-value": b"Transfer-Encoding:\x0bchunked",
        "NUL-before-value": b"Transfer-Encoding: \x00chunked",
        "NUL-in-name": b"Transfer\x00-Encoding: chunked",
        "white-space-before-name": b" Transfer-Encoding: chunked",
        "folded": b"Transfer-Encoding:\r\n chunked",
        "behind-bare-LF": b"X: a\nTransfer-Encoding: chunked",
        "behind-bare-CR": b"X: a\rTransfer-Encoding: chunked",
        "quoted-name": b'"Transfer-Encoding": chunked',
        "no-colon": b"Transfer-Encoding chunked",
    }
    for name, field in hidden.items():
        yield Case("9112-5.1", f"Transfer-Encoding-{name}", request(field) + NO_CHUNKS)
        for before, behind in [(b"Transfer", b"Content"), (b"Encoding", b"Length"), (b"chunked", b"0")]:
            field = field.replace(before, behind)
        yield Case("9112-5.1", f"Content-Length-{name}", request(field))
    # Other names: to us as to any other reader of them they announce nothing.
    for unknown in (b"TE: trailers", b"Trailer: X", b"Content_Length: 5", b"Transfer_Encoding: chunked"):
        yield Case("9110-5.1", f"unknown-field-{shown(unknown)}", request(unknown), 101)
    yield Case("9110-10.1.1", "Expect-gets-no-interim-answer", request(b"Expect: 100-continue"), 101)


# --- field lines -----------------------------------------------------------------------------


def fields() -> Iterator[Case]:
    folds = {
        "with-a-space": request(b"X: a\r\n b"),
        "with-a-tab": request(b"X: a\r\n\tb"),
        "that-looks-like-a-field": request(b"X: a\r\n Content-Length: 5"),
        "of-Host": request(host=b"Host: a\r\n b"),
        "of-the-key": request().replace(b"Key: ", b"Key:\r\n "),
        "that-is-empty": request(b"X: a\r\n \r\nY: b"),
        "before-any-field": request(host=b" folded\r\nHost: a"),
    }
    yield from each("9112-5.2", "obs-fold", folds)
    for name in (b"Host", b"Upgrade", b"X"):
        for space in (b" ", b"\t", b"  "):
            sent = request(name + space + b": websocket")
            yield Case("9112-5.1", f"{shown(space)}-between-{shown(name)}-and-colon", sent)
    yield Case("9112-5", "field-without-colon", request(b"X"))
    yield Case("9112-5", "field-without-name", request(b": a"))
    yield Case("9112-5", "colon-alone", request(b":"))
    for character in b'"(),/;<=>?@[\\]{} \x80\xc3\xff':
        for where, field in {"in": b"X%cY: a", "before": b"%cXY: a", "behind": b"XY%c: a"}.items():
            sent = request(field % character)
            yield Case("9110-5.6.2", f"{shown(bytes([character]))}-{where}-a-field-name", sent)
    for value in (b"a:b", b"\xff\x80", b"a\tb", b'"\\"', b"(x)", b"", b"\xc3\xa9"):
        yield Case("9110-5.5", f"value-{shown(value)}", request(b"X: " + value), 101)
    for character in CONTROLS:
        control = shown(bytes([character]))
        places = {
            "in-the-method": request(line=b"G%cET TARGET HTTP/1.1" % character),
            "before-the-method": request(line=b"%cGET TARGET HTTP/1.1" % character),
            "in-the-target": request(line=b"GET /%cTARGET HTTP/1.1" % character),
            "behind-the-target": request(line=b"GET TARGET%c HTTP/1.1" % character),
            "instead-of-a-space": request(line=b"GET%cTARGET HTTP/1.1" % character),
            "in-the-version": request(line=b"GET TARGET HTTP/1.1%c" % character),
            "in-a-field-name": request(b"X%cY: a" % character),
            "in-a-value": request(b"X: a%cb" % character),
            "around-a-value": request(b"X: %ca%c" % (character, character)),
            "in-Host": request(host=b"Host: a%cb" % character),
        }
        yield from each("9110-5.5", control, places)


def hosts() -> Iterator[Case]:
    yield Case("9112-3.2", "no-Host", request(host=b""))
    for value in (b"", b"a", b"a:8443", b"a:", b"127.0.0.1:1", b"[::1]", b"[::1]:8443", b"a%2eb", b"a_b"):
        yield Case("9112-3.2", f"Host-is-{shown(value)}", request(host=b"Host: " + value), 101)
    wrong = (
        b"a b",
        b"a/b",
        b"a?b",
        b"a#b",
        b"user@a",
        b"a\\b",
        b"<a>",
        b'"a"',
        b"a|b",
        b"\xc3\xa9",
        b"http://a",
        b"a:b",
        b"a:80:80",
        b"a:-1",
        b"[::1",
        b"::1",
        b"[::1]a",
        b"a[b]",
        b"a%zz",
        b"a%",
    )
    for value in wrong:
        yield Case("9112-3.2", f"Host-is-{shown(value)}", request(host=b"Host: " + value))


# --- request lines ---------------------------------------------------------------------------


def targets() -> Iterator[Case]:
    absolute = (b"http://a", b"https://a", b"HTTP://a", b"http://a:1", b"http://[::1]:8443")
    for form in absolute:
        sent = request(line=b"GET %sTARGET HTTP/1.1" % form)
        yield Case("9112-3.2.2", f"absolute-form-{shown(form)}", sent, 101)
    yield Case("9112-3.2.2", "absolute-form-without-path", request(line=b"GET http://aQUERY HTTP/1.1"), 101)
    for scheme in (b"ftp", b"ws", b"wss", b"file", b"javascript", b"httpx", b"http+unix"):
        sent = request(line=b"GET %s://aTARGET HTTP/1.1" % scheme)
        yield Case("9112-3.2.2", f"absolute-form-{shown(scheme)}", sent)
    wrong: dict[tuple[str, str], bytes] = {
        ("9110-4.2.1", "absolute-form-without-host"): b"http://TARGET",
        ("9110-4.2.1", "absolute-form-with-a-port-alone"): b"http://:80TARGET",
        ("9110-4.2.4", "absolute-form-with-a-user"): b"http://user@aTARGET",
        ("9110-4.2.4", "absolute-form-with-a-password"): b"http://user:secret@aTARGET",
        ("3986-3.2", "authority-ends-at-the-question-mark"): b"http://a?bTARGET",
        ("3986-3.2.3", "absolute-form-with-a-bad-port"): b"http://a:bTARGET",
        ("9112-3.2.2", "scheme-alone"): b"http:TARGET",
        ("9112-3.2.2", "one-slash"): b"http:/aTARGET",
        ("9112-3.2.3", "authority-form"): b"a:443",
        ("9112-3.2.4", "asterisk-form"): b"*",
        ("9112-3.2.4", "asterisk-and-query"): b"*QUERY",
        ("9112-3.2.1", "no-slash"): b"consoleTARGET",
        ("9112-3.2.1", "query-alone"): b"QUERY",
        ("9112-3.2", "fragment"): b"TARGET#x",
        ("9112-3.2", "fragment-alone"): b"#TARGET",
        ("9112-3.2", "backslash-first"): b"\\TARGET",
        ("9112-3.2", "not-ASCII"): b"/\xc3\xa9TARGET",
        ("9112-3.2", "space"): b"TARGET &x",
        ("9112-3.2", "tab"): b"TARGET\t",
        ("9112-3.2", "nothing"): b"",
    }
    for (section, name), form in wrong.items():
        yield Case(section, name, request(line=b"GET %s HTTP/1.1" % form))
    # Not for a URI, but browsers leave them as they are in a query (the URL standard's query percent-encode
    # set), and no reader ends a target at one.
    for character in b"\\^`{|}":
        name = f"{chr(character)}-in-the-query"
        yield Case("3986-3.4", name, request(line=b"GET TARGET&x=%c HTTP/1.1" % character), 101)
    yield Case("9112-3.2.1", "two-slashes-first", request(line=b"GET /TARGET HTTP/1.1"), 101)


def request_lines() -> Iterator[Case]:
    for line in (
        b"",
        b"GET",
        b"GET TARGET",
        b"TARGET HTTP/1.1",
        b"GET  TARGET HTTP/1.1",
        b"GET TARGET  HTTP/1.1",
        b"GET TARGET HTTP/1.1 ",
        b"GET TARGET HTTP/1.1 x",
        b"GET\tTARGET\tHTTP/1.1",
        b"GET TARGET\xa0HTTP/1.1",
        b"G(T TARGET HTTP/1.1",
        b"GET: TARGET HTTP/1.1",
    ):
        yield Case("9112-3", f"line-{shown(line).replace('TARGET', '/')}", request(line=line))
    versions = {
        101: (
            b"HTTP/1.2",
            b"HTTP/1.9",  # read as 1.1, the highest minor version that is known
            # RFC 9110 section 7.8 has no Upgrade in it; an nginx without proxy_http_version asks so, and takes the 101.
            b"HTTP/1.0",
        ),
        505: (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0"),
        400: (
            b"HTTP/1",
            b"HTTP/2",
            b"HTTP/1.",
            b"HTTP/1.10",
            b"HTTP/11.1",
            b"HTTP/1,1",
            b"http/1.1",
            b"HTTP/-1.1",
            b"HTTP/1.x",
            b"HTTP/x.1",
            b"HTTP/1.+1",
            b"HTTP /1.1",
            b"HTTPS/1.1",
            b"ICAP/1.0",
            b"RTSP/1.0",
        ),
    }
    for status, names in versions.items():
        for name in names:
            yield Case("9112-2.3", f"version-{shown(name)}", request(line=b"GET TARGET " + name), status)
    # 501 is for methods that a server does not know (RFC 9110 section 9.1). Ours answers 405 to those as the original
    # did. HEAD is GET without the body, and OPTIONS tells the methods, whatever it is about: health checks ask so.
    for method in (b"get", b"Get", b"GETT", b"GE", b"POST", b"PUT", b"TRACE", b"PRI", b"!#$%&'*+-.^_`|~"):
        yield Case("9110-9.1", f"method-{shown(method)}", request(line=method + b" TARGET HTTP/1.1"), 405)
    yield Case("9112-3.2.3", "CONNECT", request(line=b"CONNECT a:443 HTTP/1.1"), 405)
    yield Case("9112-3.2.4", "OPTIONS-asterisk", request(line=b"OPTIONS * HTTP/1.1"), 204)
    yield Case("9110-9.3.7", "OPTIONS-of-a-payload", request(line=b"OPTIONS TARGET HTTP/1.1"), 204)
    yield Case(
        "9110-9.3.7", "OPTIONS-with-a-length-of-0", request(b"Content-Length: 0", line=b"OPTIONS / HTTP/1.1"), 204
    )
    yield Case(
        "9110-9.3.7", "OPTIONS-with-a-body", request(b"Content-Length: 5", line=b"OPTIONS / HTTP/1.1") + b"12345"
    )
    yield Case(
        "9110-9.3.7",
        "OPTIONS-with-chunks",
        request(b"Transfer-Encoding: chunked", line=b"OPTIONS / HTTP/1.1") + NO_CHUNKS,
    )
    yield Case("9110-9.3.2", "HEAD-is-never-upgraded", request(line=b"HEAD TARGET HTTP/1.1"), 426)
    yield Case("9110-9.3.2", "HEAD-of-the-status", request(line=b"HEAD /api/status HTTP/1.1"), 200)
    yield Case(
        "9110-9.3.2", "HEAD-with-a-body", request(b"Content-Length: 5", line=b"HEAD /api/status HTTP/1.1") + b"12345"
    )
    body = b"Content-Length: %d" % len(SECOND)
    sent = request(body, line=b"POST TARGET HTTP/1.1") + SECOND
    yield Case("9110-9.1", "POST-with-a-request-inside", sent, 405)


def sized(size: int, line: bytes = LINE) -> bytes:
    """A head of exactly that size once the payload stands in it: the test fills it up."""
    return request(b"X: FILL%d" % size, line=line)


def limits() -> Iterator[Case]:
    used = request().count(b"\r\n") - 2
    yield Case("9110-5.4", "head-of-65536-bytes", sized(HEAD_MAX), 101)
    yield Case("9110-5.4", "head-of-65537-bytes", sized(HEAD_MAX + 1), 431)
    dropped = len(UPGRADE[1]) + 2  # Connection is not read
    long = b"GET TARGET&x=FILL%d HTTP/1.1"
    yield Case("9110-5.4", "16384-bytes-that-are-kept", request(line=long % (KEPT_MAX + dropped)), 101)
    yield Case("9110-5.4", "16385-bytes-that-are-kept", request(line=long % (KEPT_MAX + dropped + 1)), 431)
    yield Case("9110-5.4", "name-of-256-bytes", request(b"X" * NAME_MAX + b": y"), 101)
    yield Case("9110-5.4", "name-of-257-bytes", request(b"X" * (NAME_MAX + 1) + b": y"), 431)
    yield Case("9110-5.4", "90-fields-of-700-bytes", request(*[b"Cookie: " + b"c" * 690] * 90), 101)
    yield Case("9110-5.4", "head-of-a-MiB", sized(1 << 20), 431)
    yield Case("9110-5.4", "100-fields", request(*[b"X: y"] * (FIELDS_MAX - used)), 101)
    yield Case("9110-5.4", "101-fields", request(*[b"X: y"] * (FIELDS_MAX - used + 1)), 431)
    yield Case("9110-5.4", "10000-fields", request(*[b"X: y"] * 10000), 431)
    yield Case("9110-5.4", "field-name-of-17000-bytes", request(b"X" * 17000 + b": y"), 431)
    yield Case("9110-5.4", "head-without-end", b"X" * 17000, 431)
    # RFC 9112 section 3 has 414 for a target and 501 for a method that is too long. The original answers 431
    # to any head that is too large, and so does ours.
    long = b"x" * 17000
    yield Case("9112-3", "target-of-17000-bytes", request(line=b"GET TARGET&x=%s HTTP/1.1" % long), 431)
    yield Case("9112-3", "method-of-17000-bytes", request(line=b"%s TARGET HTTP/1.1" % long), 431)


def strangers() -> Iterator[Case]:
    """What else may come to a port. One answer at the most, and nothing that waits for more."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)
    yield Case("9112-2.2", "TLS-ClientHello", hello)
    yield Case("9112-2.2", "TLS-alert", b"\x15\x03\x01\x00\x02\x02\x46")
    yield Case("9112-2.2", "SSH", b"SSH-2.0-OpenSSH_9.2\r\n")
    yield Case("9112-2.2", "RFB", b"RFB 003.008\n")
    yield Case("9112-2.2", "SOCKS5", b"\x05\x01\x00")
    yield Case("9112-2.2", "SMTP", b"EHLO a\r\n")
    yield Case("9112-2.2", "PROXY-v1", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + request())
    yield Case("9112-2.2", "PROXY-v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + request())
    frame = encode_frame(CLOSE, close_payload(1000), mask=b"abcd")
    yield Case("9112-2.2", "frame-without-a-handshake", frame)
    yield Case("9112-2.2", "response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    yield Case("9110-2.5", "HTTP-0.9", b"GET TARGET\r\n")
    yield Case("9113-3.4", "HTTP-2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 505)


def upgrades() -> Iterator[Case]:
    """An intermediary that takes a refusal for a 101 stops looking: behind it nothing may be answered."""

    def without(index: int, *more: bytes, line: bytes = LINE) -> bytes:
        return request(*more, line=line).replace(UPGRADE[index] + b"\r\n", b"")

    h2c = (b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
    yield Case("9110-7.8", "upgrade-to-h2c", without(0, *h2c), 426)
    yield Case("9110-7.8", "upgrade-to-TLS", without(0, b"Upgrade: TLS/1.2"), 426)
    yield Case("9110-7.8", "no-upgrade", without(0), 426)
    # What Connection says is of no matter: an nginx without that line says "close", and takes the 101.
    yield Case("9110-7.8", "no-connection", without(1), 101)
    for options in (b"close", b"keep-alive", b"", b"keep-alive, close", b"Upgrade, close", b"upgraded"):
        yield Case("9110-7.8", f"connection-is-{shown(options)}", without(1, b"Connection: " + options), 101)
    yield Case("9110-7.8", "close-in-HTTP-1.0", without(1, b"Connection: close", line=b"GET TARGET HTTP/1.0"), 101)
    yield Case("9110-7.8", "HTTP-1.0-without-upgrade", without(0, line=b"GET TARGET HTTP/1.0"), 426)
    yield Case("6455-4.2.1", "no-key", without(2), 400)
    yield Case("6455-4.2.2", "no-version", without(3), 426)
    for version in (b"1337", b"12", b"130", b"1 3", b"0x0d"):
        sent = without(3, b"Sec-WebSocket-Version: " + version)
        yield Case("6455-4.2.2", f"version-{shown(version)}", sent, 426)
    yield Case("6455-4.2.1", "no-payload", request(line=b"GET / HTTP/1.1"))
    yield Case("6455-4.2.1", "bad-payload", request(line=b"GET /?payload=00:00 HTTP/1.1"))
    yield Case("9112-9.6", "status", SECOND, 200)


# --- one answer ------------------------------------------------------------------------------


class Front(NamedTuple):
    port: int
    target: bytes
    upstream: Upstream  # counts the consoles that were opened


def serve(console_end: Connection) -> None:
    console_end.accept_upgrade()
    console_end.close_code()


@pytest.fixture(scope="module")
def front(settings: dict[str, Any], cert: Cert, key: str) -> Iterator[Front]:
    """Under the Activator alone: a head is read the same whoever spawned the reader."""
    with Activator(settings) as proxxy, Upstream(cert, serve) as upstream:
        yield Front(proxxy.port, target(seal(console(upstream.port), key)).encode(), upstream)


def filled(raw: bytes, front: Front) -> bytes:
    raw = raw.replace(b"TARGET", front.target).replace(b"QUERY", front.target[1:])
    if size := re.search(rb"FILL([0-9]+)", raw):
        raw = raw.replace(size[0], b"x" * (int(size[1]) - len(raw) + len(size[0])))
    return raw


def check_only_answer(raw: bytes, status: int, head_alone: bool) -> None:
    """raw, all that ever came, is one answer: a refusal with its body, or a 101 and a Close that says that
    what followed is no frame. head_alone: the answer has no body, as it is one to HEAD."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {status} "), raw
    values = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    assert len(values) == len(lines) - 1, raw
    if status == 101:
        assert rest[:1] == b"\x88" and rest[1] == len(rest) - 2 and rest[2:4] == close_payload(1002), raw
        return
    assert "close" in values["connection"].lower().replace(" ", "").split(","), raw
    if status == 204:
        assert "content-length" not in values and "content-type" not in values and rest == b"", raw
    elif head_alone:
        assert int(values["content-length"]) > 0 and rest == b"", raw
    else:
        assert int(values["content-length"]) == len(rest) > 0, raw


EVERY = [
    *twice(),
    *line_ends(),
    *bodies(),
    *fields(),
    *hosts(),
    *targets(),
    *request_lines(),
    *limits(),
    *strangers(),
    *upgrades(),
]


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_one_answer_and_no_second(front: Front, case: Case) -> None:
    opened = front.upstream.connections
    with Client.connect(front.port, raw=filled(case.sent, front) + SECOND) as client:
        check_only_answer(client.read_all(), case.expected, case.sent.startswith(b"HEAD "))
    assert front.upstream.connections - opened == (case.expected == 101)


PIPELINED = {
    "two-Hosts",
    "Content-Length-is-41",
    "Transfer-Encoding-is-chunked",
    "method-POST",
    "no-upgrade",
    "version-1337",
    "head-of-65537-bytes",
    "bad-payload",
    "status",
}
REFUSED = [case for case in EVERY if case.name in PIPELINED]


@pytest.mark.parametrize("case", REFUSED, ids=str)
@pytest.mark.parametrize("when", ["in-the-next-segment", "behind-the-answer", "ten-times"])
def test_pipelined_request_is_never_answered(front: Front, case: Case, when: str) -> None:
    """RFC 9112 section 9.6: a server that said "close" processes nothing further from that connection."""
    with Client.connect(front.port, raw=filled(case.sent, front)) as client:
        if when == "behind-the-answer":
            head = client.read_head()
            answer = head.raw + client.read_body(head)
            client.send(SECOND)
            assert client.at_end()
        else:
            client.send(SECOND * (10 if when == "ten-times" else 1))
            answer = client.read_all()
        check_only_answer(answer, case.expected, False)


CUT = {
    "nothing": b"",
    "method": b"GET",
    "target": b"GET /?payload=",
    "request-line": b"GET / HTTP/1.1\r\n",
    "field": b"GET / HTTP/1.1\r\nHost: a",
    "head-less-a-line": request()[:-2],
    "head-less-a-byte": request()[:-1],
    "empty-line": b"\r\n",
    "CR": b"\r",
}


@pytest.mark.parametrize("raw", CUT.values(), ids=[f"9112-8-{name}" for name in CUT])
def test_request_that_is_cut_is_not_served(front: Front, raw: bytes) -> None:
    """Nothing is made of half a request, and nobody is there to be answered."""
    opened = front.upstream.connections
    with Client.connect(front.port, raw=filled(raw, front)) as client:
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all() == b""
    assert front.upstream.connections == opened


def test_no_two_cases_share_a_name() -> None:
    names = Counter(map(str, EVERY))
    assert [name for name, count in names.items() if count > 1] == []
